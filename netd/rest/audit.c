/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit.c - a line in the log for each write, done or refused: who, what, the answer, the revision
 *
 * Room: rest.  The line is written after the commit and before the answer, so whoever has an answer
 * finds the line.  It holds names and numbers, never anything of a body or of a credential; what a
 * client can choose is quoted and cut.  A dry run that is granted writes nothing, here neither.
 * May include: http, codec, netd/base.
 */
#include "internal.h"
#include <netd/base/log.h>

#define NAME_BYTES 320          /* a name has 253; one that is none may be longer, or all escapes */

/* All in one piece: there are as many of them at a time as writes under way. */
int audit_keep(struct audit *a)
{
	const char **texts[] = {
		&a->ns, &a->name, &a->peer.door, &a->peer.client, &a->peer.name,
	};
	size_t len[ARRAY_SIZE(texts)], total = 0;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		len[i] = *texts[i] ? strlen(*texts[i]) + 1 : 0;
		total += len[i];
	}
	at = a->kept = malloc(total + 1);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(texts); at += len[i++])
		if (len[i])
			*texts[i] = memcpy(at, *texts[i], len[i]);
	return 0;
}

void audit_forget(struct audit *a)
{
	free(take_ptr(a->kept));
}

static const char *quote(const char *text, char buf[NAME_BYTES])
{
	return log_quote(text ? text : "", buf, NAME_BYTES);
}

void audit_line(const struct audit *a, const char *more)
{
	static const char *const roles[] = {
		[ROLE_NONE] = "none", [ROLE_VIEW] = "view", [ROLE_ADMIN] = "admin",
	};
	char who[NAME_BYTES], ns[NAME_BYTES], name[NAME_BYTES];

	log_event(a->code >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "audit",
		  "who=%s client=%s pid=%u role=%s door=%s verb=%s kind=%s ns=%s name=%s "
		  "code=%u rev=%llu%s", quote(a->peer.name, who), a->peer.client, a->peer.pid,
		  roles[a->peer.role], a->peer.door, a->verb, a->kind->store_name,
		  quote(a->ns, ns), quote(a->name, name), a->code, (unsigned long long)a->rev,
		  more);
}

void audit_refused(const struct call *c)
{
	struct audit a = {
		.peer = *request_peer(c->req), .verb = c->verb, .kind = c->kind,
		.ns = c->ns, .name = c->name, .code = c->refusal.code ? c->refusal.code : 500,
	};

	audit_line(&a, "");
}
