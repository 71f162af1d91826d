/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf.c - flags and the configuration file, one table for both
 *
 * Room: see conf.h.  A row is a name, a parser, a default and a line of help; `--node-name=x`,
 * `--node-name x` and `node-name = x` in the file are the same row.  A flag wins over the file.
 */
#include <ctype.h>
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/conf_inner.h>
#include <stdio.h>

static int parse_text(struct conf *conf, const struct row *row, const char *value)
{
	const char **member = (const char **)((char *)conf + row->member);

	if (!*value)
		return -EINVAL;
	*member = arena_strdup(&conf->arena, value);
	return *member ? 0 : -ENOMEM;
}

static int parse_path(struct conf *conf, const struct row *row, const char *value)
{
	return value[0] == '/' ? parse_text(conf, row, value) : -EINVAL;
}

static int parse_number(struct conf *conf, const struct row *row, const char *value)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || end == value || *end || n < row->least || n > row->most)
		return -EINVAL;
	*(uint32_t *)((char *)conf + row->member) = (uint32_t)n;
	return 0;
}

static int parse_switch(struct conf *conf, const struct row *row, const char *value)
{
	bool *member = (bool *)((char *)conf + row->member);

	*member = strcmp(value, "yes") == 0;
	return *member || strcmp(value, "no") == 0 ? 0 : -EINVAL;
}

static int parse_fwd(struct conf *conf, const struct row *row, const char *value)
{
	static const char *const modes[] = {
		[PORTS_START] = "start", [PORTS_WAIT] = "wait", [PORTS_NO] = "no",
	};

	(void)row;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(value, modes[i]) != 0)
			continue;
		conf->fwd = (enum ports_mode)i;
		return 0;
	}
	return -EINVAL;
}

static int parse_level(struct conf *conf, const struct row *row, const char *value)
{
	(void)row;
	return log_level_parse(value, &conf->log_level);
}

static int set_action(struct conf *conf, const struct row *row)
{
	if (conf->action != CONF_RUN)
		return -EEXIST;
	conf->action = (enum conf_action)row->least;
	return 0;
}

static int parse_action(struct conf *conf, const struct row *row, const char *value)
{
	(void)value;
	return set_action(conf, row);
}

static int parse_order(struct conf *conf, const struct row *row, const char *value)
{
	int r = set_action(conf, row);

	if (r < 0)
		return r;
	conf->argument = arena_strdup(&conf->arena, value);
	return conf->argument ? 0 : -ENOMEM;
}

