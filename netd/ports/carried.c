/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * carried.c - what podnet-fwd is to carry: the wish, and the descriptors made for it
 *
 * Room: ports.
 *
 * A tunnel is kept as the packets that declare it (wire.h), so that what was said last and what is
 * to be said are compared and sent as bytes.  Its queues are opened when podnet-fwd is known not to
 * have them: netd may attach to the device and bind any port, podnet-fwd may not.  They are sent with
 * the first packet and closed here.  One that podnet-fwd had when netd was restarted is declared
 * again without them, and goes on.
 *
 * TUNSETIFF waits for the kernel's lock of all links, on the control loop; that is once in the life
 * of a tunnel.
 * #syscalls: open openat ioctl:TUNSETIFF ioctl:TUNGETIFF
 * #syscalls: ioctl:SIOCGIFINDEX socket:AF_INET socket:AF_INET6 setsockopt bind sendmsg close
 */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netd/base/log.h>
#include <podnet/overlay.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOWHERE        (-1)
#define RECEIVE_BUFFER (16 << 20)       /* see podnet/overlay.h; podnet-fwd may not force it */

struct tunnel_hold {
	char name[FWD_NAME_SIZE];
	struct fwd_addr at;
	bool wanted;
	bool has;                   /* podnet-fwd carries it */
	bool news;                  /* and is to be told */
	int fds[FWD_FDS];           /* to be sent with the first packet */
	size_t nfds;
	int rc;                     /* of the last try to open them */
	/* index of its fast path's device; 0: it has no fast path, NOWHERE: nor its address a device yet */
	int underlay;
	uint8_t *said;              /* packets, each behind its length, a uint32_t */
	size_t len, sent;           /* sent: bytes of them */
};

/* ---- queues ---- */

static unsigned int queues_wanted(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > FWD_QUEUES ? FWD_QUEUES : (unsigned int)n;
}

/* TUNSETIFF makes what is not there, and somebody else is about to. */
static bool is_there(const char *name, int any_socket)
{
	struct ifreq ifr = { .ifr_ifindex = 0 };

	memcpy(ifr.ifr_name, name, FWD_NAME_SIZE);
	return ioctl(any_socket, SIOCGIFINDEX, &ifr) == 0;
}

static int open_device(const char *name)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };

	memcpy(ifr.ifr_name, name, FWD_NAME_SIZE);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	/* one that was not there has been made, and goes with the descriptor */
	return ifr.ifr_flags & IFF_PERSIST ? take_fd(fd) : -ENODEV;
}

static struct podnet_prefix address_of(const struct fwd_addr *at)
{
	struct podnet_prefix p = { .family = at->family, .len = at->family == AF_INET ? 32 : 128 };

	memcpy(p.addr, at->addr, sizeof(p.addr));
	return p;
}

