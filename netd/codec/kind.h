/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kind.h - one row for each kind: its names, its fields, what its bytes mean
 *
 * Everything that differs between kinds and is about JSON stands in one row; list, get, create,
 * replace, patch, delete and watch are written once over these rows.
 */
#ifndef NETD_KIND_H
#define NETD_KIND_H

#include <netd/codec/doc.h>
#include <netd/model/causes.h>
#include <netd/model/model.h>

struct field;
struct selectable;
struct tape;
struct value;

struct kind {
	enum kind_id id;
	const char *group;          /* "" for core */
	const char *version;        /* "v1" */
	const char *plural, *singular, *name;   /* "pods", "pod", "Pod" */
	const char *short_names;    /* "po" or "", comma-separated */
	const char *categories;     /* "all" or "" */
	const char *store_name;     /* "pods", "networks.podnet.dev": kind in the store, and in messages */
	bool namespaced;
	bool has_status;            /* a status subresource; create and update ignore status */
	bool ours;                  /* unknown fields are refused by path */
	bool in_kernel;             /* deleting one leaves work for the kernel: keep a tombstone */
	bool delete_returns_object; /* Pod, Namespace */
	bool put_creates;           /* where there is none, as in Kubernetes (AllowCreateOnUpdate) */
	bool name_is_label;         /* no dot in its name, at most 63 bytes */
	const struct field *fields; /* the whole object as a table, field.h */
	const struct selectable *selectable;    /* by fieldSelector, beside its names; or NULL */
	/* defaults: fill what the user left out; 0 or -ENOMEM */
	int (*defaults)(struct doc *doc);
	/* check: rules within the object, after its table; @old NULL on create; may be NULL */
	void (*check)(const struct doc *doc, const struct doc *old, struct causes *causes);
	/* check_status: what its status may say beside the rest of it; may be NULL */
	void (*check_status)(const struct doc *doc, struct causes *causes);
	/* decode: the text that was read, tape.h, into @arena, after check() was clean; NULL: no memory */
	void *(*decode)(const struct value *doc, struct arena *arena);
	/* offset of a text in that struct which no two objects have in common; 0: none */
	size_t identity;
	/* of a further version: the row it is stored as, and the ways there and back; 0 or -ENOMEM */
	const struct kind *stored;
	int (*to_stored)(struct doc *doc), (*from_stored)(struct doc *doc);
};

/* Indexed by kind_id; behind these stand the further versions, which are only served. */
#define KIND_SERVED (KIND_COUNT + 1)
extern const struct kind kinds[KIND_SERVED];
/** kind_stored() - the row of what is checked and stored; @served itself, mostly */
static inline const struct kind *kind_stored(const struct kind *served)
{
	return served && served->stored ? served->stored : served;
}
/** kind_take_in() - from the version that is served to the one that is stored; 0 or -ENOMEM */
int kind_take_in(const struct kind *served, struct doc *doc);
/** kind_hand_out() - and back; what is not of the kind (a Status) stays.  0 or -ENOMEM. */
int kind_hand_out(const struct kind *served, struct doc *doc);
/** kind_bytes() - the same of bytes, a reference where nothing changes; NULL: no memory */
struct bytes *kind_bytes(const struct kind *served, struct bytes *stored);
/** kind_find() - by group, version and plural; NULL: unknown */
const struct kind *kind_find(const char *group, const char *version, const char *plural);
const struct kind *kind_by_store_name(const char *store_name);
const char *kind_api_version(const struct kind *kind, char buf[64]);    /* "v1", "podnet.dev/v1" */

/** kind_decode() - bytes of a stored object to its struct; the common part (meta) included */
int kind_decode(const struct kind *kind, const char *bytes, size_t len, struct arena *arena,
		void **ret);
/** kind_decode_doc() - the same of a document that is not stored yet; NULL: no memory */
void *kind_decode_doc(const struct kind *kind, const struct doc *doc, struct arena *arena);
/**
 * kind_restamp() - a stored object under another revision; NULL: no memory, or it has none of digits
 * @tape: @stored, read
 */
struct bytes *kind_restamp(const struct tape *tape, const struct bytes *stored, uint64_t rev);

/**
 * kind_check() - everything that can be said of a body alone: envelope (apiVersion, kind, name,
 * labels, annotations ...; API-CONTRACT 4 and 15.1), field types and ranges, kind->check
 */
void kind_check(const struct kind *kind, const struct doc *doc, const struct doc *old,
		struct causes *causes);
/** kind_check_status() - the same of the status of @doc, the rest of which is as it is stored */
void kind_check_status(const struct kind *kind, const struct doc *doc, struct causes *causes);

/** pod_is_probed() - some container has a readiness probe that netd runs; of container @i */
bool pod_is_probed(const struct doc *doc);
bool pod_container_is_probed(const struct doc *doc, size_t i);
/** pod_set_container_ready() - in status.containerStatuses; 1 changed, 0 as it was or not there, -ENOMEM */
int pod_set_container_ready(struct doc *doc, const char *container, bool ready);
/** pod_set_containers_ready() - the condition, from containerStatuses and NetworkReady; 0 or -ENOMEM */
int pod_set_containers_ready(struct doc *doc, const char *now);
/**
 * pod_set_ready() - the condition Ready, from ContainersReady and what spec.readinessGates names
 * @by_user: a client has set it; it stays, unless gates or probes decide
 *
 * Return: 1, 0 (nothing was done), -ENOMEM.
 */
int pod_set_ready(struct doc *doc, bool by_user, const char *now);
/** pod_set_unheard() - one that is Ready is so no more, for its node is not heard of; 1, 0, -ENOMEM */
int pod_set_unheard(struct doc *doc, const char *now);
/** pod_set_heard() - and is again, or what has become of it meanwhile; 1, 0, -ENOMEM */
int pod_set_heard(struct doc *doc, bool by_user, const char *now);

/* Status objects (API-CONTRACT 9), as bytes ready to send; NULL: no memory. */
struct status {
	unsigned code;
	const char *reason;         /* "NotFound" */
	const char *message;        /* NULL: made from reason, kind and name as the contract spells it */
	const char *why;            /* for a made message: what follows "is forbidden: " or, of a
				     * Conflict, "cannot be fulfilled on ...: "; NULL: the usual */
	const struct kind *kind;    /* for details, may be NULL */
	const char *name, *uid;     /* for details, may be NULL */
	const struct causes *causes;    /* may be NULL */
	int retry_after_s;          /* 0: none */
};
struct bytes *status_bytes(const struct status *st);
/** status_success() - answer of a DELETE: {"status":"Success","details":{...}} */
struct bytes *status_success(const struct kind *kind, const char *name, const char *uid);

#endif
