/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shared.c - which cluster this node is of, and what its database is worth there
 *
 * Room: main's.  A database is a replica when it says of which cluster; then netd starts also without
 * etcd.  One that says nothing is either what an empty etcd is seeded with, or it has nothing of its
 * own, and is made anew for the cluster that there is.
 * May include: store, state, netd/base.
 */
#include <errno.h>
#include <netd/data.h>
#include <netd/pki/pki.h>
#include <netd/shared.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define META_SEEDING    "cluster-seeding"       /* the id of the cluster that this node makes */
#define SEED_TRIES      120
#define SEED_WAIT_MS    500
#define RESEED_MARGIN   1000000     /* other replicas may be ahead of this one */

/** What the database says, before it is opened. */
struct peek {
	bool there, own;            /* own: it has more than every netd makes at its start */
	uint64_t revision;
	char id[40], seeding[40], base[24];
	char local_prefix[64], service_prefix[64], what[200];
};

static int each_row(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		    const char *bytes, size_t len)
{
	static const char *const made[] = {
		"namespaces", "nodes", "networks.podnet.dev", "events", "endpoints",
	};
	struct peek *p = arg;

	(void)rev;
	(void)bytes;
	(void)len;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (strcmp(kind, made[i]) == 0)
			return 0;
	p->own = true;
	snprintf(p->what, sizeof(p->what), "%.40s %.60s%s%.80s", kind, ns, *ns ? "/" : "", name);
	return 0;
}

static void read_meta(struct store *view, const char *key, char *buf, size_t size)
{
	if (store_meta_get(view, key, buf, size) < 0)
		buf[0] = '\0';
}

static int peek(const char *path, struct peek *ret, char why[256])
{
	struct store *view = NULL;
	char words[STORE_WORDS];
	int r;

	*ret = (struct peek){ 0 };
	if (access(path, F_OK) < 0)
		return 0;
	r = store_open_view(path, &view, words);
	if (r < 0) {
		snprintf(why, 256, "%s", words);
		return r;
	}
	ret->there = true;
	ret->revision = store_revision(view);
	read_meta(view, CLUSTER_META_ID, ret->id, sizeof(ret->id));
	read_meta(view, CLUSTER_META_BASE, ret->base, sizeof(ret->base));
	read_meta(view, META_SEEDING, ret->seeding, sizeof(ret->seeding));
	read_meta(view, "local-prefix", ret->local_prefix, sizeof(ret->local_prefix));
	read_meta(view, "service-prefix", ret->service_prefix, sizeof(ret->service_prefix));
	r = store_load(view, each_row, ret);
	store_close(view);
	if (r < 0)
		snprintf(why, 256, "%.200s: it cannot be read", path);
	return r;
}

static int check_files(const struct conf *conf, char why[256])
{
	const struct { const char *name, *path; } files[] = {
		{ "etcd-ca", conf->etcd_ca }, { "etcd-cert", conf->etcd_cert },
		{ "etcd-key", conf->etcd_key },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i].path && access(files[i].path, R_OK) < 0) {
			snprintf(why, 256, "%s: %.180s: %m (user %.40s must be able to read it)",
				 files[i].name, files[i].path, conf->user);
			return -EACCES;
		}
	return 0;
}

static bool uses_tls(const struct conf *conf)
{
	for (size_t i = 0; i < conf->netcd; i++)
		if (strncmp(conf->etcd[i], "https://", 8) == 0)
			return true;
	return false;
}

static int new_cluster(struct netd *netd, char why[256])
{
	const struct conf *conf = &netd->conf;
	const struct etcd_config etcd = {
		.loop = netd->loop, .urls = conf->etcd, .nurls = conf->netcd,
		.ca = conf->etcd_ca, .cert = conf->etcd_cert, .key = conf->etcd_key,
		.timeout_ms = 8000,     /* more than etcd's own: 7 s, whose answer says more than none */
	};
	char words[STORE_WORDS];
	int r = check_files(conf, why);

	if (r == 0 && uses_tls(conf))
		r = pki_wake(why);
	if (r < 0)
		return r;
	r = cluster_new(&etcd, &netd->cluster, words);
	if (r < 0)
		snprintf(why, 256, "etcd: %.200s", words);
	return r;
}

