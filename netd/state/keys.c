/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keys.c - what is called how in etcd
 *
 * Room: state; pure.  /podnet/o/KIND/NAMESPACE/NAME, with nothing between the slashes for what has
 * no namespace, and /podnet/c/KIND/KEY.  May include: codec, netd/base.
 */
#include "cluster_inner.h"
#include <stdio.h>

const char *key_of_object(const struct kind *kind, const struct meta *meta, char buf[KEY_SIZE])
{
	snprintf(buf, KEY_SIZE, KEY_OBJECTS "%s/%s/%s", kind->store_name, meta->ns, meta->name);
	return buf;
}

const char *key_of_claim(const char *kind, const char *key, char buf[KEY_SIZE])
{
	snprintf(buf, KEY_SIZE, KEY_CLAIMS "%s/%s", kind, key);
	return buf;
}

bool key_object(const char *key, char buf[KEY_SIZE], const struct kind **kind, const char **ns,
		const char **name)
{
	size_t n = strlen(KEY_OBJECTS);
	char *slash, *second;

	if (strncmp(key, KEY_OBJECTS, n) != 0 || strlen(key) >= KEY_SIZE)
		return false;
	memcpy(buf, key + n, strlen(key + n) + 1);
	slash = strchr(buf, '/');
	second = slash ? strchr(slash + 1, '/') : NULL;
	if (!second || strchr(second + 1, '/'))
		return false;
	*slash = *second = '\0';
	*kind = kind_by_store_name(buf);
	*ns = slash + 1;
	*name = second + 1;
	return *kind && **name;
}

/*
 * Of a Network the blocks, for a pod's address is of its node's block.  Of numbers that all nodes give
 * from one range, which numbers.c and balancer.c call '~', each number.
 */
bool claim_is_shared(const char *kind, const char *key)
{
	return (strcmp(kind, "block") == 0) != (*key == '~');
}
