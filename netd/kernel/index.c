/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * index.c - which scope a kernel event is about
 *
 * Room: book-keeping of the kernel thread; asks the kernel for ids of namespaces, nothing else.
 * May include: inner.h, netd/base, include/podnet.
 *
 * In the node's namespace a link's alias names its scope, or is the pool's and the link is that of
 * the namespace it leads to; other objects name their link.  In
 * another namespace an event tells the namespace's id; everybody who lives there is asked to look.
 * Marks are hints: a scope that is marked for nothing costs one empty plan.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>

#define NSID_MAX (1 << 20)

struct kscope *index_scope(const struct kindex *ix, const char *scope)
{
	return map_get(&ix->scopes, scope);
}

struct kns *index_nsid(const struct kindex *ix, int32_t nsid)
{
	return nsid >= 0 && (size_t)nsid < ix->nby_nsid ? ix->by_nsid[nsid] : NULL;
}

static void forget_nsid(struct kindex *ix, struct kns *ns)
{
	if (index_nsid(ix, ns->nsid) == ns)
		ix->by_nsid[ns->nsid] = NULL;
	ns->nsid = -1;
	free(ns->links);
	ns->links = NULL;
	ns->nlinks = 0;
}

static struct kns *get_space(struct kindex *ix, const char *name)
{
	struct kns *ns = map_get(&ix->spaces, name);
	size_t len = strlen(name) + 1;

	if (ns)
		return ns;
	ns = calloc(1, sizeof(*ns) + len);
	if (!ns)
		return NULL;
	ns->nsid = -1;
	memcpy(ns->name, name, len);
	if (map_put(&ix->spaces, ns->name, ns) == 0)
		return ns;
	free(ns);
	return NULL;
}

static void free_space(struct kindex *ix, struct kns *ns)
{
	struct kns **p;

	forget_nsid(ix, ns);
	for (p = &ix->learn; *p; p = &(*p)->next_learn) {
		if (*p == ns) {
			*p = ns->next_learn;
			break;
		}
	}
	map_del(&ix->spaces, ns->name);
	free(ns->users);
	free(ns);
}

static int add_user(struct kns *ns, struct kscope *scope)
{
	struct kscope **users = realloc(ns->users, (ns->nusers + 1) * sizeof(*users));

	if (!users)
		return -ENOMEM;
	users[ns->nusers++] = scope;
	ns->users = users;
	return 0;
}

static void del_user(struct kindex *ix, struct kns *ns, const struct kscope *scope)
{
	size_t i;

	for (i = 0; i < ns->nusers; i++) {
		if (ns->users[i] == scope) {
			ns->users[i] = ns->users[--ns->nusers];
			break;
		}
	}
	if (!ns->nusers)
		free_space(ix, ns);
}

static struct kscope *get_scope(struct kindex *ix, const char *name)
{
	struct kscope *scope = map_get(&ix->scopes, name);

	if (scope)
		return scope;
	scope = calloc(1, sizeof(*scope));
	if (!scope)
		return NULL;
	snprintf(scope->name, sizeof(scope->name), "%s", name);
	if (map_put(&ix->scopes, scope->name, scope) == 0)
		return scope;
	free(scope);
	return NULL;
}

static int put_space(struct kindex *ix, struct kscope *scope, unsigned i, const char *name)
{
	struct kns *ns = name ? get_space(ix, name) : NULL;
	struct kns *before = scope->ns[i];

	if (name && !ns)
		return -ENOMEM;
	if (ns == before)
		return 0;
	if (ns && add_user(ns, scope) < 0)
		return -ENOMEM;
	scope->ns[i] = ns;
	if (before)
		del_user(ix, before, scope);
	return 0;
}

static void leave_home(struct kindex *ix, const struct kscope *scope)
{
	struct kscope **p;

	for (p = &ix->home_scopes; *p; p = &(*p)->next_home) {
		if (*p == scope) {
			*p = scope->next_home;
			return;
		}
	}
}

static void leave_signs(struct kindex *ix, struct kscope *scope)
{
	for (size_t i = 0; i < scope->nsigns; i++)
		if (map_get(&ix->signs, scope->signs[i].key) == &scope->signs[i])
			map_del(&ix->signs, scope->signs[i].key);
	free(scope->signs);
	scope->signs = NULL;
	scope->nsigns = 0;
}

static void fill_sign(struct ksign *sign, struct kscope *scope, const struct kernel_sign *from)
{
	static const uint8_t none[6];
	char mac[PODNET_MAC_STRLEN];

	sign->scope = scope;
	if (memcmp(from->mac, none, sizeof(none)) == 0) {
		podnet_prefix_format(&from->prefix, sign->key);
		return;
	}
	sign->behind = from->prefix;
	snprintf(sign->key, sizeof(sign->key), "%s", podnet_mac_format(from->mac, mac));
}

static int put_signs(struct kindex *ix, struct kscope *scope, const struct kernel_task *task)
{
	leave_signs(ix, scope);
	if (!task->nsigns)
		return 0;
	scope->signs = calloc(task->nsigns, sizeof(*scope->signs));
	if (!scope->signs)
		return -ENOMEM;
	for (size_t i = 0; i < task->nsigns; i++) {
		struct ksign *sign = &scope->signs[scope->nsigns++];

		fill_sign(sign, scope, &task->signs[i]);
		map_del(&ix->signs, sign->key);     /* the key is the other's */
		if (map_put(&ix->signs, sign->key, sign) < 0)
			return -ENOMEM;
	}
	return 0;
}

