/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selector.c - labels compared with requirements
 *
 * Room (model): pure functions.  May include: netd/base, libc.
 */
#include <errno.h>
#include <netd/model/selector.h>
#include <stdlib.h>

static bool is_one_of(const struct requirement *req, const char *value)
{
	for (size_t i = 0; i < req->nvalues; i++)
		if (strcmp(req->values[i], value) == 0)
			return true;
	return false;
}

/* A label that is no number is neither greater nor less. */
static bool compare(const struct requirement *req, const char *value)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || end == value || *end)
		return false;
	return req->op == REQ_GREATER ? n > req->bound : n < req->bound;
}

bool requirement_holds(const struct requirement *req, const char *value)
{
	switch (req->op) {
	case REQ_IN:
		return value && is_one_of(req, value);
	case REQ_NOT_IN:
		return !value || !is_one_of(req, value);
	case REQ_EXISTS:
		return value;
	case REQ_ABSENT:
		return !value;
	case REQ_GREATER:
	case REQ_LESS:
		return value && compare(req, value);
	}
	return false;
}

bool label_selector_matches(const struct label_selector *sel, const struct meta *meta)
{
	for (size_t i = 0; i < sel->n; i++)
		if (!requirement_holds(&sel->v[i], meta_label(meta, sel->v[i].key)))
			return false;
	return true;
}
