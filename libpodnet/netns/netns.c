/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * netns.c - the public verbs of network namespaces
 *
 * Room: what podnet/netns.h promises, made of references (ref.c) and pins (pin.c).  May include:
 * libpodnet/nl, libpodnet/base, include/podnet.
 * #syscalls: open openat getdents64 fcntl close
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpodnet/base/base.h>
#include <libpodnet/netns/netns.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

static int check_spec(const struct podnet_netns *spec, const char *step, struct podnet_error *err)
{
	if (!spec || pn_netns_name_check(spec->name) < 0)
		return pn_err(err, -EINVAL, step, "name", NULL);
	if (pn_netns_scope_check(spec->scope) < 0)
		return pn_err(err, -EINVAL, step, "scope", NULL);
	return 0;
}

static int look(struct podnet *ctx, const char *name, const char *step,
		struct pn_netns_state *state, struct podnet_error *err)
{
	int r = pn_netns_look(ctx, name, state);

	if (r < 0) {
		pn_err(err, r, step, r == -EINVAL ? "name" : NULL, NULL);
		pn_err_object(err, name);
	}
	return r;
}

static int lo_up(struct podnet *ctx, struct nl *rt, struct podnet_error *err)
{
	pn_netns_put_lo_up(&ctx->batch, NULL);
	return nl_batch_send(rt, &ctx->batch, NULL, err);
}

static int make_named(struct podnet *ctx, const struct podnet_netns *spec,
		      struct podnet_error *err)
{
	_cleanup_(nl_close) struct nl rt = { .fd = -1 };
	_cleanup_close_ int fd = -1;
	struct pn_netns_state state;
	int r = pn_netns_make(ctx, &fd, &rt, err);

	if (r == 0)
		r = lo_up(ctx, &rt, err);
	if (r == 0)
		r = pn_netns_pin_fd(ctx, fd, -1, spec->name, spec->scope, err);
	/* another process of this owner was faster: its is as good */
	if (r == -EEXIST && pn_netns_look(ctx, spec->name, &state) == 0 && state.ours)
		return 0;
	if (r > 0)
		pn_debug(ctx, "netns add %s", spec->name);
	return r;
}

static int on_lo(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(nlh);
	bool *up = arg;

	if (nlh->nlmsg_type == RTM_NEWLINK)
		*up = ifi->ifi_flags & IFF_UP;
	return 0;
}

/* ours, and there: lo may have been set down, the scope may be another */
static int keep_ours(struct podnet *ctx, const struct podnet_netns *spec, struct podnet_error *err)
{
	struct { struct nlmsghdr nlh; struct ifinfomsg ifi; } ask = {
		.nlh = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK },
		.ifi = { .ifi_index = 1 },
	};
	_cleanup_(nl_close) struct nl rt = { .fd = -1 };
	_cleanup_close_ int fd = -1;
	int r = pn_netns_resolve(ctx, spec->name, &fd, err), changes = 0;
	bool up = false;

	if (r < 0)
		return r;
	r = nl_open_at(&rt, NETLINK_ROUTE, fd);
	if (r < 0)
		return pn_err(err, r, "netns_enter", "name", NULL);
	pn_context_own_portid(ctx, rt.portid);
	r = nl_get(&rt, &ask.nlh, on_lo, &up, err);
	if (r == 0 && !up) {
		r = lo_up(ctx, &rt, err);
		changes++;
	}
	if (r == 0 && spec->scope)
		r = pn_netns_rescope(ctx, spec->name, spec->scope, err);
	return r < 0 ? r : changes + r;
}

int podnet_netns_ensure(struct podnet *ctx, const struct podnet_netns *spec,
			struct podnet_error *err)
{
	struct pn_netns_state state;
	int r = check_spec(spec, "netns_ensure", err);

	if (r == 0)
		r = look(ctx, spec->name, "netns_ensure", &state, err);
	if (r < 0)
		return r;
	if (!state.mounted)
		return make_named(ctx, spec, err);
	if (state.ours)
		return keep_ours(ctx, spec, err);
	pn_err_why(err, -EEXIST, "netns_ensure", "name",
		   "it is foreign: not recorded as this owner's");
	pn_err_object(err, spec->name);
	return -EEXIST;
}

int podnet_netns_absent(struct podnet *ctx, const char *name, struct podnet_error *err)
{
	int r = pn_netns_unpin(ctx, name, err);

	if (r > 0)
		pn_debug(ctx, "netns del %s", name);
	return r;
}

static void info_of(const struct pn_netns_state *state, const char *name, const char *scope,
		    struct podnet_netns_info *ret)
{
	*ret = (struct podnet_netns_info){
		.name = name,
		.scope = scope,
		.inode = state->inode,
		.ours = state->ours || state->left,
		.stale = !state->mounted,
	};
}

int podnet_netns_get(struct podnet *ctx, const char *name, struct podnet_netns_info *ret,
		     struct podnet_error *err)
{
	struct pn_netns_state state;
	int r = look(ctx, name, "netns_get", &state, err);

	if (r == 0 && !state.there) {
		r = pn_err(err, -ENOENT, "netns_get", "name", NULL);
		pn_err_object(err, name);
	}
	if (r < 0)
		return r;
	snprintf(ctx->scope, sizeof(ctx->scope), "%s", state.scope);
	info_of(&state, name, ctx->scope, ret);
	return 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int podnet_netns_list(struct podnet *ctx,
		      int (*each)(const struct podnet_netns_info *info, void *arg), void *arg,
		      struct podnet_error *err)
{
	_cleanup_(closedirp) DIR *dir = opendir(ctx->netns_dir);
	struct dirent *de;

	if (!dir)
		return errno == ENOENT ? 0 :
		       pn_err(err, -errno, "netns_list", "netns_dir", NULL);
	while ((errno = 0, de = readdir(dir)) != NULL) {
		struct podnet_netns_info info;
		struct pn_netns_state state;
		int r;

		/* gone meanwhile, or no name that a reference could hold: not listed */
		if (pn_netns_name_check(de->d_name) < 0 ||
		    pn_netns_look(ctx, de->d_name, &state) < 0 || !state.there)
			continue;
		info_of(&state, de->d_name, state.scope, &info);
		r = each(&info, arg);
		if (r)
			return r;
	}
	return errno ? pn_err(err, -errno, "netns_list", "netns_dir", NULL) : 0;
}

int podnet_netns_open(struct podnet *ctx, const char *netns, struct podnet_error *err)
{
	int fd, r = pn_netns_resolve(ctx, netns, &fd, err);

	if (r < 0)
		return r;
	if (fd >= 0)
		return fd;
	fd = fcntl(ctx->netns_fd, F_DUPFD_CLOEXEC, 3);
	return fd >= 0 ? fd : pn_err(err, -errno, "netns_open", "netns", NULL);
}

int podnet_netns_pin(struct podnet *ctx, const char *netns, const struct podnet_netns *spec,
		     struct podnet_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = check_spec(spec, "netns_pin", err);

	if (r < 0)
		return r;
	fd = podnet_netns_open(ctx, netns, err);
	if (fd < 0)
		return fd;
	r = pn_netns_pin_fd(ctx, fd, -1, spec->name, spec->scope, err);
	if (r > 0)
		pn_debug(ctx, "netns pin %s", spec->name);
	return r;
}
