/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pki.c - the files of netd/pki: made, completed, refused, renewed, with a clock of the test's
 *
 * What is there is compared by bytes before and after: what must stay has to stay whole.
 */
#include "pki_place.h"

#include <netd/pki/inner.h>

static const char *const all_files[] = {
	"ca.key", "ca.crt", "server.key", "server.crt", "admin.kubeconfig",
};

static void first_start(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0600, 0644, 0600 };
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	gnutls_x509_crt_t server = loaded_server(p);
	struct stat st;
	char *before, *after;

	for (size_t i = 0; i < ARRAY_SIZE(all_files); i++) {
		assert_int_equal(stat(path_in(p, all_files[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i]);
	}
	assert_int_not_equal(access(p->tokens, F_OK), 0);
	for (size_t i = 0; i < names.n; i++)
		assert_true(gnutls_x509_crt_check_hostname(server, some_names[i]));
	assert_false(gnutls_x509_crt_check_hostname(server, "10.0.0.11"));
	assert_true(cert_valid_at(server, NOW));
	assert_non_null(strstr(pki_trust(pki), "BEGIN CERTIFICATE"));
	gnutls_x509_crt_deinit(server);
	pki_close(pki);
	before = look(p);
	pki_close(start(p, &names, NOW + DAY_S));
	after = look(p);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* Whatever beginning of the row of files is there, and whatever litter: the rest is made. */
static void half_made(void **state)
{
	struct place *p = *state;

	pki_close(start(p, &names, NOW));
	for (size_t left = 0; left < ARRAY_SIZE(all_files); left++) {
		char *kept[ARRAY_SIZE(all_files)] = { 0 };

		for (size_t i = 0; i < ARRAY_SIZE(all_files); i++) {
			if (i < left)
				kept[i] = get(p, all_files[i]);
			else
				assert_int_equal(unlink(path_in(p, all_files[i])), 0);
		}
		put(p, "server.key.new", "-----BEGIN", 10, 0644);
		put(p, "ca.crt.new", "", 0, 0644);
		pki_close(start(p, &names, NOW));
		for (size_t i = 0; i < ARRAY_SIZE(all_files); i++) {
			char *text = get(p, all_files[i]);

			assert_non_null(text);
			if (i < left)
				assert_string_equal(text, kept[i]);
			gnutls_free(text);
			gnutls_free(kept[i]);
		}
		if (left < 2)
			assert_int_not_equal(access(path_in(p, "ca.crt.new"), F_OK), 0);
	}
}

static void no_server_key(const struct place *p) { unlink(path_in(p, "server.key")); }
static void no_ca_crt(const struct place *p) { unlink(path_in(p, "ca.crt")); }
static void open_key(const struct place *p) { chmod(path_in(p, "ca.key"), 0604); }
static void garbage(const struct place *p) { put(p, "ca.crt", "hello\n", 6, 0644); }
static void empty_key(const struct place *p) { put(p, "server.key", "", 0, 0600); }
static void bad_tokens(const struct place *p) { put(p, "tokens", "# x\nadmin root\n", 15, 0600); }
static void open_tokens(const struct place *p) { put(p, "tokens", "# x\n", 4, 0622); }

static void only_ca_crt(const struct place *p)
{
	unlink(path_in(p, "ca.key"));
	unlink(path_in(p, "server.crt"));
}

static void folder(const struct place *p)
{
	unlink(path_in(p, "server.crt"));
	assert_int_equal(mkdir(path_in(p, "server.crt"), 0755), 0);
}

static void other_ca_key(const struct place *p)
{
	struct made other = make(CERT_AUTHORITY, "other", NULL, NOW, NULL);

	put_key(p, "ca.key", &other);
	made_fini(&other);
}

static void other_server_key(const struct place *p)
{
	struct made other = make(CERT_AUTHORITY, "other", NULL, NOW, NULL);

	put_key(p, "server.key", &other);
	made_fini(&other);
}

static void server_of_others(const struct place *p)
{
	struct made other = make(CERT_AUTHORITY, "other", NULL, NOW, NULL);
	struct made server = make(CERT_SERVER, "user", "user", NOW, &other);

	put_key(p, "server.key", &server);
	put_crt(p, "server.crt", &server);
	made_fini(&server);
	made_fini(&other);
}

static void client_as_server(const struct place *p)
{
	struct made ca = loaded_authority(p), client = make(CERT_CLIENT, "user", "user", NOW, &ca);

	put_key(p, "server.key", &client);
	put_crt(p, "server.crt", &client);
	made_fini(&client);
	made_fini(&ca);
}

static void ca_that_is_none(const struct place *p)
{
	struct made m = make(CERT_SERVER, "user", NULL, NOW, NULL);

	put_key(p, "ca.key", &m);
	put_crt(p, "ca.crt", &m);
	made_fini(&m);
}

static const struct wrong {
	const char *says;
	void (*spoil)(const struct place *p);
	const char *word;
} wrongs[] = {
	{ "a certificate without its key", no_server_key, "server.key is missing" },
	{ "a certificate without its authority", no_ca_crt, "no ca.crt" },
	{ "an authority that cannot sign", only_ca_crt, "ca.key is missing" },
	{ "a key that all may read", open_key, "chmod 600" },
	{ "no PEM", garbage, "ca.crt" },
	{ "an empty key", empty_key, "server.key" },
	{ "a directory", folder, "server.crt: Is a directory" },
	{ "another authority's key", other_ca_key, "ca.key does not belong" },
	{ "another server's key", other_server_key, "server.key does not belong" },
	{ "a server of another authority", server_of_others, "not signed by ca.crt" },
	{ "a client's certificate", client_as_server, "not signed by ca.crt, or not for a server" },
	{ "an authority that may not sign", ca_that_is_none, "may not sign" },
	{ "a row of a token without its hash", bad_tokens, "tokens:2" },
	{ "tokens that anybody may add to", open_tokens, "tokens: others may write it (mode 622)" },
};

static void wrong_files(void **state)
{
	struct place *p = *state;

	for (const struct wrong *w = wrongs; w < wrongs + ARRAY_SIZE(wrongs); w++) {
		struct pki *pki = NULL;
		char *before, *after;
		WHY;

		test_run("sh", "-c", "rm -rf \"$0\"/*", p->dir, NULL);
		pki_close(start(p, &names, NOW));
		assert_int_equal(pki_check(&p->conf, why), 0);
		w->spoil(p);
		before = look(p);
		if (pki_check(&p->conf, why) >= 0 || !strstr(why, w->word))
			fail_msg("%s: check: %s", w->says, why);
		if (pki_open(&p->conf, &names, NOW, &pki, why) >= 0 || !strstr(why, w->word))
			fail_msg("%s: open: %s", w->says, why);
		assert_null(strchr(why, '\n'));
		after = look(p);
		assert_string_equal(before, after);
		free(before);
		free(after);
	}
}

static bool shows(struct pki *pki, gnutls_x509_crt_t crt)
{
	gnutls_datum_t der;
	gnutls_pcert_st *chain;
	gnutls_privkey_t key;
	gnutls_session_t session;
	unsigned n;
	bool same;

	assert_int_equal(gnutls_init(&session, GNUTLS_SERVER), 0);
	pki_session_begin(pki, session);
	assert_int_equal(pki_certificate(session, NULL, 0, NULL, 0, &chain, &n, &key), 0);
	assert_int_equal(n, 1);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
	same = der.size == chain[0].cert.size && memcmp(der.data, chain[0].cert.data, der.size) == 0;
	gnutls_free(der.data);
	gnutls_deinit(session);
	return same;
}

/* @renews: does the server have another certificate afterwards, with the same key? */
static void renew_at(const struct place *p, struct pki *pki, const struct pki_names *wanted,
		     int64_t now, bool renews)
{
	gnutls_x509_crt_t was = loaded_server(p), is;
	char *key = get(p, "server.key"), *same_key;

	assert_int_equal(pki_renew(pki, wanted, now), 0);
	is = loaded_server(p);
	same_key = get(p, "server.key");
	assert_string_equal(key, same_key);
	assert_int_equal(!gnutls_x509_crt_equals(was, is), renews);
	assert_true(shows(pki, is));
	assert_true(cert_covers(is, wanted) || !renews);
	gnutls_free(key);
	gnutls_free(same_key);
	gnutls_x509_crt_deinit(was);
	gnutls_x509_crt_deinit(is);
}

static void renewal(void **state)
{
	static const char *const more[] = { "localhost", "10.0.0.11" };
	const struct pki_names moved = { more, ARRAY_SIZE(more) };
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);

	renew_at(p, pki, &names, NOW + 200 * DAY_S, false);
	renew_at(p, pki, &names, NOW + 250 * DAY_S, true);
	renew_at(p, pki, &names, NOW + 250 * DAY_S, false);
	renew_at(p, pki, &moved, NOW + 251 * DAY_S, true);
	renew_at(p, pki, &moved, NOW + 251 * DAY_S, false);
	assert_true(pki_is_our_host(pki, "10.0.0.11:6443"));
	assert_false(pki_is_our_host(pki, "node1"));
	renew_at(p, pki, &moved, NOW, true);            /* the clock was set back */
	renew_at(p, pki, &moved, NOW + 5000 * DAY_S, true);
	pki_close(pki);
	pki_close(start(p, &moved, NOW + 5300 * DAY_S));
	pki = start(p, &moved, NOW + 5300 * DAY_S);
	renew_at(p, pki, &moved, NOW + 5300 * DAY_S, false);
	pki_close(pki);
}

/* A renewal that cannot be written down leaves what was. */
static void renewal_fails(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	gnutls_x509_crt_t server = loaded_server(p);
	char *before = look(p), *after;

	assert_int_equal(mkdir(path_in(p, "server.crt.new"), 0755), 0);
	assert_true(pki_renew(pki, &names, NOW + 300 * DAY_S) < 0);
	assert_true(shows(pki, server));
	assert_int_equal(rmdir(path_in(p, "server.crt.new")), 0);
	after = look(p);
	assert_string_equal(before, after);
	renew_at(p, pki, &names, NOW + 300 * DAY_S, true);
	gnutls_x509_crt_deinit(server);
	free(before);
	free(after);
	pki_close(pki);
}

/* Given by the user: the pair of a server, signed by an authority whose key stays elsewhere. */
static void given(void **state)
{
	struct place *p = *state;
	struct made ca = make(CERT_AUTHORITY, "theirs", NULL, NOW, NULL);
	struct made server = make(CERT_SERVER, "theirs", "theirs", NOW, &ca);
	struct pki *pki;
	char *before, *after;

	put_crt(p, "ca.crt", &ca);
	put_crt(p, "server.crt", &server);
	put_key(p, "server.key", &server);
	before = look(p);
	pki = start(p, &names, NOW);
	assert_int_equal(pki_renew(pki, &names, NOW + 1000 * DAY_S), 0);
	assert_true(shows(pki, server.crt));
	pki_close(pki);
	after = look(p);
	assert_string_equal(before, after);
	free(before);
	free(after);

	/* with the authority's key clients are made, and the server's certificate still stays */
	put_key(p, "ca.key", &ca);
	before = get(p, "server.crt");
	pki_close(start(p, &names, NOW + 1000 * DAY_S));
	after = get(p, "server.crt");
	assert_string_equal(before, after);
	assert_int_equal(access(p->kubeconfig, R_OK), 0);
	gnutls_free(before);
	gnutls_free(after);
	made_fini(&server);
	made_fini(&ca);
}

static void kubeconfig(void **state)
{
	struct place *p = *state;
	char *first, *second, *third;

	pki_close(start(p, &names, NOW));
	first = get(p, "admin.kubeconfig");
	assert_non_null(strstr(first, "server: https://127.0.0.1:6443\n"));
	pki_close(start(p, &names, NOW + 200 * DAY_S));
	second = get(p, "admin.kubeconfig");
	assert_string_equal(first, second);
	gnutls_free(second);
	pki_close(start(p, &names, NOW + 300 * DAY_S));         /* its certificate ends soon */
	second = get(p, "admin.kubeconfig");
	assert_string_not_equal(first, second);
	p->conf.server = "https://10.0.0.10:6443";              /* the server listens elsewhere */
	pki_close(start(p, &names, NOW + 300 * DAY_S));
	third = get(p, "admin.kubeconfig");
	assert_non_null(strstr(third, "server: https://10.0.0.10:6443\n"));
	gnutls_free(third);
	put(p, "admin.kubeconfig", "mine\n", 5, 0640);          /* the user's own */
	pki_close(start(p, &names, NOW + 900 * DAY_S));
	third = get(p, "admin.kubeconfig");
	assert_string_equal(third, "mine\n");
	gnutls_free(first);
	gnutls_free(second);
	gnutls_free(third);
}

/* What a later piece gives away to the user that netd becomes. */
static void each_path(void *arg, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		(*(unsigned *)arg)++;
	if (stat(path, &st) == 0 && geteuid() == 0)
		assert_int_equal(chown(path, 4711, 4712), 0);
}

static void owners(void **state)
{
	struct place *p = *state;
	struct pki *pki = start(p, &names, NOW);
	unsigned n = 0;
	struct stat st;

	free(new_token(p, "view:x"));
	pki_each_path(&p->conf, each_path, &n);
	assert_int_equal(n, 1 + 4 + 2);
	if (geteuid() == 0) {
		assert_int_equal(unlink(p->tokens), 0);
		free(new_token(p, "view:x"));
		assert_int_equal(stat(p->tokens, &st), 0);
		assert_int_equal(st.st_uid, 4711);
		renew_at(p, pki, &names, NOW + 300 * DAY_S, true);
		assert_int_equal(stat(path_in(p, "server.crt"), &st), 0);
		assert_int_equal(st.st_uid, 4711);
		assert_int_equal(st.st_gid, 4712);
	}
	pki_close(pki);
}

/* Every allocation of ours fails once: an error, words, and nothing lost. */
static void no_memory(void **state)
{
	struct place *p = *state;

	for (long k = 1;; k++) {
		struct pki *pki = NULL;
		WHY;
		int r;

		allocfail_at(k);
		r = pki_open(&p->conf, &names, NOW, &pki, why);
		if (r == 0)
			r = pki_renew(pki, &names, NOW + 300 * DAY_S * k);
		if (!allocfail_hit()) {
			allocfail_at(0);
			assert_int_equal(r, 0);
			pki_close(pki);
			break;
		}
		allocfail_at(0);
		if (r < 0 && !pki)
			assert_string_not_equal(why, "");
		pki_close(pki);
	}
	pki_close(start(p, &names, NOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_start), TEST(half_made), TEST(wrong_files), TEST(renewal),
		TEST(renewal_fails), TEST(given), TEST(kubeconfig), TEST(owners), TEST(no_memory),
	};

	return place_run(tests, ARRAY_SIZE(tests));
}
