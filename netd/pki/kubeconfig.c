/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kubeconfig.c - what kubectl needs to come in: address, authority, a certificate of its own
 *
 * Room: text for one cluster, one user, one context.  The administrator's file is ours while it
 * begins with MARK; then it is written anew when the server's address or authority is another, or
 * its certificate ends soon.  Any other file at its place is the user's.
 * May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

#define MARK "# Made by netd, which renews it at its start; without this line it is left alone.\n"
#define CERT "    client-certificate-data: "

static void put_base64(struct buf *b, const gnutls_datum_t *data)
{
	_cleanup_datum_ gnutls_datum_t text = { 0 };

	if (gnutls_base64_encode2(data, &text) < 0)
		b->failed = true;
	else
		buf_add(b, text.data, text.size);
	buf_str(b, "\n");
}

/* All that depends on the server alone. */
static void put_server(struct buf *b, const struct pki_config *conf, const struct files *files)
{
	buf_printf(b, "apiVersion: v1\nkind: Config\ncurrent-context: podnet\n"
		   "contexts:\n- name: podnet\n  context:\n    cluster: podnet\n    user: podnet\n"
		   "clusters:\n- name: podnet\n  cluster:\n    server: %s\n"
		   "    certificate-authority-data: ", conf->server);
	put_base64(b, &files->authorities_pem);
}

static void put_user(struct buf *b, gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	_cleanup_datum_ gnutls_datum_t crt_pem = { 0 }, key_pem = { 0 };

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem) < 0 ||
	    gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
					      &key_pem) < 0)
		b->failed = true;
	buf_str(b, "users:\n- name: podnet\n  user:\n" CERT);
	put_base64(b, &crt_pem);
	buf_str(b, "    client-key-data: ");
	put_base64(b, &key_pem);
}

int kubeconfig_make(const struct pki_config *conf, const struct files *files,
		    const struct pki_identity *who, int64_t now_s, struct buf *out, char why[256])
{
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	struct cert_spec spec = {
		.use = CERT_CLIENT, .cn = who->name, .o = role_organisation(who->role),
		.now_s = now_s, .issuer_key = files->authority_key,
	};
	int r;

	if (!files->authority_key || !files->authorities.n) {
		snprintf(why, 256, "%.180s/ca.key: missing, so no certificate can be signed", conf->dir);
		return -ENOENT;
	}
	spec.issuer = files->authorities.v[0];
	r = key_make(&key, why);
	spec.key = key;
	if (r == 0)
		r = cert_make(&spec, &crt, why);
	if (r < 0)
		return r;
	put_server(out, conf, files);
	put_user(out, crt, key);
	if (!out->failed)
		return 0;
	snprintf(why, 256, "out of memory");
	return -ENOMEM;
}

/* The certificate in a file of ours still serves. */
static bool serves(const char *text, const struct files *files, int64_t now_s)
{
	_cleanup_datum_ gnutls_datum_t pem = { 0 };
	const char *line = strstr(text, "\n" CERT);
	struct chain chain = { 0 };
	gnutls_datum_t base64;
	char why[256];
	bool ok;

	if (!line)
		return false;
	line += strlen("\n" CERT);
	base64 = (gnutls_datum_t){ (unsigned char *)(uintptr_t)line,
				   (unsigned)strcspn(line, "\n") };
	if (gnutls_base64_decode2(&base64, &pem) < 0 || chain_parse("", &pem, &chain, why) < 0)
		return false;
	ok = chain.n && !cert_ends_soon(chain.v[0], now_s) &&
	     cert_signed_by(&chain, &files->authorities, GNUTLS_KP_TLS_WWW_CLIENT);
	chain_fini(&chain);
	return ok;
}

static bool is_current(const char *text, const struct pki_config *conf, const struct files *files,
		       int64_t now_s)
{
	struct buf head = { 0 };
	bool same;

	buf_str(&head, MARK);
	put_server(&head, conf, files);
	same = !head.failed && strncmp(text, head.data, head.len) == 0;
	buf_fini(&head);
	return same && serves(text, files, now_s);
}

static int write_ours(const struct pki_config *conf, const struct files *files, int64_t now_s,
		      bool replace, char why[256])
{
	static const struct pki_identity admin = { PKI_ADMIN, "admin" };
	struct buf text = { 0 };
	int r;

	buf_str(&text, MARK);
	r = kubeconfig_make(conf, files, &admin, now_s, &text, why);
	if (r == 0)
		r = file_write(conf->kubeconfig, conf, 0600, replace, text.data, text.len, why);
	if (r == 0)
		log_event(LOG_LEVEL_INFO, "kubeconfig_made", "path=%s", conf->kubeconfig);
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_fini(&text);
	return r;
}

int kubeconfig_complete(const struct pki_config *conf, const struct files *files, int64_t now_s,
			char why[256])
{
	_cleanup_datum_ gnutls_datum_t there = { 0 };
	int r = file_read(conf->kubeconfig, &there, why);
	const char *text = (const char *)there.data;

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && strncmp(text, MARK, strlen(MARK)) != 0)
		return 0;
	if (!files->authority_key)
		return 0;       /* the authority is somebody else's, and so are its clients */
	if (r == 0 && is_current(text, conf, files, now_s))
		return 0;
	return write_ours(conf, files, now_s, r == 0, why);
}
