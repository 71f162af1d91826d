/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf.h - what netd was told: flags, then /etc/podnet/netd.conf, then defaults, by one table
 *
 * Room: text to values, each checked, every error naming flag or file and line.
 * May include: netd/base, netd/model, netd/ports, netd/codec/format.h, include/podnet.
 */
#ifndef NETD_CONF_H
#define NETD_CONF_H

#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netd/model/model.h>
#include <netd/ports/ports.h>

enum conf_action {
	CONF_RUN, CONF_PREPARE, CONF_PURGE, CONF_CHECK, CONF_BACKUP, CONF_VERSION, CONF_HELP,
	CONF_FAULT_POINTS, CONF_PRINT_ROUTES, CONF_NEW_TOKEN, CONF_NEW_KUBECONFIG, CONF_RESEED,
};

struct conf_listen {
	struct podnet_prefix ip;
	uint16_t port;
};

struct conf {
	struct arena arena;
	enum conf_action action;
	const char *argument;                       /* of an action that has one */
	const char *config, *node_name, *user, *state_dir, *run_dir, *netns_dir, *socket;
	const char *socket_group, *fwd_socket;
	enum ports_mode fwd;
	const char *view_socket, *view_socket_group;
	struct podnet_prefix node_ips[2];
	size_t nnode_ips;
	struct podnet_prefix cluster_cidrs[2];      /* IPv4 first; family 0: made by netd */
	struct podnet_prefix service_cidrs[2];      /* as given; an IPv6 one is made by netd */
	struct podnet_prefix balancer_cidrs[2];     /* one a family; family 0: none */
	uint32_t node_port_min, node_port_max;
	bool nft_owner, udp_fastpath;
	uint8_t block_len[2];                       /* IPv4, IPv6 */
	bool cidrs_said, blocks_said;               /* cluster-cidr and block-size are no defaults */
	uint32_t pool, mtu, resync_s, history, vxlan_port, udp_port, node_grace_s;
	const char *node_address;
	struct conf_listen listen[LIMIT_LISTEN];
	const char *tls_san[LIMIT_SAN];
	size_t nlisten, ntls_san;
	const char *pki_dir, *kubeconfig, *token_file;
	const char *etcd[LIMIT_ETCD];
	size_t netcd;                               /* 0: the database is the store */
	const char *etcd_ca, *etcd_cert, *etcd_key; /* NULL: none */
	enum log_level log_level;
	uint64_t said;                              /* bit per row of the table: by a flag */
};

/** conf_read() - 0, or -EINVAL with one line for the user in @why */
int conf_read(struct conf *conf, int argc, char **argv, char why[256]);
/** conf_check() - of conf_read(): whether the values go together */
int conf_check(const struct conf *conf, char why[256]);
void conf_fini(struct conf *conf);
void conf_help(void);

#endif
