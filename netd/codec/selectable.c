/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selectable.c - the fields by which objects of each kind can be selected
 *
 * Room (codec).  Source: API-CONTRACT 6.  May include: netd/base.
 */
#include <netd/codec/rows.h>

#define END { .field = NULL }

const struct selectable namespace_selectable[] = {
	{ .field = "status.phase" },
	END
};

const struct selectable node_selectable[] = {
	{ .field = "spec.unschedulable", .absent = "false" },
	END
};

const struct selectable pod_selectable[] = {
	{ .field = "spec.nodeName" },
	{ .field = "spec.restartPolicy" },
	{ .field = "spec.schedulerName" },
	{ .field = "spec.serviceAccountName" },
	{ .field = "spec.hostNetwork", .absent = "false" },
	{ .field = "status.phase" },
	{ .field = "status.podIP" },
	{ .field = "status.nominatedNodeName" },
	END
};

const struct selectable service_selectable[] = {
	{ .field = "spec.clusterIP" },
	{ .field = "spec.type" },
	END
};

const struct selectable event_selectable[] = {
	{ .field = "involvedObject.kind" },
	{ .field = "involvedObject.namespace" },
	{ .field = "involvedObject.name" },
	{ .field = "involvedObject.uid" },
	{ .field = "involvedObject.apiVersion" },
	{ .field = "involvedObject.resourceVersion" },
	{ .field = "involvedObject.fieldPath" },
	{ .field = "reason" },
	{ .field = "reportingComponent" },
	{ .field = "source", .path = "source.component" },
	{ .field = "type" },
	END
};
