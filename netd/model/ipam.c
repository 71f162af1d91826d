/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipam.c - claims of blocks and addresses, seen as sets
 *
 * Room (model): pure book-keeping.  May include: netd/base, include/podnet/ip.h, libc.
 *
 * Each network has the node's own blocks, each with a bit per address; blocks of other nodes, which
 * are only avoided; and a short list of held addresses that have no bit: requested ones far out in
 * a large block, and rows that were loaded before their block.  A released address keeps its bit
 * until its cool-down is over, which is looked at when the next one is taken.
 */
#include <errno.h>
#include <netd/model/ipam.h>
#include <netd/model/ipam_set.h>
#include <netinet/in.h>

struct prefixes {
	struct podnet_prefix *v;
	size_t n, cap;
};

struct net {
	char *name;
	struct ipam_block *blocks;      /* ours, and beside it their prefixes alone */
	struct prefixes own, foreign, far;
	size_t cap;
	struct ipam_cooling cooling;
	size_t used;                    /* held and cooling */
	uint64_t next_block[2];         /* of IPv4, IPv6: where to look for a further one */
};

struct ipam {
	struct map nets;
	struct ipam_held held;          /* by others */
	char *uid;
};

static void net_free(struct net *net)
{
	if (!net)
		return;
	for (size_t i = 0; i < net->own.n; i++)
		ipam_block_fini(&net->blocks[i]);
	free(net->blocks);
	free(net->own.v);
	free(net->foreign.v);
	free(net->far.v);
	ipam_cooling_fini(&net->cooling);
	free(net->name);
	free(net);
}
DEFINE_CLEANUP(struct net, net_free)

int ipam_new(struct ipam **ret)
{
	struct ipam *ipam = calloc(1, sizeof(*ipam));

	if (!ipam)
		return -ENOMEM;
	*ret = ipam;
	return 0;
}

void ipam_free(struct ipam *ipam)
{
	struct net *net;
	size_t pos = 0;

	if (!ipam)
		return;
	while ((net = map_next(&ipam->nets, &pos)))
		net_free(net);
	map_fini(&ipam->nets);
	ipam_held_fini(&ipam->held);
	free(ipam->uid);
	free(ipam);
}

int ipam_set_node(struct ipam *ipam, const char *uid)
{
	char *copy = strdup(uid);

	if (!copy)
		return -ENOMEM;
	free(ipam->uid);
	ipam->uid = copy;
	return 0;
}

static struct net *net_make(struct ipam *ipam, const char *name)
{
	_cleanup_(net_freep) struct net *made = NULL;
	struct net *net = map_get(&ipam->nets, name);

	if (net)
		return net;
	made = calloc(1, sizeof(*made));
	if (!made)
		return NULL;
	made->name = strdup(name);
	if (!made->name || map_put(&ipam->nets, made->name, made) < 0)
		return NULL;
	return take_ptr(made);
}

static int add(struct prefixes *p, const struct podnet_prefix *prefix)
{
	size_t cap = p->cap ? 2 * p->cap : 4;
	struct podnet_prefix *v;

	if (p->n == p->cap) {
		v = realloc(p->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *prefix;
	return 0;
}

static bool drop(struct prefixes *p, const struct podnet_prefix *prefix)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!ipam_same(&p->v[i], prefix))
			continue;
		memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
		p->n--;
		return true;
	}
	return false;
}

static bool holds(const struct prefixes *p, const struct podnet_prefix *prefix)
{
	for (size_t i = 0; i < p->n; i++)
		if (ipam_same(&p->v[i], prefix))
			return true;
	return false;
}

static bool overlaps(const struct prefixes *p, const struct podnet_prefix *prefix)
{
	for (size_t i = 0; i < p->n; i++)
		if (podnet_prefix_contains(&p->v[i], prefix) ||
		    podnet_prefix_contains(prefix, &p->v[i]))
			return true;
	return false;
}

/* the own block that @ip is in, or NULL */
static struct ipam_block *block_of(const struct net *net, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < net->own.n; i++)
		if (podnet_prefix_contains(&net->own.v[i], ip))
			return &net->blocks[i];
	return NULL;
}

static bool is_taken(const struct net *net, const struct podnet_prefix *ip)
{
	const struct ipam_block *b = block_of(net, ip);
	int64_t slot = b ? ipam_block_slot(b, ip) : -1;

	return slot >= 0 ? ipam_block_test(b, (uint32_t)slot) : holds(&net->far, ip);
}

