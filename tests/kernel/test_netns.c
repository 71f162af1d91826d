/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_netns.c - namespaces: references, pins, records, what a crash leaves, what is foreign
 *
 * Room: kernel tests, each row in namespaces of its own with a fresh /run.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <libpodnet/netns/netns.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BLUE "/run/netns/blue"
#define BLUE_RECORD "/run/podnet/netns/blue"

static const struct podnet_netns blue = { .name = "blue", .scope = "pods" };

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static bool there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void ensure_and_absent(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	uint64_t here = inode_of("/proc/self/ns/net");
	struct podnet_netns_info info;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, &err), -ENOENT);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 0);
	assert_int_equal(test_ok(podnet_netns_ensure(ctx, &blue, &err), &err), 1);
	assert_int_equal(inode_of("/proc/self/ns/net"), here);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 0);
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, &err), 0);
	assert_true(info.ours);
	assert_false(info.stale);
	assert_string_equal(info.scope, "pods");
	assert_int_equal(info.inode, inode_of(BLUE));
	/* the tools of others see it, and lo is up */
	assert_int_equal(test_run("ip", "netns", "exec", "blue", "sh", "-c",
				  "ip link show lo | grep -q ,UP", NULL), 0);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 1);
	assert_false(there(BLUE));
	assert_false(there(BLUE_RECORD));
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 0);
}

static void lo_comes_up_again(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 1);
	assert_int_equal(test_run("ip", "-n", "blue", "link", "set", "lo", "down", NULL), 0);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 1);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 0);
}

static void scope_changes(void **state)
{
	const struct podnet_netns other = { .name = "blue", .scope = "others" };
	const struct podnet_netns any = { .name = "blue" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_netns_info info;

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	assert_int_equal(podnet_netns_ensure(ctx, &other, NULL), 1);
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, NULL), 0);
	assert_string_equal(info.scope, "others");
	assert_true(info.ours);
	assert_int_equal(podnet_netns_ensure(ctx, &any, NULL), 0);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), 1);
}

static const struct bad_case {
	struct podnet_netns spec;
	const char *field;
} bad[] = {
	{ { NULL, NULL },       "name" },
	{ { "", NULL },         "name" },
	{ { ".", NULL },        "name" },
	{ { "..", NULL },       "name" },
	{ { "a/b", NULL },      "name" },
	{ { "pid:1", NULL },    "name" },
	{ { "fd:1", NULL },     "name" },
	{ { "a", "a:b" },       "scope" },
	{ { "a", "a b" },       "scope" },
	{ { "a", "0123456789012345678901234567890123456789012345678901234567890123" }, "scope" },
};

static void bad_specs(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	char name[PODNET_NETNS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct podnet_error err = { 0 };

		assert_int_equal(podnet_netns_ensure(ctx, &bad[i].spec, &err), -EINVAL);
		assert_string_equal(err.field, bad[i].field);
		assert_int_equal(podnet_netns_pin(ctx, "pid:1", &bad[i].spec, &err), -EINVAL);
	}
	assert_false(there("/run/netns"));
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(podnet_netns_ensure(ctx, &(struct podnet_netns){ name, NULL }, NULL),
			 -EINVAL);
	name[sizeof(name) - 2] = '\0';
	assert_int_equal(podnet_netns_ensure(ctx, &(struct podnet_netns){ name, NULL }, NULL), 1);
	assert_int_equal(podnet_netns_absent(ctx, name, NULL), 1);
}

static uint64_t inode_of_ref(struct podnet *ctx, const char *ref)
{
	_cleanup_close_ int fd = podnet_netns_open(ctx, ref, NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void references(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL), *in = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t want, here = inode_of("/proc/self/ns/net");
	char ref[32];
	pid_t pid;

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	want = inode_of(BLUE);
	assert_int_equal(inode_of_ref(ctx, NULL), here);
	assert_int_equal(inode_of_ref(ctx, ""), here);
	assert_int_equal(inode_of_ref(ctx, "blue"), want);
	assert_int_equal(inode_of_ref(ctx, BLUE), want);
	fd = open(BLUE, O_RDONLY | O_CLOEXEC);
	snprintf(ref, sizeof(ref), "fd:%d", fd);
	assert_int_equal(inode_of_ref(ctx, ref), want);
	assert_true(fcntl(fd, F_GETFD) >= 0);           /* borrowed, not closed */
	pid = fork();
	if (pid == 0) {
		if (setns(fd, CLONE_NEWNET) == 0)
			raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &(int){ 0 }, WUNTRACED), pid);
	snprintf(ref, sizeof(ref), "pid:%d", pid);
	assert_int_equal(inode_of_ref(ctx, ref), want);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(podnet_netns_open(ctx, ref, NULL), -ENOENT);
	assert_int_equal(podnet_open_in(&in, "blue", NULL, NULL), 0);
	assert_int_equal(inode_of_ref(in, NULL), want);
}

