/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy.c - networking.k8s.io/v1 NetworkPolicy
 *
 * Room (codec): API-CONTRACT 15.7.  May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/ports.h>
#include <netd/codec/rows.h>
#include <stdio.h>

static const char *const policy_types[] = { "Ingress", "Egress", NULL };

/* What makes an operator one, and its values, label_selector_check() says. */
static const struct field expression_fields[] = {
	{ .name = "key", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ .name = "operator", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ .name = "values", .type = FIELD_LIST, .elem = FIELD_STRING },
	{ 0 }
};

static const struct field selector_fields[] = {
	{ .name = "matchLabels", .type = FIELD_STRING_MAP },
	{ .name = "matchExpressions", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = expression_fields },
	{ 0 }
};

static const struct field block_fields[] = {
	{ .name = "cidr", .type = FIELD_NET, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(policy_peer, cidr) },
	{ .name = "except", .type = FIELD_LIST, .elem = FIELD_NET,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(policy_peer, except, nexcept) },
	{ 0 }
};

static const struct field peer_fields[] = {
	{ .name = "podSelector", .type = FIELD_OBJECT, .sub = selector_fields },
	{ .name = "namespaceSelector", .type = FIELD_OBJECT, .sub = selector_fields },
	{ .name = "ipBlock", .type = FIELD_OBJECT, .sub = block_fields },
	{ 0 }
};

static const struct field policy_port_fields[] = {
	{ .name = "protocol", .type = FIELD_ENUM, .values = port_protocols,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(policy_port, protocol) },
	{ .name = "port", .type = FIELD_PORT_REF, .min = 1, .max = 65535, .flags = FIELD_STORED,
	  AT(policy_port, port) },
	{ .name = "endPort", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_STORED,
	  AT(policy_port, end_port) },
	{ 0 }
};

#define RULE_FIELDS(peers_name) { \
	{ .name = peers_name, .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = peer_fields, \
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(policy_rule, peers, npeers) }, \
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = policy_port_fields, \
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(policy_rule, ports, nports) }, \
	{ 0 } \
}

static const struct field ingress_fields[] = RULE_FIELDS("from");
static const struct field egress_fields[] = RULE_FIELDS("to");

static const struct field spec_fields[] = {
	{ .name = "podSelector", .type = FIELD_OBJECT, .sub = selector_fields },
	{ .name = "policyTypes", .type = FIELD_LIST, .elem = FIELD_ENUM, .values = policy_types,
	  .max = 2, .flags = FIELD_UNIQUE },
	{ .name = "ingress", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = ingress_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(network_policy, ingress, ningress) },
	{ .name = "egress", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = egress_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(network_policy, egress, negress) },
	{ 0 }
};

const struct field policy_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields },
	{ 0 }
};

int policy_defaults(struct doc *doc)
{
	static const char *const lists[] = { "spec.ingress", "spec.egress" };
	int r = default_object(doc, "spec.podSelector");
	json_t *rule;
	size_t i;

	if (r == 0 && !doc_len(doc, "spec.policyTypes") && json_is_object(doc_at(doc, "spec")))
		r = doc_set_json(doc, "spec.policyTypes", doc_len(doc, "spec.egress") ?
				 "[\"Ingress\",\"Egress\"]" : "[\"Ingress\"]");
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		json_array_foreach(doc_at(doc, lists[k]), i, rule)
			r = r < 0 ? r : fill_protocols(json_object_get(rule, "ports"));
	return r;
}

static void check_values(const json_t *expression, const char *path, size_t i,
			 struct causes *causes)
{
	json_t *values = json_object_get(expression, "values"), *v;
	char field[160];
	size_t k;

	json_array_foreach(values, k, v) {
		const char *value = json_string_value(v);
		const char *why = value ? format_label_value(value) : NULL;

		snprintf(field, sizeof(field), "%s.matchExpressions[%zu].values[%zu]", path, i, k);
		if (why)
			causes_add(causes, CAUSE_INVALID, field, value, "%s", why);
	}
}

static void check_selector(const struct doc *doc, const char *path, struct causes *causes)
{
	const json_t *selector = doc_at(doc, path);
	char field[128];
	json_t *v;
	size_t i;

	snprintf(field, sizeof(field), "%s.matchLabels", path);
	check_labels_at(json_object_get(selector, "matchLabels"), field, causes);
	label_selector_check(doc, path, causes);
	json_array_foreach(json_object_get(selector, "matchExpressions"), i, v)
		check_values(v, path, i, causes);
}

static bool parse_net(const json_t *v, struct podnet_prefix *ret)
{
	const char *s = json_string_value(v);

	if (!s || format_net(s) || podnet_prefix_parse(s, ret) < 0)
		return false;
	*ret = podnet_prefix_mask(ret);
	return true;
}

static void check_block(const json_t *block, const char *path, struct causes *causes)
{
	struct podnet_prefix cidr, except;
	char field[128];
	json_t *v;
	size_t i;

	if (!parse_net(json_object_get(block, "cidr"), &cidr))
		return;
	json_array_foreach(json_object_get(block, "except"), i, v) {
		snprintf(field, sizeof(field), "%s.except[%zu]", path, i);
		if (!parse_net(v, &except) ||
		    (except.family == cidr.family && except.len > cidr.len &&
		     podnet_prefix_contains(&cidr, &except)))
			continue;
		causes_add(causes, CAUSE_INVALID, field, json_string_value(v),
			   "must be a strict subset of `cidr`");
	}
}