static int open_socket(const struct fwd_addr *at)
{
	struct sockaddr_storage sa;
	socklen_t len = fwd_sockaddr(at, &sa);
	_cleanup_close_ int fd = socket(at->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, size = RECEIVE_BUFFER;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return take_fd(fd);
}

static void close_queues(struct tunnel_hold *t)
{
	while (t->nfds)
		close(t->fds[--t->nfds]);
}

/* Without it all goes through podnet-fwd, as with peers that have none. */
static void open_fastpath(struct tunnel_hold *t)
{
	struct podnet_prefix here = address_of(&t->at);
	struct podnet_error err = { 0 };
	char why[256];
	int r = podnet_overlay_underlay(&here);

	if (r == -EADDRNOTAVAIL)
		t->underlay = NOWHERE;
	if (r < 0 || podnet_overlay_fastpath_open(t->fds[0], t->fds[1], t->fds + t->nfds, &err) < 0) {
		podnet_error_text(&err, why, sizeof(why));
		log_event(LOG_LEVEL_INFO, "no_fastpath", "tunnel=%s err=\"%s\"", t->name,
			  r < 0 ? strerror(-r) : why);
		return;
	}
	t->underlay = r;
	t->nfds += FWD_FASTPATH;
}

static int open_queues(struct ports *p, struct tunnel_hold *t)
{
	unsigned int n = queues_wanted();

	for (unsigned int i = 0; i < n; i++) {
		_cleanup_close_ int udp = open_socket(&t->at);
		int tun = udp < 0 ? udp : !is_there(t->name, udp) ? -ENODEV : open_device(t->name);

		if (tun < 0) {
			close_queues(t);
			return tun;
		}
		t->fds[t->nfds++] = tun;
		t->fds[t->nfds++] = take_fd(udp);
	}
	t->underlay = 0;
	if (p->conf.fastpath)
		open_fastpath(t);
	return 0;
}

/* ---- the table ---- */

static void free_tunnel(struct tunnel_hold *t)
{
	close_queues(t);
	free(t->said);
	free(t);
}

static void remove_tunnel(struct ports *p, struct tunnel_hold *t)
{
	map_del(&p->tunnels, t->name);
	free_tunnel(t);
}

static struct tunnel_hold *get_tunnel(struct ports *p, const char *name)
{
	struct tunnel_hold *t = map_get(&p->tunnels, name);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	if (map_put(&p->tunnels, t->name, t) < 0) {
		free(t);
		return NULL;
	}
	return t;
}

static bool same_place(const struct fwd_addr *a, const struct fwd_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void settle(struct ports *p, struct tunnel_hold *t)
{
	/* before podnet-fwd has told what it carries, that would be in the way */
	if (p->state != LINK_UP && !p->ready)
		return;
	if (t->wanted && !t->has && !t->nfds)
		t->rc = open_queues(p, t);
	if (t->nfds || (t->has && (t->wanted ? t->news : p->tunnels_whole)))
		link_kick(p);
}

void carried_settle(struct ports *p)
{
	struct tunnel_hold *t;
	size_t pos = 0;

	while ((t = map_next(&p->tunnels, &pos))) {
		int before = t->rc;
		bool fast = t->underlay > 0;

		settle(p, t);
		if ((t->rc != before || (t->underlay > 0) != fast) && t->wanted)
			p->conf.tunnel_changed(p->conf.arg, t->name);
	}
}

/* ---- what is said ---- */

static size_t packet_size(size_t nprefixes)
{
	return sizeof(uint32_t) + sizeof(struct fwd_msg) + nprefixes * sizeof(struct fwd_prefix);
}

static uint8_t *put_packet(uint8_t *at, const char *name, struct fwd_msg msg,
			   const struct fwd_prefix *v, size_t n)
{
	uint32_t len = (uint32_t)(packet_size(n) - sizeof(len));

	fwd_name_put(&msg, name);
	memcpy(at, &len, sizeof(len));
	memcpy(at + sizeof(len), &msg, sizeof(msg));
	if (n)
		memcpy(at + sizeof(len) + sizeof(msg), v, n * sizeof(*v));
	return at + sizeof(len) + len;
}

static int encode(const struct ports_tunnel *t, uint8_t **ret, size_t *len)
{
	struct fwd_msg msg = { .type = FWD_TUNNEL, .n = (uint32_t)t->nlocal, .at = t->at,
			       .to.protocol = (uint8_t)queues_wanted() };
	bool fits = t->nlocal <= FWD_PREFIXES;
	uint8_t *at;

	*len = packet_size(t->nlocal) + packet_size(0);
	for (size_t i = 0; i < t->npeers; i++) {
		*len += packet_size(t->peers[i].nprefixes);
		fits = fits && t->peers[i].nprefixes <= FWD_PREFIXES;
	}
	if (!fits)
		return -E2BIG;
	*ret = at = malloc(*len);
	if (!at)
		return -ENOMEM;
	at = put_packet(at, t->name, msg, t->local, t->nlocal);
	for (size_t i = 0; i < t->npeers; i++) {
		const struct ports_tunnel_peer *peer = &t->peers[i];

		msg = (struct fwd_msg){ .type = FWD_TUNNEL_PEER, .n = (uint32_t)peer->nprefixes,
					.at = peer->at, .to.protocol = (uint8_t)peer->framing };
		at = put_packet(at, t->name, msg, peer->prefixes, peer->nprefixes);
	}
	put_packet(at, t->name, (struct fwd_msg){ .type = FWD_TUNNEL_READY }, NULL, 0);
	return 0;
}

/* The packets from `sent` on; the first one takes the queues along. */
static int say_tunnel(struct ports *p, struct tunnel_hold *t)
{
	while (t->sent < t->len) {
		uint32_t len;
		int r;

		memcpy(&len, t->said + t->sent, sizeof(len));
		r = link_say(p, t->said + t->sent + sizeof(len), len, t->fds, t->sent ? 0 : t->nfds);
		if (r < 0)
			return r;
		t->sent += sizeof(len) + len;
		t->has = true;
		close_queues(t);
	}
	t->news = false;
	t->sent = 0;
	return 0;
}

static int say_drop(struct ports *p, struct tunnel_hold *t)
{
	struct fwd_msg msg = { .type = FWD_TUNNEL_DROP };
	int r;

	fwd_name_put(&msg, t->name);
	r = link_say(p, &msg, sizeof(msg), NULL, 0);
	if (r == 0)
		remove_tunnel(p, t);
	return r;
}

int carried_pump(struct ports *p)
{
	struct tunnel_hold *t;
	size_t pos = 0;
	int r = 0;

	while (r == 0 && p->state == LINK_UP && (t = map_next(&p->tunnels, &pos))) {
		if (!t->wanted && t->has && p->tunnels_whole) {
			r = say_drop(p, t);
			pos = 0;                /* the map has changed */
		} else if (t->wanted && (t->nfds || (t->has && t->news))) {
			r = say_tunnel(p, t);
		}
	}
	return r;
}

/* ---- the wish ---- */

/*
 * Its fast path should be on another device by now, or off, or on: it gets other queues with another
 * one.  What it carries at this moment is lost.
 */
static void renew(struct ports *p, struct tunnel_hold *t)
{
	struct podnet_prefix here = address_of(&t->at);
	int device = p->conf.fastpath ? podnet_overlay_underlay(&here) : 0;

	if (!t->wanted || (!t->has && !t->nfds) || !t->underlay || device < 0 || device == t->underlay)
		return;
	close_queues(t);
	t->has = false;
	t->sent = 0;
}

static void want(struct ports *p, struct tunnel_hold *t, const struct ports_tunnel *spec)
{
	bool known = t->wanted;

	p->ntunnels += !known;
	t->wanted = true;
	if (same_place(&t->at, &spec->at)) {
		if (!known)
			renew(p, t);    /* podnet-fwd had it before */
		return;
	}
	close_queues(t);
	t->at = spec->at;
	t->has = false;
	t->sent = 0;
}

int ports_tunnel_put(struct ports *p, const struct ports_tunnel *spec)
{
	_cleanup_free_ uint8_t *packets = NULL;
	struct tunnel_hold *t;
	size_t len;
	int r = p->conf.mode == PORTS_NO ? -EOPNOTSUPP : encode(spec, &packets, &len);

	if (r < 0)
		return r;
	t = get_tunnel(p, spec->name);
	if (!t)
		return -ENOMEM;
	want(p, t, spec);
	if (t->len != len || memcmp(t->said, packets, len) != 0) {
		free(t->said);
		t->said = take_ptr(packets);
		t->len = len;
		t->sent = 0;
		t->news = true;
	}
	settle(p, t);
	if (p->state == LINK_OFF && p->redial)
		link_need(p);           /* else ports_begin() is still to come */
	return t->rc < 0 || !p->told_off ? t->rc : -ENOTCONN;
}

void carried_told(struct ports *p)
{
	const struct tunnel_hold *t;
	size_t pos = 0;

	while ((t = map_next(&p->tunnels, &pos)))
		if (t->wanted)
			p->conf.tunnel_changed(p->conf.arg, t->name);
}

void ports_tunnel_drop(struct ports *p, const char *name)
{
	struct tunnel_hold *t = map_get(&p->tunnels, name);

	if (!t || !t->wanted)
		return;
	t->wanted = false;
	p->ntunnels--;
	close_queues(t);
	if (t->has)
		settle(p, t);
	else
		remove_tunnel(p, t);
}

void ports_tunnels_whole(struct ports *p)
{
	if (p->tunnels_whole)
		return;
	p->tunnels_whole = true;
	carried_settle(p);
}

void ports_tunnels_moved(struct ports *p)
{
	struct tunnel_hold *t;
	size_t pos = 0;

	while ((t = map_next(&p->tunnels, &pos)))
		renew(p, t);
	carried_settle(p);
}

bool ports_tunnel_fast(const struct ports *p, const char *name)
{
	const struct tunnel_hold *t = map_get(&p->tunnels, name);

	return t && t->wanted && t->underlay > 0;
}

/* ---- what podnet-fwd says ---- */

void carried_held(struct ports *p, const struct fwd_msg *msg)
{
	char name[FWD_NAME_SIZE];
	struct tunnel_hold *t;
	bool fast;

	fwd_name_get(msg, name);
	t = get_tunnel(p, name);
	if (!t || (t->wanted && !same_place(&t->at, &msg->at)))
		return;                 /* it gets other queues */
	fast = t->underlay > 0;
	t->at = msg->at;
	t->has = true;
	t->news = true;
	t->sent = 0;
	t->underlay = msg->n == FWD_NOWHERE ? NOWHERE : (int)msg->n;
	close_queues(t);
	renew(p, t);
	if (t->wanted && fast != (t->underlay > 0))
		p->conf.tunnel_changed(p->conf.arg, t->name);
}

void carried_lost(struct ports *p, const struct fwd_msg *msg)
{
	char name[FWD_NAME_SIZE];
	struct tunnel_hold *t;

	fwd_name_get(msg, name);
	t = map_get(&p->tunnels, name);
	if (!t)
		return;
	t->has = false;
	t->sent = 0;
	if (!t->wanted) {               /* its device was taken away, and it is not needed any more */
		remove_tunnel(p, t);
		return;
	}
	log_event(LOG_LEVEL_WARNING, "tunnel_lost", "tunnel=%s", name);
	p->conf.tunnel_changed(p->conf.arg, t->name);
}

void carried_parted(struct ports *p)
{
	struct tunnel_hold *t;
	size_t pos = 0;

	while ((t = map_next(&p->tunnels, &pos))) {
		t->has = false;
		t->sent = 0;
		if (t->wanted)
			continue;
		remove_tunnel(p, t);
		pos = 0;                /* the map has changed */
	}
}

void carried_fini(struct ports *p)
{
	struct tunnel_hold *t;
	size_t pos = 0;

	while ((t = map_next(&p->tunnels, &pos)))
		free_tunnel(t);
	map_fini(&p->tunnels);
	free(p->counts);
}

/* ---- counters ---- */

void ports_tunnels_ask(struct ports *p)
{
	const struct fwd_msg ask = { .type = FWD_COUNT };

	/* what does not fit now is asked the next time */
	if (p->state == LINK_UP && p->ntunnels)
		link_say(p, &ask, sizeof(ask), NULL, 0);
}

void carried_counted(struct ports *p, const struct fwd_counts *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].msg.n) {               /* the last one of all */
			p->ncounts = p->ntold;
			p->ntold = 0;
			continue;
		}
		if (p->ntold == p->counts_cap) {
			size_t cap = p->counts_cap ? 2 * p->counts_cap : 16;
			struct fwd_counts *more = realloc(p->counts, cap * sizeof(*more));

			if (!more)
				return;
			p->counts = more;
			p->counts_cap = cap;
		}
		p->counts[p->ntold++] = v[i];
	}
}

void ports_tunnels_each(const struct ports *p,
			void (*each)(void *arg, const char *name, const struct fwd_counts *c), void *arg)
{
	for (size_t i = 0; i < p->ncounts; i++) {
		char name[FWD_NAME_SIZE];
		const struct tunnel_hold *t;

		fwd_name_get(&p->counts[i].msg, name);
		t = map_get(&p->tunnels, name);
		if (t && t->wanted)
			each(arg, name, &p->counts[i]);
	}
}
