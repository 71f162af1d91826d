/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pki.c - the room's life: opened, renewed, asked, closed
 *
 * Room: theory.  Who comes in by TLS shows a certificate that our authority signed, or a token
 * whose hash stands in a file; both say a role and a name.  No decision is kept: the calendar is
 * looked at for every certificate, and the file (one stat(2)) for every token, so removing a row
 * ends it at once.
 *
 * A session that began before a renewal may still be in its handshake, so the server's previous
 * pair is kept until the renewal after that, months later.
 * May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/stat.h>

const char pki_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE";

/** What the server shows. */
struct pair {
	gnutls_pcert_st chain[MAX_CHAIN];
	unsigned n;
	gnutls_privkey_t key;
};

struct pki {
	struct pki_config conf;
	struct files files;
	struct pair *pair, *previous;
	struct arena names_arena;
	struct pki_names names;
	struct proofs proofs;
	struct tokens tokens;
	struct stat tokens_file;            /* as it was when they were read; zero: none was */
	int64_t tokens_read_s;
};

static void pair_free(struct pair *pair)
{
	if (!pair)
		return;
	for (unsigned i = 0; i < pair->n; i++)
		gnutls_pcert_deinit(&pair->chain[i]);
	gnutls_privkey_deinit(pair->key);
	free(pair);
}
DEFINE_CLEANUP(struct pair, pair_free)

static int pair_new(const struct files *files, struct pair **ret, char why[256])
{
	_cleanup_(pair_freep) struct pair *pair = calloc(1, sizeof(*pair));
	unsigned n = files->server.n;
	int r;

	if (!pair)
		return tls_failed(GNUTLS_E_MEMORY_ERROR, "server", why);
	r = gnutls_privkey_init(&pair->key);
	if (r == 0)
		r = gnutls_privkey_import_x509(pair->key, files->server_key,
					       GNUTLS_PRIVKEY_IMPORT_COPY);
	for (; r == 0 && pair->n < n; pair->n += r == 0)
		r = gnutls_pcert_import_x509(&pair->chain[pair->n], files->server.v[pair->n], 0);
	if (r == 0)
		*ret = take_ptr(pair);
	return tls_failed(r, "server", why);
}

static int keep_names(struct pki *pki, const struct pki_names *names)
{
	struct arena arena = { 0 };
	const char **v = arena_alloc(&arena, (names->n + 1) * sizeof(*v));

	for (size_t i = 0; v && i < names->n; i++) {
		v[i] = arena_strdup(&arena, names->v[i]);
		if (!v[i])
			v = NULL;
	}
	if (!v) {
		arena_fini(&arena);
		return -ENOMEM;
	}
	arena_fini(&pki->names_arena);
	pki->names_arena = arena;
	pki->names = (struct pki_names){ v, names->n };
	return 0;
}

/* Changed within the second in which it was read, it may have been changed again unseen. */
static bool same_file(const struct pki *pki, const struct stat *st)
{
	const struct stat *was = &pki->tokens_file;

	return was->st_ino == st->st_ino && was->st_dev == st->st_dev &&
	       was->st_size == st->st_size && was->st_ctim.tv_sec == st->st_ctim.tv_sec &&
	       was->st_ctim.tv_nsec == st->st_ctim.tv_nsec &&
	       st->st_ctim.tv_sec < pki->tokens_read_s - 1;
}

