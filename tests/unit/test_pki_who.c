/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pki_who.c - who comes in: certificates of clients, tokens, Host headers; what is given out
 */
#include "pki_place.h"

#include <netd/pki/inner.h>

static const struct client {
	const char *says;
	enum cert_use use;
	const char *cn, *o;
	int64_t made_at;
	bool foreign;
	enum pki_role role;
} clients[] = {
	{ "admin", CERT_CLIENT, "anna", "podnet:admin", NOW, false, PKI_ADMIN },
	{ "view", CERT_CLIENT, "vera", "podnet:view", NOW, false, PKI_VIEW },
	{ "no role of ours", CERT_CLIENT, "anna", "system:masters", NOW, false, PKI_NOBODY },
	{ "no organisation", CERT_CLIENT, "anna", NULL, NOW, false, PKI_NOBODY },
	{ "ended", CERT_CLIENT, "anna", "podnet:admin", NOW - 366 * DAY_S, false, PKI_NOBODY },
	{ "its last day", CERT_CLIENT, "anna", "podnet:admin", NOW - 364 * DAY_S, false, PKI_ADMIN },
	{ "not yet", CERT_CLIENT, "anna", "podnet:admin", NOW + DAY_S, false, PKI_NOBODY },
	{ "another authority", CERT_CLIENT, "anna", "podnet:admin", NOW, true, PKI_NOBODY },
	{ "a server's", CERT_SERVER, "anna", "podnet:admin", NOW, false, PKI_NOBODY },
	{ "a name with a blank", CERT_CLIENT, "anna b", "podnet:admin", NOW, false, PKI_NOBODY },
	{ "a name with a line", CERT_CLIENT, "anna\nb", "podnet:admin", NOW, false, PKI_NOBODY },
};

static void client_certificates(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	struct made ca = loaded_authority(p), other = make(CERT_AUTHORITY, "podnet CA", NULL, NOW, NULL);
	struct pki_identity who;

	for (const struct client *c = clients; c < clients + ARRAY_SIZE(clients); c++) {
		struct made m = make(c->use, c->cn, c->o, c->made_at, c->foreign ? &other : &ca);
		gnutls_datum_t der;
		int r;

		assert_int_equal(gnutls_x509_crt_export2(m.crt, GNUTLS_X509_FMT_DER, &der), 0);
		who = (struct pki_identity){ 0 };
		r = pki_identify_chain(pki, &der, 1, NOW, &who);
		if (r != (c->role ? 0 : -EACCES) || who.role != c->role)
			fail_msg("%s: %d, role %d", c->says, r, who.role);
		if (c->role)
			assert_string_equal(who.name, c->cn);
		der.size /= 2;
		assert_int_equal(pki_identify_chain(pki, &der, 1, NOW, &who), -EACCES);
		gnutls_free(der.data);
		made_fini(&m);
	}
	assert_int_equal(pki_identify_chain(pki, NULL, 0, NOW, &who), -ENOENT);
	made_fini(&ca);
	made_fini(&other);
	pki_close(pki);
}

/* What was found out about a certificate is kept; what time it is, is not. */
static void client_again(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	struct made ca = loaded_authority(p);
	struct made m = make(CERT_CLIENT, "anna", "podnet:admin", NOW, &ca);
	struct pki_identity who;
	gnutls_datum_t der;

	assert_int_equal(gnutls_x509_crt_export2(m.crt, GNUTLS_X509_FMT_DER, &der), 0);
	for (int i = 0; i < 3 * LIMIT_PROOFS; i++) {
		gnutls_datum_t bad = { (unsigned char *)&i, sizeof(i) };

		assert_int_equal(pki_identify_chain(pki, &der, 1, NOW, &who), 0);
		assert_int_equal(pki_identify_chain(pki, &der, 1, NOW + 366 * DAY_S, &who), -EACCES);
		assert_int_equal(pki_identify_chain(pki, &der, 1, NOW - DAY_S, &who), -EACCES);
		assert_int_equal(pki_identify_chain(pki, &bad, 1, NOW, &who), -EACCES);
	}
	assert_string_equal(who.name, "anna");
	gnutls_free(der.data);
	made_fini(&m);
	made_fini(&ca);
	pki_close(pki);
}

static int ask(struct pki *pki, const char *token, struct pki_identity *who)
{
	char header[512];

	snprintf(header, sizeof(header), "Bearer %s", token);
	return pki_identify_header(pki, header, who);
}

