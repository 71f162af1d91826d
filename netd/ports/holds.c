/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holds.c - the table of what is to be held, and whose it is
 *
 * Room: ports.
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

int ports_new(const struct ports_config *conf, struct ports **ret)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->conf = *conf;
	p->fd = -1;
	p->queue_end = &p->queue;
	p->socket = strdup(conf->socket);
	*ret = p;
	return p->socket ? 0 : -ENOMEM;
}

static void hold_free(struct hold *h)
{
	closep(&h->fd);
	free(h);
}

void ports_free(struct ports *p)
{
	struct hold *h;
	size_t pos = 0;

	if (!p)
		return;
	link_fini(p);
	while ((h = map_next(&p->holds, &pos)))
		hold_free(h);
	map_fini(&p->holds);
	carried_fini(p);
	free(p->socket);
	free(p);
}

bool ports_ready(const struct ports *p)
{
	return p->ready;
}

static const char *key_of(const struct fwd_addr *at, char ret[KEY_SIZE])
{
	const uint8_t *bytes = (const uint8_t *)at;

	for (size_t i = 0; i < sizeof(*at); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return ret;
}

struct hold *hold_get(struct ports *p, const struct fwd_addr *at, bool make)
{
	char key[KEY_SIZE];
	struct hold *h = map_get(&p->holds, key_of(at, key));

	if (h || !make)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	*h = (struct hold){ .at = *at, .fd = -1 };
	memcpy(h->key, key, sizeof(h->key));
	if (map_put(&p->holds, h->key, h) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

void hold_remove(struct ports *p, struct hold *h)
{
	map_del(&p->holds, h->key);
	hold_free(h);
}

/* ---- what podnet-fwd lacks ---- */

static void make_socket(struct ports *p, struct hold *h)
{
	int fd = socket_make(&h->at, h->to.family != 0);

	h->fd = fd < 0 ? -1 : fd;
	h->rc = fd < 0 ? fd : 0;
	if (fd == -EAFNOSUPPORT) {      /* a node without IPv6: nobody else can have it either */
		h->real = false;
		h->rc = 0;
		p->nreal--;
	}
	if (h->rc < 0)
		link_retry(p);
}

void hold_settle(struct ports *p, struct hold *h)
{
	/* before podnet-fwd has told what it holds, that would be in the way */
	if (p->state != LINK_UP && !p->ready)
		return;
	if (h->list && h->real && !h->has && h->fd < 0)
		make_socket(p, h);
	if (p->state != LINK_UP)
		return;
	if (h->fd >= 0 || (h->has && (h->moved || (!h->list && p->whole))))
		link_queue(p, h);
}

void holds_settle(struct ports *p)
{
	struct hold *h;
	size_t pos = 0;

	while ((h = map_next(&p->holds, &pos))) {
		int before = h->rc;

		hold_settle(p, h);
		if (h->rc != before && h->list)
			p->conf.changed(p->conf.arg, h->owner);
	}
	p->conf.settled(p->conf.arg);
}

void holds_parted(struct ports *p)
{
	struct hold *h;
	size_t pos = 0;

	p->queue = NULL;
	p->queue_end = &p->queue;
	while ((h = map_next(&p->holds, &pos))) {
		h->has = h->moved = h->queued = false;
	}
	for (pos = 0; (h = map_next(&p->holds, &pos)); ) {
		if (h->list)
			continue;
		hold_remove(p, h);
		pos = 0;                /* the map has changed */
	}
}

/* ---- owners ---- */

void ports_mark(struct port_list *list)
{
	for (struct hold *h = list->first; h; h = h->next)
		h->kept = false;
}

static bool same(const struct fwd_addr *a, const struct fwd_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void join(struct ports *p, struct hold *h, struct port_list *list, void *owner, bool real)
{
	h->list = list;
	h->owner = owner;
	h->next = list->first;
	list->first = h;
	h->real = real && p->conf.mode != PORTS_NO;
	p->nreal += h->real;
}

static bool overlap(const struct hold *h, const struct fwd_addr *at, uint16_t last)
{
	uint16_t first = ntohs(at->port_be), from = ntohs(h->at.port_be);

	return h->at.family == at->family && h->at.protocol == at->protocol &&
	       memcmp(h->at.addr, at->addr, sizeof(at->addr)) == 0 && from <= last &&
	       first <= (h->last ? h->last : from);
}

void *ports_other(const struct ports *p, const struct port_list *list, const struct fwd_addr *at,
		  uint16_t last)
{
	char key[KEY_SIZE];
	const struct hold *h = map_get(&p->holds, key_of(at, key));
	size_t pos = 0;

	if (h && h->list && h->list != list)
		return h->owner;
	for (h = p->claims; h; h = h->next_claim)
		if (h->list != list && overlap(h, at, last))
			return h->owner;
	while (last > ntohs(at->port_be) && (h = map_next(&p->holds, &pos)))
		if (h->list && h->list != list && overlap(h, at, last))
			return h->owner;
	return NULL;
}

int ports_claim(struct ports *p, struct port_list *list, void *owner, const struct fwd_addr *at,
		uint16_t last)
{
	static const struct fwd_addr none;
	int r = ports_put(p, list, owner, at, &none, false);
	struct hold *h = r < 0 ? NULL : hold_get(p, at, false);

	if (!h || h->last)
		return r;
	h->last = last;
	h->next_claim = p->claims;
	p->claims = h;
	return 0;
}

int ports_put(struct ports *p, struct port_list *list, void *owner, const struct fwd_addr *at,
	      const struct fwd_addr *to, bool real)
{
	struct hold *h = hold_get(p, at, true);

	if (!h)
		return -ENOMEM;
	if (h->list && h->list != list)
		return -EEXIST;
	if (!h->list)
		join(p, h, list, owner, real);
	h->kept = true;
	if (!same(&h->to, to)) {
		h->to = *to;
		h->moved = true;
	}
	hold_settle(p, h);
	if (h->real && p->state == LINK_OFF)
		link_need(p);
	return h->rc;
}

/* podnet-fwd hears of it when the message can be sent; the entry stays for that long. */
static void part(struct ports *p, struct hold *h)
{
	for (struct hold **at = &p->claims; h->last && *at; at = &(*at)->next_claim) {
		if (*at != h)
			continue;
		*at = h->next_claim;
		break;
	}
	h->last = 0;
	p->nreal -= h->real;
	h->list = NULL;
	h->owner = NULL;
	h->rc = 0;
	if (h->queued)
		return;
	if (h->has)
		link_queue(p, h);
	else
		hold_remove(p, h);
}

bool ports_sweep(struct ports *p, struct port_list *list)
{
	struct hold **at = &list->first, *h;
	bool some = false;

	while ((h = *at)) {
		if (h->kept) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		part(p, h);
		some = true;
	}
	return some;
}

void ports_whole(struct ports *p)
{
	struct hold *h;
	size_t pos = 0;

	if (p->whole)
		return;
	p->whole = true;
	while ((h = map_next(&p->holds, &pos)))
		if (!h->list && h->has && p->state == LINK_UP)
			link_queue(p, h);
}
