/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - netd: start the rooms in order, run the loop, stop them in the other order
 *
 * Room: the only file that knows every room.  Order: begin.c, with root's rights; loop, store (its
 * writer thread), state (loads everything), control (Node, namespaces, Network "default"),
 * reconcile (the kernel thread), rest, http; then the sockets answer.  SIGTERM and SIGINT stop; the
 * kernel stays as it is.
 * #syscalls: read socket:AF_UNIX sendto close exit_group
 */
#include <errno.h>
#include <malloc.h>
#include <netd/base/fault.h>
#include <netd/base/limits.h>
#include <netd/data.h>
#include <netd/guard/guard.h>
#include <netd/ports/ports.h>
#include <netd/ranges.h>
#include <netd/shared.h>
#include <podnet/podnet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fail(const char *what, const char *why)
{
	char quoted[320];

	log_event(LOG_LEVEL_ERROR, "start_failed", "what=%s err=%s", what,
		  log_quote(why, quoted, sizeof(quoted)));
	return 1;
}

/* Nothing was changed by then, and what runs in the kernel goes on. */
static int fail_store(const struct conf *conf, int r, const char *why)
{
	char quoted[2 * STORE_WORDS];

	log_event(LOG_LEVEL_ERROR, "start_failed", "what=store err=%s do=\"%s\"",
		  log_quote(why, quoted, sizeof(quoted)), data_advice(r, conf->netcd > 0));
	return data_exit(r);
}

/* systemd's readiness protocol, sd_notify(3): one datagram to $NOTIFY_SOCKET. */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (!path || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
		log_event(LOG_LEVEL_WARNING, "notify_failed", "err=\"%m\"");
}