static const struct ref_case {
	const char *ref;
	int want;
} bad_refs[] = {
	{ "nothere",                -ENOENT },
	{ "/nothere/at/all",        -ENOENT },
	{ "/dev/null",              -EINVAL },
	{ "/proc/self/ns/mnt",      -EINVAL },
	{ "/proc/self/ns",          -EINVAL },
	{ "pid:",                   -EINVAL },
	{ "pid:0",                  -EINVAL },
	{ "pid:-1",                 -EINVAL },
	{ "pid:1x",                 -EINVAL },
	{ "pid:99999999999",        -EINVAL },
	{ "pid:2147483647",         -ENOENT },
	{ "fd:",                    -EINVAL },
	{ "fd:0x1",                 -EINVAL },
	{ "fd:9999",                -ENOENT },
	{ "..",                     -EINVAL },
};

static void bad_references(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL), *in = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_refs); i++) {
		struct podnet_error err = { 0 };

		if (podnet_netns_open(ctx, bad_refs[i].ref, &err) != bad_refs[i].want)
			fail_msg("%s: %d", bad_refs[i].ref, err.code);
		assert_string_equal(err.field, "netns");
		assert_string_equal(err.object, bad_refs[i].ref);
		assert_int_equal(podnet_open_in(&in, bad_refs[i].ref, NULL, NULL),
				 bad_refs[i].want);
		assert_null(in);
	}
}

static void foreign_stays(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL), *netd = test_open("netd");
	struct podnet_error err = { 0 };
	struct podnet_netns_info info;

	(void)state;
	assert_int_equal(test_run("ip", "netns", "add", "blue", NULL), 0);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), -EEXIST);
	assert_string_equal(err.object, "blue");
	assert_int_equal(test_run("ip", "netns", "exec", "blue", "sh", "-c",
				  "! ip link show lo | grep -q ,UP", NULL), 0);
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, &err), 0);
	assert_false(info.ours);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), -EPERM);
	assert_string_equal(err.field, "name");
	assert_string_equal(err.object, "blue");
	assert_true(inode_of(BLUE) != 0);
	/* another owner's is as foreign */
	assert_int_equal(podnet_netns_ensure(netd, &(struct podnet_netns){ "n", "s" }, &err), 1);
	assert_int_equal(podnet_netns_absent(ctx, "n", &err), -EPERM);
	assert_int_equal(podnet_netns_get(ctx, "n", &info, &err), 0);
	assert_false(info.ours);
	assert_int_equal(podnet_netns_absent(netd, "n", &err), 1);
}

/*
 * Deleted and made anew by somebody else.  The kernel may give out an inode number again, so a
 * record of the same number and another time is somebody else's, too.
 */
static void replaced_is_foreign(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_netns_info info;
	char record[256];
	ssize_t n;
	char *dot;

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	assert_int_equal(test_run("ip", "netns", "del", "blue", NULL), 0);
	assert_int_equal(test_run("ip", "netns", "add", "blue", NULL), 0);
	assert_true(there(BLUE_RECORD));
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, NULL), 0);
	assert_false(info.ours);
	assert_string_equal(info.scope, "");
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), -EPERM);
	assert_int_equal(test_run("ip", "netns", "del", "blue", NULL), 0);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), 1);    /* the record */

	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	n = readlink(BLUE_RECORD, record, sizeof(record) - 1);
	assert_true(n > 0);
	record[n] = '\0';
	dot = strchr(record, '.');
	assert_non_null(dot);
	dot[1] = dot[1] == '9' ? '8' : '9';
	assert_int_equal(unlink(BLUE_RECORD), 0);
	assert_int_equal(symlink(record, BLUE_RECORD), 0);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), -EPERM);
}

static void put_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* each state that a crash can leave between two system calls of pin and unpin */
enum leaves { RECORD_ONLY, RECORD_AND_FILE, FILE_ONLY, OLD_BOOT, BROKEN_RECORD, NLEAVES };

static void leave(struct podnet *ctx, enum leaves what)
{
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	assert_int_equal(umount2(BLUE, MNT_DETACH), 0);
	if (what == RECORD_ONLY)
		assert_int_equal(unlink(BLUE), 0);
	if (what == FILE_ONLY || what == OLD_BOOT || what == BROKEN_RECORD)
		assert_int_equal(unlink(BLUE_RECORD), 0);
	if (what == OLD_BOOT)
		assert_int_equal(symlink("00000000:4026531840.1:lib:pods", BLUE_RECORD), 0);
	if (what == BROKEN_RECORD)
		assert_int_equal(symlink("what is this", BLUE_RECORD), 0);
}

