/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sandbox.c - arguments, and the namespaces a benchmark runs in
 *
 * Room: tests/bench; the only file that mounts and unshares for a whole benchmark.
 *
 * The supervisor unshares and forks; the child is process 1 of the PID namespace, so when it ends,
 * however it ends, the kernel ends all it has started, and with the last process go the mounts that
 * pin network namespaces.  The supervisor then removes the directory on the disk.
 */
#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void must_mount(const char *type, const char *where, unsigned long flags)
{
	if (mount(type, where, type, flags, NULL) < 0)
		die("mounting %s at %s: %s", type ? type : "(private)", where, strerror(errno));
}

/*
 * With an address that is not of the host alone, as each node has one early in its list of links:
 * where there is none the kernel looks at all links for each route to one without an address.
 */
static void lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct ifreq addr = { .ifr_name = "lo:node" };
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(0xc0000201);     /* 192.0.2.1, RFC 5737 */
	memcpy(&addr.ifr_addr, &in, sizeof(in));
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 || ioctl(fd, SIOCSIFADDR, &addr) < 0)
		die("lo up: %s", strerror(errno));
	close(fd);
}

static int inside(const struct bench *b, int (*run)(const struct bench *b))
{
	must_mount(NULL, "/", MS_REC | MS_PRIVATE);
	must_mount("proc", "/proc", 0);
	must_mount("sysfs", "/sys", 0);
	must_mount("tmpfs", "/run", 0);
	if (mkdir("/run/netns", 0755) < 0)
		die("/run/netns: %s", strerror(errno));
	lo_up();
	signal(SIGPIPE, SIG_IGN);
	return run(b);
}

/* Signals that ask us to stop kill the child, and with it all that is in its PID namespace. */
static int supervise(pid_t child, const sigset_t *set)
{
	int status = 0;

	while (waitpid(child, &status, WNOHANG) == 0) {
		int sig = sigwaitinfo(set, NULL);

		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
			kill(child, SIGKILL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int sandbox(const struct bench *b, int (*run)(const struct bench *b))
{
	sigset_t set, old;
	pid_t child;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) < 0)
		return errno == EPERM ? 77 : 2;
	child = fork();
	if (child < 0)
		return 2;
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		exit(inside(b, run));
	}
	status = supervise(child, &set);
	nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return status;
}

/* netd beside us in the build tree: tests/bench/NAME and netd/netd. */
static void default_netd(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	buf[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 3 && (slash = strrchr(buf, '/')); i++)
		*slash = '\0';
	strncat(buf, "/netd/netd", size - strlen(buf) - 1);
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [--netd PATH] [--db-dir DIR] [--rounds N] [--only WORD,...] [--smoke]\n",
		name);
	return 2;
}

int bench_main(int argc, char **argv, const char *name, int (*run)(const struct bench *b))
{
	static const struct option options[] = {
		{ "netd", required_argument, NULL, 'n' }, { "db-dir", required_argument, NULL, 'd' },
		{ "rounds", required_argument, NULL, 'r' }, { "smoke", no_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 },
	};
	struct bench b = { .name = name, .netd = getenv("NETD") };
	const char *db_dir = "/var/tmp";
	char dir[512], netd[512];
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'n')
			b.netd = optarg;
		else if (opt == 'd')
			db_dir = optarg;
		else if (opt == 'r')
			b.rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 'o')
			b.only = optarg;
		else if (opt == 's')
			b.smoke = true;
		else
			return usage(argv[0]);
	}
	default_netd(netd, sizeof(netd));
	if (!b.netd)
		b.netd = netd;
	if (geteuid() != 0 || access(b.netd, X_OK) < 0) {
		fprintf(stderr, "%s: needs root and netd (%s)\n", name, b.netd);
		return 77;
	}
	snprintf(dir, sizeof(dir), "%s/podnet-bench-XXXXXX", db_dir);
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)      /* netd may be another user */
		die("%s: %s", dir, strerror(errno));
	b.dir = dir;
	return sandbox(&b, run);
}
