/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * starter.c - who starts podnet-fwd
 *
 * Room: ports.  A process forked from netd at its start, when the rights are dropped and before
 * the filter of system calls, which lets netd fork and execute nothing.  It has no capability and
 * no descriptor of netd's but the one that it is asked by, the program, which root opened since the
 * way to it may be closed to the user, and 0 to 2.  What it starts is nobody's
 * child, in a session of its own, so that it stays when netd ends.
 */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <netd/base/log.h>
#include <netd/guard/guard.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ASKED = 3, PROGRAM = 4 };

struct order {
	const char *socket, *user;
};

_Noreturn static void become(const struct order *o)
{
	char *const argv[] = { (char *)(uintptr_t)"podnet-fwd", (char *)(uintptr_t)"--socket",
			       (char *)(uintptr_t)o->socket, (char *)(uintptr_t)"--user",
			       (char *)(uintptr_t)o->user, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup2(null, 0);
	if (chdir("/") == 0)
		fexecve(PROGRAM, argv, environ);
	log_event(LOG_LEVEL_ERROR, "fwd_not_started", "err=\"%m\"");
	_exit(127);
}

/* In the child of a child: init is its parent, whoever has ended. */
static void start(const struct order *o)
{
	pid_t child = fork(), grandchild;

	if (child < 0)
		return;
	if (child > 0) {
		waitpid(child, NULL, 0);
		return;
	}
	setsid();
	grandchild = fork();
	if (grandchild == 0)
		become(o);
	_exit(0);
}

/* @fd and @program to the numbers that are theirs, and nothing beside them. */
static int keep_two(int fd, int program)
{
	int high = fcntl(program, F_DUPFD_CLOEXEC, PROGRAM + 1);

	if (high < 0 || dup2(fd, ASKED) < 0 || dup2(high, PROGRAM) < 0 ||
	    close_range(PROGRAM + 1, ~0u, 0) < 0)
		return -errno;
	return fcntl(ASKED, F_SETFD, FD_CLOEXEC) < 0 || fcntl(PROGRAM, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

_Noreturn static void serve(int fd, int program, const struct order *o)
{
	const struct guard_user self = { geteuid(), getegid(), false };
	char why[256], asked[64];

	prctl(PR_SET_NAME, "netd-starter");
	if (keep_two(fd, program) < 0 || guard_drop_all(&self, why) < 0)
		_exit(1);
	while (recv(ASKED, asked, sizeof(asked), 0) > 0)
		start(o);
	_exit(0);
}

int starter_begin(int program, const char *socket_path, const char *user)
{
	const struct order o = { socket_path, user };
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		serve(fds[1], program, &o);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	return fds[0];
}
