/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * issue.c - credentials for others: `netd --new-token` and `netd --new-kubeconfig`
 *
 * Room: run by an administrator beside a netd that runs; a token's row is seen at its next use.  The
 * credential itself is given out once and kept nowhere.  May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>

#define PREFIX      "podnet_"       /* so that scanners for leaked secrets know it */
#define TOKEN_BYTES 32

static int wanted(const char *text, struct pki_identity *ret, char why[256])
{
	if (who_parse(text, ret) == 0)
		return 0;
	snprintf(why, 256, "\"%.100s\" is not ROLE:NAME: the roles are admin and view, a name has at most "
		 "%d letters, digits and . @ _ : -", text, PKI_NAME_BYTES - 1);
	return -EINVAL;
}

/* RFC 4648, 5, without padding. */
static void put_base64url(struct buf *b, const uint8_t *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t bit = 0; bit < 8 * len; bit += 6) {
		unsigned two = (unsigned)data[bit / 8] << 8 | (bit / 8 + 1 < len ? data[bit / 8 + 1] : 0);

		buf_add(b, &digits[two >> (10 - bit % 8) & 63], 1);
	}
}

static int put_token(struct buf *out, char row_hash[65], char why[256])
{
	uint8_t secret[TOKEN_BYTES], hash[32];

	if (random_bytes(secret, sizeof(secret)) < 0) {
		snprintf(why, 256, "no random bytes");
		return -EIO;
	}
	buf_str(out, PREFIX);
	put_base64url(out, secret, sizeof(secret));
	explicit_bzero(secret, sizeof(secret));
	if (out->failed)
		return tls_failed(GNUTLS_E_MEMORY_ERROR, "token", why);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, out->data, out->len, hash) < 0)
		return tls_failed(GNUTLS_E_HASH_FAILED, "token", why);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(row_hash + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

int pki_new_token(const struct pki_config *conf, const char *who, struct buf *out, char why[256])
{
	struct pki_identity id = { 0 };
	char hash[65], row[256];
	int r = wake(why);

	if (r == 0)
		r = wanted(who, &id, why);
	if (r == 0)
		r = put_token(out, hash, why);
	if (r < 0)
		return r;
	snprintf(row, sizeof(row), "%s %s %s\n", id.role == PKI_ADMIN ? "admin" : "view", id.name, hash);
	return file_append(conf->tokens, conf, row, why);
}

int pki_new_kubeconfig(const struct pki_config *conf, const char *who, int64_t now_s,
		       struct buf *out, char why[256])
{
	struct pki_identity id = { 0 };
	struct files files = { 0 };
	int r = wake(why);

	if (r == 0)
		r = wanted(who, &id, why);
	if (r == 0)
		r = files_load(conf, &files, why);
	if (r == 0)
		r = kubeconfig_make(conf, &files, &id, now_s, out, why);
	files_fini(&files);
	return r;
}
