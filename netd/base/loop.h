/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.h - one thread's epoll loop, its timers, and the queues between threads
 *
 * Threads exchange messages that nobody changes afterwards; nothing else is shared, so there are
 * no locks but the one inside a queue.
 */
#ifndef NETD_LOOP_H
#define NETD_LOOP_H

#include <netd/base/base.h>

struct loop;
struct loop_watch;
struct loop_timer;

int loop_new(struct loop **ret);
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop, loop_free)

/** loop_watch_fd() - call @fn whenever @fd has @events (EPOLLIN ...).  @fd stays the caller's. */
int loop_watch_fd(struct loop *loop, int fd, uint32_t events, void (*fn)(void *arg, uint32_t events),
		  void *arg, struct loop_watch **ret);
void loop_unwatch(struct loop_watch *watch);                /* NULL is fine; safe inside callbacks */

/** loop_timer_new() - a timer, not armed */
int loop_timer_new(struct loop *loop, void (*fn)(void *arg), void *arg, struct loop_timer **ret);
void loop_timer_set(struct loop_timer *t, int64_t after_ms);    /* -1 disarms; once */
bool loop_timer_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/**
 * loop_each_turn() - @before is called before each wait and returns the longest wait in ms it allows
 * (-1: no limit); @after is called after the events of each turn
 *
 * For libmicrohttpd, which must run in the same turn in which a connection was resumed.
 */
int loop_each_turn(struct loop *loop, int64_t (*before)(void *arg), void (*after)(void *arg),
		   void *arg);
void loop_each_turn_end(struct loop *loop, void *arg);     /* safe inside callbacks */

int loop_run(struct loop *loop);            /* until loop_stop(); 0 or a negative errno */
void loop_stop(struct loop *loop);          /* from a callback */

/** A link in a message; put it first in the message's struct. */
struct qnode {
	struct qnode *next;
};

/** Many writers, one reader; an eventfd wakes the reader's loop. */
struct queue;
int queue_new(struct queue **ret);
void queue_free(struct queue *q);
int queue_fd(const struct queue *q);
void queue_push(struct queue *q, struct qnode *node);
struct qnode *queue_take(struct queue *q);      /* all that is there, in order; drains the eventfd */
struct qnode *queue_wait(struct queue *q);      /* the same, sleeping until there is something */

#endif
