/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format.h - what the text of a value must look like
 *
 * Room (codec): pure functions on strings.  May include: netd/base, include/podnet/ip.h, libc.
 */
#ifndef NETD_CODEC_FORMAT_H
#define NETD_CODEC_FORMAT_H

#include <netd/base/base.h>
#include <podnet/ip.h>

/* Each: NULL when @s is well formed, else why it is not (static text), as API-CONTRACT 15.1. */
const char *format_label(const char *s);            /* DNS-1123 label */
const char *format_subdomain(const char *s);        /* DNS-1123 subdomain */
const char *format_qualified(const char *s);        /* [subdomain/]name */
const char *format_label_value(const char *s);
const char *format_port_name(const char *s);        /* IANA service name */
const char *format_ifname(const char *s);
const char *format_own_ifname(const char *s);       /* one that a user may make: not reserved */
const char *format_netns_path(const char *s);       /* "/path" or "pid:N" */
const char *format_mac(const char *s);
const char *format_time(const char *s);
const char *format_quantity(const char *s);
const char *format_bandwidth(const char *s);        /* a quantity of 1k to 1P, bits per second */
const char *format_address(const char *s);          /* an address alone */
const char *format_prefix(const char *s);           /* an address of an interface, "/len" or not */
const char *format_cidr(const char *s);             /* "/len", host bits zero */
const char *format_net(const char *s);              /* "/len", any host bits */
const char *format_destination(const char *s);      /* a CIDR or "default" */

/** format_hosts() - "IP[,IP]", at most one a family, to which others can send; to IPv4, IPv6 of @ret */
const char *format_hosts(const char *s, struct podnet_prefix ret[2]);
/** format_inside() - the range of those of format_reserved() that @p lies in, or NULL */
const char *format_inside(const struct podnet_prefix *p);
/** format_special() - "loopback" ..., what keeps an address from being a host's; NULL: nothing */
const char *format_special(const struct podnet_prefix *p);
/** format_reserved() - the range in or around @p that no network can have: "127.0.0.0/8"; or NULL */
const char *format_reserved(const struct podnet_prefix *p);

/**
 * quantity_parse() - Kubernetes quantity: 10, 1.5G, 64Ki, 3e6; fractions of a unit round up
 * Return: 0, -EINVAL, -ERANGE (negative or over 2^63).
 */
int quantity_parse(const char *text, uint64_t *ret);

#endif
