/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf_value.c - values that are lists, addresses and ranges
 *
 * Room: see conf.h.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/conf_inner.h>
#include <stdio.h>
#include <sys/socket.h>

/* A Node's name: DNS-1123 subdomain (RFC 1123). */
bool conf_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 253 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != n)
		return false;
	return !strchr("-.", name[0]) && !strchr("-.", name[n - 1]);
}

char *conf_trim(char *text)
{
	size_t n;

	text += strspn(text, " \t");
	n = strlen(text);
	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = 0;
	return text;
}

/* Values separated by commas. */
static int parse_list(const char *value, int (*each)(void *arg, const char *item), void *arg)
{
	char text[1024], *rest = text, *item;
	int r = 0;

	if (strlen(value) >= sizeof(text))
		return -EINVAL;
	memcpy(text, value, strlen(value) + 1);
	while (r == 0 && (item = strsep(&rest, ",")))
		r = each(arg, conf_trim(item));
	return r;
}

static int each_node_ip(void *arg, const char *item)
{
	struct conf *conf = arg;
	struct podnet_prefix ip;

	if (conf->nnode_ips == 2 || strchr(item, '/') || podnet_prefix_parse(item, &ip) < 0)
		return -EINVAL;
	if (conf->nnode_ips && conf->node_ips[0].family == ip.family)
		return -EINVAL;
	conf->node_ips[conf->nnode_ips++] = ip;
	return 0;
}

int conf_parse_node_ip(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	conf->nnode_ips = 0;
	return parse_list(value, each_node_ip, conf);
}

static int read_cidr(const char *item, struct podnet_prefix *ret)
{
	struct podnet_prefix masked;

	if (podnet_prefix_parse(item, ret) < 0 || !strchr(item, '/'))
		return -EINVAL;
	masked = podnet_prefix_mask(ret);
	return memcmp(ret, &masked, sizeof(masked)) ? CONF_HOST_BITS : 0;
}

static int each_cidr(void *arg, const char *item)
{
	struct conf *conf = arg;
	struct podnet_prefix p;
	int r = read_cidr(item, &p);
	bool v6;

	if (r < 0)
		return r;
	v6 = p.family == AF_INET6;
	if (conf->cluster_cidrs[v6].family)
		return CONF_ONE_FAMILY;
	conf->cluster_cidrs[v6] = p;
	return 0;
}

/* One of each family, in their order. */
static int each_of_two(void *arg, const char *item)
{
	struct podnet_prefix *two = arg, p;
	int r = read_cidr(item, &p);

	if (r < 0)
		return r;
	if (two[1].family || two[0].family == p.family)
		return CONF_ONE_FAMILY;
	two[two[0].family != 0] = p;
	return 0;
}

int conf_parse_two_cidrs(struct conf *conf, const struct row *row, const char *value)
{
	struct podnet_prefix *two = (void *)((char *)conf + row->member);

	memset(two, 0, 2 * sizeof(*two));
	return parse_list(value, each_of_two, two);
}

int conf_parse_port_range(struct conf *conf, const struct row *row, const char *value)
{
	unsigned least, most;
	char more;

	(void)row;
	if (sscanf(value, "%u-%u%c", &least, &most, &more) != 2)
		return -EINVAL;
	if (least < 1 || least > 65535 || most < 1 || most > 65535)
		return CONF_NO_PORT;
	if (least > most)
		return CONF_TURNED_ROUND;
	conf->node_port_min = least;
	conf->node_port_max = most;
	return 0;
}

int conf_parse_cidrs(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	memset(conf->cluster_cidrs, 0, sizeof(conf->cluster_cidrs));
	conf->cidrs_said = true;
	return parse_list(value, each_cidr, conf);
}

int conf_parse_blocks(struct conf *conf, const struct row *row, const char *value)
{
	unsigned v4, v6;
	char more;

	(void)row;
	if (sscanf(value, "%u,%u%c", &v4, &v6, &more) != 2)
		return -EINVAL;
	if (v4 < 8 || v4 > 30 || v6 < 48 || v6 > 120)
		return CONF_NO_BLOCK;
	conf->block_len[0] = (uint8_t)v4;
	conf->block_len[1] = (uint8_t)v6;
	conf->blocks_said = true;
	return 0;
}

