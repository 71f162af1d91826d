/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - podnet-fwd: holds published ports, relays those of the loopback, carries tunnels
 *
 * Room: podnet-fwd: its arguments, its rights, its loop.  It is started by netd or as a unit of its
 * own, see podnet-fwd(8), and ends when it is told to by its socket or by a signal.
 * #syscalls: exit_group write
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/fwd/fwd.h>
#include <netd/guard/guard.h>
#include <podnet/podnet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static const char usage[] =
	"podnet-fwd - holds published ports for netd, relays 127.0.0.1 and ::1, and carries UDP tunnels; see\n"
	"podnet-fwd(8)\n\n"
	"usage: podnet-fwd [--socket PATH] [--user NAME]\n";

struct args {
	const char *socket, *user;
};

static int fail(const char *what, const char *why)
{
	char quoted[320];

	log_event(LOG_LEVEL_ERROR, "fwd_failed", "what=%s err=%s", what,
		  log_quote(why, quoted, sizeof(quoted)));
	return 1;
}

/* 0, or what to end with: the answer was given. */
static int read_args(int argc, char **argv, struct args *args, bool *end)
{
	for (int i = 1; i < argc && !*end; i++) {
		bool more = i + 1 < argc;

		if (more && strcmp(argv[i], "--socket") == 0) {
			args->socket = argv[++i];
		} else if (more && strcmp(argv[i], "--user") == 0) {
			args->user = argv[++i];
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("podnet-fwd " PODNET_VERSION);
			*end = true;
		} else {
			bool asked = strcmp(argv[i], "--help") == 0;

			fputs(usage, asked ? stdout : stderr);
			*end = true;
			return asked ? 0 : 2;
		}
	}
	return 0;
}

/* A relayed connection is two descriptors, a published port up to four. */
static void set_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static int drop(const struct args *args, char why[256])
{
	struct guard_user user;
	char quoted[320];

	/* without such a user, or the right to become it, it stays who it is, without rights */
	if (guard_user(args->user, &user, why) < 0)
		log_event(LOG_LEVEL_WARNING, "user_kept", "user=%s err=%s", args->user,
			  log_quote(why, quoted, sizeof(quoted)));
	return guard_drop_all(&user, why);
}

static int run(struct fwd *f, const struct args *args)
{
	char why[256] = "no memory";
	int r;

	set_limits();
	if (drop(args, why) < 0)
		return fail("user", why);
	if (loop_new(&f->loop) < 0 || udp_start(f) < 0)
		return fail("loop", why);
	f->spare = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (peer_listen(f, args->socket, why) < 0)
		return fail("socket", why);
	log_event(LOG_LEVEL_INFO, "fwd_started", "version=%s socket=%s filter=%s", PODNET_VERSION,
		  args->socket, guard_filter());
	r = loop_run(f->loop);
	log_event(LOG_LEVEL_INFO, "fwd_ended", "held=%zu", f->holds.n);
	unlink(args->socket);
	if (r < 0)
		return fail("loop", strerror(-r));
	return f->failed;
}

int main(int argc, char **argv)
{
	struct args args = { .socket = "/run/podnet/" FWD_SOCKET, .user = "podnet" };
	struct fwd *f = calloc(1, sizeof(*f));
	bool end = false;
	int r = read_args(argc, argv, &args, &end);

	if (end || !f) {
		free(f);
		return end ? r : 1;
	}
	prctl(PR_SET_NAME, "podnet-fwd");      /* executed by a descriptor it has that one's number */
	log_init(LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	f->door = f->lock = f->peer.fd = f->spare = -1;
	r = run(f, &args);
	holds_fini(f);
	tunnels_fini(f);
	peer_fini(f);
	udp_stop(f);
	loop_free(f->loop);
	closep(&f->spare);
	free(f);
	return r;
}
