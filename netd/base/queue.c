/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * queue.c - messages from many threads to one
 *
 * Room: an atomic list head and an eventfd.  Writers push on a stack; the reader takes all of it
 * at once and turns it round.  Only the writer that finds the stack empty writes the eventfd, so a
 * burst costs one wakeup; the reader empties the eventfd before it takes the stack, so nothing that
 * is pushed later stays unannounced.  May include: netd/base, libc.
 * #syscalls: read write poll ppoll
 */
#include <errno.h>
#include <netd/base/loop.h>
#include <poll.h>
#include <sys/eventfd.h>

struct queue {
	struct qnode *top;          /* atomic; newest first */
	int fd;
};

int queue_new(struct queue **ret)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		int r = -errno;

		free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	close(q->fd);
	free(q);
}

int queue_fd(const struct queue *q)
{
	return q->fd;
}

void queue_push(struct queue *q, struct qnode *node)
{
	struct qnode *top = __atomic_load_n(&q->top, __ATOMIC_RELAXED);
	ssize_t n;

	do {
		node->next = top;
	} while (!__atomic_compare_exchange_n(&q->top, &top, node, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	if (top)
		return;
	do {
		n = write(q->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	} while (n < 0 && errno == EINTR);
}

struct qnode *queue_take(struct queue *q)
{
	struct qnode *node, *first = NULL;
	uint64_t count;
	ssize_t n;

	do {
		n = read(q->fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	node = __atomic_exchange_n(&q->top, NULL, __ATOMIC_ACQUIRE);
	while (node) {
		struct qnode *next = node->next;

		node->next = first;
		first = node;
		node = next;
	}
	return first;
}

struct qnode *queue_wait(struct queue *q)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	struct qnode *node = NULL;

	if (__atomic_load_n(&q->top, __ATOMIC_RELAXED))
		node = queue_take(q);
	while (!node) {
		poll(&p, 1, -1);
		node = queue_take(q);
	}
	return node;
}
