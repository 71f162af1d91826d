/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_witness.c - what was committed, written down beside the database
 *
 * Room: store.  A log that is lost takes acknowledged writes along and nothing in the database tells
 * of them, nor does a backup that is put back.  So the revision of each durable transaction is
 * written to a small file in the run directory, which lasts as long as the kernel runs: one
 * pwrite(2) to memory, no fsync.  It is a lower bound, and it is of one database: its id is in it.
 * May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

#define LINE    64              /* an id, a blank, a number, the end of the line */

int witness_open(struct sqlite *s, const char *path, uint64_t *ret)
{
	char line[LINE + 1] = "", id[40];
	uint64_t rev = 0;

	*ret = 0;
	s->witness = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (s->witness < 0) {
		if (path)
			log_event(LOG_LEVEL_WARNING, "witness_failed", "path=%s err=\"%m\"", path);
		return 0;
	}
	if (pread(s->witness, line, LINE, 0) > 0 &&
	    sscanf(line, "%39s %" SCNu64, id, &rev) == 2 && strcmp(id, s->id) == 0)
		*ret = rev;
	return 0;
}

void witness_note(struct sqlite *s, uint64_t rev)
{
	char line[LINE + 1];
	int n = snprintf(line, sizeof(line), "%-36.36s %20" PRIu64 "\n", s->id, rev);

	if (s->witness < 0 || n <= 0 || pwrite(s->witness, line, (size_t)n, 0) == n)
		return;
	log_event(LOG_LEVEL_WARNING, "witness_failed", "err=\"%m\"");
	closep(&s->witness);
}
