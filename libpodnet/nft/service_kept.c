/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_kept.c - what one handle leaves to the next, so that it need not read all elements
 *
 * Room: which state of the kernel the last handle left, and whether that is how it is now.  May
 * include: services.h, libpodnet/base.
 *
 * The kernel counts the transactions of a network namespace (its generation), whoever commits them.
 * What a handle leaves names the boot, the namespace, the generation, and a sum over all elements
 * that it had sent.  Where all of it is the same, nobody has committed anything since, and the
 * elements that are wanted are those that are there.  The sum is of a keyed hash with a key of its
 * own (SipHash-1-3 of 128 bits: Aumasson, Bernstein), so nobody can make two states that share it.
 * Which endpoint has which slot is no part of what is declared: it is left too, where it is not the
 * order of their addresses.  Maps, rules and ranges are compared in any case.
 * #syscalls: getrandom getsockopt open openat read close
 */
#include <errno.h>
#include <fcntl.h>
#include <libpodnet/base/base.h>
#include <libpodnet/base/sip.h>
#include <libpodnet/context.h>
#include <libpodnet/nft/services.h>
#include <podnet/podnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/** Of which boot, namespace and library it is; compared by bytes. */
struct place {
	char magic[8], version[16], boot[40], table[NFT_NAME_SIZE];
	uint64_t netns;             /* the kernel's own number of it, no other's until the next boot */
};

struct sum {
	uint64_t v[2];
};

struct head {
	struct place place;
	uint64_t secret[2];
	struct sum sum;
	uint32_t generation, nslots;
};

/** Behind it: so many lists of slots, and behind each @n struct svc_dest. */
struct slots {
	struct svc_key key;
	uint8_t local;
	uint32_t n;
};

struct svc_kept {
	struct head head;
	uint8_t *slots;             /* all lists, whole */
	size_t len;
};

void svc_kept_free(struct svc_kept *k)
{
	if (!k)
		return;
	free(k->slots);
	free(k);
}

/* ---- the sum ---- */

/* Up to the last word that is not 0; how many. */
static size_t put_words(uint64_t *to, const uint8_t from[NFT_KEY_SIZE])
{
	size_t n = NFT_KEY_SIZE / sizeof(*to);

	memcpy(to, from, NFT_KEY_SIZE);
	while (n && !to[n - 1])
		n--;
	return n;
}

/* An element is hashed in words, and all of it counts but what the kernel does not tell. */
static void sum_add(struct sum *sum, const uint64_t secret[2], const struct svc_elem *e)
{
	uint64_t v[4];
	uint64_t words[1 + 2 * NFT_KEY_SIZE / sizeof(uint64_t)];
	size_t key = put_words(words + 1, e->key), n = key + 1;

	if (svc_is_verdict(e->map))
		words[n++] = e->u.to.chain;
	else
		n += put_words(words + n, e->u.data);
	words[0] = (uint64_t)e->map << 24 | (uint64_t)e->family << 16 | key << 8 | n;
	sip_begin(v, secret);
	v[1] ^= 0xee;
	for (size_t i = 0; i < n; i++)
		sip_word(v, words[i]);
	v[2] ^= 0xee;
	sum->v[0] += sip_end(v);
	v[1] ^= 0xdd;
	sum->v[1] += sip_end(v);
}

static void sum_all(struct sum *sum, const uint64_t secret[2], const struct svc_elems *elems,
		    bool shared)
{
	for (size_t i = 0; i < elems->n; i++)
		if (shared || !svc_shared(elems->v[i].map))
			sum_add(sum, secret, &elems->v[i]);
}

/* Of what was sent.  Elements that frontends share are there once each. */
static int sum_sent(const struct podnet_services *s, struct head *head)
{
	struct svc_elems elems = { 0 };
	const struct svc_entry *e;
	const struct svc_ref *ref;
	size_t i = 0;

	while ((e = pn_table_next(&s->entries, &i))) {
		elems.n = 0;
		if (e->sent)
			svc_front_elems(e->sent, &elems);
		sum_all(&head->sum, head->secret, &elems, false);
	}
	i = 0;
	while ((ref = pn_table_next(&s->refs, &i)))
		sum_add(&head->sum, head->secret, &ref->elem);
	sum_all(&head->sum, head->secret, &s->node_ips, true);
	free(elems.v);
	return elems.rc;
}

