/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.c - one line per event to stderr
 *
 * Room: stderr.  Each line is one write(2), so lines of several threads do not mix.  The level is
 * process-wide, set once before threads start.  May include: netd/base, libc.
 * #syscalls: write
 */
#include <errno.h>
#include <netd/base/base.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES  2048

static struct {
	enum log_level least;
	bool journal;
} settings = { .least = LOG_LEVEL_INFO };

static const char *const names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
};

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the descriptor it gave us */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	struct stat st;
	char want[64];

	if (!text || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(want, sizeof(want), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(text, want) == 0;
}

void log_init(enum log_level least)
{
	settings.least = least;
	settings.journal = stderr_is_journal();
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], text) != 0)
			continue;
		*ret = (enum log_level)i;
		return 0;
	}
	return -EINVAL;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	static const char priority[] = "3467";  /* syslog's numbers */
	char line[LINE_MAX_BYTES];
	int at = 0, n;
	va_list ap;

	if (level > settings.least)
		return;
	if (settings.journal)
		at = snprintf(line, sizeof(line), "<%c>", priority[level]);
	at += snprintf(line + at, sizeof(line) - (size_t)at, "event=%.64s%s", event, *fmt ? " " : "");
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		at += n;
	if (at > LINE_MAX_BYTES - 2)
		at = LINE_MAX_BYTES - 2;
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)at) < 0)
		return;     /* nobody is left to tell */
}

const char *log_quote(const char *text, char *buf, unsigned long size)
{
	size_t at = 0;

	if (size < 8)
		return "\"\"";
	buf[at++] = '"';
	for (; *text && at + 6 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf[at++] = '\\';
		if (c < 0x20 || c >= 0x7f)      /* UTF-8 has controls too, and may be broken */
			at += (size_t)snprintf(buf + at, size - at, "\\x%02x", c);
		else
			buf[at++] = (char)c;
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}

/* Up to the last '@' before the next URL: what is not well formed may have a password all the same. */
static size_t user_len(const char *text)
{
	const char *next = strstr(text, "://");
	size_t n = next ? (size_t)(next - text) : strlen(text);

	while (n && text[n - 1] != '@')
		n--;
	return n;
}

const char *log_urls(const char *text, char *buf, unsigned long size)
{
	size_t at = 0;

	while (*text && at + 1 < size) {
		buf[at++] = *text++;
		if (at >= 3 && memcmp(buf + at - 3, "://", 3) == 0)
			text += user_len(text);
	}
	buf[at] = '\0';
	return buf;
}
