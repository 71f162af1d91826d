/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_conf.c - any bytes as netd.conf, and the same lines as flags
 *
 * What is refused is refused with words.  What is read is complete, within its bounds, and a flag
 * says the same as the line of the file.
 */
#include "fuzz.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <netd/conf.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLAGS_MAX 32

static void check_conf(const struct conf *conf, int r, const char *why)
{
	if (r < 0) {
		must(why[0] && (r == -EINVAL || r == -ENOMEM));
		return;
	}
	if (conf->action != CONF_RUN && conf->action != CONF_PURGE && conf->action != CONF_CHECK)
		return;
	must(conf->node_name && conf->socket && conf->state_dir[0] == '/' && conf->run_dir[0] == '/');
	must(conf->pool <= LIMIT_POOL && conf->mtu <= 65535 && conf->resync_s <= 86400);
	must(conf->node_port_min && conf->node_port_min <= conf->node_port_max);
	must(conf->nnode_ips <= 2 && conf->service_cidrs[0].family);
	must(strlen(conf->socket) <= 106);
}

static void read_conf(int argc, char **argv)
{
	struct conf conf;
	char why[256] = "";
	int r = conf_read(&conf, argc, argv, why);

	check_conf(&conf, r, why);
	conf_fini(&conf);
}

static void read_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[32], *argv[] = { (char *)"netd", (char *)"--config", path, NULL };

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(write(fd, data, size) == (ssize_t)size);
	read_conf(3, argv);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[FLAGS_MAX + 3] = { (char *)"netd", (char *)"--config=/dev/null" }, *line;
	const char *rest = (const char *)data;
	struct arena arena = { 0 };
	size_t left = size;
	int argc = 2;

	read_file(data, size);
	while (argc < FLAGS_MAX && (line = fuzz_line(&rest, &left, &arena)))
		argv[argc++] = line;
	read_conf(argc, argv);
	arena_fini(&arena);
	return 0;
}
