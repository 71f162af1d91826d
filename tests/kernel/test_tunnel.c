/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_tunnel.c - VXLAN between two namespaces and TUN devices: packets pass, drift is repaired
 *
 * Room: the public headers, as an embedder; ip(8) and bridge(8) break things and are the second
 * opinion.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>

#define UP PODNET_LINK_UP
#define MAC_HERE { 2, 0, 0, 0, 0, 1 }
#define MAC_FAR { 2, 0, 0, 0, 0, 2 }
/* the underlay: a pair of both families, and dropped there what is not VXLAN's */
#define UNDERLAY "ip netns add far; ip link add u0 type veth peer name u1 netns far;" \
	"ip link set u0 up; ip -n far link set u1 up; ip -n far link set lo up;" \
	"ip addr add 10.0.0.1/24 dev u0; ip -n far addr add 10.0.0.2/24 dev u1;" \
	"ip addr add fd00::1/64 dev u0 nodad; ip -n far addr add fd00::2/64 dev u1 nodad;"

struct side {
	const char *netns, *local, *remote, *inner, *beyond, *gateway;
	uint8_t mac[6], peer_mac[6];
};

static const struct side sides[] = {
	{ NULL,  "10.0.0.1", "10.0.0.2", "172.16.0.1/32", "172.16.1.0/24", "10.0.0.2", MAC_HERE, MAC_FAR },
	{ "far", "10.0.0.2", "10.0.0.1", "172.16.1.1/32", "172.16.0.0/24", "10.0.0.1", MAC_FAR, MAC_HERE },
	/* a gateway of IPv6 must not be one that another link leads to */
	{ NULL,  "fd00::1", "fd00::2", "fd16:0:0:1::1/128", "fd16:0:0:2::/64", "fe80::2", MAC_HERE,
	  MAC_FAR },
	{ "far", "fd00::2", "fd00::1", "fd16:0:0:2::1/128", "fd16:0:0:1::/64", "fe80::1", MAC_FAR,
	  MAC_HERE },
	{ NULL,  "fd00::1", "fd00::2", "172.16.0.1/32", "172.16.1.0/24", "fe80::2", MAC_HERE, MAC_FAR },
	{ "far", "fd00::2", "fd00::1", "172.16.1.1/32", "172.16.0.0/24", "fe80::1", MAC_FAR, MAC_HERE },
};

static void declare_peer(struct podnet_set *set, const struct side *s, struct podnet_error *err)
{
	struct podnet_fdb fdb = { .netns = s->netns, .link = "vx0", .dst = prefix(s->remote) };
	struct podnet_neigh neigh = { .netns = s->netns, .link = "vx0", .addr = prefix(s->gateway) };
	const struct podnet_route route = { .netns = s->netns, .link = "vx0", .onlink = true,
					    .dst = prefix(s->beyond), .via = prefix(s->gateway) };

	memcpy(fdb.mac, s->peer_mac, sizeof(fdb.mac));
	memcpy(neigh.mac, s->peer_mac, sizeof(neigh.mac));
	test_ok(podnet_set_fdb(set, &fdb, err), err);
	test_ok(podnet_set_neigh(set, &neigh, err), err);
	test_ok(podnet_set_route(set, &route, err), err);
}

static struct podnet_vxlan vxlan_of(const struct side *s)
{
	bool v6 = strchr(s->local, ':');
	struct podnet_vxlan vx = {
		.link = { .netns = s->netns, .name = "vx0", .flags = UP | PODNET_LINK_NO_ADDRGEN,
			  .mtu = v6 ? 1430 : 1450 },
		.id = 7, .local = prefix(s->local),
	};

	memcpy(vx.link.mac, s->mac, sizeof(vx.link.mac));
	return vx;
}

static struct podnet_set *declare_as(const struct side *s, const struct podnet_vxlan *vx)
{
	const struct podnet_addr addr = { .netns = s->netns, .link = "vx0",
					  .prefix = prefix(s->inner) };
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;

