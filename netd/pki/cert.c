/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cert.c - keys and certificates: made, read, and asked
 *
 * Room: X.509 (RFC 5280) by GnuTLS; keys that are made are ECDSA on P-256.  An authority that netd
 * made does not end in practice: its clients would have to be told of another by hand.  What it
 * signs lives a year.  May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <stdio.h>

#define LIFE_S      (365 * DAY_S)
#define SLACK_S     3600                        /* clocks of clients that are behind ours */
#define BEGINNING_S 946684800LL                 /* 2000: an authority begins before any clock */
#define ENDING_S    4102444800LL                /* 2100 */

int tls_failed(int r, const char *what, char why[256])
{
	if (r >= 0)
		return 0;
	snprintf(why, 256, "%.180s: %s", what, gnutls_strerror(r));
	return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

void chain_fini(struct chain *chain)
{
	while (chain->n)
		gnutls_x509_crt_deinit(chain->v[--chain->n]);
}

int key_make(gnutls_x509_privkey_t *ret, char why[256])
{
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	int r = gnutls_x509_privkey_init(&key);

	if (r == 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r == 0)
		*ret = take_ptr(key);
	return tls_failed(r, "key", why);
}

int key_parse(const char *path, const gnutls_datum_t *pem, gnutls_x509_privkey_t *ret,
	      char why[256])
{
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	int r = gnutls_x509_privkey_init(&key);

	if (r == 0)
		r = gnutls_x509_privkey_import2(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (r == 0)
		*ret = take_ptr(key);
	return tls_failed(r, path, why);
}

int chain_parse(const char *path, const gnutls_datum_t *pem, struct chain *ret, char why[256])
{
	struct chain chain = { .n = MAX_CHAIN };
	int r = gnutls_x509_crt_list_import(chain.v, &chain.n, pem, GNUTLS_X509_FMT_PEM,
					    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);

	if (r == GNUTLS_E_SHORT_MEMORY_BUFFER) {
		snprintf(why, 256, "%.180s: more than %d certificates", path, MAX_CHAIN);
		return -EINVAL;
	}
	if (r >= 0)
		*ret = chain;
	return tls_failed(r, path, why);
}

static int put_name(gnutls_x509_crt_t crt, const char *name)
{
	uint8_t ip[16];
	size_t len = ip_parse(name, ip);

	if (len)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip,
							    (unsigned)len, GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
						    (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static int put_use(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	unsigned usage = GNUTLS_KEY_DIGITAL_SIGNATURE;
	int r = 0;

	switch (spec->use) {
	case CERT_AUTHORITY:
		usage = GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN;
		r = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
		break;
	case CERT_SERVER:
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
		for (size_t i = 0; r == 0 && i < spec->names->n; i++)
			r = put_name(crt, spec->names->v[i]);
		break;
	case CERT_CLIENT:
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
		break;
	}
	if (r == 0 && spec->use != CERT_AUTHORITY)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	return r < 0 ? r : gnutls_x509_crt_set_key_usage(crt, usage);
}

static int put_subject(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	int r = 0;

	if (spec->o)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, spec->o,
						  (unsigned)strlen(spec->o));
	return r < 0 ? r : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, spec->cn,
							 (unsigned)strlen(spec->cn));
}

static int put_life(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	bool ends = spec->use != CERT_AUTHORITY;
	int r = gnutls_x509_crt_set_activation_time(crt, ends ? spec->now_s - SLACK_S : BEGINNING_S);

	return r < 0 ? r : gnutls_x509_crt_set_expiration_time(crt, ends ? spec->now_s + LIFE_S :
						   ENDING_S);
}

/* RFC 5280, 4.1.2.2: positive, at most 20 bytes.  4.2.1.1 and 4.2.1.2: the names of keys. */
static int put_serial(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer)
{
	uint8_t serial[16], id[64];
	size_t len = sizeof(id);
	int r;

	if (random_bytes(serial, sizeof(serial)) < 0)
		return GNUTLS_E_RANDOM_FAILED;
	serial[0] = (serial[0] & 0x3f) | 0x40;
	r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(crt, 0, id, &len);
	if (r == 0)
		r = gnutls_x509_crt_set_subject_key_id(crt, id, len);
	if (r < 0 || issuer == crt)
		return r;
	len = sizeof(id);
	if (gnutls_x509_crt_get_subject_key_id(issuer, id, &len, NULL) < 0)
		return 0;       /* an authority of the user's without one */
	return gnutls_x509_crt_set_authority_key_id(crt, id, len);
}

/* GnuTLS answers few questions about a certificate that was made and not read. */
static int reread(gnutls_x509_crt_t made, gnutls_x509_crt_t *ret)
{
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	_cleanup_datum_ gnutls_datum_t der = { 0 };
	int r = gnutls_x509_crt_export2(made, GNUTLS_X509_FMT_DER, &der);

	if (r == 0)
		r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
	if (r == 0)
		*ret = take_ptr(crt);
	return r;
}

int cert_make(const struct cert_spec *spec, gnutls_x509_crt_t *ret, char why[256])
{
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	int r = gnutls_x509_crt_init(&crt);

	if (r == 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_key(crt, spec->key);
	if (r == 0)
		r = put_subject(crt, spec);
	if (r == 0)
		r = put_life(crt, spec);
	if (r == 0)
		r = put_use(crt, spec);
	if (r == 0)
		r = put_serial(crt, spec->issuer ? spec->issuer : crt);
	if (r == 0)     /* 0: the digest that suits the issuer's key */
		r = gnutls_x509_crt_sign2(crt, spec->issuer ? spec->issuer : crt, spec->issuer_key,
					  GNUTLS_DIG_UNKNOWN, 0);
	if (r == 0)
		r = reread(crt, ret);
	return tls_failed(r, "certificate", why);
}

bool cert_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	uint8_t a[64], b[64];
	size_t na = sizeof(a), nb = sizeof(b);

	return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a, &na) == 0 &&
	       gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b, &nb) == 0 &&
	       na == nb && memcmp(a, b, na) == 0;
}

