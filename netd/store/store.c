/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - group commit: the writer's thread between the loop and a backend
 *
 * Room: order, revisions, failure; knows no SQL.  May include: netd/base, libc.
 *
 * Batches travel to the writer by one queue and come back by another.  The writer makes one
 * transaction of all that waits, up to LIMIT_BATCH_WRITES changes.  If a batch is refused, the
 * transaction is rolled back, what came before that batch is committed alone, and the batch fails.
 *
 * The loop submits batches on top of changes that are not committed yet, so a failure takes along
 * everything submitted until the loop has heard of it.  That is what the epoch is for: a batch
 * carries the loop's epoch, the loop enters a new one when the first failed batch of the current
 * one comes back, and the writer fails every batch of an epoch that has failed.
 *
 * A transaction that would pass the ceiling raises it, and is durable then.  So after a crash no
 * revision above the ceiling was ever seen by anybody, and counting goes on from there.
 *
 * A database may fail and recover: its disk is full and then is not.  Nothing is held back
 * meanwhile, each batch has its own answer; the loop sees by what comes back how the store is, and
 * sends a batch of its own each second to see whether it is well again.  Only a damaged database is
 * left alone for good.
 * #syscalls: poll ppoll
 */
#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netd/store/backend.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define CEILING_STEP    10000
#define IDLE_MS         50
#define PROBE_MS        1000

struct store {
	struct backend *backend;
	struct loop *loop;
	struct queue *todo, *done;
	struct loop_watch *watch;
	pthread_t thread;
	bool started, closing;
	struct qnode stop;
	uint64_t rev;               /* loop: last given out */
	unsigned epoch;             /* loop */
	struct {                    /* the loop's: how the store is */
		int rc;             /* 0, or what it fails with */
		char words[STORE_WORDS];
		uint64_t since_us, last_us, refused;
		struct loop_timer *timer;
		struct store_batch probe;
		bool probing;
		void (*changed)(void *arg);
		void *arg;
	} health;
	struct {                    /* the writer's */
		uint64_t ceiling, committed;
		unsigned failed_epoch;
		int failed;         /* result of that epoch's first failure */
		int broken;         /* -EBADMSG: nothing more is written */
		char error[STORE_WORDS];
		bool stopping;
	} w;
};

static struct store_batch *batch_of(struct qnode *node)
{
	return (struct store_batch *)((char *)node - offsetof(struct store_batch, node));
}

/* Called with the transaction open; *@refused is the batch that the backend did not take. */
static int write_group(struct store *s, struct qnode *first, const struct qnode *end,
		       struct qnode **refused, uint64_t *top)
{
	int r;

	for (struct qnode *n = first; n != end; n = n->next) {
		const struct store_batch *b = batch_of(n);

		*refused = n;
		for (size_t i = 0; i < b->n; i++) {
			r = s->backend->ops->apply(s->backend, &b->ops[i]);
			if (r < 0)
				return r;
			if (b->ops[i].rev > *top)
				*top = b->ops[i].rev;
		}
	}
	*refused = first;           /* from here on it is nobody's fault in particular */
	return 0;
}

/* One transaction of [@first, @end).  On failure *@refused says how far to go next time. */
static int commit_group(struct store *s, struct qnode *first, const struct qnode *end,
			bool durable, struct qnode **refused)
{
	const struct backend_ops *ops = s->backend->ops;
	uint64_t top = s->w.committed, ceiling = s->w.ceiling;
	int r;

	for (const struct qnode *n = first; n != end; n = n->next) {
		const struct store_batch *b = batch_of((struct qnode *)n);

		for (size_t i = 0; i < b->n; i++)
			durable |= b->ops[i].rev > ceiling;
	}
	fault_point("store-before-write");
	*refused = first;
	r = ops->begin(s->backend, durable);
	if (r < 0)
		return r;
	r = write_group(s, first, end, refused, &top);
	/* ahead of time where it costs nothing, so that a checkpoint has it before it is passed */
	if (r == 0 && (top > ceiling || (durable && top + CEILING_STEP / 2 > ceiling))) {
		ceiling = top + CEILING_STEP;
		r = ops->ceiling(s->backend, ceiling);
	}
	fault_point("store-before-commit");
	if (r == 0)
		r = ops->commit(s->backend);
	if (r < 0) {
		ops->rollback(s->backend);
		return r;
	}
	fault_point("store-after-commit");
	s->w.ceiling = ceiling;
	s->w.committed = top;
	return 0;
}

