/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prefix.c - addresses, prefixes and MACs as text and as values
 *
 * Room: pure functions.  May include: include/podnet/ip.h, libc.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <podnet/ip.h>
#include <stdio.h>

static unsigned int max_len(uint8_t family)
{
	if (family == AF_INET)
		return 32;
	return family == AF_INET6 ? 128 : 0;
}

/* decimal, at most three digits, no sign and no leading zero: -1 for anything else */
static int parse_len(const char *text)
{
	int v = 0;

	if (!text[0] || (text[0] == '0' && text[1]) || strlen(text) > 3)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		v = v * 10 + (*text - '0');
	}
	return v;
}

/* "10.0.0.1" as inet_pton(3) reads it, of which there are most; where it ends, or NULL */
static const char *parse_quad(const char *p, uint8_t addr[16])
{
	for (int i = 0; i < 4; i++) {
		const char *from = p;
		unsigned int v = 0;

		while (*p >= '0' && *p <= '9' && p - from < 3)
			v = v * 10 + (unsigned int)(*p++ - '0');
		if (p == from || v > 255 || (*from == '0' && p - from > 1))
			return NULL;
		addr[i] = (uint8_t)v;
		if (i < 3 && *p++ != '.')
			return NULL;
	}
	return p;
}

static int parse_plain(const char *text, struct podnet_prefix *ret)
{
	struct podnet_prefix p = { .family = AF_INET };
	const char *end = parse_quad(text, p.addr);
	int len = !end ? -1 : *end == '/' ? parse_len(end + 1) : *end ? -1 : 32;

	if (len < 0 || len > 32)
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

int podnet_prefix_parse(const char *text, struct podnet_prefix *ret)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	struct podnet_prefix p = { 0 };
	char addr[INET6_ADDRSTRLEN];
	size_t n;
	int len;

	if (!text)
		return -EINVAL;
	if (parse_plain(text, ret) == 0)
		return 0;
	n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	p.family = memchr(addr, ':', n) ? AF_INET6 : AF_INET;
	if (inet_pton(p.family, addr, p.addr) != 1)
		return -EINVAL;
	len = slash ? parse_len(slash + 1) : (int)max_len(p.family);
	if (len < 0 || len > (int)max_len(p.family))
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

const char *podnet_prefix_format_addr(const struct podnet_prefix *p, char buf[PODNET_PREFIX_STRLEN])
{
	if (!max_len(p->family) || !inet_ntop(p->family, p->addr, buf, PODNET_PREFIX_STRLEN))
		snprintf(buf, PODNET_PREFIX_STRLEN, "none");
	return buf;
}

const char *podnet_prefix_format(const struct podnet_prefix *p, char buf[PODNET_PREFIX_STRLEN])
{
	size_t n;

	podnet_prefix_format_addr(p, buf);
	if (!max_len(p->family))
		return buf;
	n = strlen(buf);
	snprintf(buf + n, PODNET_PREFIX_STRLEN - n, "/%u", p->len);
	return buf;
}

struct podnet_prefix podnet_prefix_mask(const struct podnet_prefix *p)
{
	struct podnet_prefix m = *p;
	size_t whole = p->len / 8;

	if (whole >= sizeof(m.addr))
		return m;
	m.addr[whole] &= (uint8_t)(0xff00 >> (p->len % 8));
	memset(m.addr + whole + 1, 0, sizeof(m.addr) - whole - 1);
	return m;
}

int podnet_prefix_contains(const struct podnet_prefix *outer, const struct podnet_prefix *inner)
{
	struct podnet_prefix cut = *inner, base;

	if (!max_len(outer->family) || outer->family != inner->family || outer->len > inner->len)
		return 0;
	cut.len = outer->len;
	cut = podnet_prefix_mask(&cut);
	base = podnet_prefix_mask(outer);
	return memcmp(cut.addr, base.addr, sizeof(cut.addr)) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int podnet_mac_parse(const char *text, uint8_t ret[6])
{
	uint8_t mac[6];

	if (!text || strlen(text) != PODNET_MAC_STRLEN - 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

const char *podnet_mac_format(const uint8_t mac[6], char buf[PODNET_MAC_STRLEN])
{
	snprintf(buf, PODNET_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return buf;
}
