/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.c - the kernel thread: its queues, its timers, its order of work
 *
 * Room: threads and queues.  May include: inner.h, netd/base, metrics, include/podnet.
 *
 * The thread waits for tasks, kernel events and names that vanish.  What a client waits for goes
 * first, but no third urgent task in a row delays the rest: events are read, and one task of the
 * others runs, so that a first pass ends also while clients keep the thread at work.  Namespaces
 * for the pool (pool.c) are made one at a time and only when nothing else waits, so that a task
 * never waits for more than one of them.
 * #syscalls: epoll_wait epoll_pwait prctl:PR_SET_NAME
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define URGENT_IN_A_ROW 2

static void append(struct kernel *k, struct kernel_task *task)
{
	unsigned i = task->urgent ? 0 : 1;
	struct kscope *scope = NULL;

	task->node.next = NULL;
	if (task->type == KERNEL_ENSURE) {
		if (index_put(&k->index, task) < 0)
			k->index.all = true;
		scope = index_scope(&k->index, task->scope);
	}
	if (scope)
		scope->queued++;
	*k->tail[i] = task;
	k->tail[i] = (struct kernel_task **)(void *)&task->node.next;
}

static struct kernel_task *take(struct kernel *k, unsigned i)
{
	struct kernel_task *task = k->head[i];

	if (!task)
		return NULL;
	k->head[i] = (struct kernel_task *)(void *)task->node.next;
	if (!k->head[i])
		k->tail[i] = &k->head[i];
	return task;
}

/* Guesses are never work of their own: they wait for the pool's turn. */
static void accept(struct kernel *k, struct kernel_task *task)
{
	if (task->type != KERNEL_NEXT) {
		append(k, task);
		return;
	}
	kernel_task_free(k->next);
	k->next = task;
}

static void receive(struct kernel *k)
{
	struct qnode *node = queue_take(k->in), *next;

	for (; node; node = next) {
		next = node->next;
		if (node == &k->stop) {
			k->stopping = true;
		} else if (node == &k->hint) {
			__atomic_store_n(&k->hint_sent, false, __ATOMIC_SEQ_CST);
			k->hinted = true;
		} else {
			accept(k, (struct kernel_task *)(void *)node);
		}
	}
}

static void send_facts(struct kernel *k)
{
	uint64_t start = now_monotonic_us();
	struct kernel_note *note;
	struct kernel_facts facts;
	struct podnet_error err = { 0 };

	k->facts_at = 0;
	if (kernel_facts_read(k->ctx, &facts, &err) < 0) {
		char text[256], quoted[300];

		podnet_error_text(&err, text, sizeof(text));
		log_event(LOG_LEVEL_WARNING, "node_facts_failed", "err=%s",
			  log_quote(text, quoted, sizeof(quoted)));
		k->facts_at = start + 1000000;
		return;
	}
	/* never more than a tenth of the time */
	k->facts_rest = now_monotonic_us() + 10 * (now_monotonic_us() - start);
	if (k->facts_known && !memcmp(&facts, &k->facts, sizeof(facts)))
		return;
	note = calloc(1, sizeof(*note));
	if (!note) {
		k->facts_at = start + 1000000;
		return;
	}
	k->facts = facts;
	k->facts_known = true;
	note->facts = true;
	note->is = facts;
	queue_push(k->notes, &note->node);
}

static void run_timers(struct kernel *k)
{
	uint64_t now = now_monotonic_us();

	if (k->facts_at && k->facts_at <= now)
		send_facts(k);
	kernel_settle(k, now_monotonic_us());
	kernel_announce(k, now_monotonic_us());
	if (k->reap_at && k->reap_at <= now) {
		k->reap_at = k->reap_by = 0;
		podnet_doomed_reap(k->ctx, NULL);
	}
}

static int wait_ms(const struct kernel *k)
{
	uint64_t now = now_monotonic_us(), at = k->facts_at, fill = kernel_fill_at(k);

	if (k->reap_at && (!at || k->reap_at < at))
		at = k->reap_at;
	if (k->settle_at && (!at || k->settle_at < at))
		at = k->settle_at;
	if (k->announce_at && (!at || k->announce_at < at))
		at = k->announce_at;
	if (fill && (!at || fill < at))
		at = fill;
	if (!at)
		return -1;
	return at <= now ? 0 : (int)((at - now + 999) / 1000);
}

static void run_task(struct kernel *k, unsigned i)
{
	struct kernel_task *task = take(k, i);

	k->urgent_run = i == 0 ? k->urgent_run + 1 : 0;
	if (!task)
		return;
	kernel_run(k, task);
	kernel_rest_pool(k);
	kernel_watch_names(k);
}

static void wait_for_work(struct kernel *k)
{
	struct epoll_event ev[4];
	int i, n = epoll_wait(k->epoll, ev, 4, wait_ms(k));

	for (i = 0; i < n; i++) {
		if (ev[i].data.fd == k->inotify)
			kernel_read_names(k);
		else if (ev[i].data.fd != queue_fd(k->in))
			kernel_read_events(k);
	}
	run_timers(k);
}

static void *run(void *arg)
{
	struct kernel *k = arg;

	pthread_setname_np(pthread_self(), "netd-kernel");
	send_facts(k);
	while (!k->stopping) {
		receive(k);
		if (k->stopping)
			break;
		if (k->head[0] && k->urgent_run < URGENT_IN_A_ROW) {
			run_task(k, 0);
			continue;
		}
		if (k->head[0] || k->head[1]) {
			/* what waits to be read may already be answered by the task */
			kernel_read_events(k);
			run_timers(k);
			run_task(k, 1);
			continue;
		}
		k->urgent_run = 0;
		if (!kernel_fill_pool(k))
			wait_for_work(k);
	}
	kernel_keep(k);
	return NULL;
}