bool cert_is(gnutls_x509_crt_t crt, const char *organisation)
{
	char text[64];
	size_t len = sizeof(text);

	return gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, 0, text,
					     &len) == 0 && strcmp(text, organisation) == 0;
}

bool cert_covers(gnutls_x509_crt_t crt, const struct pki_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (!gnutls_x509_crt_check_hostname(crt, names->v[i]))
			return false;
	return true;
}

bool cert_valid_at(gnutls_x509_crt_t crt, int64_t now_s)
{
	return gnutls_x509_crt_get_activation_time(crt) <= now_s &&
	       gnutls_x509_crt_get_expiration_time(crt) > now_s;
}

bool cert_ends_soon(gnutls_x509_crt_t crt, int64_t now_s)
{
	int64_t begin = gnutls_x509_crt_get_activation_time(crt);
	int64_t end = gnutls_x509_crt_get_expiration_time(crt);

	return now_s < begin || end - now_s <= (end - begin) / 3;
}

bool cert_signed_by(const struct chain *chain, const struct chain *authorities, const char *purpose)
{
	gnutls_typed_vdata_st wanted = { GNUTLS_DT_KEY_PURPOSE_OID,
					 (unsigned char *)(uintptr_t)purpose, 0 };
	gnutls_x509_trust_list_t list;
	unsigned status = ~0u;
	bool ok;

	if (gnutls_x509_trust_list_init(&list, 0) < 0)
		return false;
	ok = gnutls_x509_trust_list_add_cas(list, authorities->v, authorities->n, 0) >= 0 &&
	     gnutls_x509_trust_list_verify_crt2(list, (gnutls_x509_crt_t *)(uintptr_t)chain->v,
						chain->n, &wanted, 1,
						GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status,
						NULL) == 0 && status == 0;
	gnutls_x509_trust_list_deinit(list, 0);     /* 0: the certificates stay ours */
	return ok;
}
