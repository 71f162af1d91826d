/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipam_held.c - which blocks other nodes have, by node
 *
 * Room (model): pure book-keeping for ipam.c.  May include: netd/base, include/podnet/ip.h, libc.
 */
#include <errno.h>
#include <netd/model/ipam_set.h>

struct holder {
	struct held {
		const char *network;    /* its name, as long as it is known */
		struct podnet_prefix prefix;
	} *v;
	size_t n, cap;
	bool news;                      /* it is in the list */
	struct holder *next_news;
	char uid[];
};

static struct holder *get_holder(struct ipam_held *held, const char *uid)
{
	struct holder *h = map_get(&held->holders, uid);
	size_t len = strlen(uid) + 1;

	if (h)
		return h;
	h = calloc(1, sizeof(*h) + len);
	if (!h)
		return NULL;
	memcpy(h->uid, uid, len);
	if (map_put(&held->holders, h->uid, h) == 0)
		return h;
	free(h);
	return NULL;
}

static void note_news(struct ipam_held *held, struct holder *h)
{
	if (h->news)
		return;
	h->news = true;
	h->next_news = held->news;
	held->news = h;
}

int ipam_held_add(struct ipam_held *held, const char *network, const struct podnet_prefix *prefix,
		  const char *uid)
{
	struct holder *h = get_holder(held, uid);
	size_t cap = h && h->cap ? 2 * h->cap : 2;
	struct held *v;

	if (!h)
		return -ENOMEM;
	if (h->n == h->cap) {
		v = realloc(h->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		h->v = v;
		h->cap = cap;
	}
	h->v[h->n++] = (struct held){ network, *prefix };
	note_news(held, h);
	return 0;
}

void ipam_held_drop(struct ipam_held *held, const char *network, const struct podnet_prefix *prefix)
{
	struct holder *h;
	size_t pos = 0;

	while ((h = map_next(&held->holders, &pos))) {
		for (size_t i = h->n; i-- > 0; ) {
			if (strcmp(h->v[i].network, network) != 0 ||
			    (prefix && !ipam_same(&h->v[i].prefix, prefix)))
				continue;
			h->v[i] = h->v[--h->n];
			note_news(held, h);
		}
	}
}

const char *ipam_held_news(struct ipam_held *held)
{
	struct holder *h = held->news;

	if (!h)
		return NULL;
	held->news = h->next_news;
	h->news = false;
	return h->uid;
}

int ipam_held_each(const struct ipam_held *held, const char *uid,
		   int (*each)(void *arg, const char *network, const struct podnet_prefix *block),
		   void *arg)
{
	const struct holder *h = map_get(&held->holders, uid);
	int r = 0;

	for (size_t i = 0; h && i < h->n && r == 0; i++)
		r = each(arg, h->v[i].network, &h->v[i].prefix);
	return r;
}

void ipam_held_fini(struct ipam_held *held)
{
	struct holder *h;
	size_t pos = 0;

	while ((h = map_next(&held->holders, &pos))) {
		free(h->v);
		free(h);
	}
	map_fini(&held->holders);
}