	test_ok(podnet_set_new(&set, "overlay", &err), &err);
	test_ok(podnet_set_vxlan(set, vx, &err), &err);
	test_ok(podnet_set_addr(set, &addr, &err), &err);
	declare_peer(set, s, &err);
	return set;
}

static struct podnet_set *declare(const struct side *s)
{
	struct podnet_vxlan vx = vxlan_of(s);

	return declare_as(s, &vx);
}

static int apply(struct podnet *ctx, const struct podnet_set *set, struct podnet_error *err)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	int r = podnet_plan_make(ctx, set, 0, &plan, err);

	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

static int unapply(struct podnet *ctx, const struct podnet_set *set, struct podnet_error *err)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	int r = podnet_plan_absent(ctx, set, 0, &plan, err);

	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

static int add_line(const char *line, void *arg)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 1024 - n, "%s\n", line);
	return 0;
}

/* the lines of what is to be done, which is then done, and the second plan is empty */
static void replan(struct podnet *ctx, const struct podnet_set *set, const char *lines)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	struct podnet_error err = { 0 };
	char text[1024] = "";

	assert_true(test_ok(podnet_plan_make(ctx, set, 0, &plan, &err), &err) > 0);
	podnet_plan_each(plan, add_line, text);
	if (lines)
		assert_string_equal(text, lines);
	test_ok(podnet_plan_commit(ctx, plan, &err), &err);
	assert_int_equal(test_ok(apply(ctx, set, &err), &err), 0);
}

/* the whole MTU passes, and what comes back is from the peer's own address */
static bool passes(const struct side *s)
{
	int mtu = strchr(s->local, ':') ? 1430 : 1450;
	bool v6 = strchr(s->inner, ':');
	char line[256];

	snprintf(line, sizeof(line), "ping -n -c1 -w20 -M do -s %d -I %.*s %.*s1 >/dev/null",
		 mtu - (v6 ? 48 : 28), (int)strcspn(s->inner, "/"), s->inner,
		 (int)(strcspn(s->beyond, "/") - !v6), s->beyond);
	return sh(line) == 0;
}

static void packets_pass(void **state)
{
	const struct side *s = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *here = declare(&s[0]), *far = declare(&s[1]);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	assert_int_equal(sh(UNDERLAY), 0);
	ctx = test_open(NULL);
	assert_int_equal(test_ok(apply(ctx, here, &err), &err), 5);
	assert_int_equal(test_ok(apply(ctx, far, &err), &err), 5);
	assert_true(passes(s));
	assert_int_equal(test_ok(apply(ctx, here, &err), &err), 0);
	assert_int_equal(test_ok(apply(ctx, far, &err), &err), 0);
	assert_true(test_ok(unapply(ctx, here, &err), &err) > 0);
	assert_true(test_ok(unapply(ctx, far, &err), &err) > 0);
	assert_int_equal(sh("! ip link show vx0 2>/dev/null && ! ip -n far link show vx0 2>/dev/null"), 0);
	assert_int_equal(test_ok(unapply(ctx, here, &err), &err), 0);
}

#define VX_ADD "link del vx0\nlink add vx0 type vxlan id 7 local 10.0.0.1 dstport 4789 mtu 1450 " \
	"address 02:00:00:00:00:01 up addrgenmode none\naddr add vx0 172.16.0.1/32\n" \
	"route add 172.16.1.0/24 via 10.0.0.2 dev vx0 onlink\n" \
	"neigh add vx0 10.0.0.2 lladdr 02:00:00:00:00:02\nfdb add vx0 02:00:00:00:00:02 dst 10.0.0.2\n"
#define ANEW(id, local, more) "ip link del vx0; ip link add vx0 type vxlan id " id " local " local \
	" " more "; ip link set vx0 alias podnet:lib:overlay"