/* While another node is filling it there is nothing to begin with. */
static int look(struct netd *netd, const struct peek *p, struct cluster_meta *meta, char why[256])
{
	char words[STORE_WORDS];
	int r = 0;

	for (int i = 0; i < SEED_TRIES; i++) {
		r = cluster_look(netd->cluster, meta, words);
		if (r < 0 || !meta->seeding || strcmp(meta->id, p->seeding) == 0)
			break;
		r = cluster_wait(netd->cluster, SEED_WAIT_MS);
		if (r < 0)
			break;
	}
	if (r == 0 && meta->seeding && strcmp(meta->id, p->seeding) != 0) {
		snprintf(words, sizeof(words), "it is being seeded, and nobody ends it");
		r = -EBUSY;
	}
	if (r < 0)
		snprintf(why, 256, "etcd: %.200s", words);
	return r;
}

static int remove_database(struct netd *netd, const char *path, char why[256])
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char file[320];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(file, sizeof(file), "%.300s%s", path, ends[i]);
		if (unlink(file) < 0 && errno != ENOENT) {
			snprintf(why, 256, "%.180s: %m", file);
			return -errno;
		}
	}
	log_event(LOG_LEVEL_INFO, "cluster_joined", "replaced=%s", path);
	return data_forget(&netd->conf);
}

/* A database that no cluster knows gives way to the cluster's objects. */
static int make_room(struct netd *netd, const char *path, const struct peek *p, char why[256])
{
	if (!p->there)
		return 0;
	if (p->own) {
		snprintf(why, 256, "etcd has a cluster's objects, and %.80s has its own (%.80s): delete "
			 "them first, or start with another state-dir", path, p->what);
		return -EEXIST;
	}
	return remove_database(netd, path, why);
}

static int open_store(struct netd *netd, const char *path, bool replica, int64_t first, char why[256])
{
	struct store_config conf = {
		.path = path, .loop = netd->loop, .history_events = netd->conf.history,
		.replica = replica, .now_ms = first,
	};
	char words[STORE_WORDS] = "out of memory";
	int r = store_open(&conf, &netd->store, words);

	if (r < 0)
		snprintf(why, 256, "%s", words);
	return r;
}

static int keep(struct netd *netd, const char *key, const char *value)
{
	return *value ? store_meta_put(netd->store, key, value) : 0;
}

/* From here on the database is a replica. */
static int become_replica(struct netd *netd, const struct cluster_meta *meta)
{
	char base[24];
	int r;

	snprintf(base, sizeof(base), "%llu", (unsigned long long)meta->base);
	r = keep(netd, "local-prefix", meta->local_prefix);
	if (r == 0)
		r = keep(netd, "service-prefix", meta->service_prefix);
	if (r == 0)
		r = keep(netd, CLUSTER_META_BASE, base);
	return r < 0 ? r : keep(netd, CLUSTER_META_ID, meta->id);
}

static int seed(struct netd *netd, const struct peek *p, struct cluster_meta *meta, char why[256])
{
	char words[STORE_WORDS];
	int r = data_node_config(netd, why);

	if (r < 0)
		return r;
	if (*p->seeding)
		snprintf(meta->id, sizeof(meta->id), "%s", p->seeding);
	else
		uuid_make(meta->id);
	meta->base = store_revision(netd->store);
	read_meta(netd->store, "local-prefix", meta->local_prefix, sizeof(meta->local_prefix));
	read_meta(netd->store, "service-prefix", meta->service_prefix, sizeof(meta->service_prefix));
	r = store_meta_put(netd->store, META_SEEDING, meta->id);
	if (r == 0)
		r = cluster_seed(netd->cluster, netd->store, meta, words);
	if (r == -EEXIST)
		return -EALREADY;       /* another node was faster */
	if (r < 0) {
		snprintf(why, 256, "seeding etcd: %.200s", words);
		return r;
	}
	log_event(LOG_LEVEL_INFO, "cluster_seeded", "id=%s base=%llu", meta->id,
		  (unsigned long long)meta->base);
	r = cluster_look(netd->cluster, meta, words);
	if (r < 0)
		snprintf(why, 256, "etcd: %.200s", words);
	return r;
}

/* The store, when it is known what is in etcd. */
static int open_here(struct netd *netd, const char *path, const struct peek *p, bool away,
		     struct cluster_meta *meta, char why[256])
{
	bool replica = *p->id, fill = !meta->there || (meta->seeding && !replica);
	int r = 0;

	if (replica && !away && meta->there && strcmp(meta->id, p->id) != 0) {
		snprintf(why, 256, "etcd has another cluster's objects than %.120s", path);
		return -EEXIST;
	}
	if (!replica && !fill && strcmp(meta->id, p->seeding) != 0)
		r = make_room(netd, path, p, why);
	if (r < 0)
		return r;
	r = open_store(netd, path, replica, replica ? 0 : fill ? now_realtime_ms() :
		       (int64_t)meta->base + meta->revision + 1, why);
	if (r == 0)
		r = data_check_store(netd, why);
	if (r == 0 && !replica && fill)
		r = seed(netd, p, meta, why);
	if (r == 0 && !replica)
		r = become_replica(netd, meta);
	if (replica) {
		snprintf(meta->id, sizeof(meta->id), "%s", p->id);
		meta->base = strtoull(p->base, NULL, 10);
	}
	return r;
}

