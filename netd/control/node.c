/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * node.c - this Node's labels, facts and condition
 *
 * Room: control.  The facts are what the kernel and the system's files say, and the reconciler's
 * report: what is netd's own of the Node, which is put right when somebody else has written it.
 * May include: state, codec, model, netd/base, include/podnet.
 * #syscalls: open openat read fstat newfstatat statx close uname sched_getaffinity sysinfo
 */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <netd/base/log.h>
#include <podnet/podnet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define NODE_REST_US 1000000
#define PATHS_READY  "podnet.dev/PathsReady"

/* The first line of a small file, or "". */
static void read_line(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : 0;

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* PRETTY_NAME of os-release(5), without its quotes. */
static void os_image(char *buf, size_t size)
{
	FILE *f = fopen("/etc/os-release", "re");
	char line[256];

	snprintf(buf, size, "Linux");
	while (f && fgets(line, sizeof(line), f)) {
		char *value = line + strlen("PRETTY_NAME=");

		if (strncmp(line, "PRETTY_NAME=", strlen("PRETTY_NAME=")) != 0)
			continue;
		value += *value == '"';
		snprintf(buf, size, "%.*s", (int)strcspn(value, "\"\n"), value);
	}
	if (f)
		fclose(f);
}

static const char *architecture(const char *machine)
{
	if (strcmp(machine, "x86_64") == 0)
		return "amd64";
	return strcmp(machine, "aarch64") == 0 ? "arm64" : machine;
}

static int set_info(const struct node_config *conf, struct doc *doc, const struct utsname *u)
{
	char machine_id[64], system_uuid[64], image[128];
	struct { const char *path, *value; } rows[] = {
		{ "status.nodeInfo.machineID", machine_id },
		{ "status.nodeInfo.systemUUID", system_uuid },
		{ "status.nodeInfo.bootID", conf->boot_id },
		{ "status.nodeInfo.kernelVersion", u->release },
		{ "status.nodeInfo.osImage", image },
		{ "status.nodeInfo.containerRuntimeVersion", "podnet://" PODNET_VERSION },
		{ "status.nodeInfo.kubeletVersion", "v1.30.0-podnet." PODNET_VERSION },
		{ "status.nodeInfo.kubeProxyVersion", "v1.30.0-podnet." PODNET_VERSION },
		{ "status.nodeInfo.operatingSystem", "linux" },
		{ "status.nodeInfo.architecture", architecture(u->machine) },
		{ "metadata.labels[\"kubernetes.io/hostname\"]", conf->node_name },
		{ "metadata.labels[\"kubernetes.io/os\"]", "linux" },
		{ "metadata.labels[\"kubernetes.io/arch\"]", architecture(u->machine) },
	};
	int r = 0;

	read_line("/etc/machine-id", machine_id, sizeof(machine_id));
	read_line("/sys/class/dmi/id/product_uuid", system_uuid, sizeof(system_uuid));
	if (!*system_uuid)
		snprintf(system_uuid, sizeof(system_uuid), "%s", machine_id);
	os_image(image, sizeof(image));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
		r = doc_set_str(doc, rows[i].path, rows[i].value);
	if (r == 0 && conf->node_address)
		r = doc_set_str(doc, "metadata.annotations[\"" NODE_ADDRESS "\"]", conf->node_address);
	return r;
}

/* How many pods fit: the addresses of the smallest cluster CIDR, as far as that is a number. */
static int set_resource(struct doc *doc, const char *name, const char *text)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "status.capacity.%s", name);
	r = doc_set_str(doc, path, text);
	snprintf(path, sizeof(path), "status.allocatable.%s", name);
	return r < 0 ? r : doc_set_str(doc, path, text);
}

/* The machine's: kubectl describe divides by them. */
static int set_machine(struct doc *doc)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
	char text[24];
	int r;

	snprintf(text, sizeof(text), "%ld", cpus > 0 ? cpus : 1);
	r = set_resource(doc, "cpu", text);
	snprintf(text, sizeof(text), "%ldKi", pages > 0 ? pages * (sysconf(_SC_PAGESIZE) / 1024) : 1);
	return r < 0 ? r : set_resource(doc, "memory", text);
}