static const struct drift { const char *says, *how, *lines; } drifts[] = {
	{ "entry deleted", "bridge fdb del 02:00:00:00:00:02 dev vx0",
	  "fdb add vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "entry led elsewhere", "bridge fdb replace 02:00:00:00:00:02 dev vx0 dst 10.0.0.9",
	  "fdb set vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "entry that may age", "bridge fdb replace 02:00:00:00:00:02 dev vx0 dst 10.0.0.2 dynamic",
	  "fdb set vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "entry added", "bridge fdb append 02:00:00:00:00:03 dev vx0 dst 10.0.0.3",
	  "fdb del vx0 02:00:00:00:00:03\n" },
	{ "all entries flushed", "bridge fdb del 02:00:00:00:00:02 dev vx0; ip neigh flush nud permanent"
	  " dev vx0; ip neigh flush dev vx0; ip route flush dev vx0", NULL },
	{ "neighbour changed", "ip neigh replace 10.0.0.2 dev vx0 lladdr 02:00:00:00:00:09",
	  "neigh set vx0 10.0.0.2 lladdr 02:00:00:00:00:02\n" },
	{ "device deleted", "ip link del vx0", &VX_ADD[sizeof("link del vx0")] },
	{ "another id", ANEW("8", "10.0.0.1", "dstport 4789 nolearning noudpcsum"), VX_ADD },
	{ "another port", ANEW("7", "10.0.0.1", "dstport 4790 nolearning noudpcsum"), VX_ADD },
	{ "another local", ANEW("7", "10.0.0.5", "dstport 4789 nolearning noudpcsum"), VX_ADD },
	{ "it learns", ANEW("7", "10.0.0.1", "dstport 4789 noudpcsum"), VX_ADD },
	{ "checksums", ANEW("7", "10.0.0.1", "dstport 4789 nolearning udpcsum"), VX_ADD },
	{ "bound to a link", ANEW("7", "10.0.0.1", "dstport 4789 nolearning noudpcsum dev u0"),
	  VX_ADD },
	{ "another type", "ip link del vx0; ip link add vx0 type bridge;"
	  "ip link set vx0 alias podnet:lib:overlay", VX_ADD },
	{ "mtu", "ip link set vx0 mtu 1400", "link set vx0 mtu 1450\n" },
	{ "mac", "ip link set vx0 address 02:00:00:00:00:07",
	  "link set vx0 address 02:00:00:00:00:01\n"
	  "neigh add vx0 10.0.0.2 lladdr 02:00:00:00:00:02\n" },
	{ "down", "ip link set vx0 down", NULL },
};

static void drift_is_repaired(void **state)
{
	const struct drift *drift = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *here = declare(&sides[0]);
	_cleanup_(podnet_set_freep) struct podnet_set *far = declare(&sides[1]);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	assert_int_equal(sh(UNDERLAY), 0);
	ctx = test_open(NULL);
	test_ok(apply(ctx, here, &err), &err);
	test_ok(apply(ctx, far, &err), &err);
	assert_int_equal(sh(drift->how), 0);
	replan(ctx, here, drift->lines);
	assert_true(passes(sides));
}

static int is_changed(const struct podnet_link_info *info, void *arg)
{
	const struct podnet_vxlan *vx = info->vxlan;

	(void)arg;
	assert_null(info->tun);
	assert_string_equal(info->kind, "vxlan");
	assert_true(vx && vx->id == 7 && vx->port == 4790 && vx->csum == PODNET_VXLAN_CSUM_ON);
	assert_string_equal(vx->dev, "u0");
	return vx->local.len;
}

