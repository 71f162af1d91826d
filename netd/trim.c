/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trim.c - memory that is not needed at rest goes back
 *
 * Room: beside main.c.  Thousands of short-lived versions leave holes in the heap: a second after a
 * write the pages are given back.  Not as long as many are written, unless that goes on and on: they
 * would be faulted in again at once.  The first time so are the pages of code and constants, most of
 * which only the start has touched (dynamic linking, opening the database, GnuTLS' tables): they
 * lie in the page cache, and those that are used come back by a minor fault.
 * May include: state, netd/base, libc.
 * #syscalls: madvise
 */
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <netd/trim.h>
#include <sys/mman.h>
#include <unistd.h>

#define AFTER_MS    1000
#define BUSY        100         /* writes in that time */
#define PUT_OFF     10          /* times in a row */

struct trim {
	struct loop_timer *timer;
	unsigned writes, put_off;   /* since the timer was set, and how often it was */
	bool started;               /* the pages of the start are gone */
};

/* What is mapped read-only from a file; a segment that is written to is left alone whole. */
static int drop_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

static void on_timer(void *arg)
{
	struct trim *trim = arg;

	if (trim->writes > BUSY && trim->put_off++ < PUT_OFF) {
		trim->writes = 0;
		loop_timer_set(trim->timer, AFTER_MS);
		return;
	}
	trim->writes = trim->put_off = 0;
	malloc_trim(0);
	if (!trim->started)
		dl_iterate_phdr(drop_segments, NULL);
	trim->started = true;
}

static void on_write(void *arg, const struct object *was, const struct object *is)
{
	struct trim *trim = arg;

	(void)was;
	(void)is;
	trim->writes++;
	if (!loop_timer_armed(trim->timer))
		loop_timer_set(trim->timer, AFTER_MS);
}

int trim_start(struct loop *loop, struct state *state, struct trim **ret)
{
	struct trim *trim = calloc(1, sizeof(*trim));
	int r = trim ? loop_timer_new(loop, on_timer, trim, &trim->timer) : -ENOMEM;

	if (r == 0)
		r = state_observe(state, &(struct state_observer){ .changed = on_write, .arg = trim });
	if (r < 0) {
		trim_free(trim);
		return r;
	}
	loop_timer_set(trim->timer, AFTER_MS);
	*ret = trim;
	return 0;
}

void trim_free(struct trim *trim)
{
	if (!trim)
		return;
	loop_timer_free(trim->timer);
	free(trim);
}
