/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnel.c - tunnels that are carried, each by threads of its own
 *
 * Room: podnet-fwd.
 *
 * netd makes the device and its sockets; here is what goes on whatever becomes of netd.  A queue has a
 * thread, which ends when it is told to, or by itself when the device is gone: the loop hears of that
 * and so does netd, which makes another one.  A tunnel is declared whole each time: FWD_TUNNEL, with
 * the descriptors where they are new, FWD_TUNNEL_PEER for each peer, FWD_TUNNEL_READY: what was not said
 * again goes.
 * #syscalls: clone:CLONE_THREAD set_robust_list rseq eventfd2 read write close
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/fwd/fwd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct carried {
	struct fwd_addr at;
	bool kept;
	char key[FWD_KEY_SIZE];
};

struct tunnel {
	struct fwd *fwd;
	char name[FWD_NAME_SIZE];
	struct fwd_addr at;
	struct podnet_overlay *ov;
	struct map peers;           /* struct carried, by key */
	unsigned int nqueues, nthreads;
	pthread_t threads[FWD_QUEUES];
	int ended;                  /* eventfd: a queue's thread has ended by itself */
	atomic_bool told;           /* and the log says so */
	bool fast;                  /* it was given a fast path, which was not given up */
	struct loop_watch *watch;
};

/** What a thread is given; its own to free. */
struct service {
	struct tunnel *t;
	unsigned int queue;
};

/* Whose device is gone is told in plain words; whether that was meant netd knows, which says so if not. */
static void log_end(struct tunnel *t, int r, const struct podnet_error *err)
{
	char text[256];

	if (atomic_exchange(&t->told, true))
		return;                 /* another queue's thread, of the same */
	if (r == -EBADFD) {             /* drivers/net/tun.c */
		log_event(LOG_LEVEL_INFO, "tunnel_ended", "tunnel=%s why=\"its device is gone\"", t->name);
		return;
	}
	podnet_error_text(err, text, sizeof(text));
	log_event(LOG_LEVEL_WARNING, "tunnel_ended", "tunnel=%s err=\"%s\"", t->name, text);
}

static void *serve(void *arg)
{
	struct service s = *(struct service *)arg;
	struct podnet_error err = { 0 };
	uint64_t one = 1;
	int r;

	free(arg);
	r = podnet_overlay_run(s.t->ov, s.queue, &err);
	if (r < 0) {
		log_end(s.t, r, &err);
		if (write(s.t->ended, &one, sizeof(one)) < 0)
			log_event(LOG_LEVEL_ERROR, "tunnel_not_told", "tunnel=%s", s.t->name);
	}
	return NULL;
}

static void tunnel_free(struct tunnel *t)
{
	struct carried *c;
	size_t pos = 0;

	if (t->ov)
		podnet_overlay_stop(t->ov);
	for (unsigned int i = 0; i < t->nthreads; i++)
		pthread_join(t->threads[i], NULL);
	podnet_overlay_close(t->ov);
	loop_unwatch(t->watch);
	closep(&t->ended);
	while ((c = map_next(&t->peers, &pos)))
		free(c);
	map_fini(&t->peers);
	free(t);
}

static void on_ended(void *arg, uint32_t events)
{
	struct tunnel *t = arg;
	struct fwd *f = t->fwd;
	struct fwd_msg lost = { .type = FWD_TUNNEL_LOST };

	(void)events;
	fwd_name_put(&lost, t->name);
	map_del(&f->tunnels, t->name);
	tunnel_free(t);
	peer_say(f, &lost);
}

static int start_threads(struct tunnel *t)
{
	while (t->nthreads < t->nqueues) {
		struct service *s = malloc(sizeof(*s));
		int r;

		if (!s)
			return -ENOMEM;
		*s = (struct service){ t, t->nthreads };
		r = pthread_create(&t->threads[t->nthreads], NULL, serve, s);
		if (r) {
			free(s);
			return -r;
		}
		t->nthreads++;
	}
	return 0;
}

static struct podnet_prefix prefix_of(const struct fwd_prefix *p)
{
	struct podnet_prefix ret = { .family = p->family, .len = p->len };

	memcpy(ret.addr, p->addr, p->family == AF_INET ? 4 : sizeof(ret.addr));
	return ret;
}

