/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arena.c - memory that is freed together
 *
 * Room: chunks of malloc, the newest first.  Thousands of small arenas live at once, one per
 * decoded object, so the first chunk is small and each later one half of what there is already:
 * at most a third lies idle.  May include: netd/base, libc.
 */
#include <netd/base/base.h>
#include <stdio.h>

#define FIRST_CHUNK     640     /* most Services and EndpointSlices fit */
#define LARGEST_CHUNK   (64 * 1024)

struct arena_chunk {
	struct arena_chunk *next;
	size_t total;               /* bytes of this chunk and all behind it */
	uint32_t used, cap;
	char data[];
};

static size_t next_size(const struct arena *a, size_t need)
{
	size_t size = a->chunk ? a->chunk->total / 2 : FIRST_CHUNK;

	if (size > LARGEST_CHUNK)
		size = LARGEST_CHUNK;
	size -= sizeof(struct arena_chunk);
	return size < need ? need : size & ~(size_t)7;
}

/* What fills a chunk alone goes behind the first one, whose rest stays usable. */
static struct arena_chunk *add_chunk(struct arena *a, size_t need)
{
	size_t cap = next_size(a, need);
	struct arena_chunk *c = malloc(sizeof(*c) + cap);

	if (!c)
		return NULL;
	c->used = 0;
	c->cap = (uint32_t)cap;
	if (a->chunk && cap == need) {
		c->next = a->chunk->next;
		c->total = sizeof(*c) + cap + (c->next ? c->next->total : 0);
		a->chunk->total += sizeof(*c) + cap;
		a->chunk->next = c;
		return c;
	}
	c->next = a->chunk;
	c->total = sizeof(*c) + cap + (c->next ? c->next->total : 0);
	a->chunk = c;
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = (size + 7) & ~(size_t)7;
	struct arena_chunk *c = a->chunk;
	void *p;

	if (size > UINT32_MAX / 2)
		return NULL;
	if (!c || c->cap - c->used < need)
		c = add_chunk(a, need);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += (uint32_t)need;
	return memset(p, 0, need);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len;
	char *p;

	if (!s)
		return NULL;
	len = strnlen(s, n);
	p = arena_alloc(a, len + 1);
	return p ? memcpy(p, s, len) : NULL;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len >= 0)
		p = arena_alloc(a, (size_t)len + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return p;
}

void arena_fini(struct arena *a)
{
	struct arena_chunk *c = a->chunk;

	while (c) {
		struct arena_chunk *next = c->next;

		free(c);
		c = next;
	}
	a->chunk = NULL;
}
