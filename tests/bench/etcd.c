/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * etcd.c - starting etcd, and requests to its v3 JSON gateway
 *
 * Room: tests/bench; see etcd.h.  tests/run unpacks the package beside the builds; an installed one
 * would be started by its unit.
 */
#include "etcd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS 20000
#define VALUE_MAX 3000

/* $ETCD, or build/etcd beside build/NAME/tests/bench/api, or the machine's own. */
static const char *find(char *buf, size_t size)
{
	const char *said = getenv("ETCD");
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	if (said && access(said, X_OK) == 0)
		return said;
	buf[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 4 && (slash = strrchr(buf, '/')); i++)
		*slash = '\0';
	strncat(buf, "/etcd/usr/bin/etcd", size - strlen(buf) - 1);
	if (access(buf, X_OK) == 0)
		return buf;
	return access("/usr/bin/etcd", X_OK) == 0 ? "/usr/bin/etcd" : NULL;
}

static _Noreturn void child(const char *program, const char *dir)
{
	const char *argv[] = {
		program, "--data-dir", dir, "--listen-client-urls", "http://0.0.0.0:2379",
		"--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls",
		"http://127.0.0.1:2380", "--log-level", "error", NULL,
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(255);
	execv(program, (char *const *)argv);
	_exit(255);
}

static bool is_ready(const struct etcd *e)
{
	struct http_reply reply;
	struct http h;
	bool ready;

	if (!http_try_open(&h, e->port))
		return false;
	reply = http_call(&h, "GET", "/health", NULL);
	ready = reply.status == 200 && strstr(reply.body, "true");
	http_close(&h);
	return ready;
}

bool etcd_start(const struct bench *b, struct etcd *ret)
{
	char buf[600], dir[600];
	const char *program = find(buf, sizeof(buf));
	uint64_t start = now_ns();

	*ret = (struct etcd){ .port = "2379" };
	if (!program)
		return false;
	snprintf(dir, sizeof(dir), "%s/etcd", b->dir);
	ret->pid = fork();
	if (ret->pid < 0)
		die("fork: %s", strerror(errno));
	if (ret->pid == 0)
		child(program, dir);
	while (!is_ready(ret)) {        /* it tells nobody when it listens */
		if (waitpid(ret->pid, NULL, WNOHANG) != 0 || ms_since(start) > READY_MS)
			die("%s is not ready", program);
		nap_ms(20);
	}
	return true;
}

void etcd_stop(struct etcd *e)
{
	kill(e->pid, SIGKILL);
	waitpid(e->pid, NULL, 0);
}

static void base64(const char *text, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (uint8_t)text[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			*out++ = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	*out = '\0';
}

static void key_of(unsigned i, char out[64])
{
	char key[40];

	snprintf(key, sizeof(key), "/podnet/o/pods/bench-%07u", i);
	base64(key, out);
}

void etcd_make_put(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct etcd *e = arg;
	char key[64], value[VALUE_MAX / 3 * 4 + 8];

	(void)i;
	if (strlen(e->value) > VALUE_MAX)
		die("etcd: the object is too long");
	key_of(e->next++, key);
	base64(e->value, value);
	snprintf(path, path_size, "/v3/kv/put");
	snprintf(body, size, "{\"key\":\"%s\",\"value\":\"%s\"}", key, value);
}

void etcd_make_get(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct etcd *e = arg;
	char key[64];

	key_of(i % e->keys, key);
	snprintf(path, path_size, "/v3/kv/range");
	snprintf(body, size, "{\"key\":\"%s\"}", key);
}

void etcd_make_range(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct etcd *e = arg;
	char from[64], to[64];

	(void)i;
	key_of(0, from);
	key_of(e->keys, to);
	snprintf(path, path_size, "/v3/kv/range");
	snprintf(body, size, "{\"key\":\"%s\",\"range_end\":\"%s\"}", from, to);
}

unsigned long etcd_revision(struct etcd *e)
{
	struct http_reply reply;
	char text[32], path[64], body[256];
	struct http h;

	http_open(&h, e->port);
	etcd_make_get(e, 0, path, sizeof(path), body, sizeof(body));
	reply = http_must(&h, "POST", path, body);
	if (!text_of(reply.body, "revision", text, sizeof(text)))
		die("etcd: no revision in %.200s", reply.body);
	http_close(&h);
	return strtoul(text, NULL, 10);
}

void etcd_watch(struct etcd *e, unsigned long revision, struct watch *ret)
{
	char from[64], to[64], body[256];

	key_of(0, from);
	key_of(9999999, to);
	snprintf(body, sizeof(body), "{\"create_request\":{\"key\":\"%s\",\"range_end\":\"%s\","
		 "\"start_revision\":\"%lu\"}}", from, to, revision);
	watch_open(ret, e->port, "/v3/watch", body);
}
