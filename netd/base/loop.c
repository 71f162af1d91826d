/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.c - one thread's epoll loop and its timers
 *
 * Room: epoll, one timerfd.  Timers lie in a binary heap; the timerfd is set once per turn and only
 * when the earliest deadline changed.  A watch that is removed inside a turn may still have an
 * event in the turn's array: it is marked, skipped, and freed when the turn is over.
 * May include: netd/base, libc.
 * #syscalls: epoll_wait epoll_pwait epoll_ctl timerfd_settime read
 */
#include <errno.h>
#include <netd/base/loop.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define TURN_EVENTS     64
#define NOT_ARMED       SIZE_MAX

struct loop_watch {
	struct loop *loop;
	void (*fn)(void *arg, uint32_t events);
	void *arg;
	int fd;
	bool gone;
	struct loop_watch *next_gone;
};

struct loop_timer {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	uint64_t at_us;
	size_t pos;                 /* in the heap, or NOT_ARMED */
};

struct loop_hook {
	int64_t (*before)(void *arg);
	void (*after)(void *arg);
	void *arg;
	struct loop_hook *next;
};

struct loop {
	int epoll, timerfd;
	bool stop, in_turn;
	struct loop_watch *gone;
	struct loop_hook *hooks;
	struct loop_timer **heap;
	size_t n, cap;
	uint64_t armed_us;          /* what the timerfd is set to; 0: nothing */
};

int loop_new(struct loop **ret)
{
	_cleanup_(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = { .events = EPOLLIN };

	if (!loop)
		return -ENOMEM;
	loop->epoll = loop->timerfd = -1;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	loop->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timerfd < 0)
		return -errno;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->timerfd, &ev) < 0)
		return -errno;
	*ret = take_ptr(loop);
	return 0;
}

static void bury(struct loop *loop)
{
	while (loop->gone) {
		struct loop_watch *next = loop->gone->next_gone;

		free(loop->gone);
		loop->gone = next;
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	bury(loop);
	while (loop->hooks) {
		struct loop_hook *next = loop->hooks->next;

		free(loop->hooks);
		loop->hooks = next;
	}
	closep(&loop->epoll);
	closep(&loop->timerfd);
	free(loop->heap);
	free(loop);
}

int loop_watch_fd(struct loop *loop, int fd, uint32_t events,
		  void (*fn)(void *arg, uint32_t events), void *arg, struct loop_watch **ret)
{
	struct loop_watch *w = calloc(1, sizeof(*w));
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!w)
		return -ENOMEM;
	*w = (struct loop_watch){ .loop = loop, .fn = fn, .arg = arg, .fd = fd };
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void loop_unwatch(struct loop_watch *w)
{
	if (!w)
		return;
	epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	if (!w->loop->in_turn) {
		free(w);
		return;
	}
	w->gone = true;
	w->next_gone = w->loop->gone;
	w->loop->gone = w;
}

static void heap_set(struct loop *loop, size_t pos, struct loop_timer *t)
{
	loop->heap[pos] = t;
	t->pos = pos;
}

static void heap_up(struct loop *loop, size_t pos)
{
	struct loop_timer *t = loop->heap[pos];

	while (pos && loop->heap[(pos - 1) / 2]->at_us > t->at_us) {
		heap_set(loop, pos, loop->heap[(pos - 1) / 2]);
		pos = (pos - 1) / 2;
	}
	heap_set(loop, pos, t);
}

static void heap_down(struct loop *loop, size_t pos)
{
	struct loop_timer *t = loop->heap[pos];

	for (size_t child = 2 * pos + 1; child < loop->n; child = 2 * pos + 1) {
		if (child + 1 < loop->n && loop->heap[child + 1]->at_us < loop->heap[child]->at_us)
			child++;
		if (loop->heap[child]->at_us >= t->at_us)
			break;
		heap_set(loop, pos, loop->heap[child]);
		pos = child;
	}
	heap_set(loop, pos, t);
}

static void heap_remove(struct loop_timer *t)
{
	struct loop *loop = t->loop;
	size_t pos = t->pos;
	struct loop_timer *last;

	if (pos == NOT_ARMED)
		return;
	t->pos = NOT_ARMED;
	last = loop->heap[--loop->n];
	if (last == t)
		return;
	heap_set(loop, pos, last);
	heap_up(loop, pos);
	heap_down(loop, last->pos);
}

/*
 * Room in the heap is made for every timer when it is made, counting the unarmed ones, so that
 * setting a timer cannot fail.  cap counts the timers that exist.
 */
int loop_timer_new(struct loop *loop, void (*fn)(void *arg), void *arg, struct loop_timer **ret)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	struct loop_timer **heap;

	if (!t)
		return -ENOMEM;
	heap = realloc(loop->heap, (loop->cap + 1) * sizeof(struct loop_timer *));
	if (!heap) {
		free(t);
		return -ENOMEM;
	}
	loop->heap = heap;
	loop->cap++;
	*t = (struct loop_timer){ .loop = loop, .fn = fn, .arg = arg, .pos = NOT_ARMED };
	*ret = t;
	return 0;
}

