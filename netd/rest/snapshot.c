/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * snapshot.c - a kind's objects as they were: what is there now, and what the history takes back
 *
 * Room: rest.  Theory: each event holds the state before it, so the first event of an object after a
 * revision tells what it was at that revision; an object without an event is what it is now.  So a
 * list in pages costs nothing between its pages, and is one snapshot as long as the history lasts.
 * May include: state, watch, netd/base.
 */
#include "read.h"
#include <netd/base/limits.h>
#include <stdlib.h>

/* One object that has changed since; bytes NULL: it was not there. */
struct change {
	char *ns, *name;
	struct bytes *bytes;
};

struct snapshot {
	struct state *state;
	const struct kind *kind;
	const char *ns;             /* borrowed */
	struct change *changes;     /* in order of namespace, name */
	size_t n, cap;
};

static int key_cmp(const char *ns, const char *name, const char *ns2, const char *name2)
{
	int cmp = strcmp(ns, ns2);

	return cmp ? cmp : strcmp(name, name2);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Index of the object's change, or where it belongs. */
static size_t find(const struct snapshot *s, const char *ns, const char *name, bool *found)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (key_cmp(s->changes[mid].ns, s->changes[mid].name, ns, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < s->n && key_cmp(s->changes[low].ns, s->changes[low].name, ns, name) == 0;
	return low;
}

static void change_fini(struct change *change)
{
	free(change->ns);
	free(change->name);
	bytes_unref(change->bytes);
}

static int grow(struct snapshot *s)
{
	size_t cap = s->cap * 2 + 16;
	struct change *p;

	if (s->n < s->cap)
		return 0;
	p = realloc(s->changes, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->changes = p;
	s->cap = cap;
	return 0;
}

/* Only the first event of an object tells what it was at the start. */
static int take_back(struct snapshot *s, const struct hub_event *ev)
{
	struct change change;
	bool found;
	size_t i = find(s, ev->ns, ev->name, &found);

	if (found)
		return 0;
	if (grow(s) < 0)
		return -ENOMEM;
	change = (struct change){ strdup(ev->ns), strdup(ev->name), bytes_ref(ev->prev) };
	if (!change.ns || !change.name) {
		change_fini(&change);
		return -ENOMEM;
	}
	memmove(&s->changes[i + 1], &s->changes[i], (s->n - i) * sizeof(change));
	s->changes[i] = change;
	s->n++;
	return 0;
}

static int read_changes(struct snapshot *s, uint64_t rev)
{
	struct hub_sub *sub;
	struct hub_event ev;
	int r = hub_subscribe(state_hub(s->state), s->kind, s->ns, NULL, rev, nothing, NULL, &sub);
	size_t n = 0;

	if (r < 0)
		return r;
	while ((r = hub_next(sub, &ev)) > 0 && n++ < LIMIT_SNAPSHOT_EVENTS) {
		r = take_back(s, &ev);
		if (r < 0)
			break;
	}
	hub_unsubscribe(sub);
	return r > 0 ? -ESTALE : r;
}

int snapshot_open(struct state *state, const struct kind *kind, const char *ns, uint64_t rev,
		  struct snapshot **ret)
{
	_cleanup_(snapshot_freep) struct snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->state = state;
	s->kind = kind;
	s->ns = ns && *ns ? ns : NULL;
	if (rev > state_revision(state))
		return -ESTALE;
	r = rev == state_revision(state) ? 0 : read_changes(s, rev);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		change_fini(&s->changes[i]);
	free(s->changes);
	free(s);
}

/* The present and the changes side by side, both in order. */
struct merge {
	const struct snapshot *s;
	size_t next;
	int (*each)(void *arg, const struct listed *one);
	void *arg;
};

static int give_change(struct merge *m)
{
	const struct change *change = &m->s->changes[m->next++];
	const struct listed one = { change->ns, change->name, change->bytes, NULL };

	return change->bytes ? m->each(m->arg, &one) : 0;
}

static int merge_one(void *arg, struct object *obj)
{
	struct merge *m = arg;
	int cmp = 1, r = 0;

	while (r == 0 && m->next < m->s->n) {
		const struct change *change = &m->s->changes[m->next];

		cmp = key_cmp(change->ns, change->name, obj->meta->ns, obj->meta->name);
		if (cmp > 0)
			break;
		r = give_change(m);
		if (cmp == 0)
			return r;
	}
	return r ? r : m->each(m->arg, &(struct listed){ obj->meta->ns, obj->meta->name,
							 obj->bytes, obj });
}

int snapshot_each(const struct snapshot *s, const struct page *after,
		  int (*each)(void *arg, const struct listed *one), void *arg)
{
	struct merge m = { .s = s, .each = each, .arg = arg };
	bool found;
	int r;

	if (after->name) {
		m.next = find(s, after->ns, after->name, &found);
		m.next += found;
		r = state_each_after(s->state, s->kind, s->ns, after->ns, after->name, merge_one, &m);
	} else {
		r = state_each(s->state, s->kind, s->ns, merge_one, &m);
	}

	while (r == 0 && m.next < s->n)
		r = give_change(&m);
	return r;
}