static int set_capacity(const struct node_config *conf, struct doc *doc)
{
	unsigned bits = 16;
	char text[16];

	for (size_t i = 0; i < conf->ncluster_cidrs; i++) {
		const struct podnet_prefix *p = &conf->cluster_cidrs[i];
		unsigned host = (p->family == AF_INET ? 32u : 128u) - p->len;

		bits = host < bits ? host : bits;
	}
	snprintf(text, sizeof(text), "%u", bits > 1 ? (1u << bits) - 3 : 1);
	return set_resource(doc, "pods", text);
}

/* Accepting a packet is not enough where another table's chain drops it: then it is told which. */
static int set_forwarding(struct doc *doc, const char *dropper)
{
	char now[24], text[320] = "no nft chain of others drops what it does not accept";
	int r;

	time_format(now_realtime_s(), now);
	if (*dropper)
		snprintf(text, sizeof(text), "what nft chain %s does not accept is dropped, "
			 "also to and from pods", dropper);
	r = doc_set_condition(doc, "status.conditions", "podnet.dev/ForwardingOpen",
			      *dropper ? "False" : "True",
			      *dropper ? "ForeignChainDrops" : "NobodyDrops", text, now);
	return r < 0 ? r : 0;
}

/* By it others on the L2 reach IPv6 blocks here also where nodes have addresses of IPv4 only. */
static int set_link_local(struct doc *doc, const struct node_report *report)
{
	static const char path[] = "metadata.annotations[\"" NODE_LINK_LOCAL "\"]";
	char text[PODNET_PREFIX_STRLEN];

	if (report->others && report->link_local.family)
		return doc_set_str(doc, path, podnet_prefix_format_addr(&report->link_local, text));
	doc_remove(doc, path);
	return 0;
}

/* By it others give whole pieces to the kernel, for ours to take. */
static int set_fastpath(struct doc *doc, const struct node_report *report)
{
	static const char path[] = "metadata.annotations[\"" NODE_FASTPATH "\"]";
	const bool *has = report->fastpath;

	if (has[0] || has[1])
		return doc_set_str(doc, path, !has[1] ? "IPv4" : has[0] ? "IPv4,IPv6" : "IPv6");
	doc_remove(doc, path);
	return 0;
}

/* Of a node that is alone there is nothing to tell, unless it was told once. */
static int set_paths(struct doc *doc, const struct node_report *report)
{
	const char *missing = report->missing;
	char now[24];
	int r;

	if (!missing || (!report->others && !doc_has_condition(doc, "status.conditions", PATHS_READY)))
		return 0;
	time_format(now_realtime_s(), now);
	r = doc_set_condition(doc, "status.conditions", PATHS_READY, *missing ? "False" : "True",
			      *missing ? "NoPath" : "PathsProgrammed",
			      *missing ? missing : "pods of all other nodes are reached", now);
	return r < 0 ? r : 0;
}

static int set_ready(struct doc *doc, bool ready, const char *reason, const char *message)
{
	char now[24];
	int r;

	time_format(now_realtime_s(), now);
	r = doc_set_condition(doc, "status.conditions", "Ready", ready ? "True" : "False", reason,
			      message, now);
	return r < 0 ? r : 0;
}

int set_node_facts(const struct node_config *conf, struct doc *doc)
{
	struct utsname u;
	int r;

	if (uname(&u) < 0)
		return -errno;
	r = set_info(conf, doc, &u);
	if (r == 0)
		r = set_capacity(conf, doc);
	if (r == 0)
		r = set_machine(doc);
	if (r == 0 && !doc_has(doc, "status.addresses"))
		r = doc_set_json(doc, "status.addresses", "[]");
	if (r == 0 && !doc_has(doc, "status.conditions"))
		r = set_ready(doc, false, "Starting", "netd has not looked at everything yet");
	return r;
}

