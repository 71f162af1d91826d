/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf_inner.h - what the files of the configuration share
 */
#ifndef NETD_CONF_INNER_H
#define NETD_CONF_INNER_H

#include <errno.h>
#include <netd/conf.h>

/** One name that can be set. */
struct row {
	const char *name;
	int (*parse)(struct conf *conf, const struct row *row, const char *value);
	size_t member;
	const char *fallback;       /* parsed like a value; NULL: left zero */
	const char *value;          /* how the value is called in --help; NULL: an action */
	const char *help;
	long least, most;
};

/* Of a parser, beside -EINVAL, which tells what is wanted: why a value is not valid. */
#define CONF_HOST_BITS      (-EDOM)
#define CONF_ONE_FAMILY     (-ENOTUNIQ)
#define CONF_NO_PORT        (-ERANGE)
#define CONF_TURNED_ROUND   (-EILSEQ)
#define CONF_NO_HOST        (-EDESTADDRREQ)
#define CONF_NO_BRACKETS    (-EAFNOSUPPORT)
#define CONF_NO_SCHEME      (-EPROTONOSUPPORT)
#define CONF_BLANK          (-EBADMSG)
#define CONF_TOO_LONG       (-EMSGSIZE)
#define CONF_NO_BLOCK       (-EOVERFLOW)

/* conf_value.c: parsers of a row */
int conf_parse_node_ip(struct conf *conf, const struct row *row, const char *value);
int conf_parse_two_cidrs(struct conf *conf, const struct row *row, const char *value);
int conf_parse_port_range(struct conf *conf, const struct row *row, const char *value);
int conf_parse_cidrs(struct conf *conf, const struct row *row, const char *value);
int conf_parse_blocks(struct conf *conf, const struct row *row, const char *value);
int conf_parse_listen(struct conf *conf, const struct row *row, const char *value);
int conf_parse_san(struct conf *conf, const struct row *row, const char *value);
int conf_parse_etcd(struct conf *conf, const struct row *row, const char *value);
/** conf_trim() - without the blanks around it; in place */
char *conf_trim(char *text);
/** conf_name_ok() - a Node's name */
bool conf_name_ok(const char *name);

#endif
