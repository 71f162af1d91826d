/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lib.c - libcurl, found by dlopen(3)
 *
 * Room: cluster.  May include: netd/base, libcurl.
 */
#include "lib.h"
#include <dlfcn.h>
#include <errno.h>
#include <netd/base/base.h>
#include <stdio.h>

static int take(struct lib *lib, void **ret, const char *name)
{
	*ret = dlsym(lib->handle, name);
	return *ret ? 0 : -ENOENT;
}

int lib_load(struct lib *lib, char *why, size_t size)
{
	static const char *const names[] = { "libcurl-gnutls.so.4", "libcurl.so.4" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !lib->handle; i++)
		lib->handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib->handle) {
		snprintf(why, size, "libcurl cannot be loaded (package libcurl3-gnutls): %.100s", dlerror());
		return -ENOENT;
	}
#define LIB_TAKE(name) r = r < 0 ? r : take(lib, (void **)&lib->name, "curl_" #name);
	LIB_CALLS(LIB_TAKE)
#undef LIB_TAKE
	if (r == 0 && lib->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return 0;
	snprintf(why, size, "libcurl is not one that netd knows");
	dlclose(lib->handle);
	lib->handle = NULL;
	return -ENOENT;
}

void lib_unload(struct lib *lib)
{
	if (!lib->handle)
		return;
	lib->global_cleanup();
	dlclose(lib->handle);
	lib->handle = NULL;
}
