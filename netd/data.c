/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * data.c - the database: opened and loaded at start, and looked at by netd --check
 *
 * Room: main's.  What a start finds wrong here it leaves as it is, and the kernel too.
 * May include: store, state, netd/base.
 */
#include <errno.h>
#include <netd/data.h>
#include <netd/shared.h>
#include <stdio.h>

/*
 * What carries no object is swept at start, so a database that is not the one that made what is in
 * the kernel (a wrong state-dir, say) would take every pod down.  run-dir remembers which it was.
 */
int data_check_store(struct netd *netd, char why[256])
{
	_cleanup_free_ char *path = NULL;
	char mine[64] = "", seen[64] = "", words[STORE_WORDS];
	ssize_t n;
	int r = store_meta_get(netd->store, "id", mine, sizeof(mine));

	if (r == -ENOENT && store_examined(netd->store, words) == 0)    /* a new one begins with it */
		r = store_meta_get(netd->store, "id", mine, sizeof(mine));
	if (r == -ENOENT) {
		uuid_make(mine);
		r = store_meta_put(netd->store, "id", mine);
	}
	if (r < 0 || asprintf(&path, "%s/store", netd->conf.run_dir) < 0) {
		snprintf(why, 256, "the database's id could not be read or stored");
		return r < 0 ? r : -ENOMEM;
	}
	n = readlink(path, seen, sizeof(seen) - 1);
	if (n > 0 && strcmp(mine, seen) != 0) {
		snprintf(why, 256, "%.100s: the kernel holds what another database declared; "
			 "start with its state-dir, or netd --purge first", netd->conf.state_dir);
		return -EBUSY;
	}
	if (n < 0 && symlink(mine, path) < 0) {
		snprintf(why, 256, "%.180s: %m", path);
		return -errno;
	}
	return 0;
}

struct bound {
	const struct state *state;
	const char *mine;
	char was[256];              /* the node that ran here last; "": it was not written down */
	const struct object *pod;
};

static int find_bound(void *arg, struct object *obj)
{
	struct bound *b = arg;
	const char *node = obj->pod->node_name;

	if (node && strcmp(node, b->mine) != 0 && (!*b->was || strcmp(node, b->was) == 0) &&
	    state_get(b->state, &kinds[KIND_NODE], "", node))
		b->pod = obj;
	return b->pod != NULL;
}

/*
 * Another node's pods are not for this one, and what this node's kernel has of them would be swept.
 * So a node that is called otherwise than before does not start while the old one has pods.
 */
int data_check_name(struct netd *netd, char why[256])
{
	struct bound b = { .state = netd->state, .mine = netd->node.node_name };
	bool known = store_meta_get(netd->store, STATE_META_NODE, b.was, sizeof(b.was)) >= 0;
	const char *node;

	if (known && strcmp(b.was, b.mine) == 0)
		return 0;
	if (known || !state_get(netd->state, &kinds[KIND_NODE], "", b.mine))
		state_each_here(netd->state, &kinds[KIND_POD], find_bound, &b);
	if (!b.pod) {                   /* if it cannot be written it is tried at the next start */
		(void)store_meta_put(netd->store, STATE_META_NODE, b.mine);
		return 0;
	}
	node = b.pod->pod->node_name;
	snprintf(why, 256, "this netd is called %.40s, and the pods here (%.25s/%.25s) are of node %.40s: "
		 "start with --node-name %.40s, or delete them first", b.mine, b.pod->meta->ns,
		 b.pod->meta->name, node, node);
	return -EBUSY;
}

static void read_boot_id(char boot_id[37])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file || !fgets(boot_id, 37, file))
		snprintf(boot_id, 37, "unknown");
	if (file)
		fclose(file);
}

/* A random unique local prefix (RFC 4193), made once and kept with the data. */
static int local_prefix(struct netd *netd, const char *key, uint8_t len, struct podnet_prefix *ret)
{
	char text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix p = { .family = AF_INET6, .len = len, .addr = { 0xfd } };

	if (store_meta_get(netd->store, key, text, sizeof(text)) >= 0)
		return podnet_prefix_parse(text, ret);
	if (random_bytes(p.addr + 1, 5) < 0)
		return -EIO;
	*ret = p;
	return store_meta_put(netd->store, key, podnet_prefix_format(&p, text));
}