/* ---- where ---- */

static int read_boot(char ret[40])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, 36);

	return n == 36 ? 0 : n < 0 ? -errno : -EIO;
}

static int find_place(const struct podnet_services *s, struct place *ret)
{
	socklen_t len = sizeof(ret->netns);
	int r;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->magic, "services", sizeof(ret->magic));
	snprintf(ret->version, sizeof(ret->version), "%s", PODNET_VERSION);
	snprintf(ret->table, sizeof(ret->table), "%s", s->table);
	r = read_boot(ret->boot);
	if (r < 0)
		return r;
	if (getsockopt(s->ctx->nft.fd, SOL_SOCKET, SO_NETNS_COOKIE, &ret->netns, &len) < 0)
		return -errno;
	return 0;
}

/* ---- what is left ---- */

struct bytes {
	uint8_t *v;
	size_t n, cap;
	int rc;
};

static void put(struct bytes *b, const void *data, size_t len)
{
	size_t cap = b->cap ? b->cap : 1024;
	uint8_t *v = b->v;

	while (cap - b->n < len)
		cap *= 2;
	if (cap != b->cap)
		v = realloc(b->v, cap);
	if (!v) {
		b->rc = -ENOMEM;
		return;
	}
	b->v = v;
	b->cap = cap;
	memcpy(v + b->n, data, len);
	b->n += len;
}

static bool in_order(const struct svc_dests *d)
{
	for (size_t i = 1; i < d->n; i++)
		if (svc_dest_cmp(&d->v[i - 1], &d->v[i]) > 0)
			return false;
	return true;
}

static void put_slots(const struct podnet_services *s, struct bytes *b, uint32_t *n)
{
	const struct svc_entry *e;
	size_t i = 0;

	while ((e = pn_table_next(&s->entries, &i)))
		for (uint8_t local = 0; e->sent && local < 2; local++) {
			const struct svc_dests *d = local ? &e->sent->local : &e->sent->all;
			struct slots list = { .key = e->key, .local = local, .n = (uint32_t)d->n };

			if (b->rc || in_order(d))
				continue;
			put(b, &list, sizeof(list));
			if (!b->rc)
				put(b, d->v, d->n * sizeof(*d->v));
			++*n;
		}
}

/*
 * Nobody commits at this moment, and all that was committed before was told to who listens: one
 * transaction is made at a time, and that of @generation is the last one.  It changes nothing.
 */
static int hold_still(const struct podnet_services *s, uint32_t generation, struct podnet_error *err)
{
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	int r = nft_table_seen(&s->ctx->nft, s->table, err);

	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	nft_txn_init(&t, &s->ctx->nft, generation);
	nft_table_put(&t, s->table, s->ctx->nft_owner);
	r = nft_txn_send(&t, err);
	return r == -ERESTART ? -EAGAIN : r;
}

int podnet_services_keep(struct podnet_services *s, void **ret, size_t *len,
			 struct podnet_error *err)
{
	struct head head = { .generation = 0 };
	struct bytes b = { 0 };
	int r = s->doubt || s->dirty.n ? -EAGAIN : nft_generation(&s->ctx->nft, &head.generation, err);

	if (r == 0)
		r = find_place(s, &head.place);
	if (r == 0)
		r = hold_still(s, head.generation, err);
	if (r < 0)
		return pn_err(err, r, "services_keep", NULL, NULL);
	if (getrandom(head.secret, sizeof(head.secret), 0) != sizeof(head.secret))
		return pn_err(err, -EIO, "services_keep", NULL, NULL);
	r = sum_sent(s, &head);
	put(&b, &head, sizeof(head));
	put_slots(s, &b, &head.nslots);
	if (r == 0)
		r = b.rc;
	if (r < 0) {
		free(b.v);
		return pn_err(err, r, "services_keep", NULL, NULL);
	}
	memcpy(b.v, &head, sizeof(head));
	*ret = b.v;
	*len = b.n;
	return 0;
}

