/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pki.h - who is who behind TLS: certificates that are made and renewed, tokens, clients
 *
 * Room: the only one that calls GnuTLS.  It knows no HTTP and opens no socket; whoever has a TLS
 * session hands it in.  The clock is the caller's.  GnuTLS sleeps until pki_open(), see wake.c.
 * May include: netd/base, gnutls.
 */
#ifndef NETD_PKI_H
#define NETD_PKI_H

#include <gnutls/abstract.h>
#include <netd/base/base.h>

#define PKI_NAME_BYTES  65      /* of a client's name, with its NUL */

/** Where things are; borrowed while in use, so for the whole life of a struct pki. */
struct pki_config {
	const char *dir;            /* ca.key, ca.crt, server.key, server.crt */
	const char *kubeconfig;     /* of an administrator */
	const char *tokens;         /* need not be there */
	const char *server;         /* URL for kubeconfigs, "https://127.0.0.1:6443" */
};

/** DNS names and IP addresses, as text. */
struct pki_names {
	const char *const *v;
	size_t n;
};

enum pki_role { PKI_NOBODY, PKI_VIEW, PKI_ADMIN };

struct pki_identity {
	enum pki_role role;
	char name[PKI_NAME_BYTES];
};

/** pki_wake() - GnuTLS, for others than pki: before they begin with it.  0, or negative with @why */
int pki_wake(char why[256]);

struct pki;

/**
 * pki_open() - what is there, checked; what is missing, made; what ends soon, renewed
 * @names: what the server's certificate must cover
 *
 * The directory must be there.  The administrator's kubeconfig is made and renewed here too, which
 * takes the right to write in its directory.
 * Return: 0, -EINVAL: a file is wrong and stays as it is, -EIO and others of open(2), -ENOMEM; @why
 * says what in one line.
 */
int pki_open(const struct pki_config *conf, const struct pki_names *names, int64_t now_s,
	     struct pki **ret, char why[256]);
void pki_close(struct pki *pki);            /* after the last session */

/**
 * pki_renew() - a new certificate for the server if its own ends soon or does not cover @names
 *
 * Writes in conf->dir only.  Sessions that begin afterwards get the new one.  On failure the old
 * one stays, and the log says why.
 */
int pki_renew(struct pki *pki, const struct pki_names *names, int64_t now_s);

/** pki_check() - what pki_open() would refuse; makes and changes nothing */
int pki_check(const struct pki_config *conf, char why[256]);

/*
 * One session of TLS.  A client is asked for a certificate and need not have one.
 */
extern const char pki_priorities[];         /* of GnuTLS: TLS 1.2 and 1.3 */
/** pki_trust() - PEM: the authorities that clients' certificates may come from */
const char *pki_trust(const struct pki *pki);
/** pki_session_begin() - before its handshake; pki_certificate() then finds @pki */
void pki_session_begin(struct pki *pki, gnutls_session_t session);
/** pki_session_pending() - it holds what nobody has read yet */
bool pki_session_pending(gnutls_session_t session);
/** pki_certificate() - a gnutls_certificate_retrieve_function2 for the server */
int pki_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int nauthorities,
		    const gnutls_pk_algorithm_t *algorithms, int nalgorithms,
		    gnutls_pcert_st **chain, unsigned int *nchain, gnutls_privkey_t *key);

/*
 * Who asks.  0 and @ret, -ENOENT: shows nothing, -EACCES: shows what is not valid.
 */
int pki_identify_session(struct pki *pki, gnutls_session_t session, int64_t now_s,
			 struct pki_identity *ret);
/** pki_identify_chain() - the same, of certificates in DER, the client's own first */
int pki_identify_chain(struct pki *pki, const gnutls_datum_t *chain, size_t n, int64_t now_s,
		       struct pki_identity *ret);
/** pki_identify_header() - the value of an Authorization header, or NULL */
int pki_identify_header(struct pki *pki, const char *header, struct pki_identity *ret);

/** pki_is_our_host() - does a Host header (NULL: none was sent) name this server? */
bool pki_is_our_host(const struct pki *pki, const char *host);

/*
 * For an administrator's shell.  @who: ROLE:NAME; ROLE is admin or view.
 */
/** pki_new_token() - append a row for a new token to conf->tokens; @out: the token */
int pki_new_token(const struct pki_config *conf, const char *who, struct buf *out, char why[256]);
/** pki_new_kubeconfig() - @out: a kubeconfig with a certificate of its own; nothing is written */
int pki_new_kubeconfig(const struct pki_config *conf, const char *who, int64_t now_s,
		       struct buf *out, char why[256]);

/**
 * pki_each_path() - what a netd that has dropped root must own to renew and to read on
 *
 * The directory first.  Whoever gives it away gives these; what is made later gets the directory's
 * owner by itself.  The kubeconfig's own directory is not among them: who may write there could
 * replace netd.conf, so the kubeconfig is renewed at start, before root is dropped.
 */
void pki_each_path(const struct pki_config *conf, void (*each)(void *arg, const char *path),
		   void *arg);

#endif
