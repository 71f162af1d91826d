/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * protobuf.h - bodies of requests in Kubernetes' protobuf form
 *
 * Room (codec).  kubectl 1.32 and later creates Namespaces and Services so; what is answered is
 * JSON.  Only what API-CONTRACT 12 lists is read; other fields are passed over.
 */
#ifndef NETD_CODEC_PROTOBUF_H
#define NETD_CODEC_PROTOBUF_H

#include <netd/codec/kind.h>

#define PROTOBUF_TYPE "application/vnd.kubernetes.protobuf"

/** protobuf_knows() - whether bodies of @kind can be in that form */
bool protobuf_knows(const struct kind *kind);
/**
 * protobuf_parse() - to the document that the same object in JSON would be
 * Return: 0, -EINVAL with @why (not that form, cut off, no UTF-8), -ENOMEM.
 */
int protobuf_parse(const struct kind *kind, const char *data, size_t len, struct doc **ret,
		   char why[160]);

#endif
