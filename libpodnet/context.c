/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * context.c - opening and closing: options checked, sockets opened, a namespace held
 *
 * May include: libpodnet/netns, libpodnet/nl, libpodnet/base, include/podnet.
 * #syscalls: open openat fstat newfstatat statx close
 */
#include <errno.h>
#include <fcntl.h>
#include <libpodnet/base/base.h>
#include <libpodnet/context.h>
#include <libpodnet/netns/netns.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_LONGEST (PATH_MAX - PODNET_NETNS_NAME_MAX - 16)    /* with "/netns/<name>" behind */

DEFINE_CLEANUP(struct podnet, podnet_close)

/* @opts may come from a program built with an older or a newer header */
static int read_options(const struct podnet_options *opts, struct podnet_options *ret)
{
	size_t size = opts && opts->size ? opts->size : sizeof(*opts);
	const uint8_t *bytes = (const uint8_t *)opts;

	memset(ret, 0, sizeof(*ret));
	if (!opts)
		return 0;
	for (size_t i = sizeof(*ret); i < size; i++) {
		if (bytes[i])
			return -EINVAL;     /* asks for something this library does not know */
	}
	memcpy(ret, opts, size < sizeof(*ret) ? size : sizeof(*ret));
	return 0;
}

static bool owner_ok(const char *owner)
{
	size_t n = strspn(owner, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < sizeof(((struct podnet *)NULL)->owner) && !owner[n];
}

static bool dir_ok(const char *dir)
{
	return dir[0] == '/' && strlen(dir) <= PATH_LONGEST;
}

/* name of the option at fault, or NULL; defaults are filled in */
static const char *check_options(struct podnet_options *o)
{
	if (!o->owner)
		o->owner = "lib";
	if (!o->netns_dir)
		o->netns_dir = "/run/netns";
	if (!o->run_dir)
		o->run_dir = "/run/podnet";
	if (!o->protocol)
		o->protocol = PODNET_ROUTE_PROTOCOL;
	if (!owner_ok(o->owner))
		return "owner";
	if (!dir_ok(o->netns_dir))
		return "netns_dir";
	if (!dir_ok(o->run_dir))
		return "run_dir";
	/* what the kernel and the administrator's tools write must never count as ours */
	return o->protocol <= RTPROT_STATIC ? "protocol" : NULL;
}

static int context_new(struct podnet **ret, const struct podnet_options *opts,
		       struct podnet_error *err)
{
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_options o;
	const char *field;

	if (read_options(opts, &o) < 0)
		return pn_err(err, -EINVAL, "open", "size", NULL);
	field = check_options(&o);
	if (field)
		return pn_err(err, -EINVAL, "open", field, NULL);
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return pn_err(err, -ENOMEM, "open", NULL, NULL);
	ctx->rt.fd = ctx->nft.fd = ctx->ct[0].fd = ctx->ct[1].fd = ctx->nft_ears = -1;
	ctx->netns_fd = ctx->records_fd = -1;
	snprintf(ctx->owner, sizeof(ctx->owner), "%s", o.owner);
	ctx->protocol = o.protocol;
	ctx->nft_owner = o.nft_owner;
	ctx->debug = o.debug;
	ctx->debug_arg = o.debug_arg;
	ctx->netns_dir = strdup(o.netns_dir);
	ctx->run_dir = strdup(o.run_dir);
	if (!ctx->netns_dir || !ctx->run_dir || nl_batch_init(&ctx->batch) < 0)
		return pn_err(err, -ENOMEM, "open", NULL, NULL);
	*ret = take_ptr(ctx);
	return 0;
}

/* in the namespace that the context is for */
static int open_here(void *arg)
{
	struct podnet *ctx = arg;
	struct stat st;

	ctx->netns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ctx->netns_fd < 0 || fstat(ctx->netns_fd, &st) < 0)
		return -errno;
	ctx->netns_dev = st.st_dev;
	ctx->netns_ino = st.st_ino;
	return nl_open(&ctx->rt, NETLINK_ROUTE);
}

int podnet_open_in(struct podnet **ret, const char *netns, const struct podnet_options *opts,
		   struct podnet_error *err)
{
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_close_ int fd = -1;
	int r = context_new(&ctx, opts, err);

	if (r < 0)
		return r;
	r = pn_netns_resolve(ctx, netns, &fd, err);
	if (r < 0)
		return r;
	r = fd < 0 ? open_here(ctx) : pn_in_netns(fd, open_here, ctx);
	if (r < 0)
		return pn_err(err, r, "open", NULL, NULL);
	*ret = take_ptr(ctx);
	return 0;
}

int podnet_open(struct podnet **ret, const struct podnet_options *opts, struct podnet_error *err)
{
	return podnet_open_in(ret, NULL, opts, err);
}

void podnet_close(struct podnet *ctx)
{
	if (!ctx)
		return;
	if (ctx->pools)
		ctx->pools->at = NULL;      /* a pool may be freed later */
	nl_close(&ctx->rt);
	nl_close(&ctx->nft);
	nl_close(&ctx->ct[0]);
	nl_close(&ctx->ct[1]);
	closep(&ctx->netns_fd);
	closep(&ctx->records_fd);
	nl_batch_fini(&ctx->batch);
	free(ctx->netns_dir);
	free(ctx->run_dir);
	free(ctx);
}

/*
 * Relaxed atomics: a monitor may be read by another thread than the one that commits, and an
 * event is a hint either way.
 */
void pn_context_own_portid(struct podnet *ctx, uint32_t portid)
{
	uint32_t i = __atomic_load_n(&ctx->own_next, __ATOMIC_RELAXED);

	/* the first socket of a process in a fresh namespace always gets the process id */
	if (pn_context_owns(ctx, portid))
		return;
	__atomic_store_n(&ctx->own_portids[i % PN_OWN_PORTIDS], portid, __ATOMIC_RELAXED);
	__atomic_store_n(&ctx->own_next, i + 1, __ATOMIC_RELAXED);
}

bool pn_context_owns(const struct podnet *ctx, uint32_t portid)
{
	uint32_t n = __atomic_load_n(&ctx->own_next, __ATOMIC_RELAXED);

	if (!portid)
		return false;               /* the kernel itself */
	if (portid == ctx->rt.portid)
		return true;
	for (uint32_t i = 0; i < n && i < PN_OWN_PORTIDS; i++) {
		if (__atomic_load_n(&ctx->own_portids[i], __ATOMIC_RELAXED) == portid)
			return true;
	}
	return false;
}

void pn_debug(const struct podnet *ctx, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!ctx->debug)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ctx->debug(ctx->debug_arg, line);
}
