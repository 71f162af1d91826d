/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pki_place.h - what the suites of netd/pki share: a directory of its own, other authorities
 */
#ifndef PKI_PLACE_H
#define PKI_PLACE_H

#include "lib/testlib.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netd/base/log.h>
#include <netd/pki/inner.h>
#include <stdio.h>
#include <sys/stat.h>

#define NOW     1800000000LL
#define WHY     char why[256] = ""

static const char *const some_names[] = { "localhost", "127.0.0.1", "::1", "node1", "10.0.0.10" };
static const struct pki_names names = { some_names, ARRAY_SIZE(some_names) };

struct place {
	char dir[64], kubeconfig[96], tokens[96];
	struct pki_config conf;
};

static inline int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/podnet-pki-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->kubeconfig, sizeof(p->kubeconfig), "%s/admin.kubeconfig", p->dir);
	snprintf(p->tokens, sizeof(p->tokens), "%s/tokens", p->dir);
	p->conf = (struct pki_config){ .dir = p->dir, .kubeconfig = p->kubeconfig,
				       .tokens = p->tokens, .server = "https://127.0.0.1:6443" };
	*state = p;
	return 0;
}

static inline int teardown(void **state)
{
	struct place *p = *state;

	test_run("rm", "-rf", p->dir, NULL);
	free(p);
	return 0;
}

static inline const char *path_in(const struct place *p, const char *name)
{
	static char path[160];      /* one at a time */

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	return path;
}

static inline void put(const struct place *p, const char *name, const void *data, size_t len, mode_t mode)
{
	int fd = open(path_in(p, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline char *get(const struct place *p, const char *name)
{
	gnutls_datum_t d = { 0 };
	WHY;

	return file_read(path_in(p, name), &d, why) < 0 ? NULL : (char *)d.data;
}

/* Names, modes and bytes of everything there. */
static inline char *look(const struct place *p)
{
	struct buf b = { 0 };
	struct dirent **list;
	int n = scandir(p->dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char *text = get(p, list[i]->d_name);
		struct stat st;

		assert_int_equal(stat(path_in(p, list[i]->d_name), &st), 0);
		if (text)
			buf_printf(&b, "== %s %03o\n%s\n", list[i]->d_name, st.st_mode & 0777, text);
		gnutls_free(text);
		free(list[i]);
	}
	free(list);
	buf_add(&b, "", 1);
	return b.data;
}

static inline struct pki *start(const struct place *p, const struct pki_names *wanted, int64_t now)
{
	struct pki *pki = NULL;
	WHY;

	if (pki_open(&p->conf, wanted, now, &pki, why) < 0)
		fail_msg("%s", why);
	return pki;
}

/* Another authority, or a certificate of one; NULL issuer: its own. */
struct made {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static inline struct made make(enum cert_use use, const char *cn, const char *o, int64_t now,
			const struct made *issuer)
{
	struct made m = { 0 };
	struct cert_spec spec = { .use = use, .cn = cn, .o = o, .names = &names, .now_s = now };
	WHY;

	assert_int_equal(key_make(&m.key, why), 0);
	spec.key = m.key;
	spec.issuer = issuer ? issuer->crt : NULL;
	spec.issuer_key = issuer ? issuer->key : m.key;
	assert_int_equal(cert_make(&spec, &m.crt, why), 0);
	return m;
}

static inline void made_fini(struct made *m)
{
	gnutls_x509_crt_deinit(m->crt);
	gnutls_x509_privkey_deinit(m->key);
}

static inline void put_crt(const struct place *p, const char *name, const struct made *m)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	put(p, name, pem.data, pem.size, 0644);
	gnutls_free(pem.data);
}

static inline void put_key(const struct place *p, const char *name, const struct made *m)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_privkey_export2(m->key, GNUTLS_X509_FMT_PEM, &pem), 0);
	put(p, name, pem.data, pem.size, 0600);
	gnutls_free(pem.data);
}

static inline struct made loaded_authority(const struct place *p)
{
	struct files files = { 0 };
	struct made m;
	WHY;

	assert_int_equal(files_load(&p->conf, &files, why), 0);
	m = (struct made){ take_ptr(files.authority_key), files.authorities.v[0] };
	files.authorities.n = 0;
	files_fini(&files);
	return m;
}

static inline gnutls_x509_crt_t loaded_server(const struct place *p)
{
	struct files files = { 0 };
	gnutls_x509_crt_t crt;
	WHY;

	assert_int_equal(files_load(&p->conf, &files, why), 0);
	crt = files.server.v[0];
	files.server.n = 0;
	files_fini(&files);
	return crt;
}

static inline char *new_token(const struct place *p, const char *who)
{
	struct buf b = { 0 };
	WHY;

	if (pki_new_token(&p->conf, who, &b, why) < 0)
		fail_msg("%s", why);
	buf_add(&b, "", 1);
	return b.data;
}

static inline int place_run(const struct CMUnitTest *tests, size_t n)
{
	WHY;

	log_init(LOG_LEVEL_ERROR);
	if (wake(why) < 0)
		return 1;
	return _cmocka_run_group_tests("pki", tests, n, NULL, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