/* What says something of the database, and not only of the batch. */
static bool is_trouble(int rc)
{
	return rc < 0 && rc != -EEXIST && rc != -EINVAL && rc != -ESHUTDOWN;
}

static void give_back(struct store *s, struct store_batch *b, int rc)
{
	b->rc = rc;
	snprintf(b->error, sizeof(b->error), "%s", rc < 0 ? s->w.error : "");
	queue_push(s->done, &b->node);
}

static bool epoch_failed(const struct store *s, const struct store_batch *b)
{
	return s->w.failed < 0 && (int)(b->epoch - s->w.failed_epoch) <= 0;
}

/* What shares a transaction with @first; *@durable unless all of it is soft. */
static struct qnode *group_end(const struct store *s, struct qnode *first, bool *durable)
{
	struct qnode *n = first;
	size_t writes = 0;

	*durable = false;
	for (; n && n != &s->stop && !epoch_failed(s, batch_of(n)) && !batch_of(n)->probe;
	     n = n->next) {
		const struct store_batch *b = batch_of(n);

		if (n != first && writes + b->n > LIMIT_BATCH_WRITES)
			break;
		writes += b->n;
		*durable |= !b->soft;
	}
	return n;
}

/* Commits the longest prefix that the backend takes.  Returns the first batch not dealt with. */
static struct qnode *commit_some(struct store *s, struct qnode *first)
{
	uint64_t began = now_monotonic_us();
	struct qnode *end, *refused = NULL;
	bool durable;
	int r;

	end = group_end(s, first, &durable);
	r = commit_group(s, first, end, durable, &refused);
	if (r < 0 && refused != first) {
		end = refused;
		r = commit_group(s, first, end, durable, &refused);
	}
	if (r < 0) {
		end = first->next;
		s->w.failed = r;
		s->w.failed_epoch = batch_of(first)->epoch;
		snprintf(s->w.error, sizeof(s->w.error), "%s", s->backend->error);
		if (r == -EBADMSG)
			s->w.broken = r;
	}
	batch_of(first)->commit_us = now_monotonic_us() - began;
	for (struct qnode *n = first, *next; n != end; n = next) {
		next = n->next;     /* the push links the node anew */
		give_back(s, batch_of(n), r);
	}
	return end;
}

/* Nothing is built upon it, so its failure takes nothing along. */
static void probe(struct store *s, struct store_batch *b)
{
	int r = s->backend->ops->probe(s->backend);

	if (r < 0)
		snprintf(s->w.error, sizeof(s->w.error), "%s", s->backend->error);
	give_back(s, b, r);
}

static void work_off(struct store *s, struct qnode *node)
{
	while (node) {
		struct qnode *next = node->next;

		if (node == &s->stop) {
			s->w.stopping = true;
			node = next;
		} else if (s->w.broken) {
			give_back(s, batch_of(node), s->w.broken);
			node = next;
		} else if (batch_of(node)->probe) {
			probe(s, batch_of(node));
			node = next;
		} else if (epoch_failed(s, batch_of(node))) {
			give_back(s, batch_of(node), s->w.failed);
			node = next;
		} else {
			node = commit_some(s, node);
		}
	}
}

static void *writer(void *arg)
{
	struct store *s = arg;
	const struct backend_ops *ops = s->backend->ops;
	struct pollfd p = { .fd = queue_fd(s->todo), .events = POLLIN };

	while (!s->w.stopping) {
		while (!s->w.broken && ops->untidy(s->backend) && poll(&p, 1, IDLE_MS) == 0)
			if (!ops->tidy(s->backend, false))
				break;
		work_off(s, queue_wait(s->todo));
		if (!s->w.broken)
			ops->tidy(s->backend, true);
	}
	return NULL;
}

