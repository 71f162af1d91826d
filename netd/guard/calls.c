/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * calls.c - netd makes the system calls that its sources ask for, and no others
 *
 * Room: seccomp(2).  May include: netd/base, linux/.
 *
 * Notes ("#syscalls:") stand beside the code that makes the calls; calls.sh gathers them when netd
 * is built, and they become a filter in classic BPF: a row of comparisons, for the kernel
 * remembers which numbers are allowed whatever the arguments (kernel/seccomp.c, action cache).
 *
 * What is not noted is answered ENOSYS, as by an older kernel, and the kernel logs it (audit record
 * 1326): a C library that has learnt a new call falls back on the old one, so that no update of it
 * kills a netd in the field.  A noted call with another argument is answered EPERM.  Builds for
 * tests are strict: there either one kills the process, so that a missing note is found.
 * clone3() alone is always ENOSYS: its flags lie in memory, where a filter cannot see that it is a
 * thread that is made, while those of clone() can be seen.  As libc tries it first for each
 * thread, this is not worth a line in the kernel's log, and logging is a matter of a whole filter:
 * it has one of its own.
 *
 * What libc calls by itself in any program, abort() included:
 * #syscalls: brk mmap:0 munmap mremap madvise mprotect:0 rt_sigaction rt_sigprocmask rt_sigreturn
 * #syscalls: restart_syscall futex sched_yield clock_gettime gettimeofday time getpid gettid tgkill
 * #syscalls: exit exit_group
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netd/base/log.h>
#include <netd/guard/guard.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__loongarch64)
#define ARCH AUDIT_ARCH_LOONGARCH64
#endif

#if defined(ARCH) && !defined(GUARD_NO_CALLS)
#define NEW_NAMESPACE (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		       CLONE_NEWPID | CLONE_NEWNET)

/* The argument that a note's value is about, and the bits of it that count. */
#define VALUE_OF_bpf        0, UINT32_MAX
#define VALUE_OF_clone      0, CLONE_THREAD | NEW_NAMESPACE
#define VALUE_OF_ioctl      1, UINT32_MAX
#define VALUE_OF_kill       1, UINT32_MAX
#define VALUE_OF_mmap       2, PROT_EXEC        /* nothing becomes code any more */
#define VALUE_OF_mount      3, UINT32_MAX
#define VALUE_OF_move_mount 4, UINT32_MAX
#define VALUE_OF_mprotect   2, PROT_EXEC
#define VALUE_OF_open_tree  2, UINT32_MAX
#define VALUE_OF_prctl      0, UINT32_MAX
#define VALUE_OF_prlimit64  0, UINT32_MAX       /* its own */
#define VALUE_OF_setns      1, UINT32_MAX
#define VALUE_OF_socket     0, UINT32_MAX
#define VALUE_OF_umount2    1, UINT32_MAX
#define VALUE_OF_unshare    0, UINT32_MAX

/* Calls of one number stand together.  Without bits that count, any argument will do. */
static const struct call {
	uint32_t nr, arg, mask, value;
} calls[] = {
#define CALL(name) { __NR_##name, 0, 0, 0 },
#define CALL_WITH(name, v) { __NR_##name, VALUE_OF_##name, (uint32_t)(v) },
#include "calls.h"
};

struct program {
	struct sock_filter v[4 * ARRAY_SIZE(calls) + 16];
	unsigned short n;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->v[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void give(struct program *p, uint32_t action)
{
	add(p, BPF_RET | BPF_K, action, 0, 0);
}

/* The arguments are 64 bits wide; what we compare are ints, or flags in the lower half. */
static void load_arg(struct program *p, uint32_t arg, uint32_t mask)
{
	const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;

	load(p, offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) + low);
	add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
}

/* The calls of one number, from @c on; returns how many. */
static size_t add_calls(struct program *p, const struct call *c, size_t left, uint32_t refuse)
{
	struct sock_filter *skip = &p->v[p->n];
	size_t n = 0;

	add(p, BPF_JMP | BPF_JEQ | BPF_K, c->nr, 0, 0);
	if (c->mask)
		load_arg(p, c->arg, c->mask);
	for (; n < left && c[n].nr == c->nr; n++) {
		if (c[n].mask)
			add(p, BPF_JMP | BPF_JEQ | BPF_K, c[n].value, 0, 1);
		give(p, SECCOMP_RET_ALLOW);
	}
	if (c->mask)
		give(p, refuse);
	skip->jf = (uint8_t)(&p->v[p->n] - skip - 1);
	return n;
}

static void build(struct program *p, bool strict)
{
	const uint32_t argument = strict ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
	const uint32_t unknown = strict ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOSYS;

	load(p, offsetof(struct seccomp_data, arch));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	give(p, SECCOMP_RET_KILL_PROCESS);      /* numbers of another machine mean other calls */
	load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(calls);)
		i += add_calls(p, &calls[i], ARRAY_SIZE(calls) - i, argument);
	add(p, BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1);
	give(p, SECCOMP_RET_ALLOW);
	give(p, unknown);
}

static void build_silent(struct program *p)
{
	load(p, offsetof(struct seccomp_data, nr));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1);
	give(p, SECCOMP_RET_ERRNO | ENOSYS);
	give(p, SECCOMP_RET_ALLOW);
}

static int install(struct program *p, unsigned long flags, char why[256])
{
	struct sock_fprog prog = { .len = p->n, .filter = p->v };
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_TSYNC,
			 &prog);

	if (r == 0)
		return 0;
	snprintf(why, 256, "%s", r > 0 ? "a thread has a filter of its own" : strerror(errno));
	return r > 0 ? -EBUSY : -errno;
}

int guard_calls(bool strict, char why[256])
{
	struct program silent = { .n = 0 }, p = { .n = 0 };
	int r;

	build_silent(&silent);
	build(&p, strict);
	r = install(&silent, 0, why);
	return r < 0 ? r : install(&p, SECCOMP_FILTER_FLAG_LOG, why);
}
#else
int guard_calls(bool strict, char why[256])
{
	(void)strict;
	snprintf(why, 256, "built without it, for a sanitizer or an unknown machine");
	return -EOPNOTSUPP;
}
#endif

const char *guard_filter(void)
{
	char why[256], quoted[320];
#ifdef PODNET_FAULT
	int r = guard_calls(true, why);
#else
	int r = guard_calls(false, why);
#endif

	if (r == 0)
		return "yes";
	log_event(LOG_LEVEL_WARNING, "no_call_filter", "err=%s", log_quote(why, quoted, sizeof(quoted)));
	return "no";
}
