/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * user.c - from root to a user with a few capabilities
 *
 * Room: credentials of the process, while it has one thread.  May include: netd/base, linux/.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netd/guard/guard.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP(name) (1u << CAP_##name)

/*
 * NET_ADMIN: links, routes, nft, sysctls of network namespaces (net_ctl_permissions() in
 * net/sysctl_net.c).  SYS_ADMIN: namespaces and their mounts, BPF.  SYS_PTRACE: /proc/PID/ns of other
 * users' processes.  NET_RAW: announcing addresses.  NET_BIND_SERVICE: DNS.
 */
#define NEEDED (CAP(NET_ADMIN) | CAP(SYS_ADMIN))
#define KEPT (NEEDED | CAP(SYS_PTRACE) | CAP(NET_RAW) | CAP(NET_BIND_SERVICE))
#define TO_CHANGE (CAP(SETUID) | CAP(SETGID) | CAP(CHOWN))

#define BITS_OF(bit) (SECBIT_##bit | SECBIT_##bit##_LOCKED)

static int get(struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static bool able(uint32_t need)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return get(data) == 0 && (data[0].effective & need) == need;
}

/* Said first and plainly: what fails without them fails in many places, and with poor words. */
int guard_able(char why[256])
{
	if (able(NEEDED))
		return 0;
	snprintf(why, 256, "netd needs CAP_NET_ADMIN and CAP_SYS_ADMIN (run as root)");
	return -EPERM;
}

/* Not by the name service: that would load modules for some 300 KiB of private memory. */
static int find(const char *name, struct guard_user *ret)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd pw, *found = NULL;
	char buf[4096];

	while (file && fgetpwent_r(file, &pw, buf, sizeof(buf), &found) == 0 &&
	       strcmp(pw.pw_name, name) != 0)
		found = NULL;
	if (file)
		fclose(file);
	if (!found)
		return -ENOENT;
	*ret = (struct guard_user){ pw.pw_uid, pw.pw_gid, pw.pw_uid != 0 };
	return 0;
}

int guard_user(const char *name, struct guard_user *ret, char why[256])
{
	*ret = (struct guard_user){ geteuid(), getegid(), false };
	if (ret->uid != 0 || strcmp(name, "root") == 0)
		return 0;
	snprintf(why, 256, "becoming %.100s takes CAP_SETUID, CAP_SETGID and CAP_CHOWN", name);
	if (!able(TO_CHANGE))
		return -EPERM;
	snprintf(why, 256, "%.100s: there is no such user in /etc/passwd", name);
	return find(name, ret);
}

/* Without CAP_SETPCAP, in a container or a unit, these are what was given to us. */
static void lock_rights(void)
{
	const unsigned long bits = BITS_OF(NOROOT) | BITS_OF(NO_SETUID_FIXUP) |
				   BITS_OF(NO_CAP_AMBIENT_RAISE) | SECBIT_KEEP_CAPS_LOCKED;

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	/* the change of user takes no capabilities: either way, and they are set afterwards */
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int become(const struct guard_user *user)
{
	if (!user->other)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

static int keep(uint32_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	int r = get(data);

	if (r < 0)
		return r;
	kept &= data[0].permitted;
	memset(data, 0, sizeof(data));
	data[0].permitted = data[0].effective = kept;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int drop(const struct guard_user *user, uint32_t kept, char why[256])
{
	int r;

	lock_rights();
	r = become(user);
	if (r < 0) {
		snprintf(why, 256, "to uid %u: %s", (unsigned)user->uid, strerror(-r));
		return r;
	}
	r = keep(kept);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r < 0)
		snprintf(why, 256, "capabilities: %s", strerror(-r));
	return r;
}

int guard_drop(const struct guard_user *user, char why[256])
{
	return drop(user, KEPT, why);
}

int guard_drop_all(const struct guard_user *user, char why[256])
{
	return drop(user, 0, why);
}
