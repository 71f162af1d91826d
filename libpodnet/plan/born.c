/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * born.c - what is chosen for links that are made, and TUN devices, which no message can make
 *
 * Room: /dev/net/tun.  May include: plan/inner.h, link, netns, nl, base, include/podnet.
 *
 * Ifindexes are chosen from a random start upwards, so that an index just given up is not taken
 * again while the kernel still tears the old link down (20-40 ms).  MACs come from the mark, so a
 * repaired link has the MAC it had.
 * #syscalls: getrandom
 */
#include "inner.h"

#include <errno.h>
#include <sys/random.h>

#define INDEX_FIRST (1u << 20)
#define INDEX_LAST (1u << 30)

uint32_t pn_next_index(struct podnet *ctx)
{
	if (ctx->next_index < INDEX_FIRST || ctx->next_index >= INDEX_LAST) {
		uint32_t n = 0;

		if (getrandom(&n, sizeof(n), GRND_NONBLOCK) < 0)
			n = (uint32_t)getpid();
		ctx->next_index = INDEX_FIRST + n % (INDEX_LAST / 2);
	}
	return ctx->next_index++;
}

void pn_choose_mac(const struct podnet *ctx, const struct podnet_plan *plan, struct pn_obj *obj)
{
	static const uint8_t none[6];
	char text[PODNET_NETNS_NAME_MAX + 160];
	uint64_t h;

	if (memcmp(obj->u.dev.mac, none, sizeof(none)))
		return;
	snprintf(text, sizeof(text), "%s %s %s %s", ctx->owner, plan->set->scope,
		 plan->set->refs.v[obj->ns].name, obj->link);
	h = pn_hash(text, strlen(text));
	memcpy(obj->u.dev.mac, &h, sizeof(none));
	obj->u.dev.mac[0] = (uint8_t)((obj->u.dev.mac[0] & 0xfc) | 0x02);   /* local, unicast */
}

struct birth {
	const struct pn_obj *obj;
	uint32_t index;
};

static int make_tun(void *arg)
{
	const struct birth *birth = arg;

	return pn_tun_make(birth->obj, birth->index);
}

static int tun_err(struct podnet_error *err, int code, const char *step)
{
	bool device = code == -ENODEV || code == -EACCES || code == -EPERM;

	return pn_err_why(err, code, step, NULL, device ? "/dev/net/tun" : NULL);
}

int pn_tun_birth(struct podnet *ctx, const struct podnet_plan *plan, const struct pn_obj *obj,
		 uint32_t index, struct podnet_error *err)
{
	const struct pn_space *space = &plan->spaces[obj->ns];
	struct birth birth = { obj, index };
	char line[PN_LINE_SIZE];
	int fd = pn_in_netns(space->own ? ctx->netns_fd : space->fd, make_tun, &birth);

	if (fd >= 0)
		return fd;
	tun_err(err, fd, "tun_create");
	pn_name_object(plan->set, obj, line, sizeof(line));
	pn_err_object(err, line);
	return fd;
}

static int keep_tun(const struct podnet_link_info *info, void *arg)
{
	struct pn_obj *obj = arg;

	if (!info->tun)
		return -EMEDIUMTYPE;
	snprintf(obj->link, sizeof(obj->link), "%s", info->link.name);
	obj->u.dev.tun.flags = info->tun->flags;
	return 0;
}

static int attach_tun(void *arg)
{
	return pn_tun_attach(arg);
}

int podnet_tun_open(struct podnet *ctx, const char *netns, const char *name,
		    struct podnet_error *err)
{
	_cleanup_close_ int fd = -1;
	struct pn_obj obj = { .kind = PN_LINK };
	int r = podnet_link_get(ctx, netns, name, keep_tun, &obj, err);

	if (r == -EMEDIUMTYPE)
		return pn_err_why(err, r, "tun_open", "name", "not a TUN device");
	if (r == 0)
		r = pn_netns_resolve(ctx, netns, &fd, err);
	if (r < 0)
		return r;
	r = pn_in_netns(fd < 0 ? ctx->netns_fd : fd, attach_tun, &obj);
	return r < 0 ? tun_err(err, r, "tun_open") : r;
}
