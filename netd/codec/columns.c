/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns.c - which columns a kind has, and the cells that many kinds share
 *
 * Room (codec).  May include: model, netd/base, jansson.
 */
#include <inttypes.h>
#include <netd/codec/columns.h>
#include <netd/codec/form.h>
#include <stdio.h>

static const struct column plain_columns[] = { COLUMN_NAME, COLUMN_AGE, { 0 } };

/* By the name in the store, which all versions of a kind have in common. */
static const struct {
	const char *store_name;
	const struct column *columns;
} tables[] = {
	{ "namespaces", namespace_columns },
	{ "nodes", node_columns },
	{ "pods", pod_columns },
	{ "events", event_columns },
	{ "services", service_columns },
	{ "endpoints", endpoints_columns },
	{ "endpointslices.discovery.k8s.io", slice_columns },
	{ "networkpolicies.networking.k8s.io", policy_columns },
	{ "networks.podnet.dev", network_columns },
	{ "networknamespaces.podnet.dev", netns_columns },
	{ "veths.podnet.dev", veth_columns },
	{ "bridges.podnet.dev", bridge_columns },
	{ "routes.podnet.dev", route_columns },
	{ "tunnels.podnet.dev", tunnel_columns },
};

const struct column *columns_of(const struct kind *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (strcmp(tables[i].store_name, kind->store_name) == 0)
			return tables[i].columns;
	return plain_columns;
}

const char *find_text(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));

	return s && *s ? s : NULL;
}

const char *find_condition(const struct doc *doc, const char *type)
{
	const json_t *list = doc_at(doc, "status.conditions"), *condition;
	size_t i;

	json_array_foreach(list, i, condition) {
		const char *is = find_text(condition, "type");

		if (is && strcmp(is, type) == 0)
			return find_text(condition, "status");
	}
	return NULL;
}

void column_text(const struct column *column, const struct doc *doc, struct buf *out)
{
	const json_t *v;

	if (column->cell) {
		column->cell(doc, out);
		return;
	}
	v = doc_at(doc, column->path);
	if (json_is_string(v) && json_string_length(v))
		buf_add(out, json_string_value(v), json_string_length(v));
	else if (json_is_integer(v) || json_is_boolean(v))
		json_dump_buf(v, out);
	else
		buf_str(out, column->absent ? column->absent : "<none>");
}

/* k8s.io/apimachinery/pkg/util/duration, HumanDuration() */
const char *duration_human(int64_t s, char buf[24])
{
	int64_t m = s / 60, h = m / 60, d = h / 24, y = d / 365;

	if (s < -1)
		snprintf(buf, 24, "<invalid>");
	else if (s < 0)
		snprintf(buf, 24, "0s");
	else if (s < 120)
		snprintf(buf, 24, "%" PRId64 "s", s);
	else if (m < 10 && s % 60)
		snprintf(buf, 24, "%" PRId64 "m%" PRId64 "s", m, s % 60);
	else if (m < 180)
		snprintf(buf, 24, "%" PRId64 "m", m);
	else if (h < 8 && m % 60)
		snprintf(buf, 24, "%" PRId64 "h%" PRId64 "m", h, m % 60);
	else if (h < 48)
		snprintf(buf, 24, "%" PRId64 "h", h);
	else if (d < 8 && h % 24)
		snprintf(buf, 24, "%" PRId64 "d%" PRId64 "h", d, h % 24);
	else if (y < 2)
		snprintf(buf, 24, "%" PRId64 "d", d);
	else if (y < 8 && d % 365)
		snprintf(buf, 24, "%" PRId64 "y%" PRId64 "d", y, d % 365);
	else
		snprintf(buf, 24, "%" PRId64 "y", y);
	return buf;
}

void add_age(const char *time, struct buf *out)
{
	char text[24];
	int64_t at;

	if (!time || time_parse(time, &at) < 0)
		buf_str(out, "<unknown>");
	else
		buf_str(out, duration_human(now_realtime_s() - at, text));
}

void cell_age(const struct doc *doc, struct buf *out)
{
	add_age(doc_str(doc, "metadata.creationTimestamp"), out);
}

void cut_list_add(struct cut_list *list, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (list->max && list->n++ >= list->max)
		return;
	if (!list->max)
		list->n++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (list->n > 1)
		buf_add(list->out, ",", 1);
	buf_str(list->out, text);
}

void cut_list_end(struct cut_list *list, const char *none)
{
	if (!list->n)
		buf_str(list->out, none);
	else if (list->max && list->n > list->max)
		buf_printf(list->out, " + %zu more...", list->n - list->max);
}

/* The members of a map in the order of their keys: the least one that is greater than @after. */
static const char *next_key(const json_t *map, const char *after)
{
	const char *key, *least = NULL;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)map, key, v)
		if ((!after || strcmp(key, after) > 0) && (!least || strcmp(key, least) < 0))
			least = key;
	return least;
}

void add_labels(const json_t *map, struct buf *out)
{
	struct cut_list list = { .out = out };

	for (const char *key = NULL; (key = next_key(map, key));) {
		const char *value = find_text(map, key);

		cut_list_add(&list, "%s=%s", key, value ? value : "");
	}
	cut_list_end(&list, "<none>");
}

static void add_values(const json_t *values, struct buf *out)
{
	const char *last = NULL;

	for (size_t n = 0; n < json_array_size(values); n++) {
		const char *least = NULL;
		json_t *v;
		size_t i;

		json_array_foreach(values, i, v) {
			const char *s = json_string_value(v);

			if (s && (!last || strcmp(s, last) > 0) && (!least || strcmp(s, least) < 0))
				least = s;
		}
		if (!least)
			return;
		buf_printf(out, "%s%s", n ? "," : "", least);
		last = least;
	}
}

static void add_expression(const json_t *expression, struct cut_list *list)
{
	const char *key = find_text(expression, "key"), *op = find_text(expression, "operator");
	bool in = op && strcmp(op, "In") == 0, not_in = op && strcmp(op, "NotIn") == 0;

	if (!key || !op)
		return;
	cut_list_add(list, "%s%s%s", strcmp(op, "DoesNotExist") == 0 ? "!" : "", key,
		     in ? " in (" : not_in ? " notin (" : "");
	if (!in && !not_in)
		return;
	add_values(json_object_get(expression, "values"), list->out);
	buf_add(list->out, ")", 1);
}

void add_selector(const json_t *selector, struct buf *out)
{
	const json_t *map = json_object_get(selector, "matchLabels");
	const json_t *expressions = json_object_get(selector, "matchExpressions"), *v;
	struct cut_list list = { .out = out };
	size_t i;

	for (const char *key = NULL; (key = next_key(map, key));) {
		const char *value = find_text(map, key);

		cut_list_add(&list, "%s=%s", key, value ? value : "");
	}
	json_array_foreach(expressions, i, v)
		add_expression(v, &list);
	cut_list_end(&list, "<none>");
}
