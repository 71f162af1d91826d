/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_sticky.c - clients that remember an endpoint which is gone
 *
 * Room: the two maps of one frontend with affinity: client -> address, client -> port.  Packets
 * fill them and time empties them; only what leads nowhere any more is taken out here.
 * May include: services.h, libpodnet/base.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <linux/netfilter/nf_tables.h>

#define TRIES 8

struct client {
	uint8_t key[16];
	struct svc_dest dest;
};

struct clients {
	struct client *v;
	size_t n, cap;
	bool ports;                 /* the second map is being read: join by key */
};

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct client *)0)->key));
}

static int on_client(void *arg, const struct nft_elem *e)
{
	struct clients *c = arg;
	struct client *known;

	if (c->ports) {
		known = c->n ? bsearch(e->key, c->v, c->n, sizeof(*c->v), by_key) : NULL;
		if (known)
			memcpy(&known->dest.port_be, e->data, 2);
		return 0;
	}
	if (pn_grow(c) < 0)
		return -ENOMEM;
	memcpy(c->v[c->n].key, e->key, sizeof(c->v->key));
	memcpy(c->v[c->n++].dest.addr, e->data, sizeof(c->v->dest.addr));
	return 0;
}

static void on_reset(void *arg)
{
	struct clients *c = arg;

	if (!c->ports)
		c->n = 0;
}

static bool holds(const struct svc_dests *dests, const struct svc_dest *dest)
{
	for (size_t i = 0; i < dests->n; i++)
		if (svc_dest_cmp(&dests->v[i], dest) == 0)
			return true;
	return false;
}

/* From where a client comes is not known here: only what is right for all stays. */
static bool reaches(const struct svc_front *f, const struct svc_dest *dest)
{
	return holds(f->flags & PODNET_FRONTEND_OUTSIDE_LOCAL ? &f->local : &f->all, dest);
}

static int read_clients(struct podnet_services *s, const struct nft_map maps[2],
			struct clients *c, struct podnet_error *err)
{
	int r = nft_map_elements(&s->ctx->nft, &maps[0], on_client, on_reset, c, err);

	if (r < 0 || !c->n)
		return r;
	qsort(c->v, c->n, sizeof(*c->v), by_key);
	c->ports = true;
	return nft_map_elements(&s->ctx->nft, &maps[1], on_client, on_reset, c, err);
}

static void put_stale(struct nft_txn *t, const struct nft_map *map, const struct svc_front *f,
		      const struct clients *c)
{
	struct nft_elems out = { .t = t, .map = map, .type = NFT_MSG_DELSETELEM };

	for (size_t i = 0; i < c->n; i++) {
		struct nft_elem e = { .verdict = 0 };

		if (reaches(f, &c->v[i].dest))
			continue;
		memcpy(e.key, c->v[i].key, sizeof(c->v[i].key));
		nft_elems_put(&out, &e);
	}
	nft_elems_end(&out);
}

/* An element that timed out meanwhile refuses the transaction: look again. */
int svc_forget_clients(struct podnet_services *s, const struct svc_front *f,
		       struct podnet_error *err)
{
	char names[2][NFT_NAME_SIZE];
	struct nft_map maps[2];
	int r = -ENOENT;

	svc_sticky_maps(s->table, &f->key, names, maps);
	for (int i = 0; i < TRIES && r == -ENOENT; i++) {
		_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
		struct clients c = { 0 };

		r = read_clients(s, maps, &c, err);
		nft_txn_init(&t, &s->ctx->nft, 0);
		for (int k = 0; k < 2 && r == 0; k++)
			put_stale(&t, &maps[k], f, &c);
		if (r == 0 && t.ops.n)
			r = nft_txn_send(&t, err);
		free(c.v);
	}
	return r;
}
