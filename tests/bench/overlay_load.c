/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay_load.c - traffic from the near node to the far one, counted where it arrives
 *
 * Room: tests/bench.  Senders are processes that run until they are killed; what arrives between
 * two moments is what counts, so their start does not.
 */
#include "overlay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SINK = 5001, COUNTER, ECHO };

#define STREAMS_MAX 16
#define DATAGRAM    64
#define BATCH       32
#define WARM_MS     150
#define TURN_MS     3           /* until what was under way has arrived */
#define ROOM_STILL  (512 * 1024)    /* of a socket: what is under way fits in a processor's cache */

static size_t block_of(const struct pair *p)
{
	return p->still ? 64 * 1024 : 256 * 1024;
}

/* With one processor there is no choice. */
static void keep_to(const struct pair *p, long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (p->still && sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity: %s", strerror(errno));
}

/* ---- the far node ---- */

struct conn {
	struct pair *p;
	int fd;
};

static void *take_all(void *arg)
{
	struct conn c = *(struct conn *)arg;
	size_t size = block_of(c.p);
	char *buf = malloc(size);
	ssize_t n;

	free(arg);
	while (buf && (n = recv(c.fd, buf, size, 0)) > 0)
		atomic_fetch_add(&c.p->arrived->bytes, (unsigned long)n);
	close(c.fd);
	free(buf);
	return NULL;
}

static void *answer_all(void *arg)
{
	struct conn c = *(struct conn *)arg;
	char byte;

	free(arg);
	while (recv(c.fd, &byte, 1, 0) == 1 && send(c.fd, &byte, 1, MSG_NOSIGNAL) == 1)
		;
	close(c.fd);
	return NULL;
}

static int bound(const struct pair *p, int type, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, size = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (p->still && type == SOCK_STREAM)
		size = ROOM_STILL;
	if (p->still || type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		die("the server: %s", strerror(errno));
	return fd;
}

struct listener {
	struct pair *p;
	int fd;
	void *(*each)(void *arg);
};

static void *accept_all(void *arg)
{
	const struct listener *l = arg;
	int fd, on = 1;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct conn *c = malloc(sizeof(*c));
		pthread_t thread;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (!c)
			die("out of memory");
		*c = (struct conn){ l->p, fd };
		if (pthread_create(&thread, NULL, l->each, c) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static _Noreturn void count_datagrams(struct pair *p, int fd)
{
	static char room[BATCH][DATAGRAM];
	struct mmsghdr v[BATCH];
	struct iovec iov[BATCH];

	for (;;) {
		int n;

		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ room[i], DATAGRAM };
			v[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
		}
		n = recvmmsg(fd, v, BATCH, MSG_WAITFORONE, NULL);
		if (n > 0)
			atomic_fetch_add(&p->arrived->datagrams, (unsigned long)n);
	}
}

static _Noreturn void server(struct pair *p, int ready)
{
	struct listener sink = { p, -1, take_all }, echo = { p, -1, answer_all };
	pthread_t threads[2];
	int counter;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	keep_to(p, sysconf(_SC_NPROCESSORS_ONLN) - 1);
	enter_netns(p->far);
	sink.fd = bound(p, SOCK_STREAM, SINK);
	echo.fd = bound(p, SOCK_STREAM, ECHO);
	counter = bound(p, SOCK_DGRAM, COUNTER);
	if (pthread_create(&threads[0], NULL, accept_all, &sink) ||
	    pthread_create(&threads[1], NULL, accept_all, &echo) || write(ready, "", 1) != 1)
		_exit(1);
	count_datagrams(p, counter);
}

void serve(struct pair *p)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		die("pipe: %s", strerror(errno));
	p->server = fork();
	if (p->server < 0)
		die("fork: %s", strerror(errno));
	if (p->server == 0)
		server(p, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("the server of %s did not start", way_name(p->way));
	close(ready[0]);
}

/* ---- the near node ---- */

static int connected(const struct pair *p, int type, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd, on = 1, size = ROOM_STILL;

	enter_netns(p->near);
	fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, p->to, &to.sin_addr);
	if (p->still && type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("%s: %s", way_name(p->way), strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, type == SOCK_STREAM ? sizeof(on) : 0);
	return fd;
}

static void send_stream(struct pair *p)
{
	int fd = connected(p, SOCK_STREAM, SINK);
	size_t size = block_of(p);
	char *buf = calloc(1, size);

	while (buf && send(fd, buf, size, MSG_NOSIGNAL) > 0)
		;
}

static void send_datagrams(struct pair *p)
{
	int fd = connected(p, SOCK_DGRAM, COUNTER);
	char data[DATAGRAM] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct mmsghdr v[BATCH];

	for (int i = 0; i < BATCH; i++)
		v[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
	for (;;)
		sendmmsg(fd, v, BATCH, 0);
}

static void take_turns(struct pair *p)
{
	int fd = connected(p, SOCK_STREAM, ECHO);
	char byte = 0;

	while (send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1)
		atomic_fetch_add(&p->arrived->turns, 1);
}

static pid_t start(struct pair *p, void (*work)(struct pair *p))
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	keep_to(p, 0);
	work(p);
	_exit(1);
}

/* Seconds that all processors together have not been idle. */
static double busy_seconds(void)
{
	unsigned long long v[8] = { 0 };
	FILE *f = fopen("/proc/stat", "re");
	double ticks = 0;

	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
			 &v[5], &v[6], &v[7]) != 8)
		die("/proc/stat cannot be read");
	fclose(f);
	for (int i = 0; i < 7; i++)
		ticks += i == 3 || i == 4 ? 0 : (double)v[i];
	return ticks / (double)sysconf(_SC_CLK_TCK);
}

struct span {
	double events, seconds, busy;
};

/* Those who send, and where what arrives is counted. */
struct senders {
	const atomic_ulong *counter;
	unsigned n;
	pid_t pids[STREAMS_MAX];
};

static void all_start(struct senders *s, struct pair *p, const atomic_ulong *counter, unsigned n,
		      void (*work)(struct pair *p))
{
	*s = (struct senders){ .counter = counter, .n = n };
	for (unsigned i = 0; i < n; i++)
		s->pids[i] = start(p, work);
}

static void all_signal(const struct senders *s, int signal)
{
	for (unsigned i = 0; i < s->n; i++)
		kill(s->pids[i], signal);
}

static void all_end(const struct senders *s)
{
	all_signal(s, SIGKILL);
	for (unsigned i = 0; i < s->n; i++)
		waitpid(s->pids[i], NULL, 0);
}

static struct span watch(const struct senders *s, unsigned ms)
{
	struct span span = { .busy = -busy_seconds() };
	unsigned long before = atomic_load(s->counter);
	uint64_t start_ns = now_ns();

	nap_ms(ms);
	span.events = (double)(atomic_load(s->counter) - before);
	span.seconds = ms_since(start_ns) / 1e3;
	span.busy += busy_seconds();
	return span;
}

static struct span between(struct pair *p, const atomic_ulong *counter, unsigned streams,
			   void (*work)(struct pair *p), unsigned ms)
{
	struct senders senders;
	struct span s;

	all_start(&senders, p, counter, streams, work);
	nap_ms(WARM_MS);
	s = watch(&senders, ms);
	all_end(&senders);
	return s;
}

double race(struct pair pairs[2], unsigned streams, unsigned rounds, unsigned ms)
{
	static const int order[] = { 0, 1, 1, 0 };
	struct senders senders[2];
	double rate[2] = { 0 };

	for (int k = 0; k < 2; k++) {
		struct arrived *at = pairs[k].arrived;

		all_start(&senders[k], &pairs[k], streams ? &at->bytes : &at->datagrams, streams ? streams : 1,
			  streams ? send_stream : send_datagrams);
		nap_ms(WARM_MS);
		all_signal(&senders[k], SIGSTOP);
	}
	for (unsigned i = 0; i < rounds * 4 || !rate[0] || !rate[1]; i++) {
		const struct senders *s = &senders[order[i % 4]];
		struct span span;

		all_signal(s, SIGCONT);
		nap_ms(TURN_MS);
		span = watch(s, ms);
		all_signal(s, SIGSTOP);
		nap_ms(TURN_MS);
		rate[order[i % 4]] += span.events / span.seconds;
	}
	for (int k = 0; k < 2; k++)
		all_end(&senders[k]);
	return rate[0] / rate[1];
}

double measure_tcp(struct pair *p, unsigned streams, unsigned ms, double *cpu_s)
{
	struct span s = between(p, &p->arrived->bytes, streams, send_stream, ms);

	if (cpu_s)
		*cpu_s = s.events > 0 ? s.busy / (s.events / 1e9) : 0;
	return s.events * 8 / s.seconds / 1e9;
}

double measure_udp(struct pair *p, unsigned ms)
{
	struct span s = between(p, &p->arrived->datagrams, 1, send_datagrams, ms);

	return s.events / s.seconds / 1e3;
}

double measure_turns(struct pair *p, unsigned ms)
{
	struct span s = between(p, &p->arrived->turns, 1, take_turns, ms);

	return s.events > 0 ? s.seconds * 1e6 / s.events : 0;
}
