/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fastpath_tell.c - which prefixes the kernel is to be told of again when a list changes, and what
 *
 * Room: overlay.
 *
 * Its trie holds every prefix that somebody has, peers' and ours together, and finds the longest.  So each says
 * all there is to be known of what is in it and in no longer one: who of the peers has that by his longest
 * prefix, and whether it is ours.  Then what it finds is what the tables of peers.c find, each by itself.  Only
 * prefixes within those that come or go can say something else than before.
 */
#include "inner.h"

static bool is_ours(const struct listed *l, const struct podnet_prefix *prefix)
{
	for (size_t i = 0; i < l->nlocal; i++)
		if (podnet_prefix_contains(&l->local[i], prefix))
			return true;
	return !l->nlocal && prefix->len == 0;     /* longer ones are peers' then */
}

/* Of the longest prefixes that hold @prefix, who has the last one; *@known: somebody has @prefix itself. */
static const struct peer *owner_of(const struct listed *l, const struct podnet_prefix *prefix, bool *known)
{
	const struct peer *ret = NULL;
	uint8_t len = 0;

	for (size_t i = 0; i < l->npeers; i++) {
		const struct peer *p = l->peers[i];

		for (size_t k = 0; k < p->nprefixes; k++) {
			const struct podnet_prefix *v = &p->prefixes[k];

			if (!podnet_prefix_contains(v, prefix) ||
			    (ret && (v->len < len || (v->len == len && p->order < ret->order))))
				continue;
			ret = p;
			len = v->len;
		}
	}
	*known = ret && len == prefix->len;
	for (size_t i = 0; i < l->nlocal; i++)
		*known |= l->local[i].len == prefix->len && podnet_prefix_contains(&l->local[i], prefix);
	return ret;
}

/* Who has what is in @prefix and in no longer one that is known, as tables say it of each of its addresses. */
static void tell_prefix(struct fastpath *f, const struct listed *l, const struct podnet_prefix *prefix)
{
	bool known;
	const struct peer *owner = owner_of(l, prefix, &known);

	if (!known && prefix->len)
		pn_fastpath_prefix(f, prefix, NULL, false);
	else
		pn_fastpath_prefix(f, prefix, owner, is_ours(l, prefix));
}

/* Those of @v that are within one of @around. */
static void tell_within(struct fastpath *f, const struct listed *l, const struct podnet_prefix *v, size_t n,
			const struct podnet_prefix *around, size_t naround)
{
	for (size_t i = 0; i < n && f->in >= 0; i++)
		for (size_t k = 0; k < naround; k++)
			if (podnet_prefix_contains(&around[k], &v[i])) {
				tell_prefix(f, l, &v[i]);
				break;
			}
}

/* A peer has @v, or had: what is ours within is what it sends, too. */
void pn_fastpath_of_peer(struct fastpath *f, const struct listed *l, const struct podnet_prefix *v, size_t n)
{
	tell_within(f, l, v, n, v, n);
	tell_within(f, l, l->local, l->nlocal, v, n);
}

/* @v is ours, or was: so is what peers have within.  Without any, what nobody has is ours. */
void pn_fastpath_of_us(struct fastpath *f, const struct listed *l, const struct podnet_prefix *v, size_t n)
{
	static const struct podnet_prefix all[] = { { .family = AF_INET }, { .family = AF_INET6 } };

	tell_within(f, l, v, n, v, n);
	tell_within(f, l, all, ARRAY_SIZE(all), all, ARRAY_SIZE(all));
	for (size_t i = 0; i < l->npeers; i++)
		tell_within(f, l, l->peers[i]->prefixes, l->peers[i]->nprefixes, v, n);
}
