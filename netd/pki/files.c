/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files.c - the directory of keys: what must be there, whose it is, and what is made
 *
 * Room: theory.  Four files are made in this order: ca.key, ca.crt, server.key, server.crt, each
 * whole or not at all.  So a start that was interrupted left a beginning of that row: a key without
 * its certificate is completed, whoever put it there, and any other gap is a mistake of somebody
 * else's, which is told and not touched.  What is there is never written over, but for one file:
 * server.crt with our organisation in its subject, which is ours to renew; its key stays.
 * An authority may be given without its key, with a server's pair signed elsewhere.
 * May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/stat.h>

#define SERVER_O "podnet:server"        /* the mark of what we renew */

enum { CA_KEY, CA_CRT, SERVER_KEY, SERVER_CRT };

static const char *const file_names[] = {
	[CA_KEY] = "ca.key", [CA_CRT] = "ca.crt",
	[SERVER_KEY] = "server.key", [SERVER_CRT] = "server.crt",
};

static const char *path_of(const struct pki_config *conf, int which, char path[512])
{
	snprintf(path, 512, "%s/%s", conf->dir, file_names[which]);
	return path;
}

void files_fini(struct files *files)
{
	chain_fini(&files->authorities);
	chain_fini(&files->server);
	datum_fini(&files->authorities_pem);
	gnutls_x509_privkey_deinit(take_ptr(files->authority_key));
	gnutls_x509_privkey_deinit(take_ptr(files->server_key));
}

void pki_each_path(const struct pki_config *conf, void (*each)(void *arg, const char *path),
		   void *arg)
{
	char path[512];

	each(arg, conf->dir);
	for (int i = CA_KEY; i <= SERVER_CRT; i++)
		each(arg, path_of(conf, i, path));
	each(arg, conf->tokens);
	each(arg, conf->kubeconfig);
}

static int load_key(const struct pki_config *conf, int which, gnutls_x509_privkey_t *ret,
		    char why[256])
{
	_cleanup_datum_ gnutls_datum_t pem = { 0 };
	struct stat st;
	char path[512];
	int r = file_read(path_of(conf, which, path), &pem, why);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (stat(path, &st) == 0 && st.st_mode & S_IRWXO) {
		snprintf(why, 256, "%.180s: everybody may read it (mode %03o); chmod 600 it", path,
			 st.st_mode & 0777);
		return -EINVAL;
	}
	return key_parse(path, &pem, ret, why);
}

static int load_chain(const struct pki_config *conf, int which, struct chain *ret,
		      gnutls_datum_t *pem, char why[256])
{
	char path[512];
	int r = file_read(path_of(conf, which, path), pem, why);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return chain_parse(path, pem, ret, why);
}

static bool server_is_ours(const struct files *files)
{
	return files->server.n && files->authority_key && cert_is(files->server.v[0], SERVER_O);
}

/* What is wrong with what is there, and cannot be put right by making what is missing; or NULL. */
static const char *mistake(const struct files *f)
{
	const struct chain *ca = &f->authorities, *server = &f->server;

	if (server->n && !f->server_key)
		return "server.crt is there, server.key is missing";
	if (server->n && !ca->n)
		return "server.crt is there, and no ca.crt that signed it";
	if (server->n && !cert_has_key(server->v[0], f->server_key))
		return "server.key does not belong to server.crt";
	if (ca->n && !f->authority_key && !server->n)
		return "ca.key is missing, and with it a server.crt cannot be signed";
	if (ca->n && f->authority_key && !cert_has_key(ca->v[0], f->authority_key))
		return "ca.key does not belong to the first certificate of ca.crt";
	for (unsigned i = 0; i < ca->n; i++)
		if (gnutls_x509_crt_get_ca_status(ca->v[i], NULL) <= 0)
			return "ca.crt holds a certificate that may not sign others";
	if (server->n && !server_is_ours(f) &&
	    !cert_signed_by(server, ca, GNUTLS_KP_TLS_WWW_SERVER))
		return "server.crt is not signed by ca.crt, or not for a server";
	return NULL;
}

