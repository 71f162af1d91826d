/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * readers.c - a thousand watches in one process, each of which must hear of each write once
 *
 * Room: tests/bench.  A reader has a bit for each serial; versions have to grow.  Writes are under
 * way side by side, so serials may come in another order than they were sent in.
 */
#include "crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SILENCE_MS 20000        /* after which what has not come is lost */
#define SAMPLE_OF 257           /* one event in so many is timed */

struct reader {
	struct watch watch;
	uint64_t version;
	unsigned count;
	uint8_t *seen;
};

struct crowd {
	struct reader *reader;
	unsigned n, first, most;    /* serials from @first on, fewer than @most of them */
	unsigned complete, expected;    /* readers that have heard of @expected writes */
	int epoll, orders;
	struct heard heard;
	struct series delay;
};

struct readers {
	pid_t pid;
	int orders, answers;        /* our ends */
};

static uint64_t number_of(const char *line, const char *member)
{
	const char *at = strstr(line, member);

	return at ? strtoull(at + strlen(member), NULL, 10) : 0;
}

static void hear(struct crowd *c, struct reader *r, const char *line)
{
	uint64_t version = number_of(line, "\"resourceVersion\":\"");
	unsigned serial = (unsigned)number_of(line, "\"serial\":\"") - c->first;

	c->heard.events++;
	c->heard.disordered += version <= r->version;
	r->version = version;
	if (serial >= c->most)
		die("readers: not one of our writes: %s", line);
	if (r->seen[serial / 8] & 1 << serial % 8) {
		c->heard.doubled++;
		return;
	}
	r->seen[serial / 8] |= (uint8_t)(1 << serial % 8);
	r->count++;
	if (c->heard.events % SAMPLE_OF == 0)
		series_add(&c->delay, (double)(now_ns() - number_of(line, "\"sent\":\"")) / 1e6);
}

static void listen_to(struct crowd *c, struct reader *r)
{
	bool was = r->count == c->expected;
	const char *line;

	watch_read(&r->watch);
	while ((line = watch_line(&r->watch)))
		hear(c, r, line);
	c->complete += !was && r->count == c->expected;
}

static void take_order(struct crowd *c)
{
	unsigned end;

	if (read(c->orders, &end, sizeof(end)) != (ssize_t)sizeof(end))
		_exit(0);
	c->expected = end - c->first;
	c->complete = 0;
	for (unsigned i = 0; i < c->n; i++)
		c->complete += c->reader[i].count == c->expected;
}

static void follow(struct crowd *c)
{
	struct epoll_event ev[256];

	while (c->complete < c->n) {
		int n = epoll_wait(c->epoll, ev, 256, c->expected == UINT32_MAX ? -1 : SILENCE_MS);

		if (n == 0)
			return;
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				listen_to(c, ev[i].data.ptr);
			else
				take_order(c);
		}
	}
}

static void open_all(struct crowd *c, const char *socket, const char *path)
{
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->orders, &(struct epoll_event){ .events = EPOLLIN });
	for (unsigned i = 0; i < c->n; i++) {
		struct reader *r = &c->reader[i];
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = r };

		r->seen = calloc(c->most / 8 + 1, 1);
		if (!r->seen)
			die("out of memory");
		watch_open(&r->watch, socket, path, NULL);
		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, r->watch.h.fd, &ev) < 0)
			die("epoll: %s", strerror(errno));
	}
}

static void present_version(const char *socket, char *path, size_t size)
{
	struct http_reply list;
	struct http h;
	char rev[32];

	http_open(&h, socket);
	list = http_must(&h, "GET", CROWD_EVENTS "?limit=1", NULL);
	if (!text_of(list.body, "resourceVersion", rev, sizeof(rev)))
		die("readers: a list without a resourceVersion");
	snprintf(path, size, CROWD_EVENTS "?watch=1&resourceVersion=%s", rev);
	http_close(&h);
}

static _Noreturn void live(struct crowd *c, const char *socket, int answers)
{
	char path[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	present_version(socket, path, sizeof(path));
	c->reader = calloc(c->n, sizeof(*c->reader));
	if (!c->reader)
		die("out of memory");
	c->expected = UINT32_MAX;
	open_all(c, socket, path);
	if (write(answers, "", 1) != 1)
		_exit(2);
	follow(c);
	for (unsigned i = 0; i < c->n; i++)
		c->heard.lost += c->expected - c->reader[i].count;
	c->heard.p50 = series_at(&c->delay, 0.5);
	c->heard.p99 = series_at(&c->delay, 0.99);
	_exit(write(answers, &c->heard, sizeof(c->heard)) == (ssize_t)sizeof(c->heard) ? 0 : 2);
}

struct readers *readers_start(const char *socket, unsigned n, unsigned first, unsigned most)
{
	struct readers *r = calloc(1, sizeof(*r));
	struct crowd c = { .n = n, .first = first, .most = most };
	int orders[2], answers[2];
	char byte;

	if (!r || pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
		die("readers: %s", strerror(errno));
	fflush(stdout);
	r->pid = fork();
	if (r->pid < 0)
		die("fork: %s", strerror(errno));
	if (r->pid == 0) {
		close(orders[1]);
		close(answers[0]);
		c.orders = orders[0];
		live(&c, socket, answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	r->orders = orders[1];
	r->answers = answers[0];
	if (read(r->answers, &byte, 1) != 1)
		die("the readers did not begin");
	return r;
}

void readers_finish(struct readers *r, unsigned end, struct heard *ret)
{
	if (write(r->orders, &end, sizeof(end)) != (ssize_t)sizeof(end) ||
	    read(r->answers, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		die("the readers have died");
	close(r->orders);
	close(r->answers);
	waitpid(r->pid, NULL, 0);
	free(r);
}