static int mark_taken(struct net *net, const struct podnet_prefix *ip)
{
	struct ipam_block *b = block_of(net, ip);
	int64_t slot = b ? ipam_block_slot(b, ip) : -1;

	if (slot < 0 && add(&net->far, ip) < 0)
		return -ENOMEM;
	if (slot >= 0)
		ipam_block_mark(b, (uint32_t)slot, true);
	net->used++;
	return 0;
}

static void mark_free(struct net *net, const struct podnet_prefix *ip)
{
	struct ipam_block *b = block_of(net, ip);
	int64_t slot = b ? ipam_block_slot(b, ip) : -1;

	if (b && ipam_block_reserved(&b->prefix, ip))
		return;                 /* it never was anybody's */
	if (slot >= 0 && ipam_block_test(b, (uint32_t)slot)) {
		ipam_block_mark(b, (uint32_t)slot, false);
		net->used--;
	} else if (slot < 0 && drop(&net->far, ip)) {
		net->used--;
	}
}

/* What was held before its block was known gets its bit. */
static void adopt_far(struct net *net, struct ipam_block *b)
{
	for (size_t i = net->far.n; i-- > 0;) {
		int64_t slot = ipam_block_slot(b, &net->far.v[i]);

		if (slot < 0)
			continue;
		net->used -= ipam_block_reserved(&b->prefix, &net->far.v[i]);
		ipam_block_mark(b, (uint32_t)slot, true);
		net->far.v[i] = net->far.v[--net->far.n];
	}
}