int files_load(const struct pki_config *conf, struct files *files, char why[256])
{
	_cleanup_datum_ gnutls_datum_t pem = { 0 };
	const char *wrong;
	int r = load_key(conf, CA_KEY, &files->authority_key, why);

	if (r == 0)
		r = load_chain(conf, CA_CRT, &files->authorities, &files->authorities_pem, why);
	if (r == 0)
		r = load_key(conf, SERVER_KEY, &files->server_key, why);
	if (r == 0)
		r = load_chain(conf, SERVER_CRT, &files->server, &pem, why);
	if (r < 0)
		return r;
	wrong = mistake(files);
	if (!wrong)
		return 0;
	snprintf(why, 256, "%.120s: %s", conf->dir, wrong);
	return -EINVAL;
}

static int save_key(const struct pki_config *conf, int which, gnutls_x509_privkey_t key,
		    char why[256])
{
	_cleanup_datum_ gnutls_datum_t pem = { 0 };
	char path[512];
	int r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
						  GNUTLS_PKCS_PLAIN, &pem);

	path_of(conf, which, path);
	if (r < 0)
		return tls_failed(r, path, why);
	log_event(LOG_LEVEL_INFO, "tls_key_made", "path=%s", path);
	return file_write(path, conf, 0600, false, pem.data, pem.size, why);
}

static int save_cert(const struct pki_config *conf, int which, gnutls_x509_crt_t crt, bool replace,
		     gnutls_datum_t *pem, char why[256])
{
	char path[512], until[24];
	int r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, pem);

	path_of(conf, which, path);
	if (r < 0)
		return tls_failed(r, path, why);
	time_format(gnutls_x509_crt_get_expiration_time(crt), until);
	log_event(LOG_LEVEL_INFO, "tls_certificate_made", "path=%s until=%s", path, until);
	return file_write(path, conf, 0644, replace, pem->data, pem->size, why);
}

static int complete_key(const struct pki_config *conf, int which, gnutls_x509_privkey_t *key,
			char why[256])
{
	_cleanup_key_ gnutls_x509_privkey_t made = NULL;
	int r;

	if (*key)
		return 0;
	r = key_make(&made, why);
	if (r == 0)
		r = save_key(conf, which, made, why);
	if (r == 0)
		*key = take_ptr(made);
	return r;
}

static int complete_authority(const struct pki_config *conf, int64_t now_s, struct files *files,
			      char why[256])
{
	_cleanup_crt_ gnutls_x509_crt_t made = NULL;
	struct cert_spec spec = { .use = CERT_AUTHORITY, .cn = "podnet CA", .now_s = now_s };
	int r;

	if (files->authorities.n)
		return 0;
	r = complete_key(conf, CA_KEY, &files->authority_key, why);
	spec.key = spec.issuer_key = files->authority_key;
	if (r == 0)
		r = cert_make(&spec, &made, why);
	if (r == 0)
		r = save_cert(conf, CA_CRT, made, false, &files->authorities_pem, why);
	if (r == 0)
		files->authorities.v[files->authorities.n++] = take_ptr(made);
	return r;
}

static int make_server(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
		       struct files *files, char why[256])
{
	_cleanup_crt_ gnutls_x509_crt_t made = NULL;
	_cleanup_datum_ gnutls_datum_t pem = { 0 };
	struct cert_spec spec = {
		.use = CERT_SERVER, .cn = "podnet-netd", .o = SERVER_O, .names = names,
		.now_s = now_s, .key = files->server_key, .issuer = files->authorities.v[0],
		.issuer_key = files->authority_key,
	};
	int r = cert_make(&spec, &made, why);

	if (r == 0)
		r = save_cert(conf, SERVER_CRT, made, files->server.n > 0, &pem, why);
	if (r < 0)
		return r;
	chain_fini(&files->server);
	files->server.v[files->server.n++] = take_ptr(made);
	return 0;
}

int files_renew(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
		struct files *files, char why[256])
{
	gnutls_x509_crt_t crt = files->server.v[0];
	int r;

	if (!server_is_ours(files))
		return 0;
	if (!cert_ends_soon(crt, now_s) && cert_covers(crt, names) &&
	    cert_signed_by(&files->server, &files->authorities, GNUTLS_KP_TLS_WWW_SERVER))
		return 0;
	r = make_server(conf, names, now_s, files, why);
	return r < 0 ? r : 1;
}

int files_complete(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
		   struct files *files, char why[256])
{
	int r = complete_authority(conf, now_s, files, why);

	if (r == 0)
		r = complete_key(conf, SERVER_KEY, &files->server_key, why);
	if (r < 0)
		return r;
	if (!files->server.n)
		return make_server(conf, names, now_s, files, why);
	r = files_renew(conf, names, now_s, files, why);
	return r < 0 ? r : 0;
}
