/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * begin.c - what takes root, done once; then netd is another user with a few capabilities
 *
 * Room: netd, with one thread.  Order: limits, user, directories, lock, the directories change
 * hands, sockets, keys, drop.  What comes after must do without root, so all that needs it is here.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netd/guard/guard.h>
#include <netd/netd.h>
#include <netd/ports/ports.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FORMER_MS       500
#define FORMER_STEP_MS  10

enum { STATE, RUN, NETNS, PKI, NDIRS };

/* Of the database, and of what can carry no mark: an earlier netd may have made them as root. */
static const char *const state_files[] = {
	"lock", "netd.db", "netd.db-wal", "netd.db-shm", "netd.db-journal", NULL
};
static const char *const run_files[] = { "netns", "sysctl", "routes", NULL };

/* How many they are: that of keys is the last, and is there for TLS only. */
static size_t dirs_of(const struct conf *conf, struct guard_dir dirs[NDIRS])
{
	dirs[STATE] = (struct guard_dir){ conf->state_dir, 0700, state_files, -1 };
	dirs[RUN] = (struct guard_dir){ conf->run_dir, 0755, run_files, -1 };
	/* it is everybody's: names in it stay whose they are */
	dirs[NETNS] = (struct guard_dir){ conf->netns_dir, 0755, NULL, -1 };
	dirs[PKI] = (struct guard_dir){ conf->pki_dir, 0700, NULL, -1 };
	return conf->nlisten ? NDIRS : PKI;
}

/* 3,000 pods are some 10,000 descriptors and small allocations; two arenas keep the heap whole. */
static void set_limits(void)
{
	struct rlimit files = { 65536, 65536 };

	if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
		getrlimit(RLIMIT_NOFILE, &files);
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);     /* the rest is trim.c's */
}

/* A lock that root makes in another's directory is the other's, or it would lock him out. */
static void adopt_lock(int lock, int dir)
{
	struct stat file, of;

	if (fstat(lock, &file) < 0 || fstat(dir, &of) < 0 || file.st_uid == of.st_uid)
		return;
	if (fchown(lock, of.st_uid, (gid_t)-1) < 0)
		log_event(LOG_LEVEL_WARNING, "lock_owner_failed", "err=\"%m\"");
}

/* One that was killed a moment ago holds it until the kernel has taken it apart. */
static bool wait_for_former(unsigned *waited_ms)
{
	if (errno != EWOULDBLOCK && errno != EADDRINUSE)
		return false;
	if (*waited_ms >= FORMER_MS)
		return false;
	*waited_ms += FORMER_STEP_MS;
	return poll(NULL, 0, FORMER_STEP_MS) == 0;
}

static int take_lock(struct netd *netd, int dir, char why[256])
{
	unsigned waited = 0;
	int r = -1;

	netd->lock_fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (netd->lock_fd >= 0)
		do
			r = flock(netd->lock_fd, LOCK_EX | LOCK_NB);
		while (r < 0 && wait_for_former(&waited));
	if (r < 0) {
		snprintf(why, 256, errno == EWOULDBLOCK ? "%.180s/lock: another netd is running" :
			 "%.180s/lock: %m", netd->conf.state_dir);
		return -EBUSY;
	}
	adopt_lock(netd->lock_fd, dir);
	return 0;
}

/*
 * Two netds would take each other's marks for their own.  An abstract socket's name is known in one
 * network namespace only (unix(7)) and goes with its process.
 */
static int take_netns(struct netd *netd, char why[256])
{
	static const char name[] = "\0podnet-netd";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1);
	unsigned waited = 0;
	int r = -1;

	memcpy(sa.sun_path, name, sizeof(name) - 1);
	netd->netns_lock_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (netd->netns_lock_fd >= 0)
		do
			r = bind(netd->netns_lock_fd, (struct sockaddr *)&sa, len);
		while (r < 0 && wait_for_former(&waited));
	if (r < 0) {
		snprintf(why, 256, errno == EADDRINUSE ?
			 "another netd is running in this network namespace" : "%m");
		return -EBUSY;
	}
	return 0;
}