int index_put(struct kindex *ix, const struct kernel_task *task)
{
	struct kscope *scope = get_scope(ix, task->scope);
	unsigned i;

	if (!scope)
		return -ENOMEM;
	if (task->home && !scope->home) {
		scope->next_home = ix->home_scopes;
		ix->home_scopes = scope;
	}
	if (!task->home && scope->home)
		leave_home(ix, scope);
	scope->home = task->home;
	if ((task->nsigns || scope->nsigns) && put_signs(ix, scope, task) < 0)
		return -ENOMEM;
	for (i = 0; i < 2; i++)
		if (put_space(ix, scope, i, task->netns[i]) < 0)
			return -ENOMEM;
	return 0;
}

void index_drop(struct kindex *ix, const char *name)
{
	struct kscope *scope = map_del(&ix->scopes, name), **p;
	unsigned i;

	if (!scope)
		return;
	if (scope->home)
		leave_home(ix, scope);
	leave_signs(ix, scope);
	for (p = &ix->marks; *p; p = &(*p)->next_mark) {
		if (*p == scope) {
			*p = scope->next_mark;
			break;
		}
	}
	for (i = 0; i < 2; i++)
		if (scope->ns[i])
			del_user(ix, scope->ns[i], scope);
	free(scope);
}

void index_relearn(struct kindex *ix, const struct kscope *scope, bool made)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct kns *ns = scope->ns[i];

		if (!ns)
			continue;
		ns->watched |= made;
		if (ns->learn)
			continue;
		ns->learn = true;
		ns->next_learn = ix->learn;
		ix->learn = ns;
	}
}

static int put_nsid(struct kindex *ix, struct kns *ns, int nsid)
{
	if (nsid >= NSID_MAX)
		return -ERANGE;
	if ((size_t)nsid >= ix->nby_nsid) {
		size_t n = ((size_t)nsid + 64) * 2;
		struct kns **v = realloc(ix->by_nsid, n * sizeof(*v));

		if (!v)
			return -ENOMEM;
		memset(v + ix->nby_nsid, 0, (n - ix->nby_nsid) * sizeof(*v));
		ix->by_nsid = v;
		ix->nby_nsid = n;
	}
	if (ix->by_nsid[nsid])
		ix->by_nsid[nsid]->nsid = -1;
	ix->by_nsid[nsid] = ns;
	ns->nsid = nsid;
	return 0;
}

void index_learn(struct kindex *ix, struct podnet *ctx)
{
	while (ix->learn) {
		struct kns *ns = ix->learn;
		int nsid = podnet_nsid(ctx, ns->name, NULL);

		ix->learn = ns->next_learn;
		ns->learn = false;
		if (nsid == ns->nsid)
			continue;
		ns->watched |= ns->nsid >= 0;
		forget_nsid(ix, ns);
		if (nsid >= 0)
			put_nsid(ix, ns, nsid);
	}
}

static void mark(struct kindex *ix, struct kscope *scope)
{
	if (scope->marked || scope->queued)
		return;
	scope->marked = true;
	scope->next_mark = ix->marks;
	ix->marks = scope;
}

void index_mark_name(struct kindex *ix, const char *name)
{
	struct kscope *scope = index_scope(ix, name);

	if (scope)
		mark(ix, scope);
}

void index_mark_space(struct kindex *ix, const struct kns *ns)
{
	size_t i;

	for (i = 0; i < ns->nusers; i++)
		mark(ix, ns->users[i]);
}

void index_mark_home(struct kindex *ix)
{
	struct kscope *scope;

	index_mark_name(ix, "node");
	for (scope = ix->home_scopes; scope; scope = scope->next_home)
		mark(ix, scope);
}

void index_mark_sign(struct kindex *ix, const struct podnet_prefix *prefix)
{
	char key[PODNET_PREFIX_STRLEN];
	struct ksign *sign = map_get(&ix->signs, podnet_prefix_format(prefix, key));

	if (sign)
		mark(ix, sign->scope);
}

void index_mark_mac(struct kindex *ix, const uint8_t mac[6], const struct podnet_prefix *dst)
{
	char key[PODNET_MAC_STRLEN];
	struct ksign *sign = map_get(&ix->signs, podnet_mac_format(mac, key));

	if (sign && (!dst || memcmp(dst, &sign->behind, sizeof(*dst)) != 0))
		mark(ix, sign->scope);
}

void index_mark_signs(struct kindex *ix)
{
	struct ksign *sign;
	size_t pos = 0;

	while ((sign = map_next(&ix->signs, &pos)))
		mark(ix, sign->scope);
}

struct khome *index_home(const struct kindex *ix, uint32_t link)
{
	char key[12];

	snprintf(key, sizeof(key), "%u", link);
	return map_get(&ix->homes, key);
}

int index_home_put(struct kindex *ix, const char *scope, const struct klink *link)
{
	size_t len = strlen(scope) + 1;
	struct khome *home = calloc(1, sizeof(*home) + len);

	if (!home)
		return -ENOMEM;
	home->link = *link;
	snprintf(home->key, sizeof(home->key), "%u", link->index);
	memcpy(home->scope, scope, len);
	index_home_del(ix, link->index);
	if (map_put(&ix->homes, home->key, home) == 0)
		return 0;
	free(home);
	return -ENOMEM;
}

void index_home_del(struct kindex *ix, uint32_t link)
{
	char key[12];

	snprintf(key, sizeof(key), "%u", link);
	free(map_del(&ix->homes, key));
}

void index_fini(struct kindex *ix)
{
	struct kscope *scope;
	struct khome *home;
	size_t pos = 0;

	while ((scope = map_next(&ix->scopes, &pos))) {
		index_drop(ix, scope->name);
		pos = 0;
	}
	for (pos = 0; (home = map_next(&ix->homes, &pos)); )
		free(home);
	map_fini(&ix->scopes);
	map_fini(&ix->spaces);
	map_fini(&ix->homes);
	map_fini(&ix->signs);
	free(ix->by_nsid);
}
