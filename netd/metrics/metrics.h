/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.h - counters and durations, and their Prometheus text
 *
 * Room: numbers.  Any thread may add (atomics); the text is made on the control loop.
 * Source: Prometheus exposition formats, text 0.0.4.
 */
#ifndef NETD_METRICS_H
#define NETD_METRICS_H

#include <netd/base/base.h>

enum metric {
	METRIC_HTTP_REQUESTS,       /* podnet_http_requests_total */
	METRIC_HTTP_ERRORS,         /* answers of 400 and above */
	METRIC_HTTP_CONNECTIONS,    /* gauge */
	METRIC_HTTP_CUT,            /* connections ended for time, or to make room */
	METRIC_WATCHES,             /* gauge: open watch streams */
	METRIC_WRITES,              /* committed object writes */
	METRIC_COMMITS,             /* transactions of the store */
	METRIC_COMMIT_FAILURES,
	METRIC_STORE_FAILING,       /* gauge: 1 while writes fail */
	METRIC_PROBES,              /* tries of readiness probes */
	METRIC_RECONCILES,          /* scopes planned */
	METRIC_RECONCILE_FAILURES,
	METRIC_KERNEL_OPERATIONS,   /* operations applied */
	METRIC_DRIFT_REPAIRED,      /* scopes in which the kernel had drifted */
	METRIC_OVERRUNS,            /* kernel events lost, everything read again */
	METRIC_POOL_READY,          /* gauge */
	METRIC_CONNTRACK_DELETED,   /* connections whose endpoint went */
	METRIC_COUNT
};
enum metric_time {              /* histograms, seconds */
	METRIC_TIME_REQUEST,
	METRIC_TIME_COMMIT,
	METRIC_TIME_RECONCILE,      /* task sent to result received */
	METRIC_TIME_KERNEL,         /* plan and commit */
	METRIC_TIME_CONNTRACK,      /* one pass over the connections */
	METRIC_TIME_COUNT
};

void metric_add(enum metric m, int64_t n);
void metric_set(enum metric m, int64_t value);
int64_t metric_get(enum metric m);
void metric_time(enum metric_time m, uint64_t us);
/** metrics_text() - all of it; @objects adds podnet_objects{kind="..."} lines, may be NULL */
void metrics_text(struct buf *out, void (*objects)(struct buf *out, void *arg), void *arg);

#endif