/* ADDR:PORT, an IPv6 address in brackets (RFC 3986, 3.2.2). */
static int each_listen(void *arg, const char *item)
{
	struct conf *conf = arg;
	struct conf_listen *l = &conf->listen[conf->nlisten];
	const char *colon = strrchr(item, ':');
	size_t n = colon ? (size_t)(colon - item) : 0;
	bool v6 = *item == '[';
	char host[64], more;
	unsigned port;

	if (conf->nlisten == LIMIT_LISTEN || !n || n >= sizeof(host) || (v6 && item[n - 1] != ']'))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(n - (v6 ? 2 : 0)), item + v6);
	if (strchr(host, '/') || podnet_prefix_parse(host, &l->ip) < 0 ||
	    (l->ip.family == AF_INET6) != v6 ||
	    sscanf(colon + 1, "%5u%c", &port, &more) != 1 || port < 1 || port > 65535)
		return -EINVAL;
	l->port = (uint16_t)port;
	conf->nlisten++;
	return 0;
}

int conf_parse_listen(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	conf->nlisten = 0;
	return parse_list(value, each_listen, conf);
}

static int each_san(void *arg, const char *item)
{
	struct conf *conf = arg;
	struct podnet_prefix ip;

	if (conf->ntls_san == LIMIT_SAN || strchr(item, '/') ||
	    (podnet_prefix_parse(item, &ip) < 0 && !conf_name_ok(item)))
		return -EINVAL;
	conf->tls_san[conf->ntls_san] = arena_strdup(&conf->arena, item);
	return conf->tls_san[conf->ntls_san++] ? 0 : -ENOMEM;
}

int conf_parse_san(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	conf->ntls_san = 0;
	return parse_list(value, each_san, conf);
}

/* The host of a URL, its port behind it (RFC 3986, 3.2): a name or address, one of IPv6 in brackets. */
static int check_authority(const char *at)
{
	size_t len = strcspn(at, "/");
	const char *user = memrchr(at, '@', len), *host = user ? user + 1 : at, *end = at + len;
	const char *close = *host == '[' ? memchr(host, ']', (size_t)(end - host)) : NULL;
	size_t name = close ? (size_t)(close + 1 - host) : strcspn(host, ":/");
	char text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix ip;
	size_t digits;
	unsigned port;

	if (!name || *host == '/' || host == end)
		return CONF_NO_HOST;
	if (*host == '[') {
		snprintf(text, sizeof(text), "%.*s", close ? (int)name - 2 : 0, host + 1);
		if (!close || strchr(text, '/') || podnet_prefix_parse(text, &ip) < 0 || ip.family != AF_INET6)
			return CONF_NO_BRACKETS;
	}
	host += name;
	if (host == end)
		return 0;
	digits = strspn(++host, "0123456789");
	if (host[-1] != ':' || (host + digits < end && memchr(host, ':', (size_t)(end - host))))
		return CONF_NO_BRACKETS;
	if (host + digits != end || !digits || digits > 5 || sscanf(host, "%5u", &port) != 1)
		return CONF_NO_PORT;
	return port < 1 || port > 65535 ? CONF_NO_PORT : 0;
}

/* One whose name is not known, or that nobody answers at, may be there later. */
static int each_etcd(void *arg, const char *item)
{
	size_t scheme = strncmp(item, "https://", 8) == 0 ? 8 : strncmp(item, "http://", 7) == 0 ? 7 : 0;
	struct conf *conf = arg;
	int r;

	if (conf->netcd == LIMIT_ETCD || strlen(item) > 200)
		return CONF_TOO_LONG;
	if (!scheme)
		return CONF_NO_SCHEME;
	for (const char *c = item; *c; c++)
		if (*c <= ' ' || *c == 0x7f || strchr("?#\"", *c))
			return CONF_BLANK;
	r = check_authority(item + scheme);
	if (r < 0)
		return r;
	conf->etcd[conf->netcd] = arena_strdup(&conf->arena, item);
	return conf->etcd[conf->netcd++] ? 0 : -ENOMEM;
}

int conf_parse_etcd(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	conf->netcd = 0;
	return parse_list(value, each_etcd, conf);
}
