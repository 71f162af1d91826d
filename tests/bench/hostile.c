/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile.c - a user who opens all that can be opened and is never done
 *
 * Room: tests/bench.  What is cut off is opened again, a few at a time: a client that comes back
 * after a moment, as clients do, and not a flood.
 */
#include "crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define AGAIN_MS 10             /* from one that is opened again to the next */
#define DRIP_MS 1000

enum sort { IDLE, SLOW, WATCH, LIST };

struct thing {
	struct http h;
	enum sort sort;
	struct thing *next;         /* of those to be opened again */
};

struct enemy {
	const struct hostile *conf;
	struct thing *things, *again, **again_last;
	unsigned n;
	int epoll;
};

static void say(struct thing *t)
{
	static const char *const words[] = {
		[SLOW] = "GET " CROWD_EVENTS " HTTP/1.1\r\nHost: podnet\r\nX-Slow: ",
		[WATCH] = "GET " CROWD_EVENTS "?watch=1 HTTP/1.1\r\nHost: podnet\r\n\r\n",
		[LIST] = "GET " CROWD_EVENTS " HTTP/1.1\r\nHost: podnet\r\n\r\n",
	};
	const char *text = words[t->sort];

	if (text && send(t->h.fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return;             /* it is cut off already, which epoll tells */
	for (int i = 0; t->sort == LIST && i < 100; i++)
		if (send(t->h.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
}

/* A full queue of the listening socket is no reason to wait: the next turn comes to it. */
static bool open_one(struct enemy *e, struct thing *t)
{
	struct epoll_event ev = { .events = EPOLLRDHUP, .data.ptr = t };

	if (!http_try_open(&t->h, e->conf->socket))
		return false;
	epoll_ctl(e->epoll, EPOLL_CTL_ADD, t->h.fd, &ev);
	say(t);
	return true;
}

static void to_be_opened(struct enemy *e, struct thing *t)
{
	t->next = NULL;
	*e->again_last = t;
	e->again_last = &t->next;
}

static void open_next(struct enemy *e)
{
	struct thing *t = e->again;

	if (!t || !open_one(e, t))
		return;
	e->again = t->next;
	if (!e->again)
		e->again_last = &e->again;
}

static void drip(struct enemy *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->things[i].sort == SLOW && e->things[i].h.fd >= 0)
			(void)!send(e->things[i].h.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void look(struct enemy *e, int wait_ms)
{
	struct epoll_event ev[64];
	int n = epoll_wait(e->epoll, ev, 64, wait_ms);

	for (int i = 0; i < n; i++) {
		struct thing *t = ev[i].data.ptr;

		http_close(&t->h);
		to_be_opened(e, t);
	}
}

static void make(struct enemy *e, enum sort sort, unsigned n)
{
	while (n--) {
		struct thing *t = &e->things[e->n++];

		t->sort = sort;
		t->h.fd = -1;
		to_be_opened(e, t);
	}
}

static _Noreturn void live(const struct hostile *conf, int ready)
{
	struct enemy e = { .conf = conf, .again_last = &e.again };
	uint64_t drip_at = now_ns();
	unsigned opened = 0, n = conf->idle + conf->slow + conf->stopped + conf->stopped / 2;

	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		_exit(2);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	e.things = calloc(n, sizeof(*e.things));
	e.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!e.things || e.epoll < 0)
		_exit(2);
	make(&e, WATCH, conf->stopped);
	make(&e, LIST, conf->stopped / 2);
	make(&e, SLOW, conf->slow);
	make(&e, IDLE, conf->idle);
	for (;;) {
		look(&e, opened < n ? 0 : AGAIN_MS);
		open_next(&e);
		if (++opened == n && write(ready, "", 1) != 1)
			_exit(2);
		if (now_ns() < drip_at)
			continue;
		drip(&e);
		drip_at = now_ns() + DRIP_MS * 1000000ull;
	}
}

int hostile_start(const struct hostile *h)
{
	int ready[2], pid;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		die("hostile: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0)
		live(h, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("the hostile user did not begin");
	close(ready[0]);
	return pid;
}

void hostile_stop(int pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