static void a_changed_device_is_made_anew(void **state)
{
	struct podnet_vxlan vx = vxlan_of(&sides[0]);
	_cleanup_(podnet_set_freep) struct podnet_set *first = declare_as(&sides[0], &vx);
	_cleanup_(podnet_set_freep) struct podnet_set *second = NULL, *third = NULL;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(UNDERLAY), 0);
	ctx = test_open(NULL);
	test_ok(apply(ctx, first, &err), &err);
	vx.port = 4790;
	vx.dev = "u0";
	vx.csum = PODNET_VXLAN_CSUM_ON;
	second = declare_as(&sides[0], &vx);
	replan(ctx, second, NULL);
	assert_int_equal(sh("ip -d link show vx0 | grep -q 'id 7 local 10.0.0.1 dev u0 .*dstport 4790"
			    " nolearning .*udpcsum'"), 0);
	assert_int_equal(podnet_link_get(ctx, NULL, "vx0", is_changed, NULL, &err), 32);
	vx.dev = "nope";
	third = declare_as(&sides[0], &vx);
	assert_int_equal(apply(ctx, third, &err), -ENODEV);
	assert_string_equal(err.field, "dev");
}

static void an_id_is_one_devices(void **state)
{
	struct podnet_vxlan vx = vxlan_of(&sides[0]);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(UNDERLAY), 0);
	ctx = test_open(NULL);
	test_ok(podnet_vxlan_ensure(ctx, &vx, &err), &err);
	vx.link.name = "vx1";
	assert_int_equal(podnet_vxlan_ensure(ctx, &vx, &err), -EEXIST);
	assert_string_equal(err.object, "link vx1");
	assert_non_null(strstr(err.kernel, "already exists"));
	vx.port = 4790;
	memset(&err, 0, sizeof(err));
	test_ok(podnet_vxlan_ensure(ctx, &vx, &err), &err);
}

/* one set has the device, another one the peer: as a node's and another node's */
static void peers_of_another_set(void **state)
{
	struct podnet_vxlan vx = vxlan_of(&sides[0]);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_set *device = NULL, *peer = NULL, *none = NULL;
	struct podnet_plan *plan = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(UNDERLAY), 0);
	ctx = test_open(NULL);
	test_ok(podnet_set_new(&device, "device", &err), &err);
	test_ok(podnet_set_new(&peer, "peer", &err), &err);
	test_ok(podnet_set_new(&none, "peer", &err), &err);
	test_ok(podnet_set_vxlan(device, &vx, &err), &err);
	declare_peer(peer, &sides[0], &err);
	test_ok(apply(ctx, device, &err), &err);
	assert_int_equal(test_ok(apply(ctx, peer, &err), &err), 3);
	test_ok(podnet_plan_make(ctx, device, PODNET_PLAN_NAMED, &plan, &err), &err);
	assert_int_equal(podnet_plan_print(plan, stdout), 0);
	podnet_plan_free(plan);
	test_ok(podnet_plan_replace(ctx, none, peer, PODNET_PLAN_NAMED, &plan, &err), &err);
	assert_int_equal(test_ok(podnet_plan_commit(ctx, plan, &err), &err), 3);
	assert_int_equal(sh("test -z \"$(bridge fdb show dev vx0; ip neigh show dev vx0)\""), 0);
	podnet_plan_free(plan);
	podnet_set_free(device);
	podnet_set_free(peer);
	podnet_set_free(none);
}

static void entries_of_others_stay(void **state)
{
	const struct podnet_fdb fdb = { .link = "vx1", .mac = MAC_FAR, .dst = prefix("10.0.0.2") };
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip link add vx1 type vxlan id 9 dstport 4789;"
			    "bridge fdb append 02:00:00:00:00:02 dev vx1 dst 10.0.0.9"), 0);
	ctx = test_open(NULL);
	assert_int_equal(podnet_fdb_ensure(ctx, &fdb, &err), -EEXIST);
	assert_string_equal(err.object, "fdb vx1 02:00:00:00:00:02");
	assert_int_equal(podnet_fdb_absent(ctx, &fdb, &err), -EPERM);
	assert_int_equal(sh("bridge fdb show dev vx1 | grep -q 'dst 10.0.0.9'"), 0);
}