static struct podnet_prefix address_of(const struct fwd_addr *a)
{
	struct fwd_prefix p = { .family = a->family, .len = a->family == AF_INET ? 32 : 128 };

	memcpy(p.addr, a->addr, sizeof(p.addr));
	return prefix_of(&p);
}

/* What came along: device, socket, device, socket ..., fast path */
static int open_queues(struct tunnel *t, const int *fds, size_t n, unsigned int queues)
{
	int tun[FWD_QUEUES], udp[FWD_QUEUES], r = 0;
	struct podnet_overlay_spec spec = { .tun = tun, .udp = udp, .queues = queues };
	struct podnet_error err = { 0 };
	char text[256];

	_Static_assert(FWD_FASTPATH == PODNET_OVERLAY_FASTPATH_FDS, "wire.h: as many as there are");
	if (queues > FWD_QUEUES || (n != 2 * queues && n != 2 * queues + FWD_FASTPATH))
		r = -EINVAL;
	for (size_t i = 0; i < queues && r == 0; i++) {
		tun[i] = fds[2 * i];
		udp[i] = fds[2 * i + 1];
	}
	if (n > 2 * queues)
		spec.fastpath = fds + 2 * queues;
	if (r == 0)
		r = podnet_overlay_open(&spec, &t->ov, &err);
	if (r < 0) {
		podnet_error_text(&err, text, sizeof(text));
		log_event(LOG_LEVEL_WARNING, "tunnel_not_opened", "tunnel=%s err=\"%s\"", t->name, text);
		return r;
	}
	t->nqueues = spec.queues;
	t->fast = spec.fastpath;
	return 0;
}

static struct tunnel *tunnel_new(struct fwd *f, const char *name, const struct fwd_addr *at)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fwd = f;
	t->at = *at;
	memcpy(t->name, name, sizeof(t->name));
	t->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->ended < 0 || loop_watch_fd(f->loop, t->ended, EPOLLIN, on_ended, t, &t->watch) < 0) {
		tunnel_free(t);
		return NULL;
	}
	return t;
}

void tunnel_drop(struct fwd *f, const char *name)
{
	struct tunnel *t = map_del(&f->tunnels, name);

	if (t)
		tunnel_free(t);
}

/* @fds are the tunnel's once it is open. */
static int begin(struct fwd *f, const struct fwd_msg *msg, const char *name, struct fwd_fds *fds)
{
	struct tunnel *t;
	int r;

	tunnel_drop(f, name);
	t = tunnel_new(f, name, &msg->at);
	if (!t)
		return -ENOMEM;
	r = open_queues(t, fds->v, fds->n, msg->to.protocol);
	if (r == 0) {
		fds->n = 0;
		r = map_put(&f->tunnels, t->name, t);
	}
	if (r < 0)
		tunnel_free(t);
	return r;
}

static int declare(struct tunnel *t, const struct fwd_msg *msg, const struct fwd_prefix *v)
{
	struct podnet_prefix local[FWD_PREFIXES];
	struct carried *c;
	size_t pos = 0;

	for (uint32_t i = 0; i < msg->n; i++)
		local[i] = prefix_of(&v[i]);
	while ((c = map_next(&t->peers, &pos)))
		c->kept = false;
	return podnet_overlay_local(t->ov, local, msg->n, NULL);
}

static enum podnet_overlay_framing framing_of(uint8_t framing)
{
	return framing == FWD_PI ? PODNET_OVERLAY_PI :
	       framing == FWD_FAST ? PODNET_OVERLAY_FASTPATH : PODNET_OVERLAY_RAW;
}

static struct carried *find(struct tunnel *t, const struct fwd_addr *at)
{
	char key[FWD_KEY_SIZE];
	struct carried *c = map_get(&t->peers, fwd_key(at, key));

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->at = *at;
	memcpy(c->key, key, sizeof(c->key));
	if (map_put(&t->peers, c->key, c) < 0) {
		free(c);
		return NULL;
	}
	return c;
}

static int put_peer(struct tunnel *t, const struct fwd_msg *msg, const struct fwd_prefix *v)
{
	struct podnet_prefix prefixes[FWD_PREFIXES];
	struct podnet_overlay_peer peer = {
		.address = address_of(&msg->at), .port = ntohs(msg->at.port_be),
		.framing = framing_of(msg->to.protocol),
		.prefixes = prefixes, .nprefixes = msg->n,
	};
	struct carried *c = find(t, &msg->at);

	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < msg->n; i++)
		prefixes[i] = prefix_of(&v[i]);
	c->kept = true;
	return podnet_overlay_peer_put(t->ov, &peer, NULL);
}