#define DIGITS(limit) DIGITS_(limit)
#define DIGITS_(number) #number
#define TEXT(n, m, d, v, h) { n, parse_text, offsetof(struct conf, m), d, v, h, 0, 0 }
#define PATH(n, m, d, h) { n, parse_path, offsetof(struct conf, m), d, "PATH", h, 0, 0 }
#define NUMBER(n, m, d, lo, hi, h) { n, parse_number, offsetof(struct conf, m), d, "N", h, lo, hi }
#define CIDRS(n, m, d, h) { n, conf_parse_two_cidrs, offsetof(struct conf, m), d, "CIDR[,CIDR]", h, 0, 0 }
#define SWITCH(n, m, d, h) { n, parse_switch, offsetof(struct conf, m), d, "yes|no", h, 0, 0 }
#define OTHER(n, f, d, v, h) { n, f, 0, d, v, h, 0, 0 }
#define ACTION(n, a, h) { n, parse_action, 0, NULL, NULL, h, a, 0 }
#define ORDER(n, a, v, h) { n, parse_order, 0, NULL, v, h, a, 0 }
static const struct row rows[] = {
	PATH("config", config, "/etc/podnet/netd.conf", "this file; may be absent unless named here"),
	TEXT("node-name", node_name, NULL, "NAME", "name of this Node; default: the host's name"),
	OTHER("node-ip", conf_parse_node_ip, NULL, "IP[,IP]",
	      "host addresses, one a family; default: of the default route's link"),
	TEXT("node-address", node_address, NULL, "IP[,IP]",
	      "where other nodes send what is for pods here, one a family; default: node-ip"),
	OTHER("cluster-cidr", conf_parse_cidrs, "10.244.0.0/16", "CIDR[,CIDR]",
	      "pod addresses of Network \"default\"; without an IPv6 one a unique local /48 is made"),
	CIDRS("service-cidr", service_cidrs, "10.96.0.0/16",
	      "cluster IPs of Services; without an IPv6 one a unique local /112 is made"),
	CIDRS("load-balancer-cidr", balancer_cidrs, NULL,
	      "addresses given to Services of type LoadBalancer, one range a family; default: none"),
	OTHER("node-port-range", conf_parse_port_range, "30000-32767", "MIN-MAX", "node ports of Services"),
	OTHER("block-size", conf_parse_blocks, "22,64", "V4,V6",
	      "prefix lengths of a node's blocks: 8 to 30, 48 to 120"),
	TEXT("user", user, "podnet", "NAME", "who to become after the start, if there is such a user"),
	PATH("state-dir", state_dir, "/var/lib/podnet", "where the database is"),
	PATH("run-dir", run_dir, "/run/podnet", "socket, and records of what carries no mark"),
	PATH("netns-dir", netns_dir, "/run/netns", "where namespaces are pinned"),
	PATH("socket", socket, NULL, "Unix socket that may write; default: netd.sock in run-dir"),
	TEXT("socket-group", socket_group, "podnet", "GROUP", "group of the socket, if there is one"),
	PATH("view-socket", view_socket, NULL, "Unix socket that only reads; default: view.sock in run-dir"),
	TEXT("view-socket-group", view_socket_group, "podnet-view", "GROUP", "its group, if there is one"),
	OTHER("fwd", parse_fwd, "start", "start|wait|no",
	      "podnet-fwd, which holds published ports: start it, wait for another's, or do without"),
	SWITCH("nft-owner", nft_owner, "no", "nobody else may change netd's nft table"),
	SWITCH("udp-fastpath", udp_fastpath, "yes", "the kernel carries packets of UDP tunnels where it can"),
	OTHER("listen", conf_parse_listen, NULL, "ADDR:PORT", "TLS at these, separated by commas; default: none"),
	OTHER("tls-san", conf_parse_san, NULL, "NAME,...", "further names and addresses of the TLS server"),
	PATH("pki-dir", pki_dir, "/etc/podnet/pki", "keys and certificates of TLS; made if not there"),
	PATH("kubeconfig", kubeconfig, "/etc/podnet/admin.kubeconfig", "made for kubectl if not there"),
	PATH("token-file", token_file, "/etc/podnet/tokens", "bearer tokens, by their hashes"),
	OTHER("etcd", conf_parse_etcd, NULL, "URL[,URL]",
	      "the store that the nodes of a cluster share; default: none, the database is the store"),
	PATH("etcd-ca", etcd_ca, NULL, "who signs etcd's certificate"),
	PATH("etcd-cert", etcd_cert, NULL, "certificate shown to etcd"),
	PATH("etcd-key", etcd_key, NULL, "its key"),
	NUMBER("pool", pool, "16", 0, LIMIT_POOL, "namespaces kept ready for pods"),
	NUMBER("mtu", mtu, "0", 0, 65535, "of pod links; 0: that of the default route's link"),
	NUMBER("vxlan-port", vxlan_port, "4789", 1, 65535, "UDP port of backend vxlan, the same on all nodes"),
	NUMBER("udp-port", udp_port, "4788", 1, 65535, "UDP port of backend udp, the same on all nodes"),
	NUMBER("resync", resync_s, "60", 0, 86400, "seconds between looks at everything; 0: never"),
	NUMBER("node-grace", node_grace_s, "40", 0, 86400,
	       "seconds until endpoints of a lost node leave Services, and pods of a deleted one go"),
	NUMBER("history", history, DIGITS(LIMIT_HISTORY_EVENTS), 1000, 10000000,
	       "events kept for watches to resume from"),
	OTHER("log-level", parse_level, "info", "LEVEL", "error, warning, info or debug"),
	ACTION("prepare", CONF_PREPARE, "make the directories, give them to user, and end"),
	ACTION("purge", CONF_PURGE, "take all that is ours out of the kernel, and end"),
	ACTION("check", CONF_CHECK, "check configuration and database, and end"),
	ORDER("new-token", CONF_NEW_TOKEN, "ROLE:NAME", "print a new bearer token, and end"),
	ORDER("new-kubeconfig", CONF_NEW_KUBECONFIG, "ROLE:NAME", "print a kubeconfig for another, and end"),
	ORDER("backup", CONF_BACKUP, "FILE", "copy the database to a new file, and end"),
	ACTION("reseed", CONF_RESEED, "fill an etcd that lost everything from this node's replica, and end"),
	ACTION("version", CONF_VERSION, "print the version, and end"),
	ACTION("help", CONF_HELP, "print this, and end"),
	ACTION("fault-points", CONF_FAULT_POINTS, "print where a test build can be made to die"),
	ACTION("print-routes", CONF_PRINT_ROUTES, "print every method and path that is served"),
};

