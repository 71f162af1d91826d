/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_peers.c - the same services as kube-proxy has them in the kernel
 *
 * Room: tests/bench.  Two shapes, as kube-proxy 1.30 writes them for cluster IPs: its iptables mode
 * (a chain a service, a chain an endpoint, one rule a service in KUBE-SERVICES), loaded by
 * iptables-restore of Debian 12, once over nf_tables and once over ip_tables; and its nftables mode
 * (a map of services to chains, a chain a service and an endpoint), loaded by `nft -f`.  One
 * endpoint more is what its partial sync writes: the chains that change, and no others.
 */
#include "services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const restore[PEERS] = { "iptables-nft-restore", "iptables-legacy-restore", "nft" };

const char *peer_name(enum peer p)
{
	static const char *const names[PEERS] = {
		"kube-proxy's iptables shape, iptables-restore over nf_tables",
		"kube-proxy's iptables shape, iptables-restore over ip_tables",
		"kube-proxy's nftables shape, nft -f",
	};

	return names[p];
}

struct ip_text {
	char v[INET_ADDRSTRLEN];
};

static struct ip_text text(in_addr_t ip)
{
	struct ip_text t;

	inet_ntop(AF_INET, &ip, t.v, sizeof(t.v));
	return t;
}

/* ---- iptables ---- */

static void iptables_service(FILE *f, const struct shape *s, unsigned i, unsigned n)
{
	const struct ip_text ip = text(service_ip(i));

	fprintf(f, "-A KUBE-SVC-%010u ! -s 10.244.0.0/14 -d %s/32 -p tcp -m comment --comment "
		"\"default/s%u cluster IP\" -m tcp --dport %u -j KUBE-MARK-MASQ\n", i, ip.v, i,
		SERVICE_PORT);
	for (unsigned k = 0; k < n; k++) {
		unsigned port;
		const struct ip_text to = text(endpoint_of(s, i, k, &port));

		fprintf(f, "-A KUBE-SVC-%010u -m comment --comment \"default/s%u -> %s:%u\"", i, i,
			to.v, port);
		if (k + 1 < n)
			fprintf(f, " -m statistic --mode random --probability %.10f", 1.0 / (n - k));
		fprintf(f, " -j KUBE-SEP-%07u-%03u\n", i, k);
	}
}

static void iptables_endpoint(FILE *f, const struct shape *s, unsigned i, unsigned k)
{
	unsigned port;
	const struct ip_text to = text(endpoint_of(s, i, k, &port));

	fprintf(f, "-A KUBE-SEP-%07u-%03u -s %s/32 -m comment --comment default/s%u -j KUBE-MARK-MASQ\n",
		i, k, to.v, i);
	fprintf(f, "-A KUBE-SEP-%07u-%03u -p tcp -m comment --comment default/s%u -m tcp "
		"-j DNAT --to-destination %s:%u\n", i, k, i, to.v, port);
}

static void iptables_all(FILE *f, const struct shape *s)
{
	fputs("*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:KUBE-SERVICES -\n"
	      ":KUBE-MARK-MASQ -\n:KUBE-POSTROUTING -\n", f);
	for (unsigned i = 0; i < s->services; i++) {
		fprintf(f, ":KUBE-SVC-%010u -\n", i);
		for (unsigned k = 0; k < s->endpoints; k++)
			fprintf(f, ":KUBE-SEP-%07u-%03u -\n", i, k);
	}
	fputs("-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n"
	      "-A POSTROUTING -j KUBE-POSTROUTING\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
	      "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
	      "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n"
	      "-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n", f);
	for (unsigned i = 0; i < s->services; i++) {
		fprintf(f, "-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment "
			"\"default/s%u cluster IP\" -m tcp --dport %u -j KUBE-SVC-%010u\n",
			text(service_ip(i)).v, i, SERVICE_PORT, i);
		iptables_service(f, s, i, s->endpoints);
		for (unsigned k = 0; k < s->endpoints; k++)
			iptables_endpoint(f, s, i, k);
	}
	fputs("COMMIT\n", f);
}

static void iptables_more(FILE *f, const struct shape *s, unsigned i)
{
	fprintf(f, "*nat\n:KUBE-SVC-%010u -\n:KUBE-SEP-%07u-%03u -\n", i, i, s->endpoints);
	iptables_service(f, s, i, s->endpoints + 1);
	iptables_endpoint(f, s, i, s->endpoints);
	fputs("COMMIT\n", f);
}

/* ---- nftables ---- */

static void nft_endpoint(FILE *f, const struct shape *s, unsigned i, unsigned k)
{
	unsigned port;
	const struct ip_text to = text(endpoint_of(s, i, k, &port));

	fprintf(f, "add rule ip kube-proxy endpoint-%u-%u ip saddr %s jump mark-for-masquerade\n"
		"add rule ip kube-proxy endpoint-%u-%u meta l4proto tcp dnat to %s:%u\n", i, k, to.v,
		i, k, to.v, port);
}

