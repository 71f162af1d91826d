/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * print.c - an operation as one line: KIND VERB [NAMESPACE] OBJECT
 *
 * Room: pure.  May include: plan/inner.h, base, include/podnet.
 */
#include "inner.h"

static int netns_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	(void)a;
	(void)b;
	return 0;                       /* the namespace itself is the key */
}

static void netns_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
			uint32_t changed, const char *peer_ns)
{
	(void)verb;
	(void)obj;
	(void)changed;
	(void)peer_ns;
	snprintf(buf, size, "%s", "");
}

const struct pn_kind pn_netns_kind = { "netns", NULL, 0, netns_cmp, NULL, netns_print };

static const char *ref_of(const struct podnet_set *set, uint16_t ns)
{
	return ns < set->refs.n ? set->refs.v[ns].name : "";
}

void pn_line(const struct podnet_set *set, const struct pn_op *op, char *buf, size_t size)
{
	static const char *const verbs[] = { [PN_ADD] = "add", [PN_SET] = "set", [PN_DEL] = "del" };
	const struct pn_kind *kind = pn_kinds[op->obj.kind];
	const char *ns = ref_of(set, op->obj.ns), *peer_ns = "";
	char rest[PN_LINE_SIZE / 2];

	if (op->obj.kind == PN_LINK && op->obj.u.dev.peer_ns != op->obj.ns)
		peer_ns = ref_of(set, op->obj.u.dev.peer_ns);
	kind->print(rest, sizeof(rest), op->verb, &op->obj, op->changed, peer_ns);
	snprintf(buf, size, "%s %s%s%s%s%s", kind->name, verbs[op->verb], *ns ? " " : "", ns,
		 *rest ? " " : "", rest);
}

void pn_name_object(const struct podnet_set *set, const struct pn_obj *obj, char *buf, size_t size)
{
	const struct pn_kind *kind = pn_kinds[obj->kind];
	const char *ns = ref_of(set, obj->ns);
	char rest[PN_LINE_SIZE / 2];

	/* as in the line that deletes it: only the key */
	kind->print(rest, sizeof(rest), PN_DEL, obj, 0, "");
	snprintf(buf, size, "%s%s%.40s%s%s", kind->name, *ns ? " " : "", ns, *rest ? " " : "", rest);
}

int podnet_set_print(const struct podnet_set *set, FILE *out)
{
	char line[PN_LINE_SIZE];
	int n = 0;

	for (size_t i = 0; i < set->objs.n; i++) {
		struct pn_op op = { .obj = set->objs.v[i], .verb = PN_ADD };

		if (op.obj.is & PN_HIDDEN)
			continue;
		/* of these, only values are ever wished */
		if (op.obj.kind == PN_SYSCTL ||
		    (op.obj.kind == PN_LINK && op.obj.u.dev.type == PN_ANY)) {
			op.verb = PN_SET;
			op.changed = ~0u;
		}
		pn_line(set, &op, line, sizeof(line));
		fprintf(out, "%s\n", line);
		n++;
	}
	return n;
}

int podnet_plan_each(const struct podnet_plan *plan, int (*each)(const char *line, void *arg),
		     void *arg)
{
	char line[PN_LINE_SIZE];

	for (size_t i = 0; i < plan->ops.n; i++) {
		int r;

		pn_line(plan->set, &plan->ops.v[i], line, sizeof(line));
		r = each(line, arg);
		if (r)
			return r;
	}
	return 0;
}

static int print_line(const char *line, void *arg)
{
	return fprintf(arg, "%s\n", line) < 0;
}

int podnet_plan_print(const struct podnet_plan *plan, FILE *out)
{
	podnet_plan_each(plan, print_line, out);
	return (int)plan->ops.n;
}
