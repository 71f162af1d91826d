/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base.h - ground of netd: arenas, shared bytes, growing buffers, hash map, time
 *
 * Room: no network, no JSON, no SQL.  May include: netd/base, libpodnet/base/cleanup.h, libc.
 */
#ifndef NETD_BASE_H
#define NETD_BASE_H

#include <libpodnet/base/cleanup.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/** Memory that is freed together.  One malloc for small use, more as it grows. */
struct arena {
	struct arena_chunk *chunk;
};
void *arena_alloc(struct arena *a, size_t size);            /* zeroed, 8-aligned; NULL: -ENOMEM */
char *arena_strdup(struct arena *a, const char *s);         /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_fini(struct arena *a);

/** heap_grow() - for so much that this thread is about to allocate, little by little */
void heap_grow(size_t bytes);
/** heap_huge() - the first thread is about to allocate tens of MiB, to keep: from huge pages, if it calls
 *  heap_grown() now and then, until heap_small() */
void heap_huge(void);
void heap_grown(void);
void heap_small(void);
/** heap_huge_thread() - the same for another thread, once */
void heap_huge_thread(void);

/** Immutable bytes shared by count, also between threads. */
struct bytes {
	unsigned refs;              /* atomic */
	uint32_t len;
	char data[];                /* NUL behind the last */
};
struct bytes *bytes_new(const void *data, size_t len);      /* NULL: no memory */
struct bytes *bytes_ref(struct bytes *b);
void bytes_unref(struct bytes *b);                          /* NULL is fine */
DEFINE_CLEANUP(struct bytes, bytes_unref)

/** A buffer that grows.  After a failed allocation it is sticky: buf_take() says so. */
struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};
/** buf_room() - of an empty one: what is likely to be added; it grows by more than that */
void buf_room(struct buf *b, size_t bytes);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct bytes *buf_bytes(struct buf *b);                     /* copy; NULL: no memory or failed */
void buf_fini(struct buf *b);

/** String-keyed hash map (SipHash with a random key, open addressing).  Keys are borrowed. */
struct map {
	struct map_slot *slots;
	size_t n, cap;
	uint64_t key[2];
};
void *map_get(const struct map *m, const char *key);
int map_put(struct map *m, const char *key, void *value);   /* replaces; 0 or -ENOMEM */
int map_add(struct map *m, const char *key, void *value);   /* the same, or -EEXIST and nothing done */
void *map_del(struct map *m, const char *key);              /* the value that was there, or NULL */
/** map_next() - iterate: *@pos starts at 0; NULL at the end.  Do not change the map meanwhile. */
void *map_next(const struct map *m, size_t *pos);
void map_fini(struct map *m);

int64_t now_realtime_s(void);               /* seconds since the epoch; somebody may set it back */
int64_t now_realtime_ms(void);
uint64_t now_monotonic_us(void);
void time_format(int64_t s, char buf[24]);  /* RFC 3339, UTC, seconds: 2006-01-02T15:04:05Z */
int time_parse(const char *text, int64_t *s);   /* also +00:00 and fractions; 0 or -EINVAL */
void uuid_make(char buf[37]);               /* random, version 4 */
/** What is random about some UUIDs, for who makes many: one system call for all of them; zeroed at first */
struct uuids {
	uint8_t drawn[16][16];
	size_t left;
};
void uuid_next(struct uuids *from, char buf[37]);   /* as uuid_make() */
int random_bytes(void *p, size_t n);
/** name_generate() - @prefix, cut to 58 bytes, and five random letters (API-CONTRACT 4) */
int name_generate(const char *prefix, char ret[64]);

#endif
