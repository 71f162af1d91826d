/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * internal.h - what the files of the rest room share: a call, its refusals, the hooks of kinds
 *
 * Room: rest only.
 */
#ifndef REST_INTERNAL_H
#define REST_INTERNAL_H

#include <errno.h>
#include <netd/codec/form.h>
#include <netd/codec/selector.h>
#include <netd/rest/rest.h>

/** An object that selectors looked at. */
struct parsed {
	struct bytes *bytes;
	struct doc *doc;
};

struct rest {
	struct loop *loop;
	struct state *state;
	struct reconcile *reconcile;
	size_t nwatches;
	const struct request *again;        /* finish.c: it is tried once more */
	unsigned tries;
	struct uuids uuids;
	struct parsed parsed[2];    /* the last ones: an event's object, and what it was before */
};

/** Why a call is refused; becomes a Status. */
struct refusal {
	unsigned code;
	const char *reason;
	const char *message;        /* in the request's arena; NULL: as the contract spells it */
	const char *why;            /* of a message by the contract, as in struct status */
	const char *name, *uid;     /* of the object it is about */
	const struct kind *kind;
	int retry_after_s;
	struct causes causes;
};

/** What to do with unknown members of a body. */
enum field_validation { FIELDS_WARN, FIELDS_IGNORE, FIELDS_STRICT };

/** One request to a resource. */
struct call {
	struct rest *rest;
	struct request *req;
	const struct kind *kind;    /* as it is stored */
	const struct kind *served;  /* the version that was asked for, mostly the same */
	const char *verb;           /* "create", for the log */
	const char *ns, *name;      /* ns "" for cluster scope, NULL: all; name NULL: collection */
	bool writes;                /* the verb does */
	bool status;                /* the status subresource */
	bool dry_run;
	bool patching;
	struct form form;           /* of the answer */
	enum field_validation fields;
	struct refusal refusal;
};

/**
 * What a kind does beyond the generic handlers.  All members may be NULL.  Errors are made by
 * refuse() or causes_add(&call->refusal.causes ...).
 */
struct kind_hooks {
	/* before defaults and checks: what the server fills in; @old NULL on create */
	int (*prepare)(struct call *c, struct doc *doc, const struct object *old);
	/* after the checks of the body alone: rules across objects */
	int (*validate)(struct call *c, const struct doc *doc, const struct object *old);
	/* create, after everything else: claims and first status */
	int (*admit)(struct call *c, struct txn *txn, struct doc *doc);
	/* update, after the checks: claims and releases; @old is what @doc replaces */
	int (*revise)(struct call *c, struct txn *txn, struct doc *doc, const struct object *old);
	/* a write of the status subresource: what of it stays the server's */
	int (*keep_status)(struct doc *doc, const struct object *old);
	/* before a deletion; also of a forced one */
	int (*deletable)(struct call *c, const struct object *obj);
	/* instead of removing at once: change @doc and return 1; 0: remove.  @grace_s -1: none given */
	int (*retire)(struct call *c, struct doc *doc, const struct object *obj, int64_t grace_s);
	/* with retire: it would return 0; NULL: it never does */
	bool (*at_once)(const struct object *obj, int64_t grace_s);
	void (*accepted)(struct rest *rest, struct object *obj);       /* a create was submitted */
};
const struct kind_hooks *hooks_of(const struct kind *kind);
extern const struct kind_hooks pod_hooks, namespace_hooks, node_hooks, network_hooks,
			       node_local_hooks, route_hooks, tunnel_hooks, service_hooks;
int node_local_prepare(struct call *c, struct doc *doc, const struct object *old);
/* tunnels.c: the name of a Tunnel that makes the same route, or NULL */
const char *tunnel_with_route(struct call *c, const struct route *route);