static struct podnet_set *declare_tun(uint32_t flags)
{
	const struct podnet_tun tun = {
		.link = { .name = "tun0", .flags = UP | PODNET_LINK_NO_ADDRGEN, .mtu = 1472 },
		.flags = flags };
	const struct podnet_addr addr = { .link = "tun0", .prefix = prefix("172.16.0.100/16") };
	const struct podnet_route route = { .link = "tun0", .dst = prefix("172.17.0.0/24") };
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;

	test_ok(podnet_set_new(&set, "overlay", &err), &err);
	test_ok(podnet_set_tun(set, &tun, &err), &err);
	test_ok(podnet_set_addr(set, &addr, &err), &err);
	test_ok(podnet_set_route(set, &route, &err), &err);
	return set;
}

#define TUN_ADD "link add tun0 type tun mode tun vnet_hdr multi_queue mtu 1472 up addrgenmode none\n" \
	"addr add tun0 172.16.0.100/16\nroute add 172.17.0.0/24 dev tun0\n"
#define TUN_OURS "ip link set tun0 alias podnet:lib:overlay"

static const struct drift tun_drifts[] = {
	{ "deleted", "ip link del tun0", TUN_ADD },
	{ "one queue only", "ip link del tun0; ip tuntap add tun0 mode tun vnet_hdr;" TUN_OURS,
	  "link del tun0\n" TUN_ADD },
	{ "with pi", "ip link del tun0; ip tuntap add tun0 mode tun vnet_hdr multi_queue pi;" TUN_OURS,
	  "link del tun0\n" TUN_ADD },
	{ "somebody's", "ip link del tun0; ip tuntap add tun0 mode tun vnet_hdr multi_queue user 99;"
	  TUN_OURS, "link del tun0\n" TUN_ADD },
	{ "a tap", "ip link del tun0; ip tuntap add tun0 mode tap vnet_hdr multi_queue;" TUN_OURS,
	  "link del tun0\n" TUN_ADD },
	{ "mtu", "ip link set tun0 mtu 1500", "link set tun0 mtu 1472\n" },
	{ "down", "ip link set tun0 down", "link set tun0 up addrgenmode none\nroute add 172.17.0.0/24 dev tun0\n" },
};

static void tun_drift_is_repaired(void **state)
{
	const struct drift *drift = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *set =
		declare_tun(PODNET_TUN_VNET_HDR | PODNET_TUN_MULTI_QUEUE);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	assert_int_equal(test_ok(apply(ctx, set, &err), &err), 3);
	assert_int_equal(sh(drift->how), 0);
	replan(ctx, set, drift->lines);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(sh("! ip link show tun0 2>/dev/null"), 0);
}

/* what the kernel has for the device, as a program reads it, and back with the ends turned */
static void echo_packet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t packet[2048], address[4], port[2];
	ssize_t n;

	do {
		assert_int_equal(poll(&p, 1, 20000), 1);
		n = read(fd, packet, sizeof(packet));
	} while (n > 0 && (packet[0] >> 4 != 4 || packet[9] != IPPROTO_UDP));
	assert_int_equal(n, 20 + 8 + 5);
	memcpy(address, packet + 12, 4);
	memcpy(packet + 12, packet + 16, 4);
	memcpy(packet + 16, address, 4);
	memcpy(port, packet + 20, 2);
	memcpy(packet + 20, packet + 22, 2);
	memcpy(packet + 22, port, 2);
	assert_int_equal(write(fd, packet, (size_t)n), n);
}

