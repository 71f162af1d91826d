/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/ip.h - addresses and prefixes as values
 *
 * One type holds an IPv4 or IPv6 address with a length; family 0 means "none".  Compared by bytes.
 */
#ifndef PODNET_IP_H
#define PODNET_IP_H

#include <podnet/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_PREFIX_STRLEN 50     /* longest text and its NUL */
#define PODNET_MAC_STRLEN    18

struct podnet_prefix {
	uint8_t family;             /* AF_INET, AF_INET6 or 0: none */
	uint8_t len;                /* bits: 0..32 or 0..128 */
	uint8_t addr[16];           /* network order; IPv4 in the first 4, the rest zero */
};

/**
 * podnet_prefix_parse() - "10.0.0.1/24", "fd00::/64", or an address alone (length 32 or 128)
 *
 * Host bits are kept.  Only the forms inet_pton(3) knows; nothing before or after.
 * Return: 0 or -EINVAL.
 */
PODNET_API int podnet_prefix_parse(const char *text, struct podnet_prefix *ret);

/** podnet_prefix_format() - text with "/len"; RFC 5952 form.  Return: @buf. */
PODNET_API const char *podnet_prefix_format(const struct podnet_prefix *p,
					    char buf[PODNET_PREFIX_STRLEN]);

/** podnet_prefix_format_addr() - the address alone.  Return: @buf. */
PODNET_API const char *podnet_prefix_format_addr(const struct podnet_prefix *p,
						 char buf[PODNET_PREFIX_STRLEN]);

/** podnet_prefix_mask() - the same prefix with its host bits zero */
PODNET_API struct podnet_prefix podnet_prefix_mask(const struct podnet_prefix *p);

/** podnet_prefix_contains() - 1 when every address of @inner is in @outer, else 0 */
PODNET_API int podnet_prefix_contains(const struct podnet_prefix *outer,
				      const struct podnet_prefix *inner);

/** podnet_mac_parse() - "02:00:00:00:00:01".  Return: 0 or -EINVAL. */
PODNET_API int podnet_mac_parse(const char *text, uint8_t ret[6]);

/** podnet_mac_format() - lower case, colons.  Return: @buf. */
PODNET_API const char *podnet_mac_format(const uint8_t mac[6], char buf[PODNET_MAC_STRLEN]);

#ifdef __cplusplus
}
#endif
#endif
