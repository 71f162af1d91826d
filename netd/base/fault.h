/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.h - places where a test kills netd
 *
 * fault_point("store-before-commit") does nothing, unless netd was built with PODNET_FAULT and the
 * environment has PODNET_FAULT=NAME or NAME:N: then the N-th passage (first by default) raises
 * SIGKILL.  `netd --fault-points` lists the names.  Release builds without tests compile it away.
 */
#ifndef NETD_FAULT_H
#define NETD_FAULT_H

#include <stdint.h>

#define FAULT_POINTS(X) \
	X(request_accepted, "request-accepted") \
	X(store_before_write, "store-before-write") \
	X(store_before_commit, "store-before-commit") \
	X(store_after_commit, "store-after-commit") \
	X(commit_published, "commit-published") \
	X(kernel_task_taken, "kernel-task-taken") \
	X(kernel_before_commit, "kernel-before-commit") \
	X(kernel_after_commit, "kernel-after-commit") \
	X(pool_made, "pool-made") \
	X(kernel_before_absent, "kernel-before-absent") \
	X(kernel_after_absent, "kernel-after-absent") \
	X(services_compiled, "services-compiled") \
	X(services_before_commit, "services-before-commit") \
	X(services_after_commit, "services-after-commit") \
	X(status_before_write, "status-before-write") \
	X(schema_copied, "schema-copied") \
	X(schema_before_commit, "schema-before-commit") \
	X(schema_after_commit, "schema-after-commit") \
	X(backup_copied, "backup-copied") \
	X(backup_synced, "backup-synced")

#ifdef PODNET_FAULT
void fault_point(const char *name);
/** fault_clock_ms() - what is to be added to the time of day: the text of the file PODNET_FAULT_CLOCK, in ms */
int64_t fault_clock_ms(void);
#else
#define fault_point(name) ((void)0)
#define fault_clock_ms() ((int64_t)0)
#endif

#endif