void loop_timer_set(struct loop_timer *t, int64_t after_ms)
{
	struct loop *loop = t->loop;

	heap_remove(t);
	if (after_ms < 0)
		return;
	t->at_us = now_monotonic_us() + (uint64_t)after_ms * 1000;
	heap_set(loop, loop->n++, t);
	heap_up(loop, t->pos);
}

bool loop_timer_armed(const struct loop_timer *t)
{
	return t->pos != NOT_ARMED;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	heap_remove(t);
	t->loop->cap--;
	free(t);
}

int loop_each_turn(struct loop *loop, int64_t (*before)(void *arg), void (*after)(void *arg),
		   void *arg)
{
	struct loop_hook **at = &loop->hooks, *hook = calloc(1, sizeof(*hook));

	if (!hook)
		return -ENOMEM;
	*hook = (struct loop_hook){ .before = before, .after = after, .arg = arg };
	while (*at)
		at = &(*at)->next;
	*at = hook;
	return 0;
}

/* Emptied, not unlinked: the turn may be walking the list. */
void loop_each_turn_end(struct loop *loop, void *arg)
{
	for (struct loop_hook *h = loop->hooks; h; h = h->next)
		if (h->arg == arg)
			*h = (struct loop_hook){ .next = h->next };
}

/* At most as many as there were: a timer that sets itself to "at once" waits for the next turn. */
static void run_timers(struct loop *loop)
{
	uint64_t now = now_monotonic_us();

	for (size_t left = loop->n; left && loop->n && !loop->stop; left--) {
		struct loop_timer *t = loop->heap[0];

		if (t->at_us > now)
			return;
		heap_remove(t);
		t->fn(t->arg);
	}
}

static int arm(struct loop *loop)
{
	uint64_t at = loop->n ? loop->heap[0]->at_us : 0;
	struct itimerspec spec = { .it_value = { .tv_sec = (time_t)(at / 1000000),
						 .tv_nsec = (long)(at % 1000000) * 1000 } };

	if (at == loop->armed_us)
		return 0;
	if (timerfd_settime(loop->timerfd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return -errno;
	loop->armed_us = at;
	return 0;
}

static int longest_wait(struct loop *loop)
{
	int64_t wait = -1;

	for (struct loop_hook *h = loop->hooks; h; h = h->next) {
		int64_t ms = h->before ? h->before(h->arg) : -1;

		if (ms >= 0 && (wait < 0 || ms < wait))
			wait = ms;
	}
	return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

static void dispatch(struct loop *loop, const struct epoll_event *ev)
{
	struct loop_watch *w = ev->data.ptr;
	uint64_t expirations;

	if (!w) {               /* the timerfd: emptied, so that it is silent until set again */
		if (read(loop->timerfd, &expirations, sizeof(expirations)) > 0)
			loop->armed_us = 0;
		return;
	}
	if (!w->gone)
		w->fn(w->arg, ev->events);
}

static int turn(struct loop *loop)
{
	struct epoll_event ev[TURN_EVENTS];
	int wait = longest_wait(loop);
	int r = arm(loop), n;

	if (r < 0)
		return r;
	n = epoll_wait(loop->epoll, ev, TURN_EVENTS, wait);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n && !loop->stop; i++)
		dispatch(loop, &ev[i]);
	if (!loop->stop)
		run_timers(loop);
	for (struct loop_hook *h = loop->hooks; h; h = h->next)
		if (h->after)
			h->after(h->arg);
	return 0;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	loop->stop = false;
	while (r == 0 && !loop->stop) {
		loop->in_turn = true;
		r = turn(loop);
		loop->in_turn = false;
		bury(loop);
	}
	return r;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}
