/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.c - starting the controllers, and who is told of what
 *
 * Room: control.  A controller looks at what has committed, decides, and writes a transaction; what
 * it must do later it does from a timer, never from within a commit.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>

#define REDO_MS 1000

static void changed(void *arg, const struct object *old, const struct object *now)
{
	struct control *control = arg;

	namespaces_changed(control, old, now);
	owners_changed(control, old, now);
	orphans_changed(control, old, now);
	slices_changed(control, old, now);
	endpoints_changed(control, old, now);
	mirror_changed(control, old, now);
	balancer_changed(control, old, now);
	node_changed(control, old, now);
}

/* What this node does for the pods that it has, also while etcd knows nothing of them. */
static void changed_here(void *arg, const struct object *old, const struct object *now)
{
	struct control *control = arg;

	if ((now ? now : old)->kind->id != KIND_POD)
		return;
	probes_changed(control, old, now);
	if (now)
		attach_changed(control, now);
	if (now)
		pods_changed(control, now);
	else
		grace_forget(control, old);
}

static void refused(void *arg, const struct object *pod, const char *why)
{
	control_event(arg, pod, "Warning", "FailedCreate", "made while etcd was away, and removed: %s", why);
}

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;
	const char *words;

	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	write_failed(control, "control_write_failed", rc, error);
	control->unwritten = true;
	if (state_health(control->state, &words) == 0)
		loop_timer_set(control->redo_timer, REDO_MS);
}

/* What fails because the store does is told by the store, once. */
void write_failed(const struct control *control, const char *event, int rc, const char *error)
{
	char text[2 * STORE_WORDS];
	const char *words;
	int health = state_health(control->state, &words);

	log_event(health < 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, event, "err=%s",
		  log_quote(error && *error ? error : strerror(-rc), text, sizeof(text)));
}

static void mended(void *arg)
{
	struct control *control = arg;

	lost_start(control);
	orphans_start(control);
	if (control->unwritten)
		loop_timer_set(control->redo_timer, 0);
}

/* What others did is this node's to do, or the other way round. */
static void nodes_moved(void *arg)
{
	struct control *control = arg;

	lost_now(control);
	orphans_start(control);
	namespaces_start(control);
	loop_timer_set(control->owner_timer, 0);
	endpoints_start(control);
	mirror_start(control);
	if (control->waiting.n)
		loop_timer_set(control->balancer_timer, 0);
}

/* What is written at the start changes nothing where it is so already. */
static void redo(void *arg)
{
	struct control *control = arg;
	int r;

	control->unwritten = false;
	slices_start(control);
	mirror_start(control);
	r = pods_after_reboot(control);
	if (r == 0)
		r = bootstrap(control);
	if (r == 0)
		node_tell(control);
	if (control->waiting.n)
		loop_timer_set(control->balancer_timer, 0);
	if (r < 0 && r != -ESHUTDOWN)
		loop_timer_set(control->redo_timer, REDO_MS);
}

void control_submit(struct control *control, struct txn *txn, bool soft)
{
	txn_submit(txn, soft, written, control);
}

int mark_deleted(struct doc *doc)
{
	char now[24];
	int r;

	time_format(now_realtime_s(), now);
	r = doc_set_str(doc, "metadata.deletionTimestamp", now);
	return r < 0 ? r : doc_set_int(doc, "metadata.deletionGracePeriodSeconds", 0);
}

int remove_object(struct txn *txn, struct object *obj)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *marked;
	int r;

	if (!obj->meta->nfinalizers) {
		r = txn_delete(txn, obj, NULL);
		return r < 0 ? r : 1;
	}
	if (obj->meta->deleted)
		return 0;
	doc = object_doc(obj);
	r = doc ? mark_deleted(doc) : -ENOMEM;
	if (r == 0)
		r = txn_put(txn, obj->kind, doc, obj, &marked);
	return r < 0 ? r : 1;
}

struct doc *new_object(const struct kind *kind, const char *ns, const char *name)
{
	_cleanup_(doc_freep) struct doc *doc = doc_new();
	char api[64], uid[37], now[24];
	int r = doc ? 0 : -ENOMEM;

