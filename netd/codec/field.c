/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * field.c - one walk over a document and its table, which says all that is wrong
 *
 * Room (codec).  May include: model (causes), netd/base, jansson.
 */
#include <netd/codec/field.h>
#include <netd/codec/format.h>
#include <netd/codec/json.h>
#include <stdio.h>

struct walk {
	struct causes *causes;
	bool strict;
	size_t len;
	char path[640];
};

static void check_object(struct walk *w, const struct field *table, const json_t *obj);
static void check_value(struct walk *w, const struct field *f, enum field_type type,
			const json_t *v);

/* The path grows and is cut back to what the callee found; too long a one is told cut. */
__attribute__((format(printf, 2, 3)))
static size_t enter(struct walk *w, const char *fmt, ...)
{
	size_t was = w->len, room = sizeof(w->path) - w->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->path + w->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->len += (size_t)n < room ? (size_t)n : room - 1;
	return was;
}

/* The same of a member, of which there are many. */
static size_t enter_member(struct walk *w, const char *name)
{
	size_t was = w->len, len = strlen(name);

	if (was + len + 2 > sizeof(w->path))
		return enter(w, "%s%s", was ? "." : "", name);
	if (was)
		w->path[w->len++] = '.';
	memcpy(w->path + w->len, name, len + 1);
	w->len += len;
	return was;
}

static void leave(struct walk *w, size_t was)
{
	w->len = was;
	w->path[was] = '\0';
}

static const char *wrong_format(enum field_type type, const char *s)
{
	static const char *(*const formats[])(const char *s) = {
		[FIELD_LABEL] = format_label,
		[FIELD_SUBDOMAIN] = format_subdomain,
		[FIELD_QUALIFIED] = format_qualified,
		[FIELD_PORT_NAME] = format_port_name,
		[FIELD_IFNAME] = format_ifname,
		[FIELD_OWN_IFNAME] = format_own_ifname,
		[FIELD_NETNS_PATH] = format_netns_path,
		[FIELD_TIME] = format_time,
		[FIELD_QUANTITY] = format_quantity,
		[FIELD_ADDRESS] = format_address,
		[FIELD_PREFIX] = format_prefix,
		[FIELD_CIDR] = format_cidr,
		[FIELD_DESTINATION] = format_destination,
		[FIELD_MAC] = format_mac,
		[FIELD_NET] = format_net,
		[FIELD_PORT_REF] = format_port_name,
	};

	return formats[type] ? formats[type](s) : NULL;
}

static bool expect(struct walk *w, bool fits, const json_t *v, const char *wanted)
{
	if (!fits)
		json_cause(w->causes, CAUSE_TYPE, w->path, v, "must be %s", wanted);
	return fits;
}

static void check_int(struct walk *w, const struct field *f, const json_t *v)
{
	int64_t n;

	if (!expect(w, json_is_integer(v), v, "an integer"))
		return;
	n = json_integer_value(v);
	if ((f->min == 0 && f->max == 0) || (n >= f->min && n <= f->max))
		return;
	if (n < f->min && f->max == INT32_MAX)  /* its type ends there */
		json_cause(w->causes, CAUSE_INVALID, w->path, v,
			   "must be greater than or equal to %lld", (long long)f->min);
	else
		json_cause(w->causes, CAUSE_INVALID, w->path, v,
			   "must be between %lld and %lld, inclusive",
			   (long long)f->min, (long long)f->max);
}

static const char *quoted(const char *const *values, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; values[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s\"%s\"", i ? ", " : "",
					values[i]);
	return buf;
}

static bool is_one_of(const char *const *values, const char *s)
{
	for (; *values; values++)
		if (strcmp(*values, s) == 0)
			return true;
	return false;
}

const char *field_trim(const char *s, char buf[256])
{
	static const char blanks[] = " \t\r\n";
	size_t n;

	s += strspn(s, blanks);
	n = strlen(s);
	while (n && strchr(blanks, s[n - 1]))
		n--;
	snprintf(buf, 256, "%.*s", (int)n, s);
	return buf;
}

static void check_string(struct walk *w, const struct field *f, enum field_type type,
			 const json_t *v)
{
	const char *s, *why;
	char buf[256], trimmed[256];

	if (!expect(w, json_is_string(v), v, "a string"))
		return;
	s = f->flags & FIELD_BLANKS ? field_trim(json_string_value(v), trimmed) : json_string_value(v);
	if (!s[0] && (f->flags & FIELD_REQUIRED)) {
		causes_add(w->causes, CAUSE_REQUIRED, w->path, NULL, "%s", "");
		return;
	}
	if (!s[0] && f->type != FIELD_LIST)
		return;                 /* an empty string is an absent one, as in Kubernetes */
	if (type == FIELD_ENUM && !is_one_of(f->values, s))
		causes_add(w->causes, CAUSE_NOT_SUPPORTED, w->path, s, "supported values: %s",
			   quoted(f->values, buf, sizeof(buf)));
	why = wrong_format(type, s);
	if (why)
		causes_add(w->causes, CAUSE_INVALID, w->path, s, "%s", why);
}

static void check_map(struct walk *w, const json_t *v)
{
	json_t *child;
	const char *key;

	if (!expect(w, json_is_object(v), v, "an object of strings"))
		return;
	json_object_foreach((json_t *)(uintptr_t)v, key, child) {
		size_t was;

		if (json_is_string(child))
			continue;
		was = enter(w, "[%s]", key);
		expect(w, false, child, "a string");
		leave(w, was);
	}
}

