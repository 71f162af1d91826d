/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * room.c - what the files of compile share
 *
 * Room: pure.  May include: compile.h, libc.
 */
#include "room.h"

#include <stdio.h>
#include <sys/socket.h>

void compile_note(struct building *b, int r)
{
	if (!b->rc && r < 0)
		b->rc = r;
	if (b->rc)
		b->err = NULL;          /* the first error's words stay */
}

int compile_fail(struct podnet_error *err, int code, const char *step, const char *field,
		 const char *object)
{
	if (!err)
		return code;
	*err = (struct podnet_error){ .code = code, .step = step, .field = field };
	snprintf(err->object, sizeof(err->object), "%s", object ? object : "");
	return code;
}

static uint8_t bits(uint8_t family)
{
	return family == AF_INET6 ? 128 : 32;
}

struct podnet_prefix compile_gateway(uint8_t family)
{
	static const struct podnet_prefix v4 = {
		.family = AF_INET, .len = 32, .addr = { 169, 254, 1, 1 },
	};
	static const struct podnet_prefix v6 = {
		.family = AF_INET6, .len = 128, .addr = { 0xfe, 0x80, [15] = 1 },
	};

	return family == AF_INET6 ? v6 : v4;
}

struct podnet_prefix compile_any(uint8_t family)
{
	return (struct podnet_prefix){ .family = family };
}

struct podnet_prefix compile_host(const struct podnet_prefix *p)
{
	struct podnet_prefix host = *p;

	host.len = bits(p->family);
	return host;
}

struct podnet_prefix compile_first(const struct podnet_prefix *block, uint8_t len)
{
	struct podnet_prefix first = podnet_prefix_mask(block);

	if (block->len < bits(block->family))
		first.addr[bits(block->family) / 8 - 1] |= 1;
	first.len = len;
	return first;
}

struct podnet_prefix compile_link_local(const uint8_t mac[6])
{
	struct podnet_prefix ip = {
		.family = AF_INET6, .len = 128, .addr = {
			0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5],
		},
	};

	return ip;
}
