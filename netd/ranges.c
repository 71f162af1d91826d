/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ranges.c - the addresses of Services must be nobody else's: the node's, or a Network's
 *
 * Room: netd, with one thread; after the database is open, before the kernel thread has the sockets.
 *
 * What conf_check.c cannot know.  A start with a range that was fine at an earlier one goes on: a
 * network that the node was given since must not keep netd from coming back.
 */
#include <errno.h>
#include <netd/kernel/kernel.h>
#include <netd/ranges.h>
#include <stdio.h>

#define META "service-cidrs"        /* those of the last start that had them for itself */

struct clash {
	const struct podnet_prefix *cidr;
	char why[256];              /* "": none */
};

static bool overlap(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return podnet_prefix_contains(a, b) || podnet_prefix_contains(b, a);
}

static void say(struct clash *c, const struct podnet_prefix *other, const char *whose, const char *name)
{
	char ours[PODNET_PREFIX_STRLEN], theirs[PODNET_PREFIX_STRLEN];

	snprintf(c->why, sizeof(c->why), "service-cidr: %s overlaps with %s, %s%.63s",
		 podnet_prefix_format(c->cidr, ours), podnet_prefix_format(other, theirs), whose, name);
}

static int with_network(void *arg, struct object *obj)
{
	struct clash *c = arg;

	for (size_t i = 0; i < obj->network->ncidrs && !*c->why; i++)
		if (overlap(c->cidr, &obj->network->cidrs[i]))
			say(c, &obj->network->cidrs[i], "of Network ", obj->meta->name);
	return 0;
}

static void with_node(struct clash *c, const struct kernel_facts *facts)
{
	for (size_t i = 0; i < facts->ntaken && !*c->why; i++)
		if (overlap(c->cidr, &facts->taken[i]))
			say(c, &facts->taken[i], "an address or a connected route of this node", "");
}

/* All of them, as text; whether they are those of an earlier start. */
static bool known(struct netd *netd, char text[2 * PODNET_PREFIX_STRLEN])
{
	char one[PODNET_PREFIX_STRLEN], was[2 * PODNET_PREFIX_STRLEN];
	int n = 0;

	for (size_t i = 0; i < netd->node.nservice_cidrs; i++)
		n += snprintf(text + n, 2 * PODNET_PREFIX_STRLEN - (size_t)n, "%s%s", i ? "," : "",
			      podnet_prefix_format(&netd->node.service_cidrs[i], one));
	return store_meta_get(netd->store, META, was, sizeof(was)) >= 0 && strcmp(was, text) == 0;
}

static int refuse(const struct clash *c, bool was_fine, char why[256])
{
	char quoted[320];

	memcpy(why, c->why, sizeof(c->why));
	if (!was_fine)
		return -EINVAL;
	log_event(LOG_LEVEL_WARNING, "service_cidr_overlaps", "err=%s",
		  log_quote(c->why, quoted, sizeof(quoted)));
	return 0;
}

int ranges_check(struct netd *netd, char why[256])
{
	char text[2 * PODNET_PREFIX_STRLEN] = "";
	bool was_fine = known(netd, text);
	struct podnet_error err = { 0 };
	struct kernel_facts facts;
	int r = kernel_look(netd->kernel, &facts, &err);

	if (r < 0) {
		podnet_error_text(&err, why, 256);
		return r;
	}
	for (size_t i = 0; i < netd->node.nservice_cidrs; i++) {
		struct clash c = { .cidr = &netd->node.service_cidrs[i] };

		state_each(netd->state, &kinds[KIND_NETWORK], NULL, with_network, &c);
		with_node(&c, &facts);
		if (*c.why)
			return refuse(&c, was_fine, why);
	}
	if (!was_fine)                  /* what cannot be written is looked at again */
		(void)store_meta_put(netd->store, META, text);
	return 0;
}
