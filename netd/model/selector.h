/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selector.h - which objects are meant: labels compared with requirements
 *
 * Made by codec, of the text of a query or of a LabelSelector in an object; used by lists and
 * watches, and by what services and policies choose.  Source: API-CONTRACT 6.
 */
#ifndef NETD_SELECTOR_H
#define NETD_SELECTOR_H

#include <netd/model/model.h>

enum requirement_op { REQ_IN, REQ_NOT_IN, REQ_EXISTS, REQ_ABSENT, REQ_GREATER, REQ_LESS };

struct requirement {
	const char *key;
	enum requirement_op op;
	const char **values;        /* of IN and NOT_IN */
	size_t nvalues;
	int64_t bound;              /* of GREATER and LESS */
};

/** All requirements must hold; none matches everything. */
struct label_selector {
	struct requirement *v;
	size_t n;
};

/** requirement_holds() - @value of the label, NULL: the object has no such label */
bool requirement_holds(const struct requirement *req, const char *value);
bool label_selector_matches(const struct label_selector *sel, const struct meta *meta);

#endif
