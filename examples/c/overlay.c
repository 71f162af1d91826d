/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay.c - one end of an overlay: a TUN device joined to a UDP socket
 *
 *   overlay DEVICE LOCAL-IP PEER-IP PORT PREFIX
 *
 * Makes the device if it is not there; its address and route are the caller's.  The other end is
 * the same program, or socat TUN:...,iff-no-pi UDP:PEER-IP:PORT,bind=LOCAL-IP:PORT.
 * PREFIX is what is behind the peer.  Needs CAP_NET_ADMIN for the device only.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <podnet/podnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int open_tun(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static int open_udp(const struct podnet_prefix *ip, uint16_t port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(ip->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	memcpy(&v4.sin_addr, ip->addr, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, ip->addr, sizeof(v6.sin6_addr));
	if (ip->family == AF_INET)
		r = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	else
		r = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r < 0) {
		perror("bind");
		exit(1);
	}
	return fd;
}

static int fail(const struct podnet_error *err)
{
	char text[256];

	podnet_error_text(err, text, sizeof(text));
	fprintf(stderr, "overlay: %s\n", text);
	return 1;
}

int main(int argc, char **argv)
{
	struct podnet_prefix local, at, behind;
	struct podnet_overlay_spec spec = { .queues = 1 };
	struct podnet_overlay_peer peer = { .prefixes = &behind, .nprefixes = 1 };
	struct podnet_error err = { 0 };
	struct podnet_overlay *ov;
	int tun, udp, r;

	if (argc != 6 || podnet_prefix_parse(argv[2], &local) < 0 ||
	    podnet_prefix_parse(argv[3], &at) < 0 || podnet_prefix_parse(argv[5], &behind) < 0) {
		fprintf(stderr, "usage: overlay DEVICE LOCAL-IP PEER-IP PORT PREFIX\n");
		return 2;
	}
	peer.address = at;
	peer.port = (uint16_t)strtoul(argv[4], NULL, 10);
	tun = open_tun(argv[1]);
	udp = open_udp(&local, peer.port);
	spec.tun = &tun;
	spec.udp = &udp;
	if (podnet_overlay_open(&spec, &ov, &err) < 0)
		return fail(&err);
	r = podnet_overlay_peer_put(ov, &peer, &err);
	if (r == 0)
		r = podnet_overlay_run(ov, 0, &err);
	podnet_overlay_close(ov);
	return r < 0 ? fail(&err) : 0;
}