static void a_program_reads_and_writes(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_tun(0);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct timeval patience = { .tv_sec = 20 };
	struct podnet_error err = { 0 };
	char text[8];
	int fd, s;

	(void)state;
	test_ok(apply(ctx, set, &err), &err);
	fd = test_ok(podnet_tun_open(ctx, NULL, "tun0", &err), &err);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "172.17.0.7", &to.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(sendto(s, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	echo_packet(fd);
	assert_int_equal(recv(s, text, sizeof(text), 0), 5);
	assert_int_equal(podnet_tun_open(ctx, NULL, "tun0", &err), -EBUSY);
	close(fd);
	close(s);
	/* it outlives its queue, and nothing is to be repaired */
	memset(&err, 0, sizeof(err));
	assert_int_equal(test_ok(apply(ctx, set, &err), &err), 0);
}

static void queues(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_tun(PODNET_TUN_MULTI_QUEUE);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };
	int a, b;

	(void)state;
	assert_int_equal(sh("ip netns add far; ip link add v0 type veth peer name v1;"
			    "ip -n far tuntap add t0 mode tun multi_queue"), 0);
	ctx = test_open(NULL);
	test_ok(apply(ctx, set, &err), &err);
	a = test_ok(podnet_tun_open(ctx, NULL, "tun0", &err), &err);
	b = test_ok(podnet_tun_open(ctx, NULL, "tun0", &err), &err);
	assert_int_equal(podnet_tun_open(ctx, NULL, "tun1", &err), -ENOENT);
	assert_int_equal(podnet_tun_open(ctx, NULL, "v0", &err), -EMEDIUMTYPE);
	assert_string_equal(err.field, "name");
	assert_int_equal(sh("! ip link show tun1 2>/dev/null"), 0);
	close(a);
	close(b);
	a = test_ok(podnet_tun_open(ctx, "far", "t0", &err), &err);
	close(a);
}

/* one that goes with its program is not taken for another's persistent one, and is left alone */
static void a_passing_device_is_foreign(void **state)
{
	struct ifreq ifr = { .ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE };
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_tun(PODNET_TUN_MULTI_QUEUE);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(apply(ctx, set, &err), -EEXIST);
	assert_string_equal(err.object, "link tun0");
	assert_int_equal(podnet_tun_open(ctx, NULL, "tun0", &err), -ENOENT);
	close(fd);
	assert_int_equal(sh("! ip link show tun0 2>/dev/null"), 0);
}

#define ROWS (ARRAY_SIZE(drifts) + ARRAY_SIZE(tun_drifts))

int main(void)
{
	struct CMUnitTest tests[10 + ROWS] = {
		cmocka_unit_test_prestate_setup_teardown(packets_pass, netns_setup, NULL,
							 (void *)(uintptr_t)&sides[0]),
		cmocka_unit_test_prestate_setup_teardown(packets_pass, netns_setup, NULL,
							 (void *)(uintptr_t)&sides[2]),
		cmocka_unit_test_prestate_setup_teardown(packets_pass, netns_setup, NULL,
							 (void *)(uintptr_t)&sides[4]),
		cmocka_unit_test_setup(a_changed_device_is_made_anew, netns_setup),
		cmocka_unit_test_setup(an_id_is_one_devices, netns_setup),
		cmocka_unit_test_setup(peers_of_another_set, netns_setup),
		cmocka_unit_test_setup(entries_of_others_stay, netns_setup),
		cmocka_unit_test_setup(a_program_reads_and_writes, netns_setup),
		cmocka_unit_test_setup(queues, netns_setup),
		cmocka_unit_test_setup(a_passing_device_is_foreign, netns_setup),
	};
	size_t n = 10;

	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++)
		tests[n++] = (struct CMUnitTest){ drifts[i].says, drift_is_repaired, netns_setup, NULL,
						  (void *)(uintptr_t)&drifts[i] };
	for (size_t i = 0; i < ARRAY_SIZE(tun_drifts); i++)
		tests[n++] = (struct CMUnitTest){ tun_drifts[i].says, tun_drift_is_repaired, netns_setup,
						  NULL, (void *)(uintptr_t)&tun_drifts[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
