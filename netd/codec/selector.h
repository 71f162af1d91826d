/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selector.h - selectors of a query and of objects, from text and from JSON
 *
 * Source: API-CONTRACT 6.
 */
#ifndef NETD_CODEC_SELECTOR_H
#define NETD_CODEC_SELECTOR_H

#include <netd/codec/kind.h>
#include <netd/model/selector.h>

/** A field that objects of a kind can be selected by: a row of kind->selectable. */
struct selectable {
	const char *field;          /* path, as it is asked for */
	const char *path;           /* where it stands, NULL: the same */
	const char *absent;         /* its text when it is not there, NULL: "" */
};

struct field_term {
	const struct selectable *field;
	bool negated;
	const char *value;
};

/** What a query asks for: labels and fields, all of which must match. */
struct selector {
	struct label_selector labels;
	struct field_term *fields;
	size_t nfields;
};

/**
 * label_selector_parse() - the text of labelSelector: k, !k, k=v, k==v, k!=v, k in (a,b),
 * k notin (a,b), k>1, k<1, joined by commas; "" matches everything
 *
 * Return: 0, -EINVAL with @why, -ENOMEM.  The result lives in @arena.
 */
int label_selector_parse(const char *text, struct arena *arena, struct label_selector *ret,
			 char why[160]);
/** label_selector_decode() - the LabelSelector @v, after its check; 0 or -ENOMEM */
int label_selector_decode(const struct value *v, struct arena *arena, struct label_selector *ret);
/** label_selector_check() - a LabelSelector at @path: operators, their values, keys */
void label_selector_check(const struct doc *doc, const char *path, struct causes *causes);

/** selector_parse() - both parameters of a query, each may be NULL; as label_selector_parse() */
int selector_parse(const struct kind *kind, const char *labels, const char *fields,
		   struct arena *arena, struct selector *ret, char why[160]);
/** selector_is_all() - it asks for nothing */
bool selector_is_all(const struct selector *sel);
/** selector_needs_object() - false: the names decide, and those never change */
bool selector_needs_object(const struct selector *sel);
/** selector_matches_name() - of one that needs no object */
bool selector_matches_name(const struct selector *sel, const char *ns, const char *name);
/** selector_needs_doc() - false: the names and the labels decide */
bool selector_needs_doc(const struct selector *sel);
/** selector_matches_meta() - of one that needs no document */
bool selector_matches_meta(const struct selector *sel, const struct meta *meta);
/** selector_matches() - @doc: the whole object */
bool selector_matches(const struct selector *sel, const struct doc *doc);

#endif