/* what makes an element itself: of objects, the member that their table names first */
static const json_t *identity(const struct field *f, const json_t *elem)
{
	return f->elem == FIELD_OBJECT ? json_object_get(elem, f->sub[0].name) : elem;
}

static void check_unique(struct walk *w, const struct field *f, const json_t *list, size_t i)
{
	const json_t *mine = identity(f, json_array_get(list, i));
	size_t was;

	if (!json_is_string(mine))
		return;
	for (size_t k = 0; k < i; k++) {
		if (!json_equal(mine, identity(f, json_array_get(list, k))))
			continue;
		was = f->elem == FIELD_OBJECT ? enter(w, ".%s", f->sub[0].name) : w->len;
		json_cause(w->causes, CAUSE_DUPLICATE, w->path, mine, "%s", "");
		leave(w, was);
		return;
	}
}

static void check_length(struct walk *w, const struct field *f, size_t n)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%zu", n);
	if (n < (size_t)f->min && n == 0)
		causes_add(w->causes, CAUSE_REQUIRED, w->path, NULL, "%s", "");
	else if (n < (size_t)f->min)
		causes_add_bare(w->causes, CAUSE_INVALID, w->path, buf,
				"must have at least %lld items", (long long)f->min);
	if (!f->max || n <= (size_t)f->max)
		return;
	causes_add(w->causes, CAUSE_TOO_MANY, w->path, buf, "must have at most %lld items",
		   (long long)f->max);
}

static void check_list(struct walk *w, const struct field *f, const json_t *v)
{
	json_t *child;
	size_t i;

	if (!expect(w, json_is_array(v), v, "a list"))
		return;
	check_length(w, f, json_array_size(v));
	json_array_foreach(v, i, child) {
		size_t was = enter(w, "[%zu]", i);

		/* quadratic: a list of unique elements has a limit, or is cut off here */
		if ((f->flags & FIELD_UNIQUE) && i < 1024)
			check_unique(w, f, v, i);
		check_value(w, f, f->elem, child);
		leave(w, was);
	}
}

static void check_port_ref(struct walk *w, const struct field *f, const json_t *v)
{
	if (json_is_string(v))
		check_string(w, f, FIELD_PORT_REF, v);
	else if (json_is_integer(v))
		check_int(w, f, v);
	else
		expect(w, false, v, "an integer or a string");
}

static void check_value(struct walk *w, const struct field *f, enum field_type type,
			const json_t *v)
{
	switch (type) {
	case FIELD_ANY:
		return;
	case FIELD_INT:
		check_int(w, f, v);
		return;
	case FIELD_BOOL:
		expect(w, json_is_boolean(v), v, "true or false");
		return;
	case FIELD_STRING_MAP:
		check_map(w, v);
		return;
	case FIELD_OBJECT:
		if (expect(w, json_is_object(v), v, "an object") && f->sub)
			check_object(w, f->sub, v);
		return;
	case FIELD_LIST:
		check_list(w, f, v);
		return;
	case FIELD_PORT_REF:
		check_port_ref(w, f, v);
		return;
	case FIELD_STRING: case FIELD_ENUM: case FIELD_LABEL: case FIELD_SUBDOMAIN:
	case FIELD_QUALIFIED: case FIELD_PORT_NAME: case FIELD_IFNAME: case FIELD_OWN_IFNAME:
	case FIELD_NETNS_PATH: case FIELD_TIME: case FIELD_QUANTITY: case FIELD_ADDRESS:
	case FIELD_PREFIX: case FIELD_CIDR: case FIELD_DESTINATION: case FIELD_MAC:
	case FIELD_NET:
		check_string(w, f, type, v);
		return;
	}
}

/* One that is required. */
static void check_absent(struct walk *w, const struct field *f)
{
	if (f->type == FIELD_OBJECT && f->sub)
		check_object(w, f->sub, NULL);  /* what is missing is said by the member's name */
	else
		causes_add(w->causes, CAUSE_REQUIRED, w->path, NULL, "%s", "");
}

static bool knows(const struct field *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

static void check_unknown(struct walk *w, const struct field *table, const json_t *obj)
{
	const char *key;
	json_t *child;

	json_object_foreach((json_t *)(uintptr_t)obj, key, child) {
		size_t was;

		if (knows(table, key))
			continue;
		was = enter_member(w, key);
		causes_add(w->causes, CAUSE_UNKNOWN, w->path, NULL, "%s", "");
		leave(w, was);
	}
}

static void check_object(struct walk *w, const struct field *table, const json_t *obj)
{
	for (const struct field *f = table; f->name; f++) {
		const json_t *v = json_object_get(obj, f->name);
		bool strict = w->strict, absent = !v || json_is_null(v);
		size_t was;

		if ((f->flags & FIELD_SERVER) || (absent && !(f->flags & FIELD_REQUIRED)))
			continue;
		was = enter_member(w, f->name);
		w->strict = strict && !(f->flags & FIELD_OPEN);
		if (!absent)
			check_value(w, f, f->type, v);
		else
			check_absent(w, f);
		w->strict = strict;
		leave(w, was);
	}
	if (w->strict && obj)
		check_unknown(w, table, obj);
}

void field_check(const struct field *table, const struct doc *doc, const char *path, bool strict,
		 struct causes *causes)
{
	struct walk w = { .causes = causes, .strict = strict };
	const json_t *obj = doc_at(doc, path);

	enter(&w, "%s", path);
	if (!obj || expect(&w, json_is_object(obj), obj, "an object"))
		check_object(&w, table, obj);
}