void conf_help(void)
{
	printf("netd - keeps the network as declared; see netd(8)\n\nusage: netd [--flag value] ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		printf("  --%-17s %-12s %s", rows[i].name, rows[i].value ? rows[i].value : "", rows[i].help);
		printf(rows[i].fallback ? " (%s)\n" : "\n", rows[i].fallback);
	}
}

static const struct row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

/* Not on the command line alone: an action, or where the file is. */
static bool in_file(const struct row *row)
{
	return row->value && row != &rows[0] && row->parse != parse_order;
}

/* For a misspelt name the row that shares the most leading letters, the shorter of two; or nothing. */
static const char *suggest(const char *name, bool flag, char buf[64])
{
	const char *best = NULL;
	size_t most = 0;

	name += strspn(name, "-");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = 0;

		if (!flag && !in_file(&rows[i]))
			continue;
		while (name[n] && tolower((unsigned char)name[n]) == rows[i].name[n])
			n++;
		if (n < most || !n || (n == most && strlen(rows[i].name) >= strlen(best)))
			continue;
		most = n;
		best = rows[i].name;
	}
	buf[0] = '\0';
	if (best)
		snprintf(buf, 64, "; did you mean %s%s?", flag ? "--" : "", best);
	return buf;
}

static const char *reason_of(int r)
{
	switch (r) {
	case CONF_HOST_BITS:
		return "an address of a host, the bits behind the length must be zero";
	case CONF_ONE_FAMILY:
		return "at most one of each family, IPv4 and IPv6";
	case CONF_NO_PORT:
		return "ports are from 1 to 65535";
	case CONF_TURNED_ROUND:
		return "the first is greater than the last";
	case CONF_NO_HOST:
		return "a URL without a host";
	case CONF_NO_BRACKETS:
		return "an address of IPv6 stands in brackets, as in http://[fd00::1]:2379";
	case CONF_NO_SCHEME:
		return "a URL begins with http:// or https://";
	case CONF_BLANK:
		return "a URL has no blanks, and no '?'";
	case CONF_TOO_LONG:
		return "at most 8 URLs of 200 bytes each";
	case CONF_NO_BLOCK:
		return "a block of IPv4 is from 8 to 30, one of IPv6 from 48 to 120";
	}
	return NULL;
}

static int set_row(struct conf *conf, const struct row *row, const char *value, bool flag,
		   const char *where, char why[256])
{
	uint64_t bit = 1ull << (row - rows);
	char shown[256];
	int r;

	if (!flag && conf->said & bit)
		return 0;
	r = row->parse(conf, row, value);
	value = log_urls(value, shown, sizeof(shown));
	if (r == -EINVAL && row->parse == parse_number)
		snprintf(why, 256, "%s: %s: \"%s\" is not a number from %ld to %ld", where, row->name,
			 value, row->least, row->most);
	else if (r == -EEXIST)
		snprintf(why, 256, "%s: --%s: another action was asked for before", where, row->name);
	else if (r < 0 && reason_of(r))
		snprintf(why, 256, "%s: %s: \"%.100s\" is not valid: %s", where, row->name, value,
			 reason_of(r));
	else if (r < 0)
		snprintf(why, 256, "%s: %s: \"%s\" is not valid: %s wanted", where, row->name, value,
			 row->value ? row->value : "no value");
	if (flag)
		conf->said |= bit;
	return r == -EEXIST || reason_of(r) ? -EINVAL : r;
}