static void tell_failing(const struct store *s)
{
	char quoted[2 * STORE_WORDS];

	log_event(LOG_LEVEL_ERROR, "store_failing", "err=%s",
		  log_quote(s->health.words, quoted, sizeof(quoted)));
}

static void fails(struct store *s, int rc, const char *words)
{
	bool news = rc != s->health.rc;

	if (!s->health.rc) {
		s->health.since_us = now_monotonic_us();
		s->health.refused = 0;
	}
	s->health.rc = rc;
	s->health.last_us = now_monotonic_us();
	snprintf(s->health.words, sizeof(s->health.words), "%s", words);
	if (news)
		tell_failing(s);
	if (rc != -EBADMSG && !s->health.probing && !loop_timer_armed(s->health.timer))
		loop_timer_set(s->health.timer, PROBE_MS);
	if (news && s->health.changed)
		s->health.changed(s->health.arg);
}

static void mends(struct store *s)
{
	s->health.rc = 0;
	log_event(LOG_LEVEL_WARNING, "store_mended", "refused=%llu seconds=%llu",
		  (unsigned long long)s->health.refused,
		  (unsigned long long)(now_monotonic_us() - s->health.since_us) / 1000000);
	if (s->health.changed)
		s->health.changed(s->health.arg);
}

/*
 * On a disk that is nearly full small writes succeed between larger ones that do not; and what is not
 * synced says nothing of one that no longer syncs.
 */
static bool is_proof(const struct store *s, const struct store_batch *b)
{
	return b->probe || (b->n && !b->soft && now_monotonic_us() - s->health.last_us > PROBE_MS * 1000);
}

/* How the store is, by what has become of a batch. */
static void judge(struct store *s, const struct store_batch *b)
{
	if (is_trouble(b->rc))
		fails(s, b->rc, b->error);
	else if (b->rc == 0 && s->health.rc && is_proof(s, b))
		mends(s);
	s->health.refused += is_trouble(b->rc) && !b->probe;
}

static void send_probe(void *arg)
{
	struct store *s = arg;

	if (!s->health.rc || s->closing)
		return;
	s->health.probing = true;
	store_submit(s, &s->health.probe);
}

static void probed(struct store_batch *b)
{
	struct store *s = b->arg;

	s->health.probing = false;
	if (s->health.rc && s->health.rc != -EBADMSG)
		loop_timer_set(s->health.timer, PROBE_MS);
}

static void deliver(void *arg, uint32_t events)
{
	struct store *s = arg;
	struct qnode *next;

	(void)events;
	for (struct qnode *n = queue_take(s->done); n; n = next) {
		struct store_batch *b = batch_of(n);

		next = n->next;
		if (b->rc < 0 && b->epoch == s->epoch && !b->probe)
			s->epoch++;
		judge(s, b);
		b->done(b);
	}
}

/* Signals are the loop's; a thread that is born with all of them blocked never sees one. */
static int start_writer(struct store *s)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, NULL, writer, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = r == 0;
	return -r;
}

int store_examined(struct store *s, char error[STORE_WORDS])
{
	struct backend *b = s->backend;
	int r = b->ops->examined ? b->ops->examined(b) : 0;

	if (r < 0) {
		snprintf(error, STORE_WORDS, "%s", b->error[0] ? b->error : strerror(-r));
		return r;
	}
	if (s->started)
		return 0;
	s->w.ceiling = b->ceiling;
	if (b->failing)
		fails(s, b->failing, b->error);
	r = start_writer(s);
	if (r < 0)
		snprintf(error, STORE_WORDS, "cannot start the store's thread: %s", strerror(-r));
	return r;
}

