/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - the probes of a container
 *
 * Room (codec): inner header.
 */
#ifndef NETD_CODEC_PROBE_H
#define NETD_CODEC_PROBE_H

#include <netd/codec/json.h>
#include <netd/codec/meta.h>

extern const struct field probe_fields[];

/** default_probes() - what Kubernetes fills in, in each container of a list; 0 or -ENOMEM */
int default_probes(json_t *containers);
/** check_probes() - one handler each, and what does not go together; of both lists of containers */
void check_probes(const struct doc *doc, struct causes *causes);
/** decode_probes() - the readiness probes that netd runs, and what status says of their containers */
int decode_probes(struct pod *pod, const struct value *doc, struct arena *arena);
/** probe_runs() - a container has a readiness probe, and netd runs it */
bool probe_runs(const json_t *container);

#endif
