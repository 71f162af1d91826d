/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cleanup.h - owners are scopes: the macros that library and daemon share
 *
 * Room: macros only.  May include: libc.
 */
#ifndef PN_CLEANUP_H
#define PN_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define DEFINE_CLEANUP(type, fn) \
	static inline void fn##p(type **p) { fn(*p); }
/* the scope lets go */
#define take_ptr(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define take_fd(fd) ({ int taken_ = (fd); (fd) = -1; taken_; })
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
/** drop_fd() - the same for one that may be asked about again */
static inline void drop_fd(int *fd)
{
	closep(fd);
	*fd = -1;
}
static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_free_ _cleanup_(freep)

#endif
