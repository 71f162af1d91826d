/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * name.c - names of the links that compile chooses
 *
 * Room: pure.  A host end is "pn" and 13 base32 letters of 64 bits over uid and network, so a name
 * needs no claim: two of 3,000 pods meet with a chance of 1 in 10^12, and then the second one is
 * told of the conflict.  May include: compile.h, libc.
 */
#include "room.h"

#include <stdio.h>

#define NAMED_BYTES 12          /* of a bridge behind "br-": IFNAMSIZ less prefix and NUL */

/* FNV-1a, then a final mix (MurmurHash3) so that every bit of the input reaches every letter. */
static uint64_t hash_more(uint64_t h, const char *s)
{
	do {
		h = (h ^ (uint8_t)*s) * 0x100000001b3ULL;
	} while (*s++);
	return h;
}

static uint64_t hash_two(const char *a, const char *b)
{
	uint64_t h = hash_more(hash_more(0xcbf29ce484222325ULL, a), b);

	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
	h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return h ^ (h >> 33);
}

/* RFC 4648 letters in lower case, most significant bits first. */
static void put_base32(uint64_t h, char *out, unsigned letters)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned i;

	for (i = 0; i < letters; i++) {
		int shift = 59 - 5 * (int)i;

		out[i] = digits[(shift >= 0 ? h >> shift : h << -shift) & 31];
	}
	out[letters] = '\0';
}

const char *compile_link_name(const char *uid, const char *network, char buf[16])
{
	buf[0] = 'p';
	buf[1] = 'n';
	put_base32(hash_two(uid, network), buf + 2, 13);
	return buf;
}

void compile_mac(const char *uid, const char *network, uint8_t ret[6])
{
	uint64_t h = hash_two(network, uid);
	unsigned i;

	for (i = 0; i < 6; i++)
		ret[i] = (uint8_t)(h >> (8 * i));
	ret[0] = (uint8_t)((ret[0] & 0xfc) | 0x02);     /* local, of one station */
}

const char *compile_bridge_name(const struct network *net, char buf[16])
{
	const char *name = net->meta.name;

	if (strlen(name) <= NAMED_BYTES) {
		snprintf(buf, 16, "br-%.*s", NAMED_BYTES, name);
		return buf;
	}
	memcpy(buf, "br-", 3);
	put_base32(hash_two("bridge", name), buf + 3, NAMED_BYTES);
	return buf;
}
