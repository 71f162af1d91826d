/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench.c - the clock, series, figures, memory, and running a program
 *
 * Room: tests/bench; plain libc.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

double ms_since(uint64_t start_ns)
{
	return (double)(now_ns() - start_ns) / 1e6;
}

double rate_of(unsigned n, uint64_t start_ns)
{
	return n / ms_since(start_ns) * 1e3;
}

void nap_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

unsigned rounds_of(const struct bench *b, unsigned usual, unsigned smoke)
{
	if (b->smoke)
		return smoke;
	return b->rounds ? b->rounds : usual;
}

bool asked_for(const struct bench *b, const char *name)
{
	const char *word = b->only;
	char text[64];

	while (word) {
		const char *end = strchrnul(word, ',');

		snprintf(text, sizeof(text), "%.*s", (int)(end - word), word);
		if (strstr(name, text))
			return true;
		word = *end ? end + 1 : NULL;
	}
	return !b->only;
}

void series_add(struct series *s, double value)
{
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		double *v = realloc(s->v, room * sizeof(*v));

		if (!v)
			die("out of memory");
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_at(const struct series *s, double quantile)
{
	double *sorted, found;
	size_t i;

	if (s->n == 0)
		return 0;
	sorted = malloc(s->n * sizeof(*sorted));
	if (!sorted)
		die("out of memory");
	memcpy(sorted, s->v, s->n * sizeof(*sorted));
	qsort(sorted, s->n, sizeof(*sorted), by_value);
	i = (size_t)(quantile * (double)s->n);      /* nearest rank: p99 of 100 is the largest */
	found = sorted[i < s->n ? i : s->n - 1];
	free(sorted);
	return found;
}

void series_fini(struct series *s)
{
	free(s->v);
	*s = (struct series){ 0 };
}

/* What is printed here is our own static text: nothing in it needs escaping. */
void figure_print(const struct bench *b, const struct figure *f)
{
	printf("{\"bench\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\"", b->name, f->what, f->unit);
	if (f->series)
		printf(",\"p50\":%.4f,\"p99\":%.4f,\"n\":%zu", series_at(f->series, 0.5),
		       series_at(f->series, 0.99), f->series->n);
	else
		printf(",\"value\":%.4f", f->value);
	if (f->floor_ratio > 0)
		printf(",\"floor_ratio\":%.3f", f->floor_ratio);
	if (f->peer)
		printf(",\"peer\":\"%s\",\"peer_ratio\":%.3f", f->peer, f->peer_ratio);
	if (f->goal)
		printf(",\"goal\":\"%s\",\"met\":%s}\n", f->goal, f->met ? "true" : "false");
	else
		printf(",\"goal\":null,\"met\":null}\n");
	fflush(stdout);
}

struct memory memory_of(int pid)
{
	struct memory m = { 0 };
	char path[64], line[256];
	unsigned long kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "re");
	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			m.rss = kib;
		if (sscanf(line, "Private_Clean: %lu kB", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %lu kB", &kib) == 1)
			m.uss += kib;
	}
	fclose(f);
	return m;
}

static _Noreturn void command_child(const struct command *cmd, int input)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *trace = getenv("BENCH_TRACE");

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cmd->netns >= 0 && setns(cmd->netns, CLONE_NEWNET) < 0)
		_exit(255);
	if (null < 0 || dup2(input >= 0 ? input : null, 0) < 0)
		_exit(255);
	if (!trace && (dup2(null, 1) < 0 || dup2(null, 2) < 0))
		_exit(255);
	if (trace && dup2(2, 1) < 0)
		_exit(255);
	if (cmd->env)
		execve(cmd->argv[0], (char *const *)cmd->argv, (char *const *)cmd->env);
	else
		execvp(cmd->argv[0], (char *const *)cmd->argv);
	_exit(255);
}

int command_start(const struct command *cmd)
{
	int pipes[2] = { -1, -1 };
	size_t len = cmd->input ? strlen(cmd->input) : 0;
	pid_t pid;

	if (cmd->input && pipe2(pipes, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0)
		command_child(cmd, pipes[0]);
	if (!cmd->input)
		return pid;
	close(pipes[0]);
	if (write(pipes[1], cmd->input, len) != (ssize_t)len)   /* less than a pipe holds */
		die("writing to %s: %s", cmd->argv[0], strerror(errno));
	close(pipes[1]);
	return pid;
}

int command_run(const struct command *cmd)
{
	int pid = command_start(cmd), status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 255;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
