/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.c - counters, gauges, histograms and their Prometheus text
 *
 * Room: numbers that every thread adds to, hence atomic and process-wide.  May include: netd/base,
 * libc.
 */
#include <inttypes.h>
#include <netd/metrics/metrics.h>

/* Upper bounds in microseconds, and as the text wants them. */
static const struct { uint64_t us; const char *le; } bounds[] = {
	{ 50, "0.00005" }, { 100, "0.0001" }, { 250, "0.00025" }, { 500, "0.0005" },
	{ 1000, "0.001" }, { 2500, "0.0025" }, { 5000, "0.005" }, { 10000, "0.01" },
	{ 25000, "0.025" }, { 50000, "0.05" }, { 100000, "0.1" }, { 250000, "0.25" },
	{ 500000, "0.5" }, { 1000000, "1" }, { 5000000, "5" }, { 10000000, "10" },
};

static struct {
	int64_t value[METRIC_COUNT];
	struct {
		uint64_t bucket[ARRAY_SIZE(bounds)];
		uint64_t count, sum_us;
	} time[METRIC_TIME_COUNT];
} metrics;

static const struct { const char *name, *type, *help; } texts[METRIC_COUNT] = {
	[METRIC_HTTP_REQUESTS] = { "podnet_http_requests_total", "counter",
				   "Requests answered." },
	[METRIC_HTTP_ERRORS] = { "podnet_http_errors_total", "counter",
				 "Requests answered with 400 or above." },
	[METRIC_HTTP_CONNECTIONS] = { "podnet_http_connections", "gauge",
				      "Open connections of clients." },
	[METRIC_HTTP_CUT] = { "podnet_http_cut_total", "counter",
			      "Connections ended for time, or to make room for others." },
	[METRIC_WATCHES] = { "podnet_watches", "gauge", "Open watch streams." },
	[METRIC_WRITES] = { "podnet_store_writes_total", "counter", "Object writes committed." },
	[METRIC_COMMITS] = { "podnet_store_commits_total", "counter",
			     "Transactions of the store." },
	[METRIC_COMMIT_FAILURES] = { "podnet_store_commit_failures_total", "counter",
				     "Transactions of the store that failed." },
	[METRIC_STORE_FAILING] = { "podnet_store_failing", "gauge",
				   "1 while the database takes no writes." },
	[METRIC_PROBES] = { "podnet_probes_total", "counter", "Tries of readiness probes." },
	[METRIC_RECONCILES] = { "podnet_reconciles_total", "counter", "Scopes planned." },
	[METRIC_RECONCILE_FAILURES] = { "podnet_reconcile_failures_total", "counter",
					"Scopes whose plan failed." },
	[METRIC_KERNEL_OPERATIONS] = { "podnet_kernel_operations_total", "counter",
				       "Kernel operations applied." },
	[METRIC_DRIFT_REPAIRED] = { "podnet_drift_repaired_total", "counter",
				    "Scopes in which the kernel had drifted." },
	[METRIC_OVERRUNS] = { "podnet_kernel_event_overruns_total", "counter",
			      "Times kernel events were lost and everything was read again." },
	[METRIC_POOL_READY] = { "podnet_pool_ready", "gauge", "Namespaces made ahead." },
	[METRIC_CONNTRACK_DELETED] = { "podnet_conntrack_deleted_total", "counter",
				       "Connections forgotten because their endpoint went." },
};

static const struct { const char *name, *help; } time_texts[METRIC_TIME_COUNT] = {
	[METRIC_TIME_REQUEST] = { "podnet_http_request_duration_seconds",
				  "From the request's header to its answer." },
	[METRIC_TIME_COMMIT] = { "podnet_store_commit_duration_seconds",
				 "One transaction of the store." },
	[METRIC_TIME_RECONCILE] = { "podnet_reconcile_duration_seconds",
				    "Task sent to result received." },
	[METRIC_TIME_KERNEL] = { "podnet_kernel_duration_seconds", "Plan and commit." },
	[METRIC_TIME_CONNTRACK] = { "podnet_conntrack_duration_seconds",
				    "One pass over the connections of services that changed." },
};

void metric_add(enum metric m, int64_t n)
{
	__atomic_fetch_add(&metrics.value[m], n, __ATOMIC_RELAXED);
}

void metric_set(enum metric m, int64_t value)
{
	__atomic_store_n(&metrics.value[m], value, __ATOMIC_RELAXED);
}

int64_t metric_get(enum metric m)
{
	return __atomic_load_n(&metrics.value[m], __ATOMIC_RELAXED);
}

void metric_time(enum metric_time m, uint64_t us)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(bounds) && us > bounds[i].us)
		i++;
	if (i < ARRAY_SIZE(bounds))
		__atomic_fetch_add(&metrics.time[m].bucket[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&metrics.time[m].count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&metrics.time[m].sum_us, us, __ATOMIC_RELAXED);
}

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* The count is read first: a bucket added to meanwhile may not exceed it. */
static void histogram(struct buf *out, enum metric_time m)
{
	const char *name = time_texts[m].name;
	uint64_t count = load(&metrics.time[m].count), sum = load(&metrics.time[m].sum_us), below = 0;

	buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, time_texts[m].help, name);
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		below += load(&metrics.time[m].bucket[i]);
		if (below > count)
			below = count;
		buf_printf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i].le, below);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
	buf_printf(out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n%s_count %" PRIu64 "\n", name,
		   sum / 1000000, sum % 1000000, name, count);
}

void metrics_text(struct buf *out, void (*objects)(struct buf *out, void *arg), void *arg)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", texts[i].name,
			   texts[i].help, texts[i].name, texts[i].type, texts[i].name,
			   metric_get(i));
	for (unsigned i = 0; i < METRIC_TIME_COUNT; i++)
		histogram(out, i);
	if (!objects)
		return;
	buf_str(out, "# HELP podnet_objects Objects in the store.\n# TYPE podnet_objects gauge\n");
	objects(out, arg);
}
