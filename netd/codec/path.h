/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path.h - the steps of a path, as doc.h has them
 *
 * Room (codec): inner header.
 */
#ifndef NETD_CODEC_PATH_H
#define NETD_CODEC_PATH_H

#include <stddef.h>

struct path_step {
	const char *key;            /* not ended by NUL; NULL: an index */
	size_t len, index;
};

/** path_next() - 1: a step, and *@at is behind it; 0: the end; -EINVAL */
int path_next(const char **at, struct path_step *s);

#endif