static void on_signal(void *arg, uint32_t events)
{
	struct netd *netd = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(netd->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		log_event(LOG_LEVEL_INFO, "stopping", "signal=%u", info.ssi_signo);
	loop_stop(netd->loop);
}

/* Before threads start: they inherit the mask. */
static int block_signals(struct netd *netd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	netd->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return netd->signal_fd < 0 ? -errno
		: loop_watch_fd(netd->loop, netd->signal_fd, EPOLLIN, on_signal, netd, &netd->signals);
}

static int start_network(struct netd *netd, char why[256])
{
	struct podnet_error err = { 0 };
	struct reconcile_config rec = {
		.loop = netd->loop, .state = netd->state, .resync_s = netd->conf.resync_s,
		.pool = netd->conf.pool, .mtu = netd->conf.mtu,
		.node_ips = netd->conf.node_ips, .nnode_ips = netd->conf.nnode_ips,
		.fwd_mode = netd->conf.fwd, .fwd_socket = netd->conf.fwd_socket,
		.fwd_starter = netd->starter_fd, .udp_fastpath = netd->conf.udp_fastpath,
	};
	int r = control_start(netd->loop, netd->state, &netd->control);

	if (r < 0) {
		snprintf(why, 256, "controllers: %s", r == -ENOSPC ?
			 "no block of addresses for this node is free in Network \"default\"" :
			 strerror(-r));
		return r;
	}
	rec.control = netd->control;
	rec.kernel = take_ptr(netd->kernel);
	r = reconcile_start(&rec, &netd->reconcile, &err);
	if (r < 0)
		podnet_error_text(&err, why, 256);
	return r;
}

static int open_door(struct netd *netd, const char *name, enum http_role role, const char *path,
		     struct http_socket *sock)
{
	struct http_door door = { .name = name, .role = role, .path = path, .sock = *sock };

	sock->fd = -1;
	return http_door_open(netd->http, &door);
}

static int start_api(struct netd *netd, char why[256])
{
	struct rest_config rest = {
		.loop = netd->loop, .state = netd->state, .reconcile = netd->reconcile,
	};
	struct http_config http = { .handle = rest_handle };
	int r = rest_new(&rest, &netd->rest);

	http.arg = netd->rest;
	if (r == 0)
		r = http_open(netd->loop, &http, &netd->http);
	if (r == 0)
		r = open_door(netd, "admin", ROLE_ADMIN, netd->conf.socket, &netd->admin);
	if (r == 0)
		r = open_door(netd, "view", ROLE_VIEW, netd->conf.view_socket, &netd->view);
	if (r == 0)
		r = tls_open(netd->tls, netd->loop, netd->state, netd->reconcile, netd->http);
	if (r < 0)
		snprintf(why, 256, "%s", strerror(-r));
	return r;
}

static void close_socket(const char *path, struct http_socket *sock)
{
	if (sock->fd >= 0)
		http_unlisten(path, sock);
}

static void stop(struct netd *netd)
{
	if (netd->http)
		http_close(netd->http);
	close_socket(netd->conf.socket, &netd->admin);
	close_socket(netd->conf.view_socket, &netd->view);
	tls_stop(netd->tls);
	if (netd->state)
		state_close(netd->state);
	cluster_stop(netd->cluster);
	store_close(netd->store);       /* calls back for what it commits: all are still there */
	if (netd->reconcile)
		reconcile_stop(netd->reconcile);
	kernel_stop(netd->kernel);
	if (netd->control)
		control_stop(netd->control);
	rest_free(netd->rest);
	if (netd->state)
		state_free(netd->state);
	cluster_free(netd->cluster);
	trim_free(netd->trim);
	loop_unwatch(netd->signals);
	loop_free(netd->loop);
	closep(&netd->signal_fd);
	closep(&netd->starter_fd);
	closep(&netd->netns_lock_fd);
	closep(&netd->lock_fd);
}

static int run(struct netd *netd)
{
	char why[256];
	const char *what = begin_run(netd, why);
	int r;

	if (what)
		return fail(what, why);
	snprintf(why, sizeof(why), "no memory");
	if (loop_new(&netd->loop) < 0 || block_signals(netd) < 0)
		return fail("loop", why);
	r = data_open(netd, why);
	if (r < 0)
		return fail_store(&netd->conf, r, why);
	if (ranges_check(netd, why) < 0)
		return fail("configuration", why);
	snprintf(why, sizeof(why), "no memory");
	if (trim_start(netd->loop, netd->state, &netd->trim) < 0)
		return fail("loop", why);
	if (start_network(netd, why) < 0)
		return fail("kernel", why);
	data_tell(netd);
	if (start_api(netd, why) < 0)
		return fail("api", why);
	log_event(LOG_LEVEL_INFO, "started", "version=%s node=%s socket=%s view=%s uid=%u filter=%s",
		  PODNET_VERSION, netd->conf.node_name, netd->conf.socket, netd->conf.view_socket,
		  (unsigned)geteuid(), guard_filter());
	notify("READY=1");
	r = loop_run(netd->loop);
	notify("STOPPING=1");
	return r < 0 ? fail("loop", strerror(-r)) : 0;
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static int purge(struct netd *netd)
{
	struct podnet_error err = { 0 };
	char why[256];
	const char *what = begin_purge(netd, why);
	int r;

	if (what)
		return fail(what, why);
	if (kernel_purge(netd->conf.netns_dir, netd->conf.run_dir, print_line, NULL, &err) < 0) {
		podnet_error_text(&err, why, sizeof(why));
		return fail("purge", why);
	}
	r = ports_end(netd->conf.fwd_socket);
	if (r > 0)
		puts("process end podnet-fwd");
	if (r >= 0)
		r = data_forget(&netd->conf);
	if (r < 0)
		return fail("purge", strerror(-r));
	what = end_purge(netd, why);
	return what ? fail(what, why) : 0;
}

static int prepare(struct netd *netd)
{
	char why[256];
	const char *what = begin_prepare(netd, why);

	return what ? fail(what, why) : 0;
}

static int give_out(const struct conf *conf,
		    int (*make)(const struct conf *conf, char why[256]))
{
	char why[256];

	if (make(conf, why) >= 0)
		return 0;
	fprintf(stderr, "netd: %s\n", why);
	return 1;
}

static int print_fault_points(void)
{
#define PRINT(id, name) puts(name);
#ifdef PODNET_FAULT
	FAULT_POINTS(PRINT)
#endif
	return 0;
}

static int act(struct netd *netd)
{
	switch (netd->conf.action) {
	case CONF_RUN:
		return run(netd);
	case CONF_PURGE:
		return purge(netd);
	case CONF_PREPARE:
		return prepare(netd);
	case CONF_CHECK:
		return data_check(&netd->conf);
	case CONF_BACKUP:
		return data_backup(&netd->conf);
	case CONF_RESEED:
		return shared_reseed(netd);
	case CONF_VERSION:
		puts("netd " PODNET_VERSION);
		return 0;
	case CONF_HELP:
		conf_help();
		return 0;
	case CONF_FAULT_POINTS:
		return print_fault_points();
	case CONF_PRINT_ROUTES:
		rest_routes_print();
		return 0;
	case CONF_NEW_TOKEN:
		return give_out(&netd->conf, tls_new_token);
	case CONF_NEW_KUBECONFIG:
		return give_out(&netd->conf, tls_new_kubeconfig);
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct netd netd = {
		.lock_fd = -1, .netns_lock_fd = -1, .signal_fd = -1, .starter_fd = -1, .admin.fd = -1, .view.fd = -1,
	};
	char why[256];
	int code;

	if (conf_read(&netd.conf, argc, argv, why) < 0) {
		fprintf(stderr, "netd: %s\n", why);
		conf_fini(&netd.conf);
		return 2;
	}
	log_init(netd.conf.log_level);
	code = act(&netd);
	stop(&netd);
	conf_fini(&netd.conf);
	return code;
}
