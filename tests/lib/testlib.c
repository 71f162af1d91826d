/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * testlib.c - a sandbox per row and small helpers
 *
 * Room: tests only.
 */
#include "testlib.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ARGS_MAX 32
#define MARKER "/run/.podnet-test"

static int cannot(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	if ((errno == EPERM || errno == EACCES) && !getenv("PODNET_TEST_STRICT"))
		exit(77);
	return -1;
}

int netns_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return cannot("unshare");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return cannot("private mounts");
	/* the row before this one may have left its own there */
	if (access(MARKER, F_OK) == 0 && umount2("/run", MNT_DETACH) < 0)
		return cannot("umount of /run");
	if (mount("podnet-test", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return cannot("tmpfs on /run");
	return mkdir(MARKER, 0700) < 0 ? cannot(MARKER) : 0;
}

int test_ok(int r, const struct podnet_error *err)
{
	char text[512];

	if (r < 0 && err && err->code)
		podnet_error_text(err, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "returned %d without an error", r);
	if (r < 0)
		fail_msg("%s", text);
	return r;
}

struct podnet *test_open(const char *owner)
{
	struct podnet_options opts = { .size = sizeof(opts), .owner = owner };
	struct podnet_error err = { 0 };
	struct podnet *ctx = NULL;

	test_ok(podnet_open(&ctx, &opts, &err), &err);
	return ctx;
}

int test_run(const char *program, ...)
{
	char *argv[ARGS_MAX] = { (char *)program };
	int status = 0;
	va_list ap;
	pid_t pid;

	va_start(ap, program);
	for (size_t i = 1; i < ARGS_MAX - 1 && (argv[i] = va_arg(ap, char *)); i++)
		;
	va_end(ap);
	pid = fork();
	if (pid == 0) {
		execvp(program, argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail_msg("cannot run %s", program);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int sh(const char *command)
{
	return test_run("/bin/sh", "-c", command, NULL);
}

struct podnet_prefix prefix(const char *text)
{
	struct podnet_prefix p = { 0 };

	if (text)
		assert_int_equal(podnet_prefix_parse(text, &p), 0);
	return p;
}