static void stale_is_healed(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_netns_info info;
	struct podnet_error err = { 0 };

	(void)state;
	for (int what = 0; what < NLEAVES; what++) {
		leave(ctx, what);
		assert_int_equal(podnet_netns_open(ctx, "blue", NULL), -ENOENT);
		if (what != RECORD_ONLY) {
			assert_int_equal(podnet_netns_get(ctx, "blue", &info, NULL), 0);
			assert_true(info.stale);
			assert_int_equal(info.ours, what != FILE_ONLY && what != BROKEN_RECORD);
		}
		assert_int_equal(test_ok(podnet_netns_ensure(ctx, &blue, &err), &err), 1);
		assert_int_equal(podnet_netns_get(ctx, "blue", &info, NULL), 0);
		assert_true(info.ours);
		assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 0);
		assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 1);
		if (what == BROKEN_RECORD)
			continue;       /* we did not write it: absent leaves it alone */
		leave(ctx, what);
		assert_int_equal(test_ok(podnet_netns_absent(ctx, "blue", &err), &err), 1);
		assert_false(there(BLUE));
		assert_false(there(BLUE_RECORD));
		assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 0);
	}
}

static void files_of_others_stay(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &(struct podnet_netns){ "x", NULL }, NULL), 1);
	put_file(BLUE, "somebody's notes");
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), -EEXIST);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), -EPERM);
	assert_true(there(BLUE));
	unlink(BLUE);
	assert_int_equal(mkdir(BLUE, 0755), 0);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), -EEXIST);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), -EPERM);
	assert_int_equal(rmdir(BLUE), 0);
	assert_int_equal(symlink("/proc/2147483647/ns/net", BLUE), 0);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), -EEXIST);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), -EPERM);
	assert_true(there(BLUE));
	assert_false(there(BLUE_RECORD));
}

static void pins(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	const struct podnet_netns red = { .name = "red", .scope = "r" };
	struct podnet_netns_info info;
	_cleanup_close_ int fd = -1;
	struct nl rt = { .fd = -1 };
	struct podnet_error err = { 0 };
	char ref[32];

	(void)state;
	assert_int_equal(pn_netns_make(ctx, &fd, &rt, &err), 0);
	assert_true(pn_context_owns(ctx, rt.portid));
	nl_close(&rt);
	snprintf(ref, sizeof(ref), "fd:%d", fd);
	assert_int_equal(test_ok(podnet_netns_pin(ctx, ref, &red, &err), &err), 1);
	assert_int_equal(podnet_netns_pin(ctx, ref, &red, &err), 0);
	assert_int_equal(podnet_netns_get(ctx, "red", &info, &err), 0);
	assert_true(info.ours);
	assert_int_equal(info.inode, inode_of_ref(ctx, ref));
	assert_int_equal(podnet_netns_pin(ctx, "", &red, &err), -EEXIST);
	assert_string_equal(err.field, "name");
	assert_int_equal(podnet_netns_pin(ctx, ref, &blue, &err), 1);   /* a second name is fine */
	assert_int_equal(podnet_netns_absent(ctx, "red", &err), 1);
	assert_int_equal(podnet_netns_get(ctx, "blue", &info, &err), 0);
	assert_true(info.ours);
}

struct seen {
	int n, ours, stale;
};

static int see(const struct podnet_netns_info *info, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->ours += info->ours;
	s->stale += info->stale;
	return strcmp(info->name, "stop") == 0 ? 7 : 0;
}

/* names that look like ours are not, whoever made them */
static void look_alikes(void **state)
{
	static const char *const names[] = { "blue.", "blue2", "Blue", "blu", "blue.default" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(podnet_netns_list(ctx, see, &s, NULL), 0);     /* no directory yet */
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(test_run("ip", "netns", "add", names[i], NULL), 0);
	put_file("/run/netns/leftover", "");
	assert_int_equal(podnet_netns_list(ctx, see, &s, NULL), 0);
	assert_int_equal(s.n, ARRAY_SIZE(names) + 2);
	assert_int_equal(s.ours, 1);
	assert_int_equal(s.stale, 1);
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(podnet_netns_absent(ctx, names[i], NULL), -EPERM);
		assert_int_equal(test_run("ip", "netns", "exec", names[i], "true", NULL), 0);
	}
	put_file("/run/netns/stop", "");
	assert_int_equal(podnet_netns_list(ctx, see, &s, NULL), 7);
}

/* also those that lie hidden under the /run of this row */
static int mounts_of(const char *dir)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], want[256];
	int n = 0;

	assert_non_null(f);
	snprintf(want, sizeof(want), " %s ", dir);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, want) != NULL;
	fclose(f);
	return n;
}

