/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hash.c - FNV-1a, 64 bits (draft-eastlake-fnv)
 *
 * Room: arithmetic.  May include: libc.
 */
#include <libpodnet/base/base.h>

uint64_t pn_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}
