/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hub.h - revisions to subscribers
 *
 * A ring of the last LIMIT_RING_EVENTS committed writes; a subscriber is a cursor into it, so a
 * slow reader costs nothing and blocks nobody.  Who falls off the ring reads on from the store's
 * history, which is given as a function; who falls off that gets -ESTALE and lists again.
 */
#ifndef NETD_HUB_H
#define NETD_HUB_H

#include <netd/base/base.h>

enum hub_type { HUB_ADDED, HUB_MODIFIED, HUB_DELETED };

/** What a subscriber makes of an event and leaves for those after it; freed with the event. */
struct hub_memo {
	void *made;
	void (*free)(void *made);
};

struct hub_event {
	uint64_t rev;
	enum hub_type type;
	const void *kind;           /* identity of the kind; compared by pointer */
	const char *ns, *name;      /* borrowed while the event is looked at */
	struct bytes *bytes;        /* the object; DELETED: last state with the new revision */
	struct bytes *prev;         /* state before, or NULL */
	struct hub_memo *memo;      /* the hub's; of what is published: NULL */
};

struct hub;
struct hub_sub;

/**
 * hub_history - as store_history() of one kind, decoded by the caller of hub_new(); -ESTALE: trimmed.  @each
 * ends it early with a negative number, which is returned.
 */
typedef int (*hub_history)(void *arg, const void *kind, uint64_t after, unsigned max,
			   int (*each)(void *each_arg, const struct hub_event *ev), void *each_arg);

int hub_new(struct hub **ret, uint64_t rev, hub_history history, void *arg);
void hub_free(struct hub *hub);
/** hub_publish() - in the order of revisions, after the commit; strings and bytes are shared */
int hub_publish(struct hub *hub, const struct hub_event *ev);
uint64_t hub_revision(const struct hub *hub);       /* of the last event published */

/**
 * hub_subscribe() - follow @kind (and @ns, @name unless NULL) from after revision @from
 * @wake: called when there may be something to read; once until the next hub_next()
 */
int hub_subscribe(struct hub *hub, const void *kind, const char *ns, const char *name,
		  uint64_t from, void (*wake)(void *arg), void *arg, struct hub_sub **ret);
/**
 * hub_filter() - only events for which @wanted is true; right after hub_subscribe().  The others
 * neither wake the subscriber nor make it fall behind.  @arg: the one of @wake
 */
void hub_filter(struct hub_sub *sub, bool (*wanted)(void *arg, const struct hub_event *ev));
void hub_unsubscribe(struct hub_sub *sub);
/**
 * hub_next() - the next event for this subscriber, borrowed until the next call
 *
 * Return: 1, 0 (nothing now), -ESTALE (fell behind the history), -EAGAIN (with a filter: history
 * was read and nothing of it is wanted; there may be more, ask again after others had their turn).
 */
int hub_next(struct hub_sub *sub, struct hub_event *ev);
/** hub_position() - everything up to this revision was delivered or did not match */
uint64_t hub_position(const struct hub_sub *sub);

#endif
