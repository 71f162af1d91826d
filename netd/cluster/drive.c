/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drive.c - curl's transfers on the loop
 *
 * Room: cluster.  curl says which descriptors it waits for and when it wants to be called; nobody is
 * called back from within curl, but when it has returned (libcurl-multi(3), "multi_socket").
 * May include: netd/base, libcurl.
 * #syscalls: socket:AF_INET socket:AF_INET6 connect getsockopt setsockopt getsockname getpeername
 * #syscalls: fcntl sendto sendmsg recvfrom recvmsg read write writev poll ppoll shutdown close
 * A name in a URL is looked up by a thread that curl makes, with getaddrinfo(3):
 * #syscalls: socket:AF_NETLINK socket:AF_UNIX bind sendmmsg ioctl:FIONREAD open openat fstat
 * #syscalls: newfstatat statx lseek socketpair uname
 */
#include "inner.h"
#include <errno.h>
#include <sys/epoll.h>

/* What the loop watches of one descriptor of curl's. */
struct sock {
	struct etcd *etcd;
	struct loop_watch *watch;
	int fd;
};

static void call_back(struct etcd *etcd)
{
	struct etcd_watch *next;
	CURLMsg *msg;
	int left;

	for (struct etcd_watch *w = etcd->watches; w; w = next) {
		watch_data(w);
		next = w->next;
		if (w->dead)
			etcd_watch_close(w);
	}
	while ((msg = etcd->lib.multi_info_read(etcd->multi, &left))) {
		CURL *easy = msg->easy_handle;
		CURLcode code = msg->data.result;
		struct call *call = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		etcd->lib.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
		etcd->lib.multi_remove_handle(etcd->multi, easy);
		call_ended(call, code);
	}
}

static void drive(struct etcd *etcd, int fd, int what)
{
	int running;

	etcd->driving = true;
	etcd->lib.multi_socket_action(etcd->multi, fd, what, &running);
	call_back(etcd);
	etcd->driving = false;
}

static void on_event(void *arg, uint32_t events)
{
	const struct sock *s = arg;
	int what = 0;

	what |= events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0;
	what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	what |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
	drive(s->etcd, s->fd, what);
}

static void on_timer(void *arg)
{
	drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long after_ms, void *arg)
{
	struct etcd *etcd = arg;

	(void)multi;
	loop_timer_set(etcd->timer, after_ms);
	return 0;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	struct etcd *etcd = arg;
	struct sock *s = mine;

	(void)easy;
	if (s) {
		loop_unwatch(s->watch);
		s->watch = NULL;
	}
	if (what == CURL_POLL_REMOVE) {
		free(s);
		etcd->lib.multi_assign(etcd->multi, fd, NULL);
		return 0;
	}
	if (!s)
		s = calloc(1, sizeof(*s));
	if (!s)
		return -1;
	*s = (struct sock){ .etcd = etcd, .fd = fd };
	etcd->lib.multi_assign(etcd->multi, fd, s);
	return loop_watch_fd(etcd->loop, fd, events, on_event, s, &s->watch) < 0 ? -1 : 0;
}

int drive_start(struct etcd *etcd)
{
	int r = loop_timer_new(etcd->loop, on_timer, etcd, &etcd->timer);

	if (r < 0)
		return r;
	etcd->multi = etcd->lib.multi_init();
	if (!etcd->multi)
		return -ENOMEM;
	etcd->lib.multi_setopt(etcd->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	etcd->lib.multi_setopt(etcd->multi, CURLMOPT_SOCKETDATA, etcd);
	etcd->lib.multi_setopt(etcd->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	etcd->lib.multi_setopt(etcd->multi, CURLMOPT_TIMERDATA, etcd);
	etcd->lib.multi_setopt(etcd->multi, CURLMOPT_MAXCONNECTS, 32L);
	return 0;
}

void drive_stop(struct etcd *etcd)
{
	if (etcd->multi)
		etcd->lib.multi_cleanup(etcd->multi);
	loop_timer_free(etcd->timer);
}
