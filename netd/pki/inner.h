/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of this room share
 *
 * Room: pki.  Functions return 0 or a negative errno, and then say why; none returns GnuTLS's own
 * numbers.  May include: netd/base, gnutls.
 */
#ifndef PKI_INNER_H
#define PKI_INNER_H

#include <gnutls/x509.h>
#include <netd/base/limits.h>
#include <netd/pki/pki.h>

#define MAX_CHAIN       4       /* certificates of one chain */
#define DAY_S           86400

DEFINE_CLEANUP(struct gnutls_x509_crt_int, gnutls_x509_crt_deinit)
DEFINE_CLEANUP(struct gnutls_x509_privkey_int, gnutls_x509_privkey_deinit)
#define _cleanup_crt_ _cleanup_(gnutls_x509_crt_deinitp)
#define _cleanup_key_ _cleanup_(gnutls_x509_privkey_deinitp)
#define _cleanup_datum_ _cleanup_(datum_fini)

/* Wiped: it may have held a key. */
static inline void datum_fini(gnutls_datum_t *d)
{
	if (d->data)
		gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	*d = (gnutls_datum_t){ 0 };
}

/* wake.c */
int wake(char why[256]);

/* file.c */
/** file_read() - whole, with a NUL behind it.  -ENOENT when it is not there */
int file_read(const char *path, gnutls_datum_t *ret, char why[256]);
/** file_write() - whole or not at all; -EEXIST: there is one, and not @replace */
int file_write(const char *path, const struct pki_config *conf, mode_t mode, bool replace,
	       const void *data, size_t len, char why[256]);
/** file_append() - a line, durably */
int file_append(const char *path, const struct pki_config *conf, const char *line, char why[256]);

/* cert.c */
struct chain {
	gnutls_x509_crt_t v[MAX_CHAIN];
	unsigned n;
};
void chain_fini(struct chain *chain);

enum cert_use { CERT_AUTHORITY, CERT_SERVER, CERT_CLIENT };

struct cert_spec {
	enum cert_use use;
	const char *cn, *o;
	const struct pki_names *names;          /* of a server */
	int64_t now_s;
	gnutls_x509_privkey_t key;              /* whose certificate it is */
	gnutls_x509_crt_t issuer;               /* NULL: its own */
	gnutls_x509_privkey_t issuer_key;
};

int tls_failed(int r, const char *what, char why[256]);     /* GnuTLS's number to ours, in words */
int key_make(gnutls_x509_privkey_t *ret, char why[256]);
int key_parse(const char *path, const gnutls_datum_t *pem, gnutls_x509_privkey_t *ret,
	      char why[256]);
int chain_parse(const char *path, const gnutls_datum_t *pem, struct chain *ret, char why[256]);
int cert_make(const struct cert_spec *spec, gnutls_x509_crt_t *ret, char why[256]);
bool cert_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key);
/** cert_is() - its first organisation: how we know what we made */
bool cert_is(gnutls_x509_crt_t crt, const char *organisation);
bool cert_covers(gnutls_x509_crt_t crt, const struct pki_names *names);
bool cert_valid_at(gnutls_x509_crt_t crt, int64_t now_s);
/** cert_ends_soon() - a third of its life is left, or less, or it has not begun */
bool cert_ends_soon(gnutls_x509_crt_t crt, int64_t now_s);
/** cert_signed_by() - is @chain one that leads to one of @authorities, whatever the time */
bool cert_signed_by(const struct chain *chain, const struct chain *authorities,
		    const char *purpose);

/* files.c */
/** What is in the directory; members are empty for what is not there. */
struct files {
	struct chain authorities, server;
	gnutls_datum_t authorities_pem;         /* with a NUL behind it */
	gnutls_x509_privkey_t authority_key, server_key;
};
void files_fini(struct files *files);
int files_load(const struct pki_config *conf, struct files *files, char why[256]);
/** files_complete() - make what is missing; what is there stays */
int files_complete(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
		   struct files *files, char why[256]);
/** files_renew() - 1: files->server was replaced, 0: no need to */
int files_renew(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
		struct files *files, char why[256]);

/* kubeconfig.c */
int kubeconfig_make(const struct pki_config *conf, const struct files *files,
		    const struct pki_identity *who, int64_t now_s, struct buf *out, char why[256]);
/** kubeconfig_complete() - the administrator's: made, or renewed if it is ours */
int kubeconfig_complete(const struct pki_config *conf, const struct files *files, int64_t now_s,
			char why[256]);

/* client.c */
const char *role_organisation(enum pki_role role);      /* in the subject of a client */
/** What a client's chain says, whatever the time; role 0: nothing. */
struct proof {
	uint8_t hash[32];               /* of the chain; all zero: an empty place */
	struct pki_identity who;
	int64_t begin_s, end_s;
};
struct proofs {
	struct proof v[LIMIT_PROOFS];
	size_t next;
};
int client_identify(const gnutls_datum_t *der, size_t n, const struct chain *authorities,
		    struct proofs *known, int64_t now_s, struct pki_identity *ret);

/* host.c */
size_t ip_parse(const char *text, uint8_t ip[16]);      /* its length: 4 or 16; 0: no address */
/** host_parse() - the host alone; false when the header has no such form */
bool host_parse(const char *header, char host[256]);
bool host_matches(const char *header, const struct pki_names *names, gnutls_x509_crt_t crt);

/* tokens.c */
struct token {
	uint8_t hash[32];           /* SHA-256 of its text */
	struct pki_identity who;
};
struct tokens {
	struct token *v;
	size_t n, cap;
};
/** who_parse() - "ROLE:NAME" */
int who_parse(const char *text, struct pki_identity *ret);
bool client_name_ok(const char *name);
/** tokens_parse() - the rows of a file; returns the number of the first line that is none, or 0 */
unsigned tokens_parse(struct tokens *tokens, const char *text);
/** bearer_token() - the token in an Authorization header, or NULL.  Borrowed from @header. */
const char *bearer_token(const char *header);
/** tokens_find() - in a time that tells nothing about the rows */
const struct token *tokens_find(const struct tokens *tokens, const char *token);

#endif
