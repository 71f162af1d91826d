/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * health.c - the healthCheckNodePort of a Service: has this node endpoints of its own?
 *
 * Room: reconcile.  A load balancer outside that must not send to nodes without an endpoint
 * (externalTrafficPolicy Local) asks each node here, at its addresses, and is answered as by kube-proxy
 * (k8s.io/kubernetes pkg/proxy/healthcheck): 200 where an endpoint of this node is ready, else 503, and
 * how many are.  It is counted when it is asked.  Whatever is sent, up to the end of a head, is a
 * request.  Callers are strangers: they are few, have seconds, and the oldest makes room.
 * A port that somebody else has is told once and tried again.
 * #syscalls: socket:AF_INET socket:AF_INET6 setsockopt bind listen accept4 recvfrom sendto close
 */
#include "services.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CALLERS_MAX     64
#define HEAD_MAX        4096
#define CALLER_MS       5000
#define RETRY_MS        1000
#define BACKLOG         64

struct door {
	struct check *check;
	int fd;
	struct loop_watch *watch;
};

/** A Service that is asked about. */
struct check {
	char *key;                  /* NAMESPACE/NAME */
	struct reconcile *rec;
	struct object *service;
	uint16_t port;
	struct door doors[2];       /* one for each address of the node */
	size_t ndoors;
	unsigned failures;          /* to open them, in a row */
	bool told;
};

struct caller {
	struct reconcile *rec;
	char *key;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;
	size_t len;
	char head[HEAD_MAX];
	struct caller *next;        /* newest first */
};

struct health {
	struct map checks;
	struct loop_timer *retry;
	struct caller *callers;
	size_t ncallers;
};

/* ---- what is answered ---- */

static bool counted(const struct svc *svc, size_t slice, size_t at, const struct podnet_prefix *ip,
		    const char *node)
{
	for (size_t i = 0; i <= slice; i++) {
		const struct endpoint_slice *s = svc->slices[i]->slice;

		for (size_t k = 0; k < s->nendpoints && (i < slice || k < at); k++)
			if (endpoint_is_ready(s, &s->endpoints[k], node) && s->endpoints[k].naddresses &&
			    memcmp(&s->endpoints[k].addresses[0], ip, sizeof(*ip)) == 0)
				return true;
	}
	return false;
}

/* Endpoints of this node that are ready, of the first family; one in two slices is one. */
static size_t count_local(const struct reconcile *rec, const struct svc *svc)
{
	const struct service *service = svc->service->service;
	const char *node = rec->node->node_name;
	size_t n = 0;

	for (size_t i = 0; i < svc->nslices; i++) {
		const struct endpoint_slice *s = svc->slices[i]->slice;

		if (!service->nfamilies || s->family != service->families[0])
			continue;
		for (size_t k = 0; k < s->nendpoints; k++) {
			const struct endpoint *e = &s->endpoints[k];

			n += endpoint_is_ready(s, e, node) && e->naddresses && e->node_name &&
			     strcmp(e->node_name, node) == 0 &&
			     !counted(svc, i, k, &e->addresses[0], node);
		}
	}
	return n;
}

static size_t make_answer(const struct reconcile *rec, const struct svc *svc, bool head,
			  char ret[1024])
{
	const struct meta *meta = svc->service->meta;
	bool healthy = rec->node_ok;
	size_t n = count_local(rec, svc);
	char body[512];
	int len = snprintf(body, sizeof(body), "{\n\t\"service\": {\n\t\t\"namespace\": \"%s\",\n"
			   "\t\t\"name\": \"%s\"\n\t},\n\t\"localEndpoints\": %zu,\n"
			   "\t\"serviceProxyHealthy\": %s\n}", meta->ns, meta->name, n,
			   healthy ? "true" : "false");

	return (size_t)snprintf(ret, 1024, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
				"X-Content-Type-Options: nosniff\r\n"
				"X-Load-Balancing-Endpoint-Weight: %zu\r\nContent-Length: %d\r\n"
				"Connection: close\r\n\r\n%s",
				n && healthy ? "200 OK" : "503 Service Unavailable", n, len,
				head ? "" : body);
}

/* ---- who asks ---- */

static void caller_free(struct caller *c)
{
	struct health *h = c->rec->health;
	struct caller **at = &h->callers;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at) {
		*at = c->next;
		h->ncallers--;
	}
	loop_unwatch(c->watch);
	loop_timer_free(c->timer);
	closep(&c->fd);
	free(c->key);
	free(c);
}

static void caller_late(void *arg)
{
	caller_free(arg);
}

