/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_world.c - a node with two pods, and what a client measures through it
 *
 * Room: tests/bench.  Links are made by ip(8), outside of what is measured.  The server is a process
 * in its pod that answers a byte with a byte, on SERVER_PORT and the ports behind it, TCP and UDP;
 * the client enters its pod for as long as it measures.
 */
#include "services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS 64
#define PATIENCE_MS 5000

struct world {
	int node, client, server;   /* namespaces */
	pid_t pid;                  /* the server */
};

static int new_netns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("a network namespace: %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("a network namespace: %s", strerror(errno));
	return fd;
}

static void enter(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns: %s", strerror(errno));
}

/* Into the client's pod; the caller's namespace, to come back to. */
static int visit(struct world *w)
{
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (ours < 0)
		die("the benchmark's namespace: %s", strerror(errno));
	enter(w->client);
	return ours;
}

static void leave(int ours)
{
	enter(ours);
	close(ours);
}

/* @last: what the script calls $1 */
static void run_in(int netns, const char *script, unsigned last)
{
	char number[16];
	const char *argv[] = { "sh", "-ec", script, "world", number, NULL };
	struct command cmd = { .argv = argv, .netns = netns };

	snprintf(number, sizeof(number), "%u", last);
	if (command_run(&cmd) != 0)
		die("the pods' links: %s", script);
}

static int listen_at(unsigned port, int type)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 4096) < 0))
		die("the server at port %u: %s", port, strerror(errno));
	return fd;
}

/* Until the client closes; one at a time is enough for one client. */
static void serve_stream(int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC), one = 1;
	char byte;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
		;
	close(fd);
}

static void serve_datagram(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char byte;

	if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &len) == 1)
		sendto(fd, &byte, 1, 0, (struct sockaddr *)&from, len);
}

static _Noreturn void serve(int netns, int ready)
{
	struct pollfd p[2 * PORTS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(netns);
	for (unsigned i = 0; i < 2 * PORTS; i++)
		p[i] = (struct pollfd){ .events = POLLIN,
			.fd = listen_at(SERVER_PORT + i / 2, i % 2 ? SOCK_DGRAM : SOCK_STREAM) };
	if (write(ready, "r", 1) != 1)
		_exit(1);
	while (poll(p, 2 * PORTS, -1) > 0)
		for (unsigned i = 0; i < 2 * PORTS; i++) {
			if (p[i].revents && i % 2)
				serve_datagram(p[i].fd);
			else if (p[i].revents)
				serve_stream(p[i].fd);
		}
	_exit(0);
}

static void start_server(struct world *w)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	w->pid = fork();
	if (w->pid == 0)
		serve(w->server, ready[1]);
	close(ready[1]);
	if (w->pid < 0 || read(ready[0], &byte, 1) != 1)
		die("the server did not start");
	close(ready[0]);
}

static void link_pod(struct world *w, int pod, unsigned last)
{
	static const char node[] =
		"ip link add pod$1 type veth peer name eth0 netns /proc/self/fd/0; "
		"ip link set pod$1 address 02:00:00:00:00:01 up; "
		"ip route add 10.244.0.$1 dev pod$1; "
		"ip neigh replace 10.244.0.$1 lladdr 02:00:00:00:00:02 dev pod$1";
	static const char inside[] =
		"ip link set lo up; ip link set eth0 address 02:00:00:00:00:02 up; "
		"ip addr add 10.244.0.$1/32 dev eth0; "
		"ip neigh replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0; "
		"ip route add default via 169.254.1.1 dev eth0 onlink";
	char script[512], path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), pod);
	snprintf(script, sizeof(script), "exec 0<%s; %s", path, node);
	run_in(w->node, script, last);
	run_in(pod, inside, last);
}

struct world *world_open(void)
{
	struct world *w = calloc(1, sizeof(*w));
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (!w || ours < 0)
		die("out of memory");
	w->node = new_netns();
	w->client = new_netns();
	w->server = new_netns();
	leave(ours);
	run_in(w->node, "ip link set lo up; ip addr add 10.0.0.10/32 dev lo; "
	       "echo 1 >/proc/sys/net/ipv4/ip_forward", 0);
	link_pod(w, w->client, 2);
	link_pod(w, w->server, SERVER_IP & 0xff);
	run_in(w->client, "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range", 0);
	start_server(w);
	return w;
}

void world_enter(struct world *w)
{
	enter(w->node);
}

void world_close(struct world *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	close(w->node);
	close(w->client);
	close(w->server);
	free(w);
}

static int stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("the client's socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static bool turn(int fd)
{
	char byte = 'x';

	return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static bool meet(int fd, in_addr_t to, unsigned port)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = to };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
}

double world_first(struct world *w, in_addr_t to, unsigned port)
{
	int ours = visit(w), fd = stream();
	uint64_t start = now_ns();
	double us = meet(fd, to, port) ? ms_since(start) * 1e3 : -1;

	close(fd);
	leave(ours);
	return us;
}

/* A reset at the end, so that no socket waits and no port is used up. */
static bool one_connection(in_addr_t to, unsigned port)
{
	const struct linger now = { .l_onoff = 1 };
	int fd = stream();
	bool ok;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	ok = meet(fd, to, port) && turn(fd);
	close(fd);
	return ok;
}

double world_connections(struct world *w, in_addr_t to, unsigned port, unsigned ms)
{
	int ours = visit(w);
	uint64_t start = now_ns();
	unsigned n = 0;
	bool ok = true;

	for (; ok && ms_since(start) < ms; n++)
		ok = one_connection(to, port);
	leave(ours);
	return ok ? rate_of(n, start) : -1;
}

double world_turns(struct world *w, in_addr_t to, unsigned port, unsigned ms)
{
	int ours = visit(w), fd = stream();
	uint64_t start;
	unsigned n = 0;

	if (!meet(fd, to, port))
		die("no connection to measure round trips on");
	start = now_ns();
	for (; ms_since(start) < ms; n++)
		if (!turn(fd))
			die("the connection broke");
	close(fd);
	leave(ours);
	return rate_of(n, start);
}