static void tokens(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	struct pki_identity who;
	char *anna, *vera, *text;
	struct stat st;

	assert_int_equal(ask(pki, "podnet_x", &who), -EACCES);      /* there is no file yet */
	anna = new_token(p, "admin:anna");
	assert_int_equal(stat(p->tokens, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	vera = new_token(p, "view:vera@host");
	assert_int_equal(strlen(anna), strlen("podnet_") + 43);
	assert_string_not_equal(anna, vera);
	text = get(p, "tokens");
	assert_null(strstr(text, anna + strlen("podnet_")));
	assert_int_equal(ask(pki, anna, &who), 0);
	assert_int_equal(who.role, PKI_ADMIN);
	assert_string_equal(who.name, "anna");
	assert_int_equal(ask(pki, vera, &who), 0);
	assert_int_equal(who.role, PKI_VIEW);
	assert_string_equal(who.name, "vera@host");
	put(p, "tokens", strchr(text, '\n') + 1, strlen(strchr(text, '\n') + 1), 0600);
	assert_int_equal(ask(pki, anna, &who), -EACCES);            /* the row is gone */
	assert_int_equal(ask(pki, vera, &who), 0);
	put(p, "tokens", text, strlen(text) - 1, 0600);             /* no newline at the end */
	assert_int_equal(ask(pki, anna, &who), 0);
	free(new_token(p, "view:x"));
	assert_int_equal(ask(pki, vera, &who), 0);
	put(p, "tokens", "nonsense\n", 9, 0600);
	assert_int_equal(ask(pki, vera, &who), -EACCES);
	assert_int_equal(unlink(p->tokens), 0);
	assert_int_equal(ask(pki, anna, &who), -EACCES);
	gnutls_free(text);
	free(anna);
	free(vera);
	pki_close(pki);
}

#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct rows {
	const char *text;
	size_t n;
	unsigned bad;
} rows[] = {
	{ "", 0, 0 },
	{ "\n\n  # nothing\n", 0, 0 },
	{ "admin a " HASH, 1, 0 },
	{ "\t view \t a  " HASH " # why\r\n", 1, 0 },
	{ "admin a " HASH "\nview b " HASH "\n", 2, 0 },
	{ "root a " HASH "\nview b " HASH "\n", 1, 1 },
	{ "nobody a " HASH "\n", 0, 1 },
	{ "\nadmin a\n", 0, 2 },
	{ "admin a " HASH "0\n", 0, 1 },
	{ "admin a " HASH " more\n", 0, 1 },
	{ "admin a E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n", 0, 1 },
	{ "admin a/b " HASH "\n", 0, 1 },
};

static void token_rows(void **state)
{
	(void)state;
	for (const struct rows *r = rows; r < rows + ARRAY_SIZE(rows); r++) {
		struct tokens t = { 0 };

		if (tokens_parse(&t, r->text) != r->bad || t.n != r->n)
			fail_msg("%s: %zu rows", r->text, t.n);
		free(t.v);
	}
}

static const struct header {
	const char *text, *token;
} headers[] = {
	{ "Bearer abc", "abc" }, { "bearer abc", "abc" }, { "BEARER   abc", "abc" },
	{ "Bearer a-b_c.~+/=", "a-b_c.~+/=" },
	{ "Bearer ", NULL }, { "Bearer", NULL }, { "Bearerabc", NULL }, { "Basic abc", NULL },
	{ "Bearer abc def", NULL }, { "Bearer abc ", NULL }, { "Bearer a\"c", NULL }, { "", NULL },
	{ NULL, NULL },
};

static void token_headers(void **state)
{
	(void)state;
	for (const struct header *h = headers; h < headers + ARRAY_SIZE(headers); h++) {
		const char *token = bearer_token(h->text);

		if (!token != !h->token || (token && strcmp(token, h->token) != 0))
			fail_msg("%s: %s", h->text, token ? token : "none");
	}
}

static const struct host {
	const char *text;
	bool ours;
} hosts[] = {
	{ "localhost", true }, { "LocalHost:6443", true }, { "127.0.0.1", true },
	{ "127.0.0.1:6443", true }, { "[::1]:6443", true }, { "[0:0:0:0:0:0:0:1]", true },
	{ "node1:1", true }, { "node1:", true },
	{ "evil.example", false }, { "localhost.evil.example", false }, { "node", false },
	{ "127.0.0.2", false }, { "::1", false }, { "[::1", false }, { "[::2]", false },
	{ "localhost:64x", false }, { "localhost:1:2", false }, { ":6443", false }, { "", false },
	{ "user@localhost", false }, { NULL, false },
};

static void host_headers(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);

	for (const struct host *h = hosts; h < hosts + ARRAY_SIZE(hosts); h++)
		if (pki_is_our_host(pki, h->text) != h->ours)
			fail_msg("%s", h->text);
	pki_close(pki);
}

static void issued(void **state)
{
	static const char *const not_names[] = {
		"", "admin", "admin:", ":x", "root:x", "Admin:x", "admin:a b", "admin:a/b", "nobody:x",
	};
	struct place *p = *state;
	struct buf b = { 0 };
	char *before, *after;
	WHY;

	assert_int_equal(pki_new_kubeconfig(&p->conf, "view:vera", NOW, &b, why), -ENOENT);
	assert_non_null(strstr(why, "ca.key"));
	pki_close(start(p, &names, NOW));
	before = look(p);
	assert_int_equal(pki_new_kubeconfig(&p->conf, "view:vera", NOW, &b, why), 0);
	buf_add(&b, "", 1);
	assert_non_null(strstr(b.data, "client-key-data: "));
	assert_null(strstr(b.data, "renews"));          /* a copy is not ours to renew */
	for (size_t i = 0; i < ARRAY_SIZE(not_names); i++) {
		assert_int_equal(pki_new_token(&p->conf, not_names[i], &b, why), -EINVAL);
		assert_int_equal(pki_new_kubeconfig(&p->conf, not_names[i], NOW, &b, why), -EINVAL);
		assert_non_null(strstr(why, "ROLE:NAME"));
	}
	after = look(p);
	assert_string_equal(before, after);
	free(before);
	free(after);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(client_certificates), TEST(client_again), TEST(tokens), cmocka_unit_test(token_rows),
		cmocka_unit_test(token_headers), TEST(host_headers), TEST(issued),
	};

	return place_run(tests, ARRAY_SIZE(tests));
}