/* It fits an empty socket; a client that took nothing of it did not want it. */
static void answer(const struct caller *c)
{
	struct svc *svc = map_get(&c->rec->services->by_name, c->key);
	char text[1024];
	size_t len;

	if (!svc || !svc->service)
		return;
	len = make_answer(c->rec, svc, strncmp(c->head, "HEAD ", 5) == 0, text);
	if (send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	shutdown(c->fd, SHUT_WR);
}

static void caller_event(void *arg, uint32_t events)
{
	struct caller *c = arg;
	ssize_t n = recv(c->fd, c->head + c->len, sizeof(c->head) - 1 - c->len, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		c->len += (size_t)n;
		c->head[c->len] = '\0';
		if (strstr(c->head, "\r\n\r\n") || strstr(c->head, "\n\n"))
			answer(c);
		else if (c->len + 1 < sizeof(c->head))
			return;
	}
	caller_free(c);
}

static struct caller *oldest(struct caller *c)
{
	while (c->next)
		c = c->next;
	return c;
}

static void greet(struct check *check, int fd)
{
	struct health *h = check->rec->health;
	struct caller *c = calloc(1, sizeof(*c));

	if (!c) {
		closep(&fd);
		return;
	}
	if (h->ncallers == CALLERS_MAX)
		caller_free(oldest(h->callers));
	*c = (struct caller){ .rec = check->rec, .fd = fd, .next = h->callers };
	h->callers = c;
	h->ncallers++;
	c->key = strdup(check->key);
	if (!c->key || loop_timer_new(c->rec->conf.loop, caller_late, c, &c->timer) < 0 ||
	    loop_watch_fd(c->rec->conf.loop, fd, EPOLLIN, caller_event, c, &c->watch) < 0)
		caller_free(c);
	else
		loop_timer_set(c->timer, CALLER_MS);
}

static void door_event(void *arg, uint32_t events)
{
	struct door *door = arg;
	int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		greet(door->check, fd);
}

/* ---- where it is asked ---- */

static void shut(struct check *check)
{
	for (size_t i = 0; i < check->ndoors; i++) {
		loop_unwatch(check->doors[i].watch);
		closep(&check->doors[i].fd);
	}
	check->ndoors = 0;
}

static void check_free(struct check *check)
{
	if (!check)
		return;
	shut(check);
	object_unref(check->service);
	free(check->key);
	free(check);
}

static int bind_to(int fd, const struct podnet_prefix *ip, uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int one = 1;
	int r;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	memcpy(&four.sin_addr, ip->addr, sizeof(four.sin_addr));
	memcpy(&six.sin6_addr, ip->addr, sizeof(six.sin6_addr));
	if (ip->family == AF_INET)
		r = bind(fd, (struct sockaddr *)&four, sizeof(four));
	else
		r = bind(fd, (struct sockaddr *)&six, sizeof(six));
	return r < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int open_door(struct check *check, const struct podnet_prefix *ip)
{
	struct door *door = &check->doors[check->ndoors];
	_cleanup_close_ int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : bind_to(fd, ip, check->port);

	if (r < 0)
		return r;
	*door = (struct door){ .check = check, .fd = fd };
	r = loop_watch_fd(check->rec->conf.loop, fd, EPOLLIN, door_event, door, &door->watch);
	if (r < 0)
		return r;
	fd = -1;
	check->ndoors++;
	return 0;
}

static void open_doors(struct check *check)
{
	struct reconcile *rec = check->rec;
	int r = 0;

	for (size_t i = 0; i < rec->nips && r == 0; i++)
		r = open_door(check, &rec->ips[i]);
	if (r == 0) {
		check->failures = check->told = 0;
		return;
	}
	shut(check);
	/* a new address of IPv6 may need a moment */
	if (!check->told && (r == -EADDRINUSE || ++check->failures > 3)) {
		check->told = true;
		control_event(rec->conf.control, check->service, "Warning",
			      "FailedToStartServiceHealthcheck",
			      "node %s failed to start healthcheck \"%s\" on port %u: %s",
			      rec->node->node_name, check->key, check->port, strerror(-r));
	}
	if (!loop_timer_armed(rec->health->retry))
		loop_timer_set(rec->health->retry, RETRY_MS);
}

static void retry(void *arg)
{
	struct reconcile *rec = arg;
	struct check *check;
	size_t pos = 0;

	while ((check = map_next(&rec->health->checks, &pos)))
		if (!check->ndoors)
			open_doors(check);
}

void health_moved(struct reconcile *rec)
{
	struct check *check;
	size_t pos = 0;

	while ((check = map_next(&rec->health->checks, &pos))) {
		shut(check);
		open_doors(check);
	}
}

/* ---- which Services ---- */

static uint16_t port_of(const struct object *service)
{
	const struct service *svc = service ? service->service : NULL;

	if (!svc || svc->type != SERVICE_LOAD_BALANCER || svc->external_policy != TRAFFIC_LOCAL ||
	    !compile_service_is_proxied(svc))
		return 0;
	return (uint16_t)svc->health_check_port;
}

static struct check *check_new(struct reconcile *rec, const char *key)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->rec = rec;
	check->key = strdup(key);
	if (check->key && map_put(&rec->health->checks, check->key, check) == 0)
		return check;
	check_free(check);
	return NULL;
}

void health_changed(struct reconcile *rec, const struct object *any, struct object *now)
{
	uint16_t port = port_of(now);
	struct check *check;
	char key[320];

	if (!port && !rec->health->checks.n)
		return;                 /* few Services have one */
	snprintf(key, sizeof(key), "%s/%s", any->meta->ns, any->meta->name);
	check = map_get(&rec->health->checks, key);
	if (check && check->port != port) {
		map_del(&rec->health->checks, key);
		check_free(check);
		check = NULL;
	}
	if (!port)
		return;
	if (!check)
		check = check_new(rec, key);
	if (!check)
		return;                 /* asked in vain until the Service changes */
	object_unref(check->service);
	check->service = object_ref(now);
	check->port = port;
	if (!check->ndoors)
		open_doors(check);
}

int health_start(struct reconcile *rec)
{
	rec->health = calloc(1, sizeof(*rec->health));
	return rec->health ? loop_timer_new(rec->conf.loop, retry, rec, &rec->health->retry) : -ENOMEM;
}

void health_stop(struct reconcile *rec)
{
	struct health *h = rec->health;
	struct check *check;
	size_t pos = 0;

	if (!h)
		return;
	while (h->callers)
		caller_free(h->callers);
	while ((check = map_next(&h->checks, &pos)))
		check_free(check);
	map_fini(&h->checks);
	loop_timer_free(h->retry);
	free(h);
	rec->health = NULL;
}