static int read_flags(struct conf *conf, int argc, char **argv, char why[256])
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2, *equals = strchr(argv[i], '=');
		size_t len = equals ? (size_t)(equals - name) : strlen(argv[i]) - 2;
		const struct row *row;
		char more[64];
		int r;

		if (strncmp(argv[i], "--", 2) != 0 || !(row = find_row(name, len))) {
			snprintf(why, 256, "unknown flag \"%.100s\"%s (--help)", argv[i],
				 suggest(argv[i], true, more));
			return -EINVAL;
		}
		if (row->value && !equals && i + 1 == argc) {
			snprintf(why, 256, "--%s wants a value: %s", row->name, row->value);
			return -EINVAL;
		}
		if (!row->value && equals) {
			snprintf(why, 256, "--%s takes no value", row->name);
			return -EINVAL;
		}
		r = set_row(conf, row, !row->value ? "" : equals ? equals + 1 : argv[++i], true,
			    "command line", why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_line(struct conf *conf, char *line, unsigned number, char why[256])
{
	char where[160], more[64], *equals, *name;
	const struct row *row;

	line[strcspn(line, "#")] = 0;
	line = conf_trim(line);
	if (!*line)
		return 0;
	snprintf(where, sizeof(where), "%.140s:%u", conf->config, number);
	equals = strchr(line, '=');
	if (!equals) {
		snprintf(why, 256, "%s: \"NAME = VALUE\" wanted", where);
		return -EINVAL;
	}
	*equals = 0;
	name = conf_trim(line);
	row = find_row(name, strlen(name));
	if (row && !in_file(row)) {
		snprintf(why, 256, "%s: \"%s\" is a flag only: --%s", where, name, name);
		return -EINVAL;
	}
	if (!row) {
		snprintf(why, 256, "%s: unknown name \"%.60s\"%s", where, name,
			 suggest(name, false, more));
		return -EINVAL;
	}
	return set_row(conf, row, conf_trim(equals + 1), false, where, why);
}

static int read_file(struct conf *conf, bool named, char why[256])
{
	FILE *file = fopen(conf->config, "re");
	char line[512];
	unsigned number = 0;
	int r = 0;

	if (!file && (named || errno != ENOENT)) {
		snprintf(why, 256, "%.180s: %m", conf->config);
		return -EINVAL;
	}
	while (file && r == 0 && fgets(line, sizeof(line), file))
		r = read_line(conf, line, ++number, why);
	if (file && r == 0 && ferror(file)) {   /* a directory, say */
		snprintf(why, 256, "%.180s: %m", conf->config);
		r = -EINVAL;
	}
	if (file)
		fclose(file);
	return r;
}

static int derive_socket(struct conf *conf, const char **path, const char *name, const char *file,
			 char why[256])
{
	if (!*path)
		*path = arena_printf(&conf->arena, "%s/%s", conf->run_dir, file);
	if (!*path) {
		snprintf(why, 256, "no memory");
		return -ENOMEM;
	}
	if (strlen(*path) > 106) {      /* sun_path, and room for the name it is made under */
		snprintf(why, 256, "%s: %.100s...: longer than 106 bytes", name, *path);
		return -EINVAL;
	}
	return 0;
}

/* What follows from other values. */
static int derive(struct conf *conf, char why[256])
{
	char host[65] = "";
	int r;

	if (!conf->node_name) {
		if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
			snprintf(host, sizeof(host), "localhost");
		for (char *c = host; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
		conf->node_name = arena_strdup(&conf->arena, host);
	}
	if (conf->node_name && !conf_name_ok(conf->node_name)) {
		snprintf(why, 256, "node-name: \"%.100s\" is not a DNS name of lower-case letters, digits, "
			 "'-' and '.'", conf->node_name);
		return -EINVAL;
	}
	if (conf_check(conf, why) < 0)
		return -EINVAL;
	if (!conf->node_name) {
		snprintf(why, 256, "no memory");
		return -ENOMEM;
	}
	r = derive_socket(conf, &conf->fwd_socket, "run-dir", FWD_SOCKET, why);
	if (r == 0)
		r = derive_socket(conf, &conf->socket, "socket", "netd.sock", why);
	return r < 0 ? r : derive_socket(conf, &conf->view_socket, "view-socket", "view.sock", why);
}

int conf_read(struct conf *conf, int argc, char **argv, char why[256])
{
	int r;

	memset(conf, 0, sizeof(*conf));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].fallback && rows[i].parse(conf, &rows[i], rows[i].fallback) < 0) {
			snprintf(why, 256, "no memory");
			return -ENOMEM;
		}
	conf->cidrs_said = conf->blocks_said = false;
	r = read_flags(conf, argc, argv, why);
	if (r < 0 || conf->action == CONF_HELP || conf->action == CONF_VERSION ||
	    conf->action == CONF_FAULT_POINTS || conf->action == CONF_PRINT_ROUTES)
		return r;
	r = read_file(conf, conf->said & 1, why);
	return r < 0 ? r : derive(conf, why);
}

void conf_fini(struct conf *conf)
{
	arena_fini(&conf->arena);
}
