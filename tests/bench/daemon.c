/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * daemon.c - a netd in a network namespace of its own
 *
 * Room: tests/bench.  It gets a veth pair as an uplink with an address and a default route, so that
 * it has a hostIP as on a real node; its database is on the disk under test, all else on tmpfs.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS_MAX 32
#define READY_MS 20000

static void uplink(int netns)
{
	static const char *const steps[][12] = {
		{ "ip", "link", "set", "lo", "up", NULL },
		{ "ip", "link", "add", "uplink", "type", "veth", "peer", "name", "wire", NULL },
		{ "ip", "addr", "add", "10.0.0.10/24", "dev", "uplink", NULL },
		{ "ip", "link", "set", "uplink", "up", NULL },
		{ "ip", "link", "set", "wire", "up", NULL },
		{ "ip", "route", "add", "default", "via", "10.0.0.1", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct command cmd = { .argv = steps[i], .netns = netns };

		if (command_run(&cmd) != 0)
			die("the node's uplink: step %zu failed", i);
	}
}

static int new_netns(void)
{
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (ours < 0 || unshare(CLONE_NEWNET) < 0)
		die("a network namespace: %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(ours, CLONE_NEWNET) < 0)
		die("back from the network namespace: %s", strerror(errno));
	close(ours);
	return fd;
}

static _Noreturn void child(int netns, const char *log, const char *const *argv)
{
	int out = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setns(netns, CLONE_NEWNET) < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(out, 2) < 0)
		_exit(255);
	execv(argv[0], (char *const *)argv);
	_exit(255);
}

static void print_tail(const char *log)
{
	struct command cmd = { .argv = (const char *const[]){ "tail", "-n", "20", log, NULL },
			       .netns = -1 };

	setenv("BENCH_TRACE", "1", 1);
	command_run(&cmd);
}

static bool is_ready(const char *path)
{
	struct http_reply reply;
	struct http h;

	if (!http_try_open(&h, path))
		return false;
	reply = http_call(&h, "GET", "/readyz", NULL);
	http_close(&h);
	return reply.status == 200;
}

/* netd makes its socket at start and there is no event to wait for before it. */
static void await_ready(const struct daemon *d, const char *log)
{
	uint64_t start = now_ns();
	int status;

	while (!is_ready(d->socket)) {
		if (waitpid(d->pid, &status, WNOHANG) == 0 && ms_since(start) < READY_MS) {
			nap_ms(1);
			continue;
		}
		print_tail(log);
		die("netd is not ready");
	}
}

const char *daemon_alone(const struct bench *b, char *buf, size_t size)
{
	static const char script[] =
		"mkdir -p \"$2\" && cp \"$1\" \"$2/netd\" && ldd \"$1\" | awk '$3 ~ /^\\// {print $3}' |"
		" grep -Ev '/(libc|libm)\\.so' | xargs -r cp -Lt \"$2\"";
	char dir[560];
	const char *argv[] = { "sh", "-c", script, "alone", b->netd, dir, NULL };
	struct command cmd = { .argv = argv, .netns = -1 };

	snprintf(dir, sizeof(dir), "%s/alone", b->dir);
	if (command_run(&cmd) != 0)
		die("copying netd and its libraries failed");
	setenv("LD_LIBRARY_PATH", dir, 1);
	snprintf(buf, size, "%s/netd", dir);
	return buf;
}

void daemon_again(const struct bench *b, const char *name, const char *const *flags,
		  struct daemon *d)
{
	char run[64], state[560], log[80];
	const char *argv[FLAGS_MAX] = {
		b->netd, "--config", "/dev/null", "--node-name", "node1", "--state-dir", state,
		"--run-dir", run, "--socket", d->socket, "--netns-dir", d->netns_dir,
	};
	size_t n = 13;

	while (flags && *flags && n < FLAGS_MAX - 1)
		argv[n++] = *flags++;
	snprintf(run, sizeof(run), "/run/%s", name);
	snprintf(log, sizeof(log), "%s/log", run);
	snprintf(state, sizeof(state), "%s/%s", b->dir, name);
	d->pid = fork();
	if (d->pid < 0)
		die("fork: %s", strerror(errno));
	if (d->pid == 0)
		child(d->netns, log, argv);
	await_ready(d, log);
}

void daemon_place(const struct bench *b, const char *name, const char *netns_dir, struct daemon *ret)
{
	char run[64], state[560];

	snprintf(run, sizeof(run), "/run/%s", name);
	snprintf(state, sizeof(state), "%s/%s", b->dir, name);
	snprintf(ret->socket, sizeof(ret->socket), "%s/netd.sock", run);
	snprintf(ret->db, sizeof(ret->db), "%s/netd.db", state);
	if (netns_dir)
		snprintf(ret->netns_dir, sizeof(ret->netns_dir), "%s", netns_dir);
	else
		snprintf(ret->netns_dir, sizeof(ret->netns_dir), "%s/pins", run);
	mkdir(run, 0755);
	mkdir(state, 0755);
	mkdir(ret->netns_dir, 0755);
	ret->netns = new_netns();
	uplink(ret->netns);
}

void daemon_start(const struct bench *b, const char *name, const char *netns_dir,
		  const char *const *flags, struct daemon *ret)
{
	daemon_place(b, name, netns_dir, ret);
	daemon_again(b, name, flags, ret);
}

void daemon_halt(struct daemon *d)
{
	uint64_t start = now_ns();

	kill(d->pid, SIGTERM);
	while (waitpid(d->pid, NULL, WNOHANG) == 0) {
		if (ms_since(start) > 10000)
			kill(d->pid, SIGKILL);
		nap_ms(5);
	}
}

void daemon_stop(struct daemon *d)
{
	daemon_halt(d);
	close(d->netns);
}
