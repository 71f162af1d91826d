/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_guard.c - the filter of system calls: what is refused, and how
 *
 * Each row makes one call in a child that has loaded the filter that netd has.  What netd needs is
 * shown by the suites that run netd under it.
 */
#include <errno.h>
#include <linux/sched.h>
#include <netd/guard/guard.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <tests/lib/testlib.h>

static long do_read(void)
{
	return read(-1, NULL, 0) < 0 && errno == EBADF ? 0 : -1;
}

static long do_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"/bin/true", NULL };

	return execve(argv[0], argv, argv + 1);
}

static long do_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long do_vfork(void)
{
	return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
}

static long do_clone_net(void)
{
	return syscall(SYS_clone, CLONE_THREAD | CLONE_NEWNET, NULL, NULL, NULL, NULL);
}

static long do_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static void *nothing(void *arg)
{
	return arg;
}

static long do_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL) ? -1 : 0;
}

static long do_unshare_mount(void)
{
	return unshare(CLONE_NEWNS);
}

static long do_unshare_user(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

static long do_setns_any(void)
{
	return setns(0, 0);
}

static long do_socket_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long do_socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long do_mount_new(void)
{
	return mount("tmpfs", "/nowhere", "tmpfs", 0, NULL);
}

static long do_mount_bind(void)
{
	return mount("/nowhere", "/nowhere", "none", MS_BIND, NULL) < 0 && errno != ENOENT &&
	       getuid() == 0 ? -1 : 0;
}

static long do_map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED ? -1 : 0;
}

static long do_map_data(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED ? -1 : 0;
}

static long do_make_code(void)
{
	return mprotect(NULL, 4096, PROT_READ | PROT_EXEC);
}

static long do_kill(void)
{
	return kill(getpid(), SIGCONT);
}

static long do_look(void)
{
	return kill(getpid(), 0);
}

static long do_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long do_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long do_limits(void)
{
	return prlimit(getppid(), RLIMIT_CORE, &(struct rlimit){ 0, 0 }, NULL);
}

static const struct row {
	const char *says;
	long (*fn)(void);
	int lenient;                /* its errno; 0: it works, with either filter */
	bool never_kills;
} rows[] = {
	{ "a noted call", do_read, 0, false },
	{ "another program", do_exec, ENOSYS, false },
	{ "another process", do_fork, EPERM, false },
	{ "another process, as posix_spawn(3) does it", do_vfork, EPERM, false },
	{ "a thread in another namespace", do_clone_net, EPERM, false },
	{ "what cannot be looked into", do_clone3, ENOSYS, true },
	{ "a thread", do_thread, 0, false },
	{ "a mount namespace", do_unshare_mount, EPERM, false },
	{ "a user namespace with a network", do_unshare_user, EPERM, false },
	{ "into a namespace of any kind", do_setns_any, EPERM, false },
	{ "a socket to the host of a virtual machine", do_socket_vsock, EPERM, false },
	{ "a Unix socket", do_socket_unix, 0, false },
	{ "a new file system", do_mount_new, EPERM, false },
	{ "a bind mount", do_mount_bind, 0, false },
	{ "new code", do_map_code, EPERM, false },
	{ "new memory", do_map_data, 0, false },
	{ "data into code", do_make_code, EPERM, false },
	{ "a signal", do_kill, EPERM, false },
	{ "a look for a process", do_look, 0, false },
	{ "to be looked into", do_prctl, EPERM, false },
	{ "ptrace", do_ptrace, ENOSYS, false },
	{ "limits of another process", do_limits, EPERM, false },
};

static bool filtered(void)
{
	char why[256];
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || guard_calls(false, why) < 0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What became of a child that makes the call: its errno, 0, or minus the signal that ended it. */
static int make(const struct row *row, bool strict)
{
	char why[256];
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || guard_calls(strict, why) < 0)
			_exit(255);
		errno = 0;
		_exit(row->fn() < 0 ? errno ? errno : 254 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void refused(void **state)
{
	(void)state;
	if (!filtered())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		int strict = row->lenient && !row->never_kills ? -SIGSYS : row->lenient;
		int got = make(row, false);

		if (got != row->lenient)
			fail_msg("%s: lenient: want %d, got %d", row->says, row->lenient, got);
		got = make(row, true);
		if (got != strict)
			fail_msg("%s: strict: want %d, got %d", row->says, strict, got);
	}
}

static void *wait_and_exec(void *arg)
{
	char c;

	if (read(*(int *)arg, &c, 1) == 1)
		do_exec();
	return NULL;
}

/* The filter binds the threads that were there before it. */
static void every_thread(void **state)
{
	int status, fds[2];
	char why[256];
	pthread_t thread;
	pid_t pid;

	(void)state;
	if (!filtered())
		skip();
	pid = fork();
	if (pid == 0) {
		if (pipe(fds) < 0 || pthread_create(&thread, NULL, wait_and_exec, &fds[0]) ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || guard_calls(true, why) < 0 ||
		    write(fds[1], "x", 1) != 1)
			_exit(255);
		pthread_join(thread, NULL);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused), cmocka_unit_test(every_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