static void nft_service(FILE *f, const struct shape *s, unsigned i, unsigned n)
{
	(void)s;
	fprintf(f, "add rule ip kube-proxy service-%u ip daddr %s tcp dport %u ip saddr != "
		"10.244.0.0/14 jump mark-for-masquerade\nadd rule ip kube-proxy service-%u numgen "
		"random mod %u vmap {", i, text(service_ip(i)).v, SERVICE_PORT, i, n);
	for (unsigned k = 0; k < n; k++)
		fprintf(f, "%s %u : goto endpoint-%u-%u", k ? "," : "", k, i, k);
	fputs(" }\n", f);
}

static void nft_all(FILE *f, const struct shape *s)
{
	fputs("table ip kube-proxy {\n"
	      "set cluster-ips { type ipv4_addr; }\n"
	      "map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	      "chain mark-for-masquerade { mark set mark or 0x4000; }\n"
	      "chain masquerading { mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random; }\n"
	      "chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }\n"
	      "chain nat-prerouting { type nat hook prerouting priority -100; jump services; }\n"
	      "chain nat-output { type nat hook output priority -100; jump services; }\n"
	      "chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }\n"
	      "chain reject-chain { reject; }\n"
	      "chain cluster-ips-check { ip daddr @cluster-ips reject; }\n"
	      "chain filter-forward { type filter hook forward priority -110; ct state new jump cluster-ips-check; }\n"
	      "}\n", f);
	for (unsigned i = 0; i < s->services; i++) {
		fprintf(f, "add chain ip kube-proxy service-%u\n", i);
		for (unsigned k = 0; k < s->endpoints; k++)
			fprintf(f, "add chain ip kube-proxy endpoint-%u-%u\n", i, k);
	}
	for (unsigned i = 0; i < s->services; i++) {
		const struct ip_text ip = text(service_ip(i));

		for (unsigned k = 0; k < s->endpoints; k++)
			nft_endpoint(f, s, i, k);
		nft_service(f, s, i, s->endpoints);
		fprintf(f, "add element ip kube-proxy cluster-ips { %s }\n"
			"add element ip kube-proxy service-ips { %s . tcp . %u : goto service-%u }\n",
			ip.v, ip.v, SERVICE_PORT, i);
	}
}

static void nft_more(FILE *f, const struct shape *s, unsigned i)
{
	fprintf(f, "add chain ip kube-proxy endpoint-%u-%u\nflush chain ip kube-proxy service-%u\n",
		i, s->endpoints, i);
	nft_endpoint(f, s, i, s->endpoints);
	nft_service(f, s, i, s->endpoints + 1);
}

/* ---- loading ---- */

static FILE *open_script(const char *dir, char *path, size_t size)
{
	FILE *f;

	snprintf(path, size, "%s/peer", dir);
	f = fopen(path, "we");
	if (!f)
		die("%s: %s", path, strerror(errno));
	return f;
}

static double load(enum peer p, const char *path, bool more)
{
	const char *nft[] = { restore[p], "-f", path, NULL };
	const char *ipt[] = { restore[p], more ? "--noflush" : path, more ? path : NULL, NULL };
	struct command cmd = { .argv = p == PEER_NFT ? nft : ipt, .netns = -1 };
	uint64_t start = now_ns();
	int r = command_run(&cmd);

	return r == 0 ? ms_since(start) : -1;
}

double peer_load(enum peer p, const struct shape *s, const char *dir)
{
	char path[600];
	FILE *f = open_script(dir, path, sizeof(path));

	if (p == PEER_NFT)
		nft_all(f, s);
	else
		iptables_all(f, s);
	fclose(f);
	return load(p, path, false);
}

double peer_endpoint(enum peer p, const struct shape *s, unsigned i, const char *dir)
{
	char path[600];
	FILE *f = open_script(dir, path, sizeof(path));

	if (p == PEER_NFT)
		nft_more(f, s, i);
	else
		iptables_more(f, s, i);
	fclose(f);
	return load(p, path, true);
}

void peer_clear(enum peer p)
{
	static const char nothing[] = "*nat\nCOMMIT\n";
	const char *argv[] = { restore[p], NULL };
	struct command cmd = { .argv = argv, .input = nothing, .netns = -1 };

	if (p == PEER_LEGACY)
		command_run(&cmd);
	else
		raw_clear();
}

bool peer_there(enum peer p, const char *dir)
{
	const struct shape one = { .services = 1, .endpoints = 1 };
	double ms = peer_load(p, &one, dir);

	peer_clear(p);
	return ms >= 0;
}
