/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link.h - network devices and their limits, to and from rtnetlink messages
 *
 * Room: bytes and structs; sends nothing.  May include: nl, base, include/podnet.
 */
#ifndef PN_LINK_H
#define PN_LINK_H

#include <libpodnet/link/object.h>

/** A link as one message tells it. */
struct pn_link_seen {
	struct pn_obj obj;              /* link: the kernel's name; dev.master and dev.peer empty */
	uint32_t master, peer, group;
	uint32_t lower;                 /* of a VXLAN device: its dev, whose name is empty in obj */
	int32_t peer_nsid;              /* -1: none said */
	bool running;
	bool bucket;                    /* its root qdisc is a tbf, whoever's */
	char kind[16];
	char alias[256];
};

/* what the creating message of a pair leaves to do at the far end: flags and master */
#define PN_LINK_AFTER_BIRTH (1u << 3 | 1u << 6)

/** pn_link_off() - flags that must be off where a link of this kind does not wish them on */
uint32_t pn_link_off(const struct pn_obj *want);
/** pn_link_check() - a spec as it must be.  Return: 0 or -EINVAL with the field. */
int pn_link_check(const struct podnet_link *spec, const char *step, struct podnet_error *err);
/** pn_ifname_ok() - 1..15 bytes, no '/', ':' or blank, not "." or ".." */
bool pn_ifname_ok(const char *name);
/** pn_link_parse() - an RTM_NEWLINK.  Return: 0, or -EPROTO for anything else. */
int pn_link_parse(const struct nlmsghdr *nlh, struct pn_link_seen *ret);
/** pn_link_request() - RTM_GETLINK by @index, or by @name where @index is 0 */
struct nlmsghdr *pn_link_request(void *buf, uint32_t index, const char *name);

/** pn_nsid_request() - RTM_GETNSID: the id that the namespace of @fd has as seen from here */
struct nlmsghdr *pn_nsid_request(void *buf, int fd);
/** pn_nsid_parse() - the id, or -1 when it has none */
int32_t pn_nsid_parse(const struct nlmsghdr *nlh);
/** pn_link_request_in() - RTM_GETLINK by @name in the namespace of that id, asked from here */
struct nlmsghdr *pn_link_request_in(void *buf, int32_t nsid, const char *name);

/** pn_put_link_mark() - only alias and group of a link that exists; NULL and 0 leave it */
void pn_put_link_mark(const struct pn_put *p, const char *alias, uint32_t group);
/** pn_put_link_settle() - have the kernel notice the carrier: it does so before it answers */
void pn_put_link_settle(const struct pn_put *p);
/** pn_put_group_del() - delete all links of a group at once */
void pn_put_group_del(const struct pn_put *p, uint32_t group);

/** pn_put_*_info() - IFLA_LINKINFO of a creating message */
void pn_put_veth_info(const struct pn_put *p, const struct pn_obj *obj);
void pn_put_bridge_info(const struct pn_put *p, const struct pn_obj *obj);
void pn_put_ifb_info(const struct pn_put *p, const struct pn_obj *obj);
void pn_put_vxlan_info(const struct pn_put *p, const struct pn_obj *obj);
/** pn_put_link_common() - what the creating message says of either end */
void pn_put_link_common(const struct pn_put *p, const struct pn_obj *obj);

/** pn_attr_inside() - an attribute inside a nest, or NULL; pn_attr_u8(), pn_attr_u32(): 0 if too short */
const struct nlattr *pn_attr_inside(const struct nlattr *nest, uint16_t type);
uint8_t pn_attr_u8(const struct nlattr *attr);
uint32_t pn_attr_u32(const struct nlattr *attr);

/* vxlan.c, tun.c: what is particular to one type.  *_print() adds words to a line of the plan. */
int pn_vxlan_check(const struct podnet_vxlan *spec, struct podnet_error *err);
void pn_vxlan_fill(const struct podnet_vxlan *spec, struct pn_obj *ret);
void pn_vxlan_parse(const struct nlattr *data, struct pn_link_seen *ret);
void pn_vxlan_print(const struct pn_obj *obj, char *buf, size_t size);
int pn_tun_check(const struct podnet_tun *spec, struct podnet_error *err);
void pn_tun_fill(const struct podnet_tun *spec, struct pn_obj *ret);
void pn_tun_parse(const struct nlattr *data, struct pn_link_seen *ret);
void pn_tun_print(const struct pn_obj *obj, char *buf, size_t size);

/** pn_tun_make() - a TUN device that goes with the descriptor, in the thread's namespace; or an error */
int pn_tun_make(const struct pn_obj *obj, uint32_t index);
/** pn_tun_keep() - it outlives its descriptors.  0 or an error. */
int pn_tun_keep(int fd);
/** pn_tun_attach() - a queue of a device as it was seen, in the thread's namespace; or an error */
int pn_tun_attach(const struct pn_obj *obj);

int pn_fdb_check(const struct podnet_fdb *spec, struct podnet_error *err);
/** pn_fdb_parse() - 0, or -EPROTO for what is not of a device of its own (NTF_SELF) */
int pn_fdb_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint16_t *state);
/** pn_fdb_request() - dump of a link's, or of all when @index is 0 */
struct nlmsghdr *pn_fdb_request(void *buf, uint32_t index);
/** pn_fdb_get_request() - one, not a dump */
struct nlmsghdr *pn_fdb_get_request(void *buf, uint32_t index, const uint8_t mac[6]);

/** pn_limit_ifb() - name of the ifb device that takes what arrives on @link */
void pn_limit_ifb(const char *link, char ret[PODNET_IFNAME_SIZE]);
/** pn_limit_burst() - the burst of a limit that does not say one */
uint32_t pn_limit_burst(uint64_t rate);
/** pn_limit_request() - RTM_GETQDISC of the root of a link */
struct nlmsghdr *pn_limit_request(void *buf, uint32_t index);
/** pn_limit_parse() - an RTM_NEWQDISC: 1: our bucket; 0: the kernel's own; -EEXIST: another's */
int pn_limit_parse(const struct nlmsghdr *nlh, struct pn_obj *ret);
/** pn_limit_near() - the same burst, for the kernel keeps it rounded */
bool pn_limit_near(uint32_t a, uint32_t b);
/** pn_ingress_request(), pn_ingress_parse() - is there an ingress qdisc */
struct nlmsghdr *pn_ingress_request(void *buf, uint32_t index);
bool pn_ingress_parse(const struct nlmsghdr *nlh);
/** pn_filter_request() - dump of the filters of an ingress */
struct nlmsghdr *pn_filter_request(void *buf, uint32_t index);
/** pn_filter_parse() - 1: our redirection, @to receives the ifindex it leads to; 0: not ours */
int pn_filter_parse(const struct nlmsghdr *nlh, uint32_t *to);

#endif