int store_open(const struct store_config *conf, struct store **ret, char error[STORE_WORDS])
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	snprintf(error, STORE_WORDS, "out of memory");
	s->loop = conf->loop;
	r = conf->path ? sqlite_open(conf, &s->backend, error) : memory_open(conf, &s->backend);
	if (r < 0)
		return r;
	s->rev = s->w.committed = s->backend->rev;
	r = queue_new(&s->todo);
	if (r == 0)
		r = queue_new(&s->done);
	if (r == 0)
		r = loop_watch_fd(s->loop, queue_fd(s->done), POLLIN, deliver, s, &s->watch);
	s->health.probe = (struct store_batch){ .probe = true, .done = probed, .arg = s };
	if (r == 0)
		r = loop_timer_new(s->loop, send_probe, s, &s->health.timer);
	if (r < 0) {
		snprintf(error, STORE_WORDS, "cannot start the store: %s", strerror(-r));
		return r;
	}
	if (!conf->examine_beside)
		r = store_examined(s, error);
	if (r < 0)
		return r;
	error[0] = '\0';
	*ret = take_ptr(s);
	return 0;
}

int store_open_view(const char *path, struct store **ret, char error[STORE_WORDS])
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -ENOMEM;

	snprintf(error, STORE_WORDS, "out of memory");
	if (r == 0)
		r = sqlite_open_view(path, &s->backend, error);
	if (r < 0)
		return r;
	s->rev = s->backend->rev;
	*ret = take_ptr(s);
	return 0;
}

int store_integrity(struct store *view, void (*each)(void *arg, const char *words), void *arg)
{
	return sqlite_integrity(view->backend, each, arg);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->closing = true;
	if (s->started) {
		queue_push(s->todo, &s->stop);
		pthread_join(s->thread, NULL);
		deliver(s, 0);
	}
	loop_timer_free(s->health.timer);
	loop_unwatch(s->watch);
	queue_free(s->todo);
	queue_free(s->done);
	if (s->backend)
		s->backend->ops->close(s->backend, s->rev);
	free(s);
}

uint64_t store_revision(const struct store *s)
{
	return s->rev;
}

bool store_behind(const struct store *s, uint64_t *there, uint64_t *was)
{
	*there = s->backend->there;
	*was = s->backend->was;
	return s->backend->was != 0;
}

uint64_t store_restored(const struct store *s)
{
	return s->backend->restored;
}

bool store_lost(struct store *s, uint64_t rev)
{
	return s->backend->ops->lost(s->backend, rev);
}

uint64_t store_next_revision(struct store *s)
{
	return ++s->rev;
}

void store_seen(struct store *s, uint64_t rev)
{
	if (rev > s->rev)
		s->rev = rev;
}

void store_submit(struct store *s, struct store_batch *b)
{
	b->epoch = s->epoch;
	b->commit_us = 0;
	if (!s->closing) {
		queue_push(s->todo, &b->node);
		return;
	}
	b->rc = -ESHUTDOWN;
	snprintf(b->error, sizeof(b->error), "the store is closing");
	b->done(b);
}

int store_health(const struct store *s, const char **words)
{
	*words = s->health.rc ? s->health.words : "";
	return s->health.rc;
}

void store_on_health(struct store *s, void (*changed)(void *arg), void *arg)
{
	s->health.changed = changed;
	s->health.arg = arg;
}

int store_load(struct store *s,
	       int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			   uint64_t rev, const char *bytes, size_t len), void *arg)
{
	return s->backend->ops->load(s->backend, each, arg);
}

int store_load_claims(struct store *s,
		      int (*each)(void *arg, const char *kind, const char *key, const char *owner,
				  int64_t free_after), void *arg)
{
	return s->backend->ops->load_claims(s->backend, each, arg);
}

int store_meta_get(struct store *s, const char *key, char *buf, size_t size)
{
	return s->backend->ops->meta_get(s->backend, key, buf, size);
}

int store_meta_put(struct store *s, const char *key, const char *value)
{
	return s->backend->ops->meta_put(s->backend, key, value);
}

int store_history(struct store *s, const char *kind, uint64_t after, unsigned max,
		  int (*each)(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
			      const char *ns, const char *name, const char *bytes, size_t len,
			      const char *prev, size_t prev_len), void *arg)
{
	return s->backend->ops->history(s->backend, kind, after, max, each, arg);
}
