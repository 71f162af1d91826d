/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conntrack.h - inner interface of the conntrack room: filters to requests, messages to entries
 */
#ifndef PN_CONNTRACK_H
#define PN_CONNTRACK_H

#include <libpodnet/base/base.h>
#include <linux/netlink.h>
#include <podnet/conntrack.h>

#define CT_REQUEST_BYTES 512

/** ct_check() - 0 or -EINVAL with the member */
int ct_check(const struct podnet_conntrack_filter *f, struct podnet_error *err);
/**
 * ct_request() - a dump
 * @kernel: what the kernel can leave out by itself is put into it
 */
struct nlmsghdr *ct_request(void *buf, const struct podnet_conntrack_filter *f, bool kernel);
/** ct_parse() - 0, or -EPROTO for a message that is no entry */
int ct_parse(const struct nlmsghdr *nlh, struct podnet_conntrack *ret);
bool ct_matches(const struct podnet_conntrack_filter *f, const struct podnet_conntrack *c);

#endif
