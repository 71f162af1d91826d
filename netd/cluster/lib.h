/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lib.h - libcurl's calls, loaded when there is an etcd to be asked
 *
 * Room: cluster.  libcurl brings some twenty libraries; a netd without a cluster has none of them in
 * its memory and loads none at its start.
 */
#ifndef NETD_CLUSTER_LIB_H
#define NETD_CLUSTER_LIB_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stddef.h>

/* Each is libcurl's, without its prefix. */
#define LIB_CALLS(CALL) \
	CALL(global_init) \
	CALL(global_cleanup) \
	CALL(slist_append) \
	CALL(slist_free_all) \
	CALL(easy_init) \
	CALL(easy_cleanup) \
	CALL(easy_reset) \
	CALL(easy_setopt) \
	CALL(easy_getinfo) \
	CALL(easy_strerror) \
	CALL(multi_init) \
	CALL(multi_cleanup) \
	CALL(multi_add_handle) \
	CALL(multi_remove_handle) \
	CALL(multi_setopt) \
	CALL(multi_assign) \
	CALL(multi_socket_action) \
	CALL(multi_info_read)

#undef curl_easy_setopt         /* macros of the same arguments */
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct lib {
	void *handle;
#define LIB_MEMBER(name) __typeof__(&curl_##name) name;
	LIB_CALLS(LIB_MEMBER)
#undef LIB_MEMBER
};

/** lib_load() - before system calls are filtered, which code cannot be loaded behind; 0 or -ENOENT, with words */
int lib_load(struct lib *lib, char *why, size_t size);
void lib_unload(struct lib *lib);

#endif