static void on_done(void *arg, uint32_t events)
{
	struct kernel *k = arg;
	struct qnode *node = queue_take(k->done), *next;

	(void)events;
	for (; node; node = next) {
		next = node->next;
		k->conf.done(k->conf.arg, (struct kernel_task *)(void *)node);
	}
}

static void on_notes(void *arg, uint32_t events)
{
	struct kernel *k = arg;
	struct qnode *node = queue_take(k->notes), *next;

	(void)events;
	for (; node; node = next) {
		struct kernel_note *note = (struct kernel_note *)(void *)node;

		next = node->next;
		if (note->facts)
			k->conf.facts(k->conf.arg, &note->is);
		else
			k->conf.dirty(k->conf.arg, *note->scope ? note->scope : NULL);
		free(note);
	}
}

static void free_tasks(struct kernel *k)
{
	struct qnode *node, *next;
	unsigned i;

	for (i = 0; i < 2; i++)
		while (k->head[i])
			kernel_task_free(take(k, i));
	for (node = k->in ? queue_take(k->in) : NULL; node; node = next) {
		next = node->next;
		if (node != &k->hint && node != &k->stop)
			kernel_task_free((struct kernel_task *)(void *)node);
	}
	for (node = k->done ? queue_take(k->done) : NULL; node; node = next) {
		next = node->next;
		kernel_task_free((struct kernel_task *)(void *)node);
	}
	for (node = k->notes ? queue_take(k->notes) : NULL; node; node = next) {
		next = node->next;
		free(node);
	}
}

static void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	loop_unwatch(k->done_watch);
	loop_unwatch(k->notes_watch);
	free_tasks(k);
	kernel_task_free(k->next);
	index_fini(&k->index);
	podnet_pool_free(k->pool);
	podnet_services_free(k->services);
	podnet_monitor_close(k->mon);
	podnet_close(k->ctx);
	queue_free(k->in);
	queue_free(k->done);
	queue_free(k->notes);
	closep(&k->epoll);
	closep(&k->inotify);
	closep(&k->records);
	free(k->announced);
	free(k->netns_dir);
	free(k->run_dir);
	free(k);
}
DEFINE_CLEANUP(struct kernel, kernel_free)

static int watch(struct kernel *k, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_waits(struct kernel *k)
{
	int r;

	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	k->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (k->epoll < 0 || k->inotify < 0)
		return -errno;
	r = queue_new(&k->in);
	if (r == 0)
		r = queue_new(&k->done);
	if (r == 0)
		r = queue_new(&k->notes);
	if (r == 0)
		r = watch(k, queue_fd(k->in));
	if (r == 0)
		r = watch(k, k->inotify);
	if (r == 0)
		r = watch(k, podnet_monitor_fd(k->mon));
	if (r == 0)
		r = loop_watch_fd(k->conf.loop, queue_fd(k->done), EPOLLIN, on_done, k,
				  &k->done_watch);
	if (r == 0)
		r = loop_watch_fd(k->conf.loop, queue_fd(k->notes), EPOLLIN, on_notes, k,
				  &k->notes_watch);
	return r;
}

/* Signals are the control loop's. */
static int start_thread(struct kernel *k)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&k->thread, NULL, run, k);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	k->started = r == 0;
	return r;
}

static int fail(struct podnet_error *err, int code, const char *step)
{
	if (err)
		*err = (struct podnet_error){ .code = code, .step = step };
	return code;
}

int kernel_open(const char *netns_dir, const char *run_dir, bool nft_owner, struct kernel **ret,
		struct podnet_error *err)
{
	_cleanup_(kernel_freep) struct kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return fail(err, -ENOMEM, "kernel_open");
	k->epoll = k->inotify = k->records = -1;
	k->tail[0] = &k->head[0];
	k->tail[1] = &k->head[1];
	k->netns_dir = strdup(netns_dir);
	k->run_dir = strdup(run_dir);
	if (!k->netns_dir || !k->run_dir)
		return fail(err, -ENOMEM, "kernel_open");
	r = kernel_context(netns_dir, run_dir, nft_owner, &k->ctx, err);
	if (r >= 0)
		r = podnet_monitor_open(k->ctx, &k->mon, err);
	if (r < 0)
		return r;
	*ret = take_ptr(k);
	return 0;
}

int kernel_start(struct kernel *k, const struct kernel_config *conf, struct podnet_error *err)
{
	int r;

	k->conf = *conf;
	r = kernel_open_pool(k, err);
	k->conf.pool_ahead = NULL;      /* the caller's: copied by now */
	if (r < 0)
		return r;
	kernel_seed_links(k);
	r = open_waits(k);
	if (r < 0)
		return fail(err, r, "kernel_start");
	kernel_watch_names(k);
	k->records = records_open(k->run_dir);
	r = k->records < 0 ? k->records : start_thread(k);
	return r < 0 ? fail(err, r, "kernel_start") : 0;
}

void kernel_stop(struct kernel *k)
{
	if (!k)
		return;
	if (k->started) {
		queue_push(k->in, &k->stop);
		pthread_join(k->thread, NULL);
	}
	kernel_free(k);
}

void kernel_submit(struct kernel *k, struct kernel_task *task)
{
	queue_push(k->in, &task->node);
}

bool kernel_is_ready(const struct kernel *k)
{
	return __atomic_load_n(&k->pool_ready, __ATOMIC_RELAXED) > 0;
}

void kernel_hint(struct kernel *k)
{
	if (kernel_is_ready(k))
		return;
	if (!__atomic_exchange_n(&k->hint_sent, true, __ATOMIC_SEQ_CST))
		queue_push(k->in, &k->hint);
}
