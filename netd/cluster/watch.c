/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - a watch: one answer that never ends
 *
 * Room: cluster.  Lines are taken out of what has come whenever curl has returned.  A watch that
 * ends is not begun again here: who watches knows from where.
 * May include: netd/base, libcurl.
 */
#include "inner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static char *request(const char *prefix, int64_t from)
{
	char end[64];
	struct buf b = { 0 };

	buf_str(&b, "{\"create_request\":{\"key\":\"");
	put_base64(&b, prefix, strlen(prefix));
	buf_str(&b, "\",\"range_end\":\"");
	etcd_prefix_end(prefix, end);
	put_base64(&b, end, strlen(end));
	buf_printf(&b, "\",\"start_revision\":\"%" PRId64 "\",\"progress_notify\":true}}", from);
	if (b.failed) {
		buf_fini(&b);
		return NULL;
	}
	return b.data;
}

static void watch_free(struct etcd_watch *watch)
{
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	call_drop(&watch->call);
	free(watch);
}

int etcd_watch_open(struct etcd *etcd, const char *prefix, int64_t from,
		    const struct etcd_watcher *watcher, struct etcd_watch **ret)
{
	struct etcd_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return -ENOMEM;
	watch->etcd = watch->call.etcd = etcd;
	watch->w = *watcher;
	watch->next = etcd->watches;
	watch->link = &etcd->watches;
	if (watch->next)
		watch->next->link = &watch->next;
	etcd->watches = watch;
	watch->call.path = "/v3/watch";
	watch->call.body = request(prefix, from);
	if (!watch->call.body || call_begin(&watch->call, true) < 0) {
		watch_free(watch);
		return -ENOMEM;
	}
	*ret = watch;
	return 0;
}

void etcd_watch_close(struct etcd_watch *watch)
{
	if (!watch)
		return;
	if (watch->etcd->driving && !watch->dead)
		watch->dead = true;     /* drive.c takes it away */
	else
		watch_free(watch);
}

static void end(struct etcd_watch *watch, int rc, const char *words, int64_t compacted)
{
	if (watch->dead)
		return;
	watch->dead = true;
	watch->w.ended(watch->w.arg, rc, words, compacted);
}

static void take_line(struct etcd_watch *watch, const char *line, size_t len)
{
	struct answer a = { 0 };
	int r = reply_parse(line, len, true, &a);

	if (r < 0)
		end(watch, r, r == -ENOMEM ? "no memory" : "the answer is none of etcd's", 0);
	else if (a.rc < 0)
		end(watch, a.rc, a.words, 0);
	else if (a.canceled)
		end(watch, a.compacted ? -ESTALE : -ENOTCONN, a.words, a.compacted);
	else if (!a.created)            /* what happened before comes behind it */
		watch->w.events(watch->w.arg, a.reply.revision, a.reply.kvs, a.reply.n);
	arena_fini(&a.arena);
}

void watch_data(struct etcd_watch *watch)
{
	struct buf *in = &watch->call.reply;
	const char *nl;
	size_t at = 0;

	while (!watch->dead && watch->read < in->len &&
	       (nl = memchr(in->data + watch->read, '\n', in->len - watch->read))) {
		take_line(watch, in->data + at, (size_t)(nl - in->data) - at);
		at = watch->read = (size_t)(nl - in->data) + 1;
	}
	if (at)
		memmove(in->data, in->data + at, in->len - at);
	in->len -= at;
	watch->read = in->len;          /* no line ends before */
}

void watch_ended(struct etcd_watch *watch, CURLcode code)
{
	char words[ETCD_WORDS] = "";
	int r = call_error(&watch->call, code, words);

	if (r == 0 && watch->call.reply.len)    /* a refusal has no end of line */
		take_line(watch, watch->call.reply.data, watch->call.reply.len);
	end(watch, r < 0 ? r : -ENOTCONN, r < 0 ? words : "etcd has ended the watch", 0);
	watch_free(watch);
}
