/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_loop_queue.c - the loop's timers, removals and hooks; queues between threads
 *
 * Also run under ThreadSanitizer.
 */
#include "lib/testlib.h"

#include <netd/base/loop.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define WRITERS     4
#define MESSAGES    20000

struct trace {
	struct loop *loop;
	char text[16];
	size_t n;
	struct loop_timer *other;
	struct loop_watch *watch[2];
	int turns;
};

static void note(struct trace *t, char c)
{
	t->text[t->n++] = c;
}

static void on_a(void *arg) { note(arg, 'a'); }
static void on_b(void *arg)
{
	struct trace *t = arg;

	note(t, 'b');
	loop_timer_free(take_ptr(t->other));    /* it would be next */
}
static void on_never(void *arg) { note(arg, '!'); }
static void on_end(void *arg)
{
	note(arg, 'e');
	loop_stop(((struct trace *)arg)->loop);
}

static void timers_in_order(void **state)
{
	struct trace t = { 0 };
	struct loop_timer *a, *b, *end, *off;

	(void)state;
	assert_int_equal(loop_new(&t.loop), 0);
	assert_int_equal(loop_timer_new(t.loop, on_end, &t, &end), 0);
	assert_int_equal(loop_timer_new(t.loop, on_a, &t, &a), 0);
	assert_int_equal(loop_timer_new(t.loop, on_b, &t, &b), 0);
	assert_int_equal(loop_timer_new(t.loop, on_never, &t, &t.other), 0);
	assert_int_equal(loop_timer_new(t.loop, on_never, &t, &off), 0);
	loop_timer_set(end, 30);
	loop_timer_set(t.other, 12);
	loop_timer_set(b, 10);
	loop_timer_set(a, 1000);
	loop_timer_set(off, 1);
	loop_timer_set(a, 2);       /* set again: the last one counts */
	loop_timer_set(off, -1);
	loop_timer_set(b, 10);      /* nor does it matter how long all this took */
	loop_timer_set(t.other, 12);
	loop_timer_set(end, 30);
	assert_true(loop_timer_armed(a));
	assert_false(loop_timer_armed(off));
	assert_int_equal(loop_run(t.loop), 0);
	assert_string_equal(t.text, "abe");
	assert_false(loop_timer_armed(a));
	loop_timer_free(a);
	loop_timer_free(b);
	loop_timer_free(off);
	loop_timer_free(end);
	loop_free(t.loop);
}

/* Both descriptors are ready in one turn; whoever is called first removes both. */
static void on_ready(void *arg, uint32_t events)
{
	struct trace *t = arg;

	(void)events;
	note(t, 'r');
	loop_unwatch(take_ptr(t->watch[0]));
	loop_unwatch(take_ptr(t->watch[1]));
	loop_timer_set(t->other, 5);
}

static void removal_inside_callback(void **state)
{
	struct trace t = { 0 };
	int fd[2] = { eventfd(1, EFD_CLOEXEC), eventfd(1, EFD_CLOEXEC) };
	struct loop_timer *end;

	(void)state;
	assert_int_equal(loop_new(&t.loop), 0);
	assert_int_equal(loop_timer_new(t.loop, on_end, &t, &end), 0);
	t.other = end;
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_watch_fd(t.loop, fd[i], EPOLLIN, on_ready, &t, &t.watch[i]),
				 0);
	assert_int_equal(loop_run(t.loop), 0);
	assert_string_equal(t.text, "re");
	loop_timer_free(end);
	close(fd[0]);
	close(fd[1]);
	loop_free(t.loop);
}

static int64_t before(void *arg)
{
	note(arg, '<');
	return 0;
}
static void after(void *arg)
{
	struct trace *t = arg;

	note(t, '>');
	if (++t->turns == 2)
		loop_each_turn_end(t->loop, t);
	if (t->turns == 2)
		loop_stop(t->loop);
}

static void hooks(void **state)
{
	struct trace t = { 0 };

	(void)state;
	assert_int_equal(loop_new(&t.loop), 0);
	assert_int_equal(loop_each_turn(t.loop, before, after, &t), 0);
	assert_int_equal(loop_run(t.loop), 0);
	assert_string_equal(t.text, "<><>");
	loop_free(t.loop);
}

struct message {
	struct qnode node;
	unsigned writer, number;
};

struct reader {
	struct loop *loop;
	struct queue *q;
	unsigned next[WRITERS];
	unsigned total;
	bool wrong;
};

struct writer_arg {
	struct queue *q;
	unsigned id;
};

static void *writer(void *arg)
{
	struct writer_arg *w = arg;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *m = malloc(sizeof(*m));

		*m = (struct message){ .writer = w->id, .number = i };
		queue_push(w->q, &m->node);
	}
	return NULL;
}

static void receive(struct reader *r, struct qnode *n)
{
	while (n) {
		struct message *m = (struct message *)n;

		n = n->next;
		r->wrong |= m->number != r->next[m->writer]++;
		r->total++;
		free(m);
	}
}

static void on_queue(void *arg, uint32_t events)
{
	struct reader *r = arg;

	(void)events;
	receive(r, queue_take(r->q));
	if (r->total == WRITERS * MESSAGES)
		loop_stop(r->loop);
}

static void read_by_loop(struct reader *r)
{
	struct loop_watch *w;

	assert_int_equal(loop_new(&r->loop), 0);
	assert_int_equal(loop_watch_fd(r->loop, queue_fd(r->q), EPOLLIN, on_queue, r, &w), 0);
	assert_int_equal(loop_run(r->loop), 0);
	loop_unwatch(w);
	loop_free(r->loop);
}

static void read_by_wait(struct reader *r)
{
	while (r->total < WRITERS * MESSAGES)
		receive(r, queue_wait(r->q));
}

/* Nothing is lost, and each writer's messages stay in order. */
static void queue_of_threads(void **state)
{
	void (*read_all)(struct reader *r) = *state;
	struct writer_arg args[WRITERS];
	pthread_t threads[WRITERS];
	struct reader r = { 0 };

	assert_int_equal(queue_new(&r.q), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		args[i] = (struct writer_arg){ r.q, i };
		assert_int_equal(pthread_create(&threads[i], NULL, writer, &args[i]), 0);
	}
	read_all(&r);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(r.total, WRITERS * MESSAGES);
	assert_false(r.wrong);
	assert_null(queue_take(r.q));
	queue_free(r.q);
}

static void one_wakeup_per_burst(void **state)
{
	struct message m[3];
	struct queue *q;
	uint64_t count = 0;

	(void)state;
	assert_int_equal(queue_new(&q), 0);
	for (int i = 0; i < 3; i++)
		queue_push(q, &m[i].node);
	assert_int_equal(read(queue_fd(q), &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_ptr_equal(queue_take(q), &m[0].node);
	queue_push(q, &m[0].node);
	assert_int_equal(read(queue_fd(q), &count, sizeof(count)), sizeof(count));
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_in_order), cmocka_unit_test(removal_inside_callback),
		cmocka_unit_test(hooks), cmocka_unit_test(one_wakeup_per_burst),
		cmocka_unit_test_prestate(queue_of_threads, read_by_loop),
		cmocka_unit_test_prestate(queue_of_threads, read_by_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