int data_node_config(struct netd *netd, char why[256])
{
	struct node_config *node = &netd->node;
	struct conf *conf = &netd->conf;
	bool said[2];

	*node = (struct node_config){
		.node_name = conf->node_name, .netns_dir = conf->netns_dir, .run_dir = conf->run_dir,
		.mtu = conf->mtu, .vxlan_port = (uint16_t)conf->vxlan_port,
		.udp_port = (uint16_t)conf->udp_port,
		.node_address = conf->node_address, .block_len = { conf->block_len[0], conf->block_len[1] },
	};
	read_boot_id(node->boot_id);
	node->node_port_min = conf->node_port_min;
	node->node_port_max = conf->node_port_max;
	node->node_grace_s = conf->node_grace_s;
	for (int i = 0; i < 2; i++)
		said[i] = conf->cidrs_said && conf->cluster_cidrs[i].family;
	if ((!conf->cluster_cidrs[1].family &&
	     local_prefix(netd, "local-prefix", 48, &conf->cluster_cidrs[1]) < 0) ||
	    (conf->service_cidrs[0].family == AF_INET && !conf->service_cidrs[1].family &&
	     local_prefix(netd, "service-prefix", 112, &conf->service_cidrs[1]) < 0)) {
		snprintf(why, 256, "no unique local prefix could be made or stored");
		return -EIO;
	}
	for (int i = 0; i < 2; i++)
		if (conf->cluster_cidrs[i].family) {
			node->block_len[node->ncluster_cidrs] = conf->block_len[i];
			node->cidr_said[node->ncluster_cidrs] = said[i];
			node->cluster_cidrs[node->ncluster_cidrs++] = conf->cluster_cidrs[i];
		}
	for (int i = 0; i < 2; i++)
		if (conf->service_cidrs[i].family)
			node->service_cidrs[node->nservice_cidrs++] = conf->service_cidrs[i];
	for (int i = 0; i < 2; i++)
		if (conf->balancer_cidrs[i].family)
			node->balancer_cidrs[node->nbalancer_cidrs++] = conf->balancer_cidrs[i];
	return 0;
}

char *data_path(const struct conf *conf)
{
	char *path;

	return asprintf(&path, "%s/netd.db", conf->state_dir) < 0 ? NULL : path;
}

/** in the run directory, beside the records of what else outlives netd */
static char *witness(const struct conf *conf)
{
	char *path;

	return asprintf(&path, "%s/revision", conf->run_dir) < 0 ? NULL : path;
}

static int load_alone(struct netd *netd, const char *path, char why[256])
{
	char words[STORE_WORDS];
	int r = data_check_store(netd, why);

	if (r == 0)
		r = data_node_config(netd, why);
	if (r < 0)
		return r;
	r = state_new(netd->loop, netd->store, &netd->node, &netd->state, words);
	if (r < 0)
		snprintf(why, 256, "%.90s: %.160s", path, words);
	return r;
}

static int fail_words(int r, const char *path, const char *words, char why[256])
{
	bool named = !path || strstr(words, path);

	snprintf(why, 256, "%s%s%s", named ? "" : path, named ? "" : ": ", words);
	return r;
}

/*
 * A replica goes on by itself, as who gives a cluster up wants it; but what waits for etcd would be neither
 * a Pod of this store nor gone from it.
 */
static int check_replica(const struct netd *netd, char why[256])
{
	size_t n = state_pending(netd->state);
	char id[40];

	if (store_meta_get(netd->store, CLUSTER_META_ID, id, sizeof(id)) < 0)
		return 0;
	if (n) {
		snprintf(why, 256, "the database is a replica of etcd's, which is to be told of %zu Pods that were made "
			 "or deleted here: start with etcd", n);
		return -EEXIST;
	}
	log_event(LOG_LEVEL_WARNING, "replica_alone", "cluster=%s path=%s/netd.db", id, netd->conf.state_dir);
	return 0;
}

/* A database that is damaged says why it cannot be loaded. */
static int open_alone(struct netd *netd, char why[256])
{
	_cleanup_free_ char *path = data_path(&netd->conf), *seen = witness(&netd->conf);
	struct store_config conf = { .path = path, .witness = seen, .loop = netd->loop,
				     .history_events = netd->conf.history, .examine_beside = true };
	char words[STORE_WORDS] = "out of memory";
	int r, loaded;

	conf.now_ms = now_realtime_ms();
	r = path && seen ? store_open(&conf, &netd->store, words) : -ENOMEM;
	if (r < 0)
		return fail_words(r, path, words, why);
	loaded = load_alone(netd, path, why);
	r = store_examined(netd->store, words);
	if (r < 0)
		return fail_words(r, path, words, why);
	if (loaded == 0)
		loaded = data_check_name(netd, why);
	return loaded < 0 ? loaded : check_replica(netd, why);
}

