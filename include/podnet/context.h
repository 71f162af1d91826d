/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/context.h - an opened libpodnet
 *
 * A context is bound to the network namespace of the thread that opened it, for good: its sockets
 * keep that namespace whatever the thread does later.  Any thread may use a context, one at a time.
 * The library has no global state, starts no thread that outlives a call, runs no program and
 * writes no log.
 */
#ifndef PODNET_CONTEXT_H
#define PODNET_CONTEXT_H

#include <podnet/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_ROUTE_PROTOCOL 142   /* default mark of our routes, addresses, rules, neighbours */

struct podnet;

/** How a context is opened.  Zero-initialise; a zero member means its default.  Strings are copied. */
struct podnet_options {
	size_t      size;           /* sizeof(struct podnet_options), for later growth */
	const char *owner;          /* whose marks: 1..15 bytes of [a-z0-9-]; default "lib" */
	const char *netns_dir;      /* where namespaces are pinned; default "/run/netns" */
	const char *run_dir;        /* where what carries no mark is recorded; default "/run/podnet" */
	uint8_t     protocol;       /* rtm_protocol of our routes; default PODNET_ROUTE_PROTOCOL */
	void      (*debug)(void *arg, const char *line);    /* each operation, as the plan prints it */
	void       *debug_arg;
	/*
	 * 1: the nft table is this context's alone (flags owner and persist, Linux 6.9 and later; else
	 * as without): `nft flush ruleset` passes it by, nobody else can change it while the context
	 * is open, and afterwards it stays.  nft(8) before 1.0.9 cannot load what it then lists.
	 */
	uint8_t     nft_owner;
};

/**
 * podnet_open() - open a context in the calling thread's network namespace
 * @opts: may be NULL: all defaults
 *
 * Return: 0; -EINVAL (@err->field names the option), -ENOMEM, or what socket(2) said.
 * Source: netlink(7), rtnetlink(7).
 */
PODNET_API int podnet_open(struct podnet **ret, const struct podnet_options *opts,
			   struct podnet_error *err);

/**
 * podnet_open_in() - the same, bound to another namespace
 * @netns: a reference, see netns.h
 *
 * Needs CAP_SYS_ADMIN in the target's user namespace (setns(2)); done in a helper thread that
 * ends before the call returns.
 * Return: as podnet_open(), or -ENOENT when there is no such namespace.
 */
PODNET_API int podnet_open_in(struct podnet **ret, const char *netns,
			      const struct podnet_options *opts, struct podnet_error *err);

/** podnet_close() - close and free; NULL is fine.  What was made in the kernel stays. */
PODNET_API void podnet_close(struct podnet *ctx);

#ifdef __cplusplus
}
#endif
#endif