static int set_address(struct doc *doc, size_t i, const char *type, const char *value)
{
	char path[48];
	int r;

	snprintf(path, sizeof(path), "status.addresses[%zu].type", i);
	r = doc_set_str(doc, path, type);
	snprintf(path, sizeof(path), "status.addresses[%zu].address", i);
	return r < 0 ? r : doc_set_str(doc, path, value);
}

static int set_report(struct control *control, struct doc *doc, const struct node_report *report)
{
	char text[PODNET_PREFIX_STRLEN];
	int r = doc_set_json(doc, "status.addresses", "[]");
	size_t i;

	for (i = 0; r == 0 && i < report->naddresses; i++)
		r = set_address(doc, i, "InternalIP",
				podnet_prefix_format_addr(&report->addresses[i], text));
	if (r == 0)
		r = set_address(doc, i, "Hostname", state_config(control->state)->node_name);
	if (r < 0)
		return r;
	r = set_forwarding(doc, report->dropper ? report->dropper : "");
	if (r == 0)
		r = set_paths(doc, report);
	if (r == 0)
		r = set_link_local(doc, report);
	if (r == 0)
		r = set_fastpath(doc, report);
	return r < 0 ? r : set_ready(doc, report->ready, report->reason ? report->reason : "",
				     report->message ? report->message : "");
}

static int copy_report(struct control *control, const struct node_report *report)
{
	struct arena arena = { 0 };
	struct node_report *said = arena_alloc(&arena, sizeof(*said));

	if (said) {
		*said = *report;
		said->reason = arena_strdup(&arena, report->reason ? report->reason : "");
		said->message = arena_strdup(&arena, report->message ? report->message : "");
		said->dropper = arena_strdup(&arena, report->dropper ? report->dropper : "");
		if (report->missing)
			said->missing = arena_strdup(&arena, report->missing);
	}
	if (!said || !said->reason || !said->message || !said->dropper ||
	    !said->missing != !report->missing) {
		arena_fini(&arena);
		return -ENOMEM;
	}
	arena_fini(&control->said_arena);
	control->said_arena = arena;
	control->said = said;
	return 0;
}

/* 1: something of it was otherwise. */
static int put_node(struct control *control, bool facts)
{
	const struct node_config *conf = state_config(control->state);
	const struct kind *kind = &kinds[KIND_NODE];
	struct object *old = state_accepted(control->state, kind, "", conf->node_name), *obj;
	_cleanup_(doc_freep) struct doc *doc = old ? object_doc(old) : NULL;
	_cleanup_(txn_dropp) struct txn *txn = NULL;

	if (!doc || (facts && set_node_facts(conf, doc) < 0) ||
	    set_report(control, doc, control->said) < 0 || txn_new(control->state, &txn) < 0 ||
	    txn_put(txn, kind, doc, old, &obj) < 0 || obj == old)
		return 0;
	control_submit(control, take_ptr(txn), true);
	return 1;
}

void control_node(struct control *control, const struct node_report *report)
{
	balancer_node(control, report);
	if (copy_report(control, report) == 0)
		put_node(control, false);
}

void node_tell(struct control *control)
{
	if (control->said)
		put_node(control, false);
}

/* Who writes the same again and again is answered once a second. */
void node_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *node = now ? now : old;
	uint64_t next = control->node_at + NODE_REST_US, at = now_monotonic_us();

	if (node->kind->id == KIND_NODE && control->said &&
	    strcmp(node->meta->name, state_config(control->state)->node_name) == 0)
		loop_timer_set(control->node_timer, next > at ? (next - at) / 1000 + 1 : 0);
}

void node_restate(void *arg)
{
	struct control *control = arg;

	if (!put_node(control, true))
		return;
	control->node_at = now_monotonic_us();
	log_event(LOG_LEVEL_WARNING, "node_put_right", "node=%s",
		  state_config(control->state)->node_name);
}

void node_free(struct control *control)
{
	arena_fini(&control->said_arena);
}
