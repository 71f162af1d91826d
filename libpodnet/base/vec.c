/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vec.c - growing arrays
 *
 * Room: memory only.  May include: libc.
 */
#include <errno.h>
#include <libpodnet/base/base.h>

int pn_vec_grow(void **v, size_t *cap, size_t n, size_t size)
{
	size_t more, bytes;
	void *grown;

	if (n >= *cap) {
		more = *cap ? *cap : 8;
		if (__builtin_add_overflow(more, *cap, &more) ||
		    __builtin_mul_overflow(more, size, &bytes))
			return -ENOMEM;
		grown = realloc(*v, bytes);
		if (!grown)
			return -ENOMEM;
		*v = grown;
		*cap = more;
	}
	memset((char *)*v + n * size, 0, size);
	return 0;
}