static int listen_at(const char *path, const char *group, struct http_socket *ret, char why[256])
{
	int r = http_listen(path, group, ret);

	if (r < 0)
		snprintf(why, 256, "%.150s: %s", path,
			 r == -EADDRINUSE ? "somebody listens there" : strerror(-r));
	return r;
}

static int make_sockets(struct netd *netd, char why[256])
{
	const struct conf *conf = &netd->conf;

	if (listen_at(conf->socket, conf->socket_group, &netd->admin, why) < 0)
		return -EIO;
	return listen_at(conf->view_socket, conf->view_socket_group, &netd->view, why);
}

static int open_kernel(struct netd *netd, char why[256])
{
	struct podnet_error err = { 0 };
	int r = kernel_open(netd->conf.netns_dir, netd->conf.run_dir, netd->conf.nft_owner,
			    &netd->kernel, &err);

	if (r < 0)
		podnet_error_text(&err, why, 256);
	return r;
}

/* The default user may be missing: there is one where netd was installed from a package. */
static bool must_be_there(const struct conf *conf, int r)
{
	return r == -ENOENT && strcmp(conf->user, "podnet") != 0;
}

static int find_user(const struct conf *conf, struct guard_user *user, char why[256])
{
	char quoted[320];
	int r = guard_user(conf->user, user, why);

	if (must_be_there(conf, r))
		return r;
	if (r < 0)
		log_event(LOG_LEVEL_WARNING, "root_kept", "user=%s err=%s", conf->user,
			  log_quote(why, quoted, sizeof(quoted)));
	return 0;
}

/* The step that failed, or NULL.  What is another's is changed only behind the lock. */
static const char *take_dirs(struct netd *netd, struct guard_dir *dirs, size_t n, char why[256])
{
	if (guard_dirs_open(dirs, n, why) < 0)
		return "directories";
	if (guard_mounts(netd->conf.netns_dir, why) < 0)
		return "mounts";
	return take_lock(netd, dirs[STATE].fd, why) < 0 ? "lock" : NULL;
}

struct keys {
	const struct conf *conf;
	const struct guard_user *user;
	char *why;
	int rc;
};

/* The directory of keys is given as the others are; what lies in it, and beside it, one by one. */
static void give_key(void *arg, const char *path)
{
	struct keys *keys = arg;

	if (keys->rc == 0 && strcmp(path, keys->conf->pki_dir) != 0)
		keys->rc = guard_file_give(path, keys->user, keys->why);
}

static int give_keys(struct netd *netd, const struct guard_user *user, char why[256])
{
	struct keys keys = { &netd->conf, user, why, 0 };

	tls_each_path(&netd->conf, give_key, &keys);
	return keys.rc;
}

static const char *hand_over(struct netd *netd, struct guard_dir *dirs, size_t n,
			     const struct guard_user *user, char why[256])
{
	const char *what = take_dirs(netd, dirs, n, why);

	if (!what && (give_keys(netd, user, why) < 0 || guard_dirs_give(dirs, n, user, why) < 0))
		what = "directories";
	guard_dirs_close(dirs, n);
	return what;
}

/* It lies beside netd, and its place may be one that only root can come to. */
static int open_fwd(void)
{
	char program[512], *name;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - sizeof("podnet-fwd"));

	if (n <= 0)
		return -1;
	program[n] = '\0';
	name = strrchr(program, '/');
	if (!name)
		return -1;
	memcpy(name + 1, "podnet-fwd", sizeof("podnet-fwd"));
	return open(program, O_PATH | O_CLOEXEC);
}

/* Without @program netd works as well, and says so when a port is to be held. */
static void begin_starter(struct netd *netd, int program)
{
	if (netd->conf.fwd != PORTS_START || program < 0)
		return;
	netd->starter_fd = starter_begin(program, netd->conf.fwd_socket, netd->conf.user);
	if (netd->starter_fd < 0)
		log_event(LOG_LEVEL_WARNING, "no_starter", "err=\"%s\"", strerror(-netd->starter_fd));
}