	uuid_make(uid);
	time_format(now_realtime_s(), now);
	if (r == 0)
		r = doc_set_str(doc, "apiVersion", kind_api_version(kind, api));
	if (r == 0)
		r = doc_set_str(doc, "kind", kind->name);
	if (r == 0)
		r = doc_set_str(doc, "metadata.name", name);
	if (r == 0 && kind->namespaced)
		r = doc_set_str(doc, "metadata.namespace", ns);
	if (r == 0)
		r = doc_set_str(doc, "metadata.uid", uid);
	if (r == 0)
		r = doc_set_str(doc, "metadata.creationTimestamp", now);
	return r == 0 ? take_ptr(doc) : NULL;
}

/** What is done later, and by which timer. */
static const struct {
	size_t timer;               /* offset in struct control */
	void (*due)(void *control);
} timers[] = {
	{ offsetof(struct control, empty_timer), namespaces_empty },
	{ offsetof(struct control, node_timer), node_restate },
	{ offsetof(struct control, grace_timer), pods_expire },
	{ offsetof(struct control, attach_timer), attach_all },
	{ offsetof(struct control, lost_timer), lost_look },
	{ offsetof(struct control, look_timer), grace_look },
	{ offsetof(struct control, owner_timer), owners_collect },
	{ offsetof(struct control, orphan_timer), orphans_look },
	{ offsetof(struct control, slice_timer), slices_write },
	{ offsetof(struct control, endpoints_timer), endpoints_write },
	{ offsetof(struct control, mirror_timer), mirror_write },
	{ offsetof(struct control, balancer_timer), balancer_look },
	{ offsetof(struct control, event_timer), events_flush },
	{ offsetof(struct control, redo_timer), redo },
};

static struct loop_timer **timer_at(struct control *control, size_t i)
{
	return (struct loop_timer **)((char *)control + timers[i].timer);
}

static int observe(struct control *control)
{
	const struct state_observer shared = {
		.changed = changed, .arg = control, .mended = mended, .nodes = nodes_moved,
		.refused = refused,
	};
	const struct state_observer here = { .changed = changed_here, .arg = control, .here = true };
	int r = state_observe(control->state, &shared);

	return r < 0 ? r : state_observe(control->state, &here);
}

DEFINE_CLEANUP(struct control, control_stop)

/* Each is fetched from memory once for all of them: that is what a look at so many costs. */
static int start_service(void *arg, struct object *service)
{
	slices_know_one(arg, service);
	slices_start_one(arg, service);
	endpoints_start_one(arg, service);
	balancer_start_one(arg, service);
	return ranges_start_one(arg, service);
}

int control_start(struct loop *loop, struct state *state, struct control **ret)
{
	_cleanup_(control_stopp) struct control *control = calloc(1, sizeof(*control));
	int r = control ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	control->loop = loop;
	control->state = state;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(timers); i++)
		r = loop_timer_new(loop, timers[i].due, control, timer_at(control, i));
	if (r == 0)
		r = probes_new(control);
	if (r == 0)
		r = pods_after_reboot(control);
	if (r == 0)
		r = bootstrap(control);
	if (r == 0)
		r = observe(control);
	if (r < 0)
		return r;
	namespaces_start(control);
	owners_start(control);
	state_each(state, &kinds[KIND_SERVICE], NULL, start_service, control);
	mirror_start(control);
	probes_start(control);
	loop_timer_set(control->grace_timer, 0);
	loop_timer_set(control->attach_timer, 0);
	lost_start(control);
	orphans_start(control);
	*ret = take_ptr(control);
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		loop_timer_free(*timer_at(control, i));
	probes_free(control->probes);
	node_free(control);
	grace_free(control);
	owners_free(control);
	orphans_free(control);
	marks_free(&control->sliced);
	marks_free(&control->endpointed);
	marks_free(&control->mirrored);
	selectors_free(control);
	balancer_free(control);
	events_free(control);
	free(control);
}
