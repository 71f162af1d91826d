/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format.c - names, addresses and paths as text
 *
 * Room (codec): pure functions.  The words are those of Kubernetes where it has them, since users
 * know and search them.  May include: netd/base, include/podnet/ip.h, libc.
 */
#include <netd/codec/format.h>
#include <netinet/in.h>
#include <stdio.h>

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label(const char *s, size_t len)
{
	if (!len || !lower_alnum(s[0]) || !lower_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!lower_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool is_subdomain(const char *s, size_t len)
{
	while (len) {
		const char *dot = memchr(s, '.', len);
		size_t n = dot ? (size_t)(dot - s) : len;

		if (!is_label(s, n))
			return false;
		if (!dot)
			return true;
		s += n + 1;
		len -= n + 1;
	}
	return false;
}

/* [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])? */
static bool is_plain_name(const char *s, size_t len)
{
	if (!len || len > 63 || !alnum(s[0]) || !alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

const char *format_label(const char *s)
{
	size_t len = strlen(s);

	if (len > 63)
		return "must be no more than 63 characters";
	if (is_label(s, len))
		return NULL;
	return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
	       "'-', and must start and end with an alphanumeric character (e.g. 'my-name', or "
	       "'123-abc')";
}

const char *format_subdomain(const char *s)
{
	size_t len = strlen(s);

	if (len > 253)
		return "must be no more than 253 characters";
	if (is_subdomain(s, len))
		return NULL;
	return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
	       "'-' or '.', and must start and end with an alphanumeric character (e.g. "
	       "'example.com')";
}

const char *format_qualified(const char *s)
{
	const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;

	if (slash && (slash - s > 253 || !is_subdomain(s, (size_t)(slash - s))))
		return "prefix part must be a lowercase RFC 1123 subdomain";
	if (strlen(name) > 63)
		return "name part must be no more than 63 characters";
	if (is_plain_name(name, strlen(name)))
		return NULL;
	return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start "
	       "and end with an alphanumeric character (e.g. 'MyName', or 'my.name', or "
	       "'123-abc')";
}

const char *format_label_value(const char *s)
{
	if (strlen(s) > 63)
		return "must be no more than 63 characters";
	if (!s[0] || is_plain_name(s, strlen(s)))
		return NULL;
	return "a valid label must be an empty string or consist of alphanumeric characters, '-', "
	       "'_' or '.', and must start and end with an alphanumeric character";
}

const char *format_port_name(const char *s)
{
	size_t len = strlen(s);
	bool letter = false;

	if (len > 15)
		return "must be no more than 15 characters";
	if (!is_label(s, len) || strstr(s, "--"))
		return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), "
		       "which stand single and not at an end";
	for (size_t i = 0; i < len; i++)
		letter |= s[i] >= 'a';
	return letter ? NULL : "must contain at least one letter (a-z)";
}

const char *format_ifname(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > 15)
		return "an interface name has 1 to 15 bytes";
	if (strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return "an interface name is not '.' or '..'";
	for (; *s; s++)
		if (*s == '/' || *s == ':' || (unsigned char)*s <= ' ' || *s == 0x7f)
			return "an interface name has no '/', ':' or blank";
	return NULL;
}

const char *format_own_ifname(const char *s)
{
	const char *why = format_ifname(s);

	if (why)
		return why;
	if (strcmp(s, "lo") == 0)
		return "the loopback interface is the kernel's";
	/* net/ipv4/devinet.c, sysctl_dev_name_is_allowed(); net/core/dev.c, dev_alloc_name() */
	if (strcmp(s, "all") == 0 || strcmp(s, "default") == 0)
		return "'all' and 'default' are the kernel's in its sysctls";
	if (strchr(s, '%'))
		return "an interface is not named by a pattern: '%' is the kernel's";
	if (strncmp(s, "pn", 2) == 0 && strlen(s) == 15 &&
	    strspn(s + 2, "abcdefghijklmnopqrstuvwxyz234567") == 13)
		return "names of 'pn' and 13 base32 letters are reserved";
	if (strncmp(s, "pn-", 3) == 0)
		return "names that begin with 'pn-' are reserved";
	return NULL;
}

const char *format_netns_path(const char *s)
{
	const char *digits = s + 4;

	if (s[0] == '/' && s[1] && strlen(s) < 4096)
		return NULL;
	if (strncmp(s, "pid:", 4) == 0 && digits[0] >= '1' && digits[0] <= '9' &&
	    strlen(digits) <= 9 && strspn(digits, "0123456789") == strlen(digits))
		return NULL;
	return "must be an absolute path or \"pid:N\"";
}

const char *format_mac(const char *s)
{
	static const uint8_t none[6];
	uint8_t mac[6];

	if (podnet_mac_parse(s, mac) < 0)
		return "must be a MAC address, six bytes in hexadecimal with colons between";
	if (mac[0] & 1 || memcmp(mac, none, 6) == 0)
		return "must be a unicast MAC address that is not all zero";
	return NULL;
}

const char *format_time(const char *s)
{
	int64_t t;

	return time_parse(s, &t) < 0 ? "must be a time as in RFC 3339" : NULL;
}

const char *format_quantity(const char *s)
{
	uint64_t v;

	if (quantity_parse(s, &v) < 0)
		return "must be a quantity, a number with a suffix of k, M, G, T, P, E, Ki, Mi, "
		       "Gi, Ti, Pi, Ei or an exponent";
	return NULL;
}

const char *format_bandwidth(const char *s)
{
	const char *why = format_quantity(s);
	uint64_t v = 0;

	if (why)
		return why;
	quantity_parse(s, &v);
	if (v < 1000 || v > 1000000000000000)
		return "resource is unreasonable: must be between 1k and 1P (bits per second)";
	return NULL;
}

const char *format_special(const struct podnet_prefix *p)
{
	static const uint8_t none[16], one[16] = { [15] = 1 };
	const uint8_t *a = p->addr;

	if (memcmp(a, none, 16) == 0)
		return "the unspecified address";
	if (p->family == AF_INET && a[0] == 0)
		return "of the reserved range 0.0.0.0/8";
	if (p->family == AF_INET && a[0] == 127)
		return "a loopback address";
	if (p->family == AF_INET && a[0] >= 240)
		return "of the reserved range 240.0.0.0/4";
	if (p->family == AF_INET ? a[0] >= 224 : a[0] == 0xff)
		return "a multicast address";
	if (p->family == AF_INET)
		return NULL;
	if (memcmp(a, one, 16) == 0)
		return "a loopback address";
	return memcmp(a, none, 10) == 0 && a[10] == 0xff && a[11] == 0xff ?
		"an IPv4-mapped address" : NULL;
}

/* RFC 6890: this host, loopback, link-local (where pods have their gateway), multicast, reserved. */
static const char *reserved(const struct podnet_prefix *p, bool around)
{
	static const char *const ranges[] = {
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
		"::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8",
	};
	struct podnet_prefix range;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (podnet_prefix_parse(ranges[i], &range) == 0 && range.family == p->family &&
		    (podnet_prefix_contains(&range, p) ||
		     (around && podnet_prefix_contains(p, &range))))
			return ranges[i];
	return NULL;
}

const char *format_reserved(const struct podnet_prefix *p)
{
	return reserved(p, true);
}

const char *format_inside(const struct podnet_prefix *p)
{
	return reserved(p, false);
}

const char *format_address(const char *s)
{
	struct podnet_prefix p;

	if (strchr(s, '/') || podnet_prefix_parse(s, &p) < 0)
		return "must be a valid IP address";
	return NULL;
}

const char *format_prefix(const char *s)
{
	struct podnet_prefix p;

	if (podnet_prefix_parse(s, &p) < 0)
		return "must be an IP address with a prefix length, such as 10.0.0.1/24";
	if (p.len == 0 || format_special(&p))
		return "must be an address that an interface can have";
	return NULL;
}

const char *format_cidr(const char *s)
{
	struct podnet_prefix p, m;

	if (!strchr(s, '/') || podnet_prefix_parse(s, &p) < 0)
		return "must be a valid CIDR value, such as 10.9.8.0/24 or 2001:db8::/64";
	m = podnet_prefix_mask(&p);
	return memcmp(&m, &p, sizeof(m)) ? "must have zero bits behind its prefix length" : NULL;
}

const char *format_net(const char *s)
{
	struct podnet_prefix p;

	if (!strchr(s, '/') || podnet_prefix_parse(s, &p) < 0)
		return "must be a valid CIDR value, such as 10.9.8.0/24 or 2001:db8::/64";
	return NULL;
}

const char *format_destination(const char *s)
{
	return strcmp(s, "default") == 0 ? NULL : format_cidr(s);
}

/* One address to its family's place. */
static const char *take_address(const char *text, size_t len, struct podnet_prefix ret[2])
{
	char item[PODNET_PREFIX_STRLEN];
	struct podnet_prefix ip;
	const char *special;
	bool v6;

	while (len && strchr(" \t", text[len - 1]))
		len--;
	while (len && strchr(" \t", *text)) {
		text++;
		len--;
	}
	snprintf(item, sizeof(item), "%.*s", (int)len, text);
	if (len >= sizeof(item) || strchr(item, '/') || podnet_prefix_parse(item, &ip) < 0)
		return "must be an IP address, or one of each family separated by a comma";
	special = format_special(&ip);
	v6 = ip.family == AF_INET6;
	if (special)
		return "must be addresses that other nodes can send to";
	if (ret[v6].family)
		return "must have at most one address of each family";
	ret[v6] = ip;
	return NULL;
}

const char *format_hosts(const char *text, struct podnet_prefix ret[2])
{
	const char *why = NULL;

	memset(ret, 0, 2 * sizeof(*ret));
	for (const char *at = text; at && !why; ) {
		const char *end = strchrnul(at, ',');

		why = take_address(at, (size_t)(end - at), ret);
		at = *end ? end + 1 : NULL;
	}
	return why;
}