/* eight processes at once, each making the directory ready and the same and its own name */
static void races(void **state)
{
	enum { PROCESSES = 8 };
	int failed = 0, made = 0, before = mounts_of("/run/netns");

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() != 0)
			continue;
		struct podnet *ctx = test_open(NULL);
		char name[16];
		int own, same;

		snprintf(name, sizeof(name), "n%d", i);
		same = podnet_netns_ensure(ctx, &blue, NULL);
		own = podnet_netns_ensure(ctx, &(struct podnet_netns){ name, NULL }, NULL);
		podnet_close(ctx);
		_exit(own == 1 && same >= 0 ? same : 9);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = 0;

		assert_true(wait(&status) > 0);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) > 1;
		made += WEXITSTATUS(status) == 1;
	}
	assert_int_equal(failed, 0);
	assert_int_equal(made, 1);
	assert_int_equal(mounts_of("/run/netns"), before + 1);
	assert_int_equal(mounts_of(BLUE), 1);
}

/* directories taken away under an open context */
static void directories_vanish(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	int before = mounts_of("/run/netns");
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_netns_ensure(ctx, &blue, &err), 1);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 1);
	assert_int_equal(test_run("rm", "-r", "/run/podnet", NULL), 0);
	assert_int_equal(test_ok(podnet_netns_ensure(ctx, &blue, &err), &err), 1);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 1);
	assert_int_equal(umount2("/run/netns", MNT_DETACH), 0);
	assert_int_equal(rmdir("/run/netns"), 0);
	assert_int_equal(test_ok(podnet_netns_ensure(ctx, &blue, &err), &err), 1);
	assert_int_equal(mounts_of("/run/netns"), before + 1);
	assert_int_equal(podnet_netns_absent(ctx, "blue", &err), 1);
}

static const struct option_case {
	struct podnet_options opts;
	const char *field;          /* NULL: opens */
} options[] = {
	{ { 0 }, NULL },
	{ { .owner = "a-9" }, NULL },
	{ { .owner = "" }, "owner" },
	{ { .owner = "Upper" }, "owner" },
	{ { .owner = "a:b" }, "owner" },
	{ { .owner = "fifteen-letters" }, NULL },
	{ { .owner = "sixteen-letters-" }, "owner" },
	{ { .netns_dir = "relative" }, "netns_dir" },
	{ { .run_dir = "" }, "run_dir" },
	{ { .protocol = 4 }, "protocol" },
	{ { .protocol = 5 }, NULL },
};

static void context_options(void **state)
{
	struct { struct podnet_options o; uint64_t more; } later = { .o.size = sizeof(later) };
	struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct podnet_options o = options[i].opts;
		int want = options[i].field ? -EINVAL : 0;

		ctx = NULL;
		o.size = i % 2 ? sizeof(o) : 0;
		assert_int_equal(podnet_open(&ctx, &o, &err), want);
		if (want)
			assert_string_equal(err.field, options[i].field);
		assert_int_equal(ctx != NULL, want == 0);
		podnet_close(ctx);
	}
	assert_int_equal(podnet_open(&ctx, &later.o, &err), 0);
	podnet_close(ctx);
	ctx = NULL;
	later.more = 1;
	assert_int_equal(podnet_open(&ctx, &later.o, &err), -EINVAL);
	assert_string_equal(err.field, "size");
	assert_null(ctx);
}

static void open_without_memory(void **state)
{
	struct podnet_error err = { 0 };
	struct podnet *ctx = NULL;
	int r = 0;

	(void)state;
	for (long k = 1; k < 50; k++) {
		allocfail_at(k);
		r = podnet_open(&ctx, NULL, &err);
		allocfail_at(0);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(ctx);
		assert_true(k < 49);
	}
	assert_int_equal(r, 0);
	podnet_close(ctx);
	podnet_close(NULL);
}

static void keep_line(void *arg, const char *line)
{
	snprintf(arg, 64, "%s", line);
}

static void debug_lines(void **state)
{
	char line[64] = "";
	const struct podnet_options opts = { .debug = keep_line, .debug_arg = line };
	struct podnet *ctx = NULL;

	(void)state;
	assert_int_equal(podnet_open(&ctx, &opts, NULL), 0);
	assert_int_equal(podnet_netns_ensure(ctx, &blue, NULL), 1);
	assert_string_equal(line, "netns add blue");
	assert_int_equal(podnet_netns_absent(ctx, "blue", NULL), 1);
	assert_string_equal(line, "netns del blue");
	podnet_close(ctx);
}

#define ROW(f) cmocka_unit_test_setup(f, netns_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(ensure_and_absent), ROW(lo_comes_up_again), ROW(scope_changes), ROW(bad_specs),
		ROW(references), ROW(bad_references), ROW(foreign_stays), ROW(replaced_is_foreign),
		ROW(stale_is_healed), ROW(files_of_others_stay), ROW(pins), ROW(look_alikes),
		ROW(races), ROW(directories_vanish), ROW(context_options),
		ROW(open_without_memory), ROW(debug_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
