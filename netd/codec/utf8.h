/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * utf8.h - one character of UTF-8
 *
 * Room (codec): inner header.
 */
#ifndef NETD_CODEC_UTF8_H
#define NETD_CODEC_UTF8_H

#include <stddef.h>

/** utf8_here() - bytes of the character at @p, which ends before @end; 0: it is none */
size_t utf8_here(const char *p, const char *end);

#endif
