/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client.c - who a client's certificate says it is
 *
 * Room: a role is an organisation in the subject, the name is its common name, as in Kubernetes.
 * The handshake has proved that the client has the key.  What its certificate says, and from when to
 * when, is the same for every request, and to find out costs some ten times what a small request
 * does; so that is kept, and the calendar is asked each time.
 * May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <gnutls/crypto.h>

static const char *const organisations[] = {
	[PKI_VIEW] = "podnet:view", [PKI_ADMIN] = "podnet:admin",
};

const char *role_organisation(enum pki_role role)
{
	return organisations[role];
}

/* The largest of its organisations. */
static enum pki_role role_of_client(gnutls_x509_crt_t crt)
{
	enum pki_role role = PKI_NOBODY;

	for (unsigned i = 0; i < 16; i++) {
		char text[64];
		size_t len = sizeof(text);
		int r = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, i, 0,
						      text, &len);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		for (enum pki_role known = PKI_VIEW; r == 0 && known <= PKI_ADMIN; known++)
			if (strcmp(text, organisations[known]) == 0 && known > role)
				role = known;
	}
	return role;
}

static int chain_import(struct chain *chain, const gnutls_datum_t *der, size_t n)
{
	if (n > MAX_CHAIN)
		return -EACCES;
	for (size_t i = 0; i < n; i++) {
		if (gnutls_x509_crt_init(&chain->v[i]) < 0)
			return -ENOMEM;
		chain->n++;
		if (gnutls_x509_crt_import(chain->v[i], &der[i], GNUTLS_X509_FMT_DER) < 0)
			return -EACCES;
	}
	return 0;
}

static void narrow(struct proof *proof, gnutls_x509_crt_t crt)
{
	int64_t begin = gnutls_x509_crt_get_activation_time(crt);
	int64_t end = gnutls_x509_crt_get_expiration_time(crt);

	proof->begin_s = begin > proof->begin_s ? begin : proof->begin_s;
	proof->end_s = end < proof->end_s ? end : proof->end_s;
}

/* Of those shown, and of the authority above them. */
static void find_life(const struct chain *chain, const struct chain *authorities,
		      struct proof *proof)
{
	gnutls_x509_crt_t last = chain->v[chain->n - 1];

	proof->begin_s = INT64_MIN;
	proof->end_s = INT64_MAX;
	for (unsigned i = 0; i < chain->n; i++)
		narrow(proof, chain->v[i]);
	for (unsigned i = 0; i < authorities->n; i++)
		if (gnutls_x509_crt_check_issuer(last, authorities->v[i]) == 1)
			narrow(proof, authorities->v[i]);
}

static void find_who(const struct chain *chain, const struct chain *authorities,
		     struct pki_identity *ret)
{
	gnutls_x509_crt_t crt = chain->v[0];
	struct pki_identity who = { 0 };
	size_t len = sizeof(who.name);

	if (!cert_signed_by(chain, authorities, GNUTLS_KP_TLS_WWW_CLIENT))
		return;
	who.role = role_of_client(crt);
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, who.name,
					  &len) == 0 && client_name_ok(who.name))
		*ret = who;
}

static int hash_chain(const gnutls_datum_t *der, size_t n, uint8_t ret[32])
{
	gnutls_hash_hd_t hash;
	int r = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);

	if (r < 0)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = gnutls_hash(hash, der[i].data, der[i].size);
	gnutls_hash_deinit(hash, ret);
	return r < 0 ? -EIO : 0;
}

static int prove(const gnutls_datum_t *der, size_t n, const struct chain *authorities,
		 struct proof *proof)
{
	struct chain chain = { 0 };
	int r = chain_import(&chain, der, n);

	if (r == 0) {
		find_life(&chain, authorities, proof);
		find_who(&chain, authorities, &proof->who);
	}
	chain_fini(&chain);
	return r;
}

static const struct proof *look_up(const struct proofs *known, const uint8_t hash[32])
{
	for (size_t i = 0; i < ARRAY_SIZE(known->v); i++)
		if (memcmp(known->v[i].hash, hash, 32) == 0)
			return &known->v[i];
	return NULL;
}

static const struct proof *keep(struct proofs *known, const struct proof *proof)
{
	struct proof *place = &known->v[known->next++ % ARRAY_SIZE(known->v)];

	*place = *proof;
	return place;
}

int client_identify(const gnutls_datum_t *der, size_t n, const struct chain *authorities,
		    struct proofs *known, int64_t now_s, struct pki_identity *ret)
{
	struct proof proof = { 0 };
	const struct proof *found;
	int r = n ? hash_chain(der, n, proof.hash) : -ENOENT;

	if (r < 0)
		return r;
	found = look_up(known, proof.hash);
	if (!found)
		r = prove(der, n, authorities, &proof);
	if (r < 0)
		return r;
	if (!found)
		found = keep(known, &proof);
	if (!found->who.role || now_s < found->begin_s || now_s >= found->end_s)
		return -EACCES;
	*ret = found->who;
	return 0;
}