static void sweep(struct tunnel *t)
{
	struct carried *c;
	size_t pos = 0;

	while ((c = map_next(&t->peers, &pos))) {
		struct podnet_prefix address = address_of(&c->at);

		if (c->kept)
			continue;
		podnet_overlay_peer_delete(t->ov, &address, ntohs(c->at.port_be));
		map_del(&t->peers, c->key);
		free(c);
		pos = 0;                /* the map has changed */
	}
}

/* A fast path that it still has; whose device is gone: netd may find another one. */
static struct fwd_msg held_as(const struct tunnel *t)
{
	struct fwd_msg msg = { .type = FWD_TUNNEL_HELD, .at = t->at };
	int underlay = podnet_overlay_fastpath_underlay(t->ov);

	msg.n = underlay ? (uint32_t)underlay : t->fast ? FWD_NOWHERE : 0;
	fwd_name_put(&msg, t->name);
	return msg;
}

int tunnel_take(struct fwd *f, const struct fwd_msg *msg, const struct fwd_prefix *v, struct fwd_fds *fds)
{
	char name[FWD_NAME_SIZE];
	struct fwd_msg held;
	struct tunnel *t;
	int r = 0;

	fwd_name_get(msg, name);
	if (!*name)
		return -EINVAL;
	if (msg->type == FWD_TUNNEL && fds->n)
		r = begin(f, msg, name, fds);
	t = map_get(&f->tunnels, name);
	if (r < 0 || !t)
		return r < 0 ? r : -ENOENT;
	if (msg->type == FWD_TUNNEL)
		return declare(t, msg, v);
	if (msg->type == FWD_TUNNEL_PEER)
		return put_peer(t, msg, v);
	sweep(t);
	if (t->fast && !podnet_overlay_fastpath_underlay(t->ov)) {
		t->fast = false;
		held = held_as(t);
		peer_say(f, &held);
	}
	return start_threads(t);
}

/* ---- what netd is told ---- */

size_t tunnels_gather(const struct fwd *f, size_t *pos, struct fwd_msg v[FWD_BATCH])
{
	size_t n = 0;

	for (struct tunnel *t; n < FWD_BATCH && (t = map_next(&f->tunnels, pos)); n++)
		v[n] = held_as(t);
	return n;
}

static void count_drops(const struct tunnel *t, struct fwd_counts *c)
{
	struct podnet_overlay_stats s;

	_Static_assert(FWD_REASONS == PODNET_OVERLAY_DROPS, "wire.h: as many as there are");
	podnet_overlay_stats(t->ov, &s);
	*c = (struct fwd_counts){ .msg = { .type = FWD_COUNTS } };
	memcpy(c->v, s.dropped, sizeof(s.dropped));
	fwd_name_put(&c->msg, t->name);
}

static void count_peer(const struct tunnel *t, const struct carried *peer, struct fwd_counts *c)
{
	struct podnet_prefix address = address_of(&peer->at);
	struct podnet_overlay_peer_stats s = { 0 };

	podnet_overlay_peer_stats(t->ov, &address, ntohs(peer->at.port_be), &s);
	*c = (struct fwd_counts){ .msg = { .type = FWD_COUNTS, .at = peer->at },
				  .v = { s.in_packets, s.in_bytes, s.out_packets, s.out_bytes,
					 s.in_dropped, s.out_dropped } };
	fwd_name_put(&c->msg, t->name);
}

void tunnels_count(const struct fwd *f, void (*say)(void *arg, const struct fwd_counts *c), void *arg)
{
	struct fwd_counts c;
	struct carried *peer;
	struct tunnel *t;
	size_t pos = 0;

	while ((t = map_next(&f->tunnels, &pos))) {
		size_t at = 0;

		count_drops(t, &c);
		say(arg, &c);
		while ((peer = map_next(&t->peers, &at))) {
			count_peer(t, peer, &c);
			say(arg, &c);
		}
	}
}

void tunnels_fini(struct fwd *f)
{
	struct tunnel *t;
	size_t pos = 0;

	while ((t = map_next(&f->tunnels, &pos)))
		tunnel_free(t);
	map_fini(&f->tunnels);
}
