/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - lines for machines: event=route_add_failed net=blue err="..."
 *
 * error: someone must act.  warning: we coped.  info: state changed.  debug: free.  Never secrets.
 * Any thread.  Goes to stderr with systemd's <N> priority prefix when stderr is the journal.
 */
#ifndef NETD_LOG_H
#define NETD_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(enum log_level least);        /* once, before threads start */
int log_level_parse(const char *text, enum log_level *ret);
/** log_event() - @fmt makes the rest of the line: log_event(LOG_LEVEL_INFO, "started", "node=%s", n) */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** log_quote() - text as a double-quoted value with escapes, all ASCII, for values with blanks */
const char *log_quote(const char *text, char *buf, unsigned long size);
/** log_urls() - text, which holds URLs, without the names and passwords in them (RFC 3986, 3.2.1) */
const char *log_urls(const char *text, char *buf, unsigned long size);

#endif
