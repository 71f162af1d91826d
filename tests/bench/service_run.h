/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_run.h - what the parts of the services benchmark share
 *
 * Room: tests/bench.
 */
#ifndef BENCH_SERVICE_RUN_H
#define BENCH_SERVICE_RUN_H

#include "services.h"

/* A line of output about so many services; @goal may be NULL. */
void tell_series(const struct bench *b, const struct shape *s, const char *what,
		 const struct series *v, const char *goal, bool met);
void tell_goal(const struct bench *b, const struct shape *s, const char *what, const char *unit,
	       double value, const char *goal, bool met);
void tell_value(const struct bench *b, const struct shape *s, const char *what, const char *unit,
		double value);
/** forget_data() - the next netd of that name starts with an empty store */
void forget_data(const struct bench *b, const char *name);

/** netd_rounds() - stored objects to the kernel, changes, restarts, memory */
void netd_rounds(const struct bench *b, const struct shape *s);
/** traffic_rounds() - packets through the last of many services, and of few */
void traffic_rounds(const struct bench *b);
/** peer_rounds() - what kube-proxy's shapes take for the same */
void peer_rounds(const struct bench *b, const struct shape *s);

#endif