const char *begin_run(struct netd *netd, char why[256])
{
	struct guard_dir dirs[NDIRS];
	size_t n = dirs_of(&netd->conf, dirs);
	_cleanup_close_ int fwd = open_fwd();
	struct guard_user user;
	const char *what;

	set_limits();
	if (guard_able(why) < 0)
		return "capabilities";
	if (find_user(&netd->conf, &user, why) < 0)
		return "user";
	what = hand_over(netd, dirs, n, &user, why);
	if (what)
		return what;
	if (take_netns(netd, why) < 0)
		return "lock";
	if (make_sockets(netd, why) < 0)
		return "socket";
	if (tls_start(&netd->conf, &netd->tls, why) < 0)
		return "tls";
	if (open_kernel(netd, why) < 0)
		return "kernel";
	if (guard_drop(&user, why) < 0)
		return "user";
	begin_starter(netd, fwd);
	return guard_dirs_check(dirs, n, why) < 0 ? "directories" : NULL;
}

const char *begin_prepare(struct netd *netd, char why[256])
{
	struct guard_dir dirs[NDIRS];
	size_t n = dirs_of(&netd->conf, dirs);
	struct guard_user user;
	const char *what;

	snprintf(why, 256, "only root can give directories away");
	if (geteuid() != 0)
		return "user";
	if (find_user(&netd->conf, &user, why) < 0)
		return "user";
	what = hand_over(netd, dirs, n, &user, why);
	return !what && tls_prepare(&netd->conf, why) < 0 ? "tls" : what;
}

/* As the user: what is root's own is given to him at the start, if he can come to it. */
static int try_tokens(const struct conf *conf)
{
	const char *path = conf->token_file;
	size_t n = strlen(conf->pki_dir);
	struct stat st;

	if (!conf->nlisten || (strncmp(path, conf->pki_dir, n) == 0 && path[n] == '/'))
		return 0;               /* the directory is given as well */
	if (stat(path, &st) < 0)
		return errno == EACCES ? -EACCES : 0;
	return st.st_uid == 0 || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

int begin_check(const struct conf *conf, char why[256])
{
	struct guard_user user;
	int r = guard_user(conf->user, &user, why);

	if (must_be_there(conf, r))
		return r;
	if (r < 0 || !user.other)
		return 0;
	if (setegid(user.gid) < 0 || seteuid(user.uid) < 0) {
		snprintf(why, 256, "becoming %.100s: %m", conf->user);
		return -EPERM;
	}
	r = try_tokens(conf);
	if (r < 0)
		snprintf(why, 256, "%.180s: user %.40s cannot read it: %s", conf->token_file,
			 conf->user, strerror(-r));
	return seteuid(0) < 0 || setegid(0) < 0 ? -EPERM : r;
}

/* As who it was started by: nothing that could be sent to it is read. */
const char *begin_purge(struct netd *netd, char why[256])
{
	struct guard_dir dirs[NDIRS];
	const char *what;

	dirs_of(&netd->conf, dirs);
	if (guard_able(why) < 0)
		return "capabilities";
	what = take_dirs(netd, dirs, NETNS, why);
	guard_dirs_close(dirs, NETNS);
	if (!what && take_netns(netd, why) < 0)
		what = "lock";
	return what;
}

/* The directory of names was there before us, or others use it by now: root's again. */
const char *end_purge(struct netd *netd, char why[256])
{
	const struct guard_user root = { 0 };
	struct guard_dir dirs[NDIRS];
	struct guard_user user;
	struct stat st;
	int r = 0;

	dirs_of(&netd->conf, dirs);
	if (guard_user(netd->conf.user, &user, why) < 0 || !user.other ||
	    stat(netd->conf.netns_dir, &st) < 0 || st.st_uid != user.uid)
		return NULL;
	if (guard_dirs_open(&dirs[NETNS], 1, why) < 0 ||
	    guard_dirs_give(&dirs[NETNS], 1, &root, why) < 0)
		r = -EIO;
	guard_dirs_close(&dirs[NETNS], 1);
	return r < 0 ? "directories" : NULL;
}
