/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bytes.c - immutable bytes shared by count, and the growing buffer that makes them
 *
 * Room: memory only.  The count is atomic, for the store's thread holds references too.
 * May include: netd/base, libc.
 */
#include <netd/base/base.h>
#include <stdio.h>

struct bytes *bytes_new(const void *data, size_t len)
{
	struct bytes *b = len < UINT32_MAX ? malloc(sizeof(*b) + len + 1) : NULL;

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = (uint32_t)len;
	if (len)
		memcpy(b->data, data, len);
	b->data[len] = '\0';
	return b;
}

struct bytes *bytes_ref(struct bytes *b)
{
	if (b)
		__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void bytes_unref(struct bytes *b)
{
	if (b && __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) == 1)
		free(b);
}

static bool make_room(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed)
		return false;
	if (b->len + more + 1 <= b->cap)
		return true;
	while (cap < b->len + more + 1)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_room(struct buf *b, size_t bytes)
{
	if (b->cap || b->failed)
		return;
	b->data = malloc(bytes);
	b->failed = !b->data;
	b->cap = b->data ? bytes : 0;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!make_room(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || !make_room(b, (size_t)len)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

struct bytes *buf_bytes(struct buf *b)
{
	return b->failed ? NULL : bytes_new(b->data, b->len);
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
