/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frames.c - the end of a wire in the test's own hands
 *
 * Room: tests only.
 */
#include "frames.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>

#define FENCE 0x88b5            /* EtherType for experiments */

static int packets_of(int netns, const char *device, int type, uint16_t protocol)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	int fd, size = 4 << 20;

	enter(netns);
	fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex(device);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

void bench_open(struct bench *b, bool six)
{
	cpu_set_t first;

	sched_getaffinity(0, sizeof(first), &first);
	for (int i = 0, seen = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &first) && seen++)
			CPU_CLR(i, &first);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	nodes_open(&b->w, 2, six);
	b->one = &b->w.v[0];
	podnet_overlay_close(b->w.v[1].ov);
	b->w.v[1].ov = NULL;
	b->wire = packets_of(b->w.v[1].netns, "u0", SOCK_RAW, ETH_P_ALL);
	b->device = packets_of(b->one->netns, "t0", SOCK_DGRAM, ETH_P_ALL);
	b->fence = packets_of(b->one->netns, "u0", SOCK_RAW, FENCE);
}

void bench_close(struct bench *b)
{
	closep(&b->wire);
	closep(&b->device);
	closep(&b->fence);
	nodes_close(&b->w);
}

void put_mac(uint8_t *at, uint8_t node)
{
	memcpy(at, (uint8_t[]){ 2, 0, 0, 0, 0, node }, 6);
}

/* All that was sent from the wire before is where it goes to: the second one is behind what the first one overtook. */
void settle(struct bench *b)
{
	uint8_t frame[60] = { 0 }, got[60];
	struct pollfd p = { b->fence, POLLIN, 0 };

	put_mac(frame, 1);
	put_mac(frame + 6, 2);
	put16(frame + 12, FENCE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(b->wire, frame, sizeof(frame), 0), sizeof(frame));
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(recv(b->fence, got, sizeof(got), 0), sizeof(got));
	}
}

bool is_six(const char *ip)
{
	return strchr(ip, ':');
}

static size_t put_ip(uint8_t *ip, const char *from, const char *to, size_t data)
{
	bool six = is_six(from);

	memset(ip, 0, six ? 40 : 20);
	if (six) {
		ip[0] = 0x60, ip[6] = IPPROTO_UDP, ip[7] = 64;
		put16(ip + 4, (uint16_t)data);
		inet_pton(AF_INET6, from, ip + 8);
		inet_pton(AF_INET6, to, ip + 24);
		return 40;
	}
	ip[0] = 0x45, ip[8] = 64, ip[9] = IPPROTO_UDP;
	put16(ip + 2, (uint16_t)(20 + data));
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	put16(ip + 10, internet_sum(ip, 20, 0));
	return 20;
}

/* An IP packet with a UDP datagram; returns its length. */
size_t put_datagram(uint8_t *ip, const char *from, const char *to, uint16_t sport, uint16_t dport, size_t data)
{
	size_t at = put_ip(ip, from, to, 8 + data);

	put16(ip + at, sport);
	put16(ip + at + 2, dport);
	put16(ip + at + 4, (uint16_t)(8 + data));
	put16(ip + at + 6, 0);
	return at + 8 + data;
}

void put_udp_sum(uint8_t *ip)
{
	bool six = ip[0] >> 4 == 6;
	uint8_t *udp = ip + (six ? 40 : 20);
	size_t addresses = six ? 32 : 8, len = (size_t)udp[4] << 8 | udp[5];
	uint16_t sum;

	put16(udp + 6, 0);
	sum = internet_sum(udp - addresses, addresses + len, (uint32_t)(IPPROTO_UDP + len));
	put16(udp + 6, sum ? sum : 0xffff);
}