int data_open(struct netd *netd, char why[256])
{
	return netd->conf.netcd ? shared_open(netd, why) : open_alone(netd, why);
}

void data_tell(struct netd *netd)
{
	const struct object *node = state_get(netd->state, &kinds[KIND_NODE], "",
					      netd->node.node_name);
	uint64_t there, was;

	if (store_restored(netd->store)) {
		log_event(LOG_LEVEL_WARNING, "restored", "revision=%llu path=%s/netd.db",
			  (unsigned long long)store_restored(netd->store), netd->conf.state_dir);
		if (node)
			control_event(netd->control, node, "Normal", "Restored",
				      "the database is a backup made at revision %llu",
				      (unsigned long long)store_restored(netd->store));
		return;
	}
	if (!store_behind(netd->store, &there, &was))
		return;
	log_event(LOG_LEVEL_ERROR, "writes_lost", "revision=%llu acknowledged=%llu path=%s/netd.db",
		  (unsigned long long)there, (unsigned long long)was, netd->conf.state_dir);
	if (node)
		control_event(netd->control, node, "Warning", "WritesLost",
			      "the database ends at revision %llu, and writes up to %llu had been "
			      "acknowledged: its log was lost, or an older one was put in its place",
			      (unsigned long long)there, (unsigned long long)was);
}

int data_forget(const struct conf *conf)
{
	static const char *const names[] = { "store", "revision", "services" };
	char path[300];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%.256s/%s", conf->run_dir, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

const char *data_advice(int r, bool shared)
{
	switch (r) {
	case -ENOTCONN:
	case -ETIMEDOUT:
	case -EADDRINUSE:
		if (shared)
			return "see netd(8), MANY NODES";
		break;
	case -EEXIST:
		return "see netd(8), MANY NODES";
	case -EBADMSG:
		return "see what netd --check says, and restore a backup: netd(8), DATABASE; what is in "
		       "the kernel goes on meanwhile";
	case -ENOTSUP:
		return "start a netd that knows this schema, or restore a backup";
	case -ENOSPC:
		return "make room";
	default:
		break;
	}
	return shared ? "see netd(8), MANY NODES and DATABASE" : "see netd(8), DATABASE";
}

int data_exit(int r)
{
	return r == -EBADMSG || r == -ENOTSUP ? EXIT_DATABASE : 1;
}

static void print_problem(void *arg, const char *words)
{
	printf("%s: %s\n", (const char *)arg, words);
}

static int look(const char *path, const char *node)
{
	struct state_check found = { 0 };
	struct store *view = NULL;
	char words[STORE_WORDS];
	int r = store_open_view(path, &view, words);

	if (r < 0) {
		printf("%s: %s\n", path, words);
		return data_exit(r);
	}
	r = state_check(view, print_problem, (void *)(uintptr_t)path, &found);
	store_close(view);
	if (r < 0)
		printf("%s: it cannot be read to its end: %s\n", path, strerror(-r));
	if (r < 0 || found.problems) {
		printf("%s: %zu problems\n", path, found.problems + (r < 0));
		return r < 0 ? data_exit(r) : EXIT_DATABASE;
	}
	if (found.pods && strcmp(found.node, node) != 0) {
		printf("%s: %zu pods are of node %s, and node-name is %s: no start\n", path, found.pods,
		       found.node, node);
		return 1;
	}
	printf("%s: %zu objects, %zu claims, %zu events of history, revision %llu: ok\n", path,
	       found.objects, found.claims, found.events, (unsigned long long)found.revision);
	return 0;
}

int data_check(const struct conf *conf)
{
	_cleanup_free_ char *path = data_path(conf);
	char why[256] = "out of memory";

	if (!path || tls_check(conf, why) < 0 || begin_check(conf, why) < 0) {
		fprintf(stderr, "configuration: %s\n", why);
		return 1;
	}
	puts("configuration: ok");
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		printf("%s: none yet\n", path);
		return 0;
	}
	return look(path, conf->node_name);
}

int data_backup(const struct conf *conf)
{
	_cleanup_free_ char *path = data_path(conf);
	char words[STORE_WORDS] = "out of memory";
	uint64_t rev = 0;
	int r = path ? store_backup(path, conf->argument, &rev, words) : -ENOMEM;

	if (r < 0) {
		fprintf(stderr, "netd: backup: %s\n", words);
		return data_exit(r);
	}
	printf("%s: revision %llu\n", conf->argument, (unsigned long long)rev);
	return 0;
}
