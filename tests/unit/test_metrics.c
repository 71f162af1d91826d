/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_metrics.c - the Prometheus text of netd/metrics
 */
#include "lib/testlib.h"

#include <netd/metrics/metrics.h>
#include <stdio.h>

static void objects(struct buf *out, void *arg)
{
	buf_printf(out, "podnet_objects{kind=\"%s\"} 2\n", (const char *)arg);
}

/* Pieces that must stand in the text, in this order. */
static const char *const pieces[] = {
	"# HELP podnet_http_requests_total Requests answered.\n"
	"# TYPE podnet_http_requests_total counter\n"
	"podnet_http_requests_total 3\n",
	"# TYPE podnet_watches gauge\npodnet_watches 1\n",
	"podnet_pool_ready 16\n",
	"# HELP podnet_http_request_duration_seconds From the request's header to its answer.\n"
	"# TYPE podnet_http_request_duration_seconds histogram\n"
	"podnet_http_request_duration_seconds_bucket{le=\"0.00005\"} 1\n"
	"podnet_http_request_duration_seconds_bucket{le=\"0.0001\"} 2\n"
	"podnet_http_request_duration_seconds_bucket{le=\"0.00025\"} 2\n",
	"podnet_http_request_duration_seconds_bucket{le=\"10\"} 2\n"
	"podnet_http_request_duration_seconds_bucket{le=\"+Inf\"} 3\n"
	"podnet_http_request_duration_seconds_sum 20.000150\n"
	"podnet_http_request_duration_seconds_count 3\n",
	"podnet_kernel_duration_seconds_sum 0.000000\n",
	"# HELP podnet_objects Objects in the store.\n"
	"# TYPE podnet_objects gauge\n"
	"podnet_objects{kind=\"pods\"} 2\n",
};

static void text(void **state)
{
	struct buf out = { 0 };
	char kind[] = "pods";
	const char *at;

	(void)state;
	metric_add(METRIC_HTTP_REQUESTS, 2);
	metric_add(METRIC_HTTP_REQUESTS, 1);
	metric_add(METRIC_WATCHES, 2);
	metric_add(METRIC_WATCHES, -1);
	metric_set(METRIC_POOL_READY, 16);
	metric_time(METRIC_TIME_REQUEST, 50);
	metric_time(METRIC_TIME_REQUEST, 100);
	metric_time(METRIC_TIME_REQUEST, 20000000);
	metrics_text(&out, objects, kind);
	at = out.data;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		const char *found = strstr(at, pieces[i]);

		if (!found)
			fail_msg("missing or out of order:\n%s", pieces[i]);
		at = found;
	}
	assert_int_equal(metric_get(METRIC_HTTP_REQUESTS), 3);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
