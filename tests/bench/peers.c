/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.c - CNI bridge with host-local, and netavark
 *
 * Room: tests/bench.  The runtime's own part, a pinned namespace, is made and dropped as the floor
 * does it, and counts; the plugins are only asked for IPv4, which is less than ours do.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <sys/mount.h>
#include <unistd.h>

#define CNI "/usr/lib/cni"
#define NETAVARK "/usr/lib/podman/netavark"

bool cni_there(void)
{
	return access(CNI "/bridge", X_OK) == 0 && access(CNI "/host-local", X_OK) == 0;
}

bool netavark_there(void)
{
	return access(NETAVARK, X_OK) == 0;
}

static void drop(const char *path)
{
	umount2(path, MNT_DETACH);
	unlink(path);
}

static bool cni(int netns, const struct place *p, const char *verb)
{
	static const char conf[] =
		"{\"cniVersion\":\"1.0.0\",\"name\":\"bench\",\"type\":\"bridge\","
		"\"bridge\":\"cni0\",\"isDefaultGateway\":true,\"ipam\":{\"type\":\"host-local\","
		"\"dataDir\":\"/run/cni\",\"ranges\":[[{\"subnet\":\"10.88.0.0/16\"}]]}}";
	static const char *const argv[] = { CNI "/bridge", NULL };
	char command[32], id[96], ns[128];
	const char *env[] = { command, id, ns, "CNI_IFNAME=eth0", "CNI_PATH=" CNI,
			      "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct command cmd = { .argv = argv, .env = env, .input = conf, .netns = netns };

	snprintf(command, sizeof(command), "CNI_COMMAND=%s", verb);
	snprintf(id, sizeof(id), "CNI_CONTAINERID=%s", p->name);
	snprintf(ns, sizeof(ns), "CNI_NETNS=/run/netns/%s", p->name);
	return command_run(&cmd) == 0;
}

bool cni_attach(int netns, const struct place *p)
{
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	floor_netns(path);
	return cni(netns, p, "ADD");
}

bool cni_detach(int netns, const struct place *p)
{
	bool done = cni(netns, p, "DEL");
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	drop(path);
	return done;
}

static bool netavark(int netns, const struct place *p, const char *verb)
{
	char conf[1024], path[128], ip[INET_ADDRSTRLEN];
	const char *argv[] = { NETAVARK, "--config", "/run/navark", verb, path, NULL };
	struct command cmd = { .argv = argv, .input = conf, .netns = netns };
	struct in_addr addr = { .s_addr = htonl(0x0a590000u | (ntohl(p->ip4.s_addr) & 0xffff)) };

	addr.s_addr = htonl(ntohl(addr.s_addr) + 2);    /* behind the network and the gateway */
	inet_ntop(AF_INET, &addr, ip, sizeof(ip));
	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	snprintf(conf, sizeof(conf),
		 "{\"container_id\":\"%s\",\"container_name\":\"%s\",\"networks\":{\"podman\":"
		 "{\"interface_name\":\"eth0\",\"static_ips\":[\"%s\"]}},\"network_info\":"
		 "{\"podman\":{\"name\":\"podman\",\"id\":\"2f259bab93aaaaa2542ba43ef33eb990"
		 "d0999ee1b9924b557b7be53c0b7a1bb9\",\"driver\":\"bridge\","
		 "\"network_interface\":\"podman0\",\"created\":\"2024-01-01T00:00:00Z\","
		 "\"subnets\":[{\"subnet\":\"10.89.0.0/16\",\"gateway\":\"10.89.0.1\"}],"
		 "\"ipv6_enabled\":false,\"internal\":false,\"dns_enabled\":false,"
		 "\"ipam_options\":{\"driver\":\"host-local\"}}}}", p->name, p->name, ip);
	return command_run(&cmd) == 0;
}

bool netavark_attach(int netns, const struct place *p)
{
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	floor_netns(path);
	return netavark(netns, p, "setup");
}

bool netavark_detach(int netns, const struct place *p)
{
	bool done = netavark(netns, p, "teardown");
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	drop(path);
	return done;
}