static int start(struct netd *netd, const struct cluster_meta *meta, bool away, bool fresh,
		 char why[256])
{
	char words[STORE_WORDS], id[40], identity[80];
	int r = data_node_config(netd, why);

	if (r < 0)
		return r;
	r = state_new_shared(netd->loop, netd->store, &netd->node, netd->cluster, &netd->state, words);
	if (r < 0) {
		snprintf(why, 256, "%.220s", words);
		return r;
	}
	r = data_check_name(netd, why);
	if (r < 0)
		return r;
	read_meta(netd->store, "id", id, sizeof(id));
	snprintf(identity, sizeof(identity), "%s %s", id, netd->node.boot_id);
	r = cluster_start(netd->cluster, meta, identity, away, fresh, words);
	if (r < 0)
		snprintf(why, 256, "%.220s", words);
	return r;
}

static int try_open(struct netd *netd, const char *path, char why[256])
{
	struct cluster_meta meta = { 0 };
	struct peek p;
	bool away;
	int r = peek(path, &p, why);

	if (r < 0)
		return r;
	r = look(netd, &p, &meta, why);
	away = r < 0 && r != -EINTR && *p.id;
	if (r < 0 && !away)
		return r;
	r = open_here(netd, path, &p, away, &meta, why);
	return r < 0 ? r : start(netd, &meta, away, !*p.id, why);
}

int shared_open(struct netd *netd, char why[256])
{
	_cleanup_free_ char *path = data_path(&netd->conf);
	int r = path ? new_cluster(netd, why) : -ENOMEM;

	if (r < 0)
		return r;
	r = try_open(netd, path, why);
	if (r != -EALREADY)
		return r;
	store_close(take_ptr(netd->store));
	return try_open(netd, path, why);
}

/* ---- netd --reseed ---- */

static int reseed(struct netd *netd, const char *path, struct store *view, const struct peek *p,
		  char why[256])
{
	struct cluster_meta meta;
	char words[STORE_WORDS];
	int r = cluster_look(netd->cluster, &meta, words);

	if (r == 0 && meta.there && !(meta.seeding && strcmp(meta.id, p->id) == 0)) {
		snprintf(words, sizeof(words), "it has objects: only an empty one is filled");
		r = -EEXIST;
	}
	if (r < 0) {
		snprintf(why, 256, "etcd: %.200s", words);
		return r;
	}
	snprintf(meta.id, sizeof(meta.id), "%s", p->id);
	snprintf(meta.local_prefix, sizeof(meta.local_prefix), "%s", p->local_prefix);
	snprintf(meta.service_prefix, sizeof(meta.service_prefix), "%s", p->service_prefix);
	meta.base = store_revision(view) + RESEED_MARGIN;
	r = cluster_seed(netd->cluster, view, &meta, words);
	if (r < 0)
		snprintf(why, 256, "%.100s: %.120s", path, words);
	else
		printf("etcd: seeded from %s, revision %llu\n", path,
		       (unsigned long long)store_revision(view));
	return r;
}

static int open_and_reseed(struct netd *netd, char why[256])
{
	_cleanup_free_ char *path = data_path(&netd->conf);
	struct store *view = NULL;
	char words[STORE_WORDS] = "out of memory";
	struct peek p;
	int r = path ? peek(path, &p, why) : -ENOMEM;

	if (r == 0 && !*p.id) {
		snprintf(why, 256, "%.200s is no replica of a cluster", path);
		r = -ENOENT;
	}
	if (r == 0)
		r = loop_new(&netd->loop);
	if (r == 0)
		r = new_cluster(netd, why);
	if (r < 0)
		return r;
	r = store_open_view(path, &view, words);
	if (r < 0) {
		snprintf(why, 256, "%s", words);
		return r;
	}
	r = reseed(netd, path, view, &p, why);
	store_close(view);
	return r;
}

int shared_reseed(struct netd *netd)
{
	char why[256] = "out of memory";

	if (!netd->conf.netcd)
		snprintf(why, sizeof(why), "--etcd is missing: what is to be filled?");
	else if (open_and_reseed(netd, why) == 0)
		return 0;
	fprintf(stderr, "netd: reseed: %s\n", why);
	return 1;
}