/* ---- what was left ---- */

/* Whether the lists are whole; who wrote them may be anybody. */
static bool is_whole(const uint8_t *at, size_t len, uint32_t nslots)
{
	for (; nslots; nslots--) {
		struct slots list;

		if (len < sizeof(list))
			return false;
		memcpy(&list, at, sizeof(list));
		at += sizeof(list);
		len -= sizeof(list);
		if (len / sizeof(struct svc_dest) < list.n)
			return false;
		at += list.n * sizeof(struct svc_dest);
		len -= list.n * sizeof(struct svc_dest);
	}
	return len == 0;
}

int podnet_services_kept(struct podnet_services *s, const void *data, size_t len,
			 struct podnet_error *err)
{
	_cleanup_(svc_kept_freep) struct svc_kept *k = calloc(1, sizeof(*k));

	if (!k)
		return pn_err(err, -ENOMEM, "services_kept", NULL, NULL);
	if (len < sizeof(k->head))
		return pn_err_why(err, -EINVAL, "services_kept", "data", "it is not whole");
	memcpy(&k->head, data, sizeof(k->head));
	k->len = len - sizeof(k->head);
	if (!is_whole((const uint8_t *)data + sizeof(k->head), k->len, k->head.nslots))
		return pn_err_why(err, -EINVAL, "services_kept", "data", "it is not whole");
	k->slots = malloc(k->len + 1);
	if (!k->slots)
		return pn_err(err, -ENOMEM, "services_kept", NULL, NULL);
	memcpy(k->slots, (const uint8_t *)data + sizeof(k->head), k->len);
	svc_kept_free(s->kept);
	s->kept = take_ptr(k);
	return 0;
}

/* The same endpoints, in the order that they had. */
static int restore(struct svc_dests *dests, const struct svc_dest *was)
{
	_cleanup_free_ struct svc_dest *sorted = malloc(dests->n * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, was, dests->n * sizeof(*sorted));
	qsort(sorted, dests->n, sizeof(*sorted), svc_dest_cmp);
	if (in_order(dests) && memcmp(sorted, dests->v, dests->n * sizeof(*sorted)) == 0)
		memcpy(dests->v, was, dests->n * sizeof(*was));
	return 0;
}

static int restore_slots(struct podnet_services *s)
{
	const uint8_t *at = s->kept->slots;

	for (uint32_t i = 0; i < s->kept->head.nslots; i++) {
		const struct svc_entry *e;
		struct svc_dests *dests;
		struct slots list;

		memcpy(&list, at, sizeof(list));
		at += sizeof(list);
		e = svc_find(s, &list.key);
		dests = !e || !e->want ? NULL : list.local ? &e->want->local : &e->want->all;
		if (dests && dests->n && dests->n == list.n &&
		    restore(dests, (const struct svc_dest *)(const void *)at) < 0)
			return -ENOMEM;
		at += list.n * sizeof(struct svc_dest);
	}
	return 0;
}

static bool is_here(const struct podnet_services *s, uint32_t generation)
{
	struct place here;

	return s->kept->head.generation == generation && find_place(s, &here) == 0 &&
	       memcmp(&here, &s->kept->head.place, sizeof(here)) == 0;
}

int svc_recall(struct podnet_services *s, uint32_t generation, struct svc_seen *seen,
	       struct svc_elems *want)
{
	struct sum sum = { { 0 } };
	int r;

	if (!s->kept || seen->anew || !is_here(s, generation))
		return 0;
	r = restore_slots(s);
	if (r == 0)
		r = svc_want_all(s, seen, want);
	if (r < 0)
		return r;
	sum_all(&sum, s->kept->head.secret, want, true);
	seen->same = memcmp(&sum, &s->kept->head.sum, sizeof(sum)) == 0;
	if (seen->same) {
		pn_debug(s->ctx, "services kept %zu elements", want->n);
		return 0;
	}
	svc_forget_refs(s);
	free(want->v);
	*want = (struct svc_elems){ 0 };
	return 0;
}