static void check_peer(const struct doc *doc, const char *path, struct causes *causes)
{
	const json_t *peer = doc_at(doc, path);
	const json_t *pods = json_object_get(peer, "podSelector");
	const json_t *namespaces = json_object_get(peer, "namespaceSelector");
	const json_t *block = json_object_get(peer, "ipBlock");
	char field[96];

	if (!json_is_object(peer))
		return;
	if (!pods && !namespaces && !block)
		causes_add(causes, CAUSE_REQUIRED, path, NULL, "must specify a peer");
	if (block && (pods || namespaces))
		causes_add(causes, CAUSE_FORBIDDEN, path, NULL,
			   "may not specify both ipBlock and another peer");
	snprintf(field, sizeof(field), "%s.podSelector", path);
	check_selector(doc, field, causes);
	snprintf(field, sizeof(field), "%s.namespaceSelector", path);
	check_selector(doc, field, causes);
	snprintf(field, sizeof(field), "%s.ipBlock", path);
	check_block(block, field, causes);
}

static void check_end_port(const json_t *port, const char *path, struct causes *causes)
{
	const json_t *first = json_object_get(port, "port"), *last = json_object_get(port, "endPort");
	char field[96];

	if (!json_is_integer(last))
		return;
	snprintf(field, sizeof(field), "%s.endPort", path);
	if (!first)
		json_cause(causes, CAUSE_INVALID, field, last,
			   "may not be specified when `port` is not specified");
	else if (json_is_string(first))
		json_cause(causes, CAUSE_INVALID, field, last,
			   "may not be specified when `port` is non-numeric");
	else if (json_is_integer(first) && json_integer_value(last) < json_integer_value(first))
		json_cause(causes, CAUSE_INVALID, field, last,
			   "must be greater than or equal to `port`");
}

static void check_rules(const struct doc *doc, const char *list, const char *peers,
			struct causes *causes)
{
	json_t *rule, *v;
	char field[80];
	size_t i, k;

	snprintf(field, sizeof(field), "spec.%s", list);
	json_array_foreach(doc_at(doc, field), i, rule) {
		char path[80];

		json_array_foreach(json_object_get(rule, peers), k, v) {
			snprintf(path, sizeof(path), "spec.%s[%zu].%s[%zu]", list, i, peers, k);
			check_peer(doc, path, causes);
		}
		json_array_foreach(json_object_get(rule, "ports"), k, v) {
			snprintf(path, sizeof(path), "spec.%s[%zu].ports[%zu]", list, i, k);
			check_end_port(v, path, causes);
		}
	}
}

void policy_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	(void)old;
	check_selector(doc, "spec.podSelector", causes);
	check_rules(doc, "ingress", "from", causes);
	check_rules(doc, "egress", "to", causes);
}

/* *@ret stays NULL where there is none. */
static int decode_selector(const struct value *v, struct arena *arena,
			   const struct label_selector **ret)
{
	struct label_selector *sel;
	int r;

	if (!value_is(v, VALUE_OBJECT))
		return 0;
	sel = arena_alloc(arena, sizeof(*sel));
	if (!sel)
		return -ENOMEM;
	r = label_selector_decode(v, arena, sel);
	if (r == 0)
		*ret = sel;
	return r;
}

static int decode_peers(const struct value *list, struct arena *arena, struct policy_peer *peer)
{
	const struct value *v;
	int r = 0;

	value_each(list, v) {
		r = decode_selector(value_member(v, "podSelector"), arena, &peer->pods);
		if (r == 0)
			r = decode_selector(value_member(v, "namespaceSelector"), arena,
					    &peer->namespaces);
		if (r < 0)
			break;
		peer++;
	}
	return r;
}

static int decode_rules(const struct value *list, const char *peers, struct arena *arena,
			struct policy_rule *rule)
{
	const struct value *v;
	int r = 0;

	value_each(list, v) {
		r = decode_peers(value_member(v, peers), arena, rule->peers);
		if (r < 0)
			break;
		rule++;
	}
	return r;
}

static int decode_policy(const struct value *spec, struct arena *arena,
			 struct network_policy *policy)
{
	int r = decode_selector(value_member(spec, "podSelector"), arena, &policy->pods);

	if (r == 0)
		r = decode_rules(value_member(spec, "ingress"), "from", arena, policy->ingress);
	if (r == 0)
		r = decode_rules(value_member(spec, "egress"), "to", arena, policy->egress);
	return r;
}

void *policy_decode(const struct value *doc, struct arena *arena)
{
	struct network_policy *policy = kind_new(doc, policy_fields, sizeof(*policy), arena);
	const struct value *spec = value_member(doc, "spec"), *v;

	if (!policy || decode_policy(spec, arena, policy) < 0)
		return NULL;
	value_each(value_member(spec, "policyTypes"), v) {
		const char *type = value_text(v);

		policy->isolates_ingress |= type && strcmp(type, policy_types[0]) == 0;
		policy->isolates_egress |= type && strcmp(type, policy_types[1]) == 0;
	}
	return policy;
}