/* 0 when there is no file; @bad: the first line that is none, or 0. */
static int tokens_load(const struct pki_config *conf, struct tokens *ret, unsigned *bad,
		       char why[256])
{
	_cleanup_datum_ gnutls_datum_t text = { 0 };
	struct stat st;
	int r = file_read(conf->tokens, &text, why);

	*bad = 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (stat(conf->tokens, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(why, 256, "%.180s: others may write it (mode %03o); chmod 600 it",
			 conf->tokens, st.st_mode & 0777);
		return -EINVAL;
	}
	*bad = tokens_parse(ret, (const char *)text.data);
	if (*bad)
		snprintf(why, 256, "%.180s:%u: \"ROLE NAME SHA256\" wanted", conf->tokens, *bad);
	return 0;
}

/* What cannot be read lets nobody in. */
static void tokens_refresh(struct pki *pki)
{
	struct tokens tokens = { 0 };
	struct stat st = { 0 };
	char why[256], text[320];
	unsigned bad;
	bool there = stat(pki->conf.tokens, &st) == 0;
	int r;

	if (there ? same_file(pki, &st) : !pki->tokens_file.st_ino && errno == ENOENT)
		return;
	pki->tokens_read_s = now_realtime_s();
	r = tokens_load(&pki->conf, &tokens, &bad, why);
	if (r < 0 || bad)
		log_event(LOG_LEVEL_ERROR, "token_file_wrong", "err=%s",
			  log_quote(why, text, sizeof(text)));
	free(pki->tokens.v);
	pki->tokens = tokens;
	pki->tokens_file = st;
}

static int check_tokens(const struct pki_config *conf, char why[256])
{
	struct tokens tokens = { 0 };
	unsigned bad;
	int r = tokens_load(conf, &tokens, &bad, why);

	free(tokens.v);
	return r < 0 ? r : bad ? -EINVAL : 0;
}

static void warn_of_end(const struct pki *pki, int64_t now_s)
{
	if (!cert_valid_at(pki->files.server.v[0], now_s))
		log_event(LOG_LEVEL_WARNING, "tls_certificate_ended", "path=%s/server.crt",
			  pki->conf.dir);
}

int pki_open(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
	     struct pki **ret, char why[256])
{
	struct pki *pki;
	int r = wake(why);

	if (r < 0)
		return r;
	pki = calloc(1, sizeof(*pki));
	if (!pki || keep_names(pki, names) < 0) {
		free(pki);
		return tls_failed(GNUTLS_E_MEMORY_ERROR, "keys", why);
	}
	pki->conf = *conf;
	r = files_load(conf, &pki->files, why);
	if (r == 0)
		r = check_tokens(conf, why);
	if (r == 0)
		r = files_complete(conf, names, now_s, &pki->files, why);
	if (r == 0)
		r = kubeconfig_complete(conf, &pki->files, now_s, why);
	if (r == 0)
		r = pair_new(&pki->files, &pki->pair, why);
	if (r < 0) {
		pki_close(pki);
		return r;
	}
	warn_of_end(pki, now_s);
	*ret = pki;
	return 0;
}

void pki_close(struct pki *pki)
{
	if (!pki)
		return;
	pair_free(pki->pair);
	pair_free(pki->previous);
	files_fini(&pki->files);
	arena_fini(&pki->names_arena);
	free(pki->tokens.v);
	free(pki);
}

int pki_renew(struct pki *pki, const struct pki_names *names, int64_t now_s)
{
	char why[256] = "out of memory", text[320];
	struct pair *pair;
	int r = keep_names(pki, names);

	if (r == 0)
		r = files_renew(&pki->conf, names, now_s, &pki->files, why);
	if (r == 0)
		warn_of_end(pki, now_s);
	if (r > 0)
		r = pair_new(&pki->files, &pair, why);
	else if (r == 0)
		return 0;
	if (r < 0) {
		log_event(LOG_LEVEL_ERROR, "tls_renew_failed", "err=%s",
			  log_quote(why, text, sizeof(text)));
		return r;
	}
	pair_free(pki->previous);
	pki->previous = pki->pair;
	pki->pair = pair;
	return 0;
}

int pki_check(const struct pki_config *conf, char why[256])
{
	struct files files = { 0 };
	int r = wake(why);

	if (r == 0)
		r = files_load(conf, &files, why);
	if (r == 0)
		r = check_tokens(conf, why);
	files_fini(&files);
	return r;
}

const char *pki_trust(const struct pki *pki)
{
	return (const char *)pki->files.authorities_pem.data;
}

void pki_session_begin(struct pki *pki, gnutls_session_t session)
{
	gnutls_session_set_ptr(session, pki);
}

bool pki_session_pending(gnutls_session_t session)
{
	return gnutls_record_check_pending(session) > 0;
}

int pki_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int nauthorities,
		    const gnutls_pk_algorithm_t *algorithms, int nalgorithms,
		    gnutls_pcert_st **chain, unsigned int *nchain, gnutls_privkey_t *key)
{
	const struct pki *pki = gnutls_session_get_ptr(session);

	(void)authorities;
	(void)nauthorities;
	(void)algorithms;
	(void)nalgorithms;
	*chain = pki->pair->chain;
	*nchain = pki->pair->n;
	*key = pki->pair->key;
	return 0;
}

int pki_identify_chain(struct pki *pki, const gnutls_datum_t *chain, size_t n, int64_t now_s,
		       struct pki_identity *ret)
{
	return client_identify(chain, n, &pki->files.authorities, &pki->proofs, now_s, ret);
}

int pki_identify_session(struct pki *pki, gnutls_session_t session, int64_t now_s,
			 struct pki_identity *ret)
{
	unsigned n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);

	return chain ? pki_identify_chain(pki, chain, n, now_s, ret) : -ENOENT;
}

int pki_identify_header(struct pki *pki, const char *header, struct pki_identity *ret)
{
	const char *token = bearer_token(header);
	const struct token *found;

	if (!header)
		return -ENOENT;
	if (!token)
		return -EACCES;
	tokens_refresh(pki);
	found = tokens_find(&pki->tokens, token);
	if (!found)
		return -EACCES;
	*ret = found->who;
	return 0;
}

bool pki_is_our_host(const struct pki *pki, const char *host)
{
	return host_matches(host, &pki->names, pki->files.server.v[0]);
}