/* refuse.c.  Each returns a negative number, to be returned by the handler. */
int refuse(struct call *c, unsigned code, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int refuse_object(struct call *c, unsigned code, const char *reason);     /* message by contract */
int refuse_other(struct call *c, unsigned code, const char *reason, const struct kind *kind,
		 const char *name);
int refuse_causes(struct call *c);          /* 0 when there are none */
int refuse_role(struct call *c);            /* the peer's role does not have this verb */
int refuse_memory(struct call *c);
#define LARGE_BYTES (64 * 1024)             /* an answer that counts as held */
int refuse_held(struct call *c);            /* the client takes too little of what it asked for */
int refuse_busy(struct call *c, const char *why);
int refuse_conflict(struct call *c);
int refuse_store(struct call *c, int rc, const char *words);
unsigned store_code(int rc);                /* the code of that */
void reply_refusal(struct call *c);
void reply_json(struct request *req, unsigned code, struct bytes *body);
void reply_text(struct request *req, unsigned code, const char *type, const char *text);

/* audit.c */
/** A write, as its line in the log tells of it. */
struct audit {
	struct http_peer peer;
	const char *verb;
	const struct kind *kind;
	const char *ns, *name;      /* NULL: none */
	unsigned code;
	uint64_t rev;
	char *kept;                 /* what the strings lie in; NULL: they are the request's */
};
/** audit_keep() - copy the strings, for when the request is gone; 0 or -ENOMEM */
int audit_keep(struct audit *a);
void audit_forget(struct audit *a);         /* what was kept */
/** audit_line() - @more: " key=value ..." or "" */
void audit_line(const struct audit *a, const char *more);
void audit_refused(const struct call *c);

/* etag.c */
/** check_match() - If-Match and If-None-Match of a write, against the version it builds upon */
int check_match(struct call *c, const struct object *obj);
/** check_absent() - the same, where there is no version */
int check_absent(struct call *c);
/* fields.c */
int check_field_validation(struct call *c);
/** check_fields() - before defaults; @was: the version that it replaces, or NULL */
void check_fields(struct call *c, const struct doc *doc, const struct doc *was);
/** warn_node() - of a node that is not there, which may come yet */
void warn_node(struct call *c, const struct doc *doc);

/* negotiate.c */
int check_content_type(struct call *c, const char *wanted);
bool media_type_is(const char *header, const char *type);  /* @header NULL: it is not */
int check_dry_run(struct call *c);
int refuse_dry_run(struct call *c, const char *value);
int parse_body(struct call *c, struct doc **ret);
/** parse_object() - a body that is an object of c->kind, in JSON or where known in protobuf */
int parse_object(struct call *c, struct doc **ret);
int parse_revision(struct call *c, const char *param, const char **text, uint64_t *ret);

/* select.c */
int parse_selector(struct call *c, struct arena *arena, struct selector *ret);
/** selects() - 1, 0 or -ENOMEM; @bytes: the object */
int selects(struct rest *rest, const struct selector *sel, const char *ns, const char *name,
	    struct bytes *bytes);
/** selects_doc() - the same, with what it was parsed to, borrowed until others are asked */
int selects_doc(struct rest *rest, const struct selector *sel, struct bytes *bytes,
		const struct doc **doc);
/** selects_object() - the same of a decoded one, which mostly need not be parsed */
int selects_object(struct rest *rest, const struct selector *sel, const struct object *obj);
void select_forget(struct rest *rest);

/* The verbs.  0: answered, or will be; negative: refused. */
int verb_list(struct call *c);              /* and watch */
int verb_watch(struct call *c);
int verb_get(struct call *c);
int verb_create(struct call *c);
int verb_replace(struct call *c);
int verb_patch(struct call *c);
int verb_finalize(struct call *c);
int verb_delete(struct call *c);
int verb_delete_collection(struct call *c);
int verb_stats(struct call *c);             /* of a Service */

/** write_finish() - submit, and answer @code with @body (a reference is taken) after the commit */
int write_finish(struct call *c, struct txn *txn, unsigned code, struct object *obj,
		 struct bytes *body);
/** write_update() - the path of PUT from the body on, of c->status its part of it */
int write_update(struct call *c, struct doc *body, struct object *old);
/** write_dry() - what would have been written */
int write_dry(struct call *c, struct doc *doc, const struct object *old, unsigned code);

#endif
