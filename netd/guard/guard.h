/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.h - what netd may do, and the steps by which it gives up the rest
 *
 * Room: users, capabilities, directories that are handed over, system calls.  Every step says in
 * one line for the user why it failed.  May include: netd/base, linux/.
 *
 * The order at start.  As root: guard_able(); guard_user(); the directories are opened, then,
 * behind the lock, given to the user; sockets are made; guard_drop(), while there is one thread,
 * for capabilities are each thread's own (capabilities(7)); and guard_calls() when all is started.
 * A netd that is not started as root owns its directories already, by `netd --prepare` or
 * somebody's hand, and has the rights that its unit gives it: the same steps find nothing to do.
 */
#ifndef NETD_GUARD_H
#define NETD_GUARD_H

#include <netd/base/base.h>

/** Who netd is from guard_drop() on. */
struct guard_user {
	uid_t uid;
	gid_t gid;
	bool other;                 /* than the one it is now */
};

/** guard_able() - are the rights there without which nothing works?  Or -EPERM */
int guard_able(char why[256]);

/**
 * guard_user() - who to become: @name of /etc/passwd
 *
 * Who is not root stays who it is.
 * Return: 0, or with @ret the present user: -ENOENT, -EPERM: the capabilities to change are missing
 */
int guard_user(const char *name, struct guard_user *ret, char why[256]);

/** A directory that netd works in, so it must be its user's. */
struct guard_dir {
	const char *path;
	mode_t mode;                /* if it is made */
	/* names in it that are given with it: plain files, and directories with the plain files in
	   them; else everything in it stays whose it is; may be NULL */
	const char *const *inside;
	int fd;                     /* -1 */
};
/**
 * guard_dirs_open() - @n directories, with what is missing on the way to them
 *
 * They may lie in a directory of somebody who is not to be trusted with root, of netd's user for
 * one: a symbolic link is followed only where nobody but root could have made it.
 */
int guard_dirs_open(struct guard_dir *dirs, size_t n, char why[256]);
/** guard_dirs_give() - to @user, if they are another's; by descriptor, each directory last */
int guard_dirs_give(const struct guard_dir *dirs, size_t n, const struct guard_user *user,
		    char why[256]);
/** guard_file_give() - one plain file of root's, if it is there; no link on the way to it */
int guard_file_give(const char *path, const struct guard_user *user, char why[256]);
void guard_dirs_close(struct guard_dir *dirs, size_t n);
/** guard_dirs_check() - after guard_drop(): can they be reached and written in? */
int guard_dirs_check(const struct guard_dir *dirs, size_t n, char why[256]);

/** guard_mounts() - would what is mounted in @dir, if it is there, be seen outside?  Or -EXDEV */
int guard_mounts(const char *dir, char why[256]);

/**
 * guard_drop() - become @user and keep the capabilities that netd needs, for good
 *
 * No way leads back: the bounding set is emptied, what root may by being root is locked away
 * (securebits), and no program that is executed gains anything (no_new_privs).
 */
int guard_drop(const struct guard_user *user, char why[256]);
/** guard_drop_all() - the same without any capability: podnet-fwd, and who starts it */
int guard_drop_all(const struct guard_user *user, char why[256]);

/**
 * guard_calls() - from now on only the system calls that are noted in the sources, in all threads
 * @strict: what is not noted kills; else it is answered ENOSYS, or EPERM for a wrong argument
 *
 * Return: 0, -EOPNOTSUPP: this build has no filter, or what seccomp(2) said
 */
int guard_calls(bool strict, char why[256]);
/**
 * guard_filter() - guard_calls(), strict in a build for tests; a program works without it as well
 *
 * Return: "yes", or "no" and a warning in the log
 */
const char *guard_filter(void);

#endif