static int add_block(struct net *net, const struct podnet_prefix *prefix)
{
	size_t cap = net->cap ? 2 * net->cap : 2;
	struct ipam_block *v, *b;

	if (net->own.n == net->cap) {
		v = realloc(net->blocks, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		net->blocks = v;
		net->cap = cap;
	}
	b = &net->blocks[net->own.n];
	if (ipam_block_init(b, prefix) < 0)
		return -ENOMEM;
	if (add(&net->own, prefix) < 0) {
		ipam_block_fini(b);
		return -ENOMEM;
	}
	adopt_far(net, b);
	return 0;
}

static int load_block(struct ipam *ipam, struct net *net, const struct podnet_prefix *prefix,
		      const char *owner)
{
	bool ours = ipam->uid && owner && strcmp(ipam->uid, owner) == 0;
	int r;

	if (holds(&net->own, prefix) || holds(&net->foreign, prefix))
		return 0;
	if (ours)
		return add_block(net, prefix);
	r = add(&net->foreign, prefix);
	return r < 0 || !owner || !*owner ? r : ipam_held_add(&ipam->held, net->name, prefix, owner);
}

static int load_ip(struct net *net, const struct podnet_prefix *ip, int64_t free_after)
{
	int r = ipam_cooling_reserve(&net->cooling);

	if (r == 0 && !is_taken(net, ip))
		r = mark_taken(net, ip);
	if (r < 0)
		return r;
	ipam_cooling_remove(&net->cooling, ip);
	if (free_after)
		ipam_cooling_add(&net->cooling, ip, free_after);
	return 0;
}

int ipam_load(struct ipam *ipam, const char *kind, const char *key, const char *owner,
	      int64_t free_after)
{
	bool block = strcmp(kind, "block") == 0;
	const char *slash = strchr(key, '/');
	_cleanup_free_ char *name = NULL;
	struct podnet_prefix p;
	struct net *net;

	if ((!block && strcmp(kind, "ip") != 0) || !slash || slash == key ||
	    podnet_prefix_parse(slash + 1, &p) < 0)
		return -EINVAL;
	name = strndup(key, (size_t)(slash - key));
	net = name ? net_make(ipam, name) : NULL;
	if (!net)
		return -ENOMEM;
	return block ? load_block(ipam, net, &p, owner) : load_ip(net, &p, free_after);
}

/* the CIDR of @family, and how long its blocks are; -1: the network has none */
static int cidr_of(const struct network *network, int family)
{
	for (size_t i = 0; i < network->ncidrs; i++)
		if (network->cidrs[i].family == family)
			return (int)i;
	return -1;
}

/* block number @n of @cidr: the bits between the CIDR's length and the block's */
static struct podnet_prefix nth_block(const struct podnet_prefix *cidr, unsigned len, uint64_t n)
{
	struct podnet_prefix p = *cidr;

	p.len = (uint8_t)len;
	for (unsigned bit = len; bit > cidr->len && n; bit--, n >>= 1)
		if (n & 1)
			p.addr[(bit - 1) / 8] |= (uint8_t)(0x80 >> ((bit - 1) % 8));
	return p;
}

/*
 * A block that nobody has.  Among one more candidate than there are blocks known one must be free,
 * but for blocks shorter than ours, which a changed configuration of other nodes may have left: so
 * the whole CIDR is searched, up to a bound.
 */
static int find_block(struct net *net, const struct network *network, int which,
		      struct podnet_prefix *ret)
{
	const struct podnet_prefix *cidr = &network->cidrs[which];
	unsigned len = network->block_len[which];
	unsigned bits = len > cidr->len ? len - cidr->len : 0;
	uint64_t total = bits < 20 ? 1ULL << bits : 1ULL << 20;
	uint64_t *next = &net->next_block[cidr->family == AF_INET6];

	for (uint64_t i = 0; i < total; i++) {
		uint64_t n = (*next + i) % total;
		struct podnet_prefix p = nth_block(cidr, len, n);

		if (overlaps(&net->own, &p) || overlaps(&net->foreign, &p))
			continue;
		*next = n;
		*ret = p;
		return 0;
	}
	return -ENOSPC;
}

static void expire(struct net *net, int64_t now)
{
	struct podnet_prefix ip;

	while (ipam_cooling_pop(&net->cooling, now, &ip))
		mark_free(net, &ip);
}

static int take_next(struct net *net, const struct network *network, int which,
		     struct podnet_prefix *ret, struct podnet_prefix *block)
{
	uint8_t family = network->cidrs[which].family;
	struct ipam_block *b = NULL;
	int64_t slot = -1;
	int r;

	for (size_t i = 0; i < net->own.n && slot < 0; i++) {
		b = &net->blocks[i];
		if (b->prefix.family == family)
			slot = ipam_block_next(b);
	}
	if (slot < 0) {
		r = find_block(net, network, which, block);
		if (r == 0)
			r = add_block(net, block);
		if (r < 0)
			return r;
		b = &net->blocks[net->own.n - 1];
		slot = ipam_block_next(b);
	}
	if (slot < 0)
		return -ENOSPC;
	ipam_block_mark(b, (uint32_t)slot, true);
	net->used++;
	*ret = ipam_block_address(b, (uint32_t)slot);
	return 0;
}

static int take_wanted(struct net *net, const struct network *network, int which,
		       const struct podnet_prefix *want, struct podnet_prefix *block)
{
	struct podnet_prefix home = *want;
	int r;

	if (!podnet_prefix_contains(&network->cidrs[which], want))
		return -ERANGE;
	if (overlaps(&net->foreign, want))
		return -ERANGE;
	home.len = network->block_len[which];
	home = podnet_prefix_mask(&home);
	if (block_of(net, want))
		home = block_of(net, want)->prefix;
	if (ipam_block_reserved(&home, want))
		return -EADDRNOTAVAIL;
	if (is_taken(net, want))
		return -EADDRINUSE;
	if (!block_of(net, want)) {
		if (overlaps(&net->foreign, &home))
			return -ERANGE;
		r = add_block(net, &home);
		if (r < 0)
			return r;
		*block = home;
	}
	return mark_taken(net, want);
}

int ipam_take(struct ipam *ipam, const struct network *network, int family,
	      const struct podnet_prefix *want, const char *owner, int64_t now,
	      struct podnet_prefix *ret, struct podnet_prefix *block)
{
	struct podnet_prefix fresh = { 0 }, ip = want ? *want : fresh;
	int which = cidr_of(network, family), r;
	struct net *net;

	(void)owner;                    /* the row that the caller writes names it */
	if (which < 0 || (want && want->family != family))
		return want ? -ERANGE : -ENOSPC;
	net = net_make(ipam, network->meta.name);
	if (!net)
		return -ENOMEM;
	expire(net, now);
	if (want)
		r = take_wanted(net, network, which, want, &fresh);
	else
		r = take_next(net, network, which, &ip, &fresh);
	if (r < 0 && fresh.family)
		ipam_give_block(ipam, network->meta.name, &fresh);
	if (r < 0)
		return r;
	*ret = ip;
	*block = fresh;
	return 0;
}

/* Round each block, from where it stands until all of its free addresses were seen. */
size_t ipam_peek(const struct ipam *ipam, const char *network, int family, size_t n,
		 struct podnet_prefix *ret)
{
	const struct net *net = map_get(&ipam->nets, network);
	size_t found = 0;

	for (size_t i = 0; net && i < net->own.n; i++) {
		const struct ipam_block *b = &net->blocks[i];
		uint32_t cursor = b->cursor;

		if (b->prefix.family != family)
			continue;
		for (uint32_t left = b->nfree; left && found < n; left--)
			ret[found++] = ipam_block_address(b, (uint32_t)ipam_block_peek(b, &cursor));
	}
	return found;
}

int64_t ipam_cooling(const struct ipam *ipam, const char *network, const struct podnet_prefix *ip,
		     int64_t now)
{
	const struct net *net = map_get(&ipam->nets, network);
	int64_t until = net ? ipam_cooling_until(&net->cooling, ip) : 0;

	return until > now ? until - now : 0;
}

void ipam_give(struct ipam *ipam, const char *network, const struct podnet_prefix *ip,
	       int64_t free_after)
{
	struct net *net = map_get(&ipam->nets, network);

	if (!net)
		return;
	ipam_cooling_remove(&net->cooling, ip);
	if (!is_taken(net, ip))
		return;
	/* Without room for the cool-down it is better free at once than held for ever. */
	if (free_after && ipam_cooling_reserve(&net->cooling) == 0)
		ipam_cooling_add(&net->cooling, ip, free_after);
	else
		mark_free(net, ip);
}

int ipam_hold(struct ipam *ipam, const char *network, const struct podnet_prefix *block,
	      const char *owner)
{
	struct net *net = net_make(ipam, network);

	if (!net)
		return -ENOMEM;
	if (overlaps(&net->own, block) || overlaps(&net->foreign, block))
		return -EADDRINUSE;
	return load_block(ipam, net, block, owner);
}

/* A Node that was deleted may come back with the block: what is held or cools down is so all the same. */
static void keep_taken(struct net *net, const struct ipam_block *b)
{
	for (uint32_t slot = 0; slot < b->slots; slot++) {
		struct podnet_prefix ip = ipam_block_address(b, slot);

		if (!ipam_block_test(b, slot) || ipam_block_reserved(&b->prefix, &ip))
			continue;
		if (add(&net->far, &ip) < 0)
			net->used--;
	}
}

void ipam_give_block(struct ipam *ipam, const char *network, const struct podnet_prefix *block)
{
	struct net *net = map_get(&ipam->nets, network);

	for (size_t i = 0; net && i < net->own.n; i++) {
		if (!ipam_same(&net->own.v[i], block))
			continue;
		keep_taken(net, &net->blocks[i]);
		ipam_block_fini(&net->blocks[i]);
		memmove(&net->blocks[i], &net->blocks[i + 1],
			(net->own.n - i - 1) * sizeof(*net->blocks));
		drop(&net->own, block);
		return;
	}
	if (net && drop(&net->foreign, block))
		ipam_held_drop(&ipam->held, net->name, block);
}

const char *ipam_news(struct ipam *ipam)
{
	return ipam_held_news(&ipam->held);
}

int ipam_each_held(const struct ipam *ipam, const char *uid,
		   int (*each)(void *arg, const char *network, const struct podnet_prefix *block),
		   void *arg)
{
	return ipam_held_each(&ipam->held, uid, each, arg);
}

size_t ipam_blocks(const struct ipam *ipam, const char *network, const struct podnet_prefix **ret)
{
	const struct net *net = map_get(&ipam->nets, network);

	*ret = net ? net->own.v : NULL;
	return net ? net->own.n : 0;
}

size_t ipam_used(const struct ipam *ipam, const char *network)
{
	const struct net *net = map_get(&ipam->nets, network);

	return net ? net->used : 0;
}

void ipam_forget(struct ipam *ipam, const char *network)
{
	struct net *net = map_del(&ipam->nets, network);

	if (net)
		ipam_held_drop(&ipam->held, net->name, NULL);
	net_free(net);
}
