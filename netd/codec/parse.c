/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parse.c - JSON text to jansson's values
 *
 * Room (codec): RFC 8259, with its limits: depth, duplicate members, integers of 64 bits, no NUL in
 * strings.  Our own parser, since jansson's loses a byte of a string, silently, when an allocation
 * fails while it reads one; and it says why in our words.  Recursion is bounded by the depth.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <math.h>
#include <netd/base/limits.h>
#include <netd/codec/json.h>
#include <stdio.h>

#define NUMBER_MAX 63           /* bytes of a number's text */

struct parser {
	const char *begin, *p, *end;
	const char *what;           /* why parsing failed; NULL: no memory */
	char member[64];            /* the name of a member that is there twice */
	unsigned depth;
};

/* Text of a string: in place, or decoded into memory of its own. */
struct text {
	const char *s;
	size_t len;
	char *own;
};

static json_t *parse_value(struct parser *ps);

static void *fail(struct parser *ps, const char *what)
{
	ps->what = what;
	return NULL;
}

/* length of the UTF-8 sequence at @s (RFC 3629), 0: it is none; what follows @s must end it */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		   s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool json_utf8(const unsigned char *s, size_t len)
{
	for (size_t at = 0; at < len;) {
		unsigned char here[5] = { 0 };
		size_t n;

		memcpy(here, s + at, len - at < 4 ? len - at : 4);
		n = utf8_len(here);
		if (!n)
			return false;
		at += n;
	}
	return true;
}

json_t *json_text(const char *s)
{
	_cleanup_free_ char *plain = NULL;
	size_t at = 0, n;

	while (s[at] && (n = utf8_len((const unsigned char *)s + at)))
		at += n;
	if (!s[at])
		return json_stringn_nocheck(s, at);
	plain = strdup(s);
	if (!plain)
		return NULL;
	for (char *p = plain; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string_nocheck(plain);
}

static void skip_space(struct parser *ps)
{
	while (ps->p < ps->end &&
	       (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\t' || *ps->p == '\r'))
		ps->p++;
}

/* the next byte that is no blank, 0 at the end */
static char peek(struct parser *ps)
{
	skip_space(ps);
	return ps->p < ps->end ? *ps->p : '\0';
}

static int hex4(struct parser *ps)
{
	int v = 0;

	if (ps->end - ps->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = *ps->p++;

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* what follows "\u", with the second half of a surrogate pair; -1 */
static int code_point(struct parser *ps)
{
	int high = hex4(ps), low;

	if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
		return -1;
	if (high < 0xd800 || high > 0xdbff)
		return high;
	if (ps->end - ps->p < 2 || ps->p[0] != '\\' || ps->p[1] != 'u')
		return -1;
	ps->p += 2;
	low = hex4(ps);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *out, int c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* behind a backslash; NULL: no escape of JSON */
static char *put_escape(struct parser *ps, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = ps->p < ps->end ? *ps->p++ : '\0';
	const char *known = c ? strchr(from, c) : NULL;
	int point;

	if (known) {
		*out = to[known - from];
		return out + 1;
	}
	point = c == 'u' ? code_point(ps) : -1;
	return point < 0 ? NULL : put_utf8(out, point);
}

/* @close: the quote at its end.  An escape is never shorter than what it stands for. */
static int decode(struct parser *ps, const char *close, struct text *t)
{
	char *out = t->own = malloc((size_t)(close - ps->p) + 1);

	if (!out) {
		ps->what = NULL;
		return -ENOMEM;
	}
	while (out && ps->p < close) {
		if (*ps->p != '\\') {
			*out++ = *ps->p++;
			continue;
		}
		ps->p++;
		out = put_escape(ps, out);
	}
	if (!out) {
		ps->what = "a string has an escape that is not valid";
		return -EINVAL;
	}
	t->s = t->own;
	t->len = (size_t)(out - t->own);
	return 0;
}

/* utf8_len() looks at up to four bytes, of which the last may not be ours */
static size_t utf8_here(const char *p, const char *end)
{
	unsigned char here[5] = { 0 };

	memcpy(here, p, end - p < 4 ? (size_t)(end - p) : 4);
	return utf8_len(here);
}

/* the quote that ends a string which begins at ps->p, or NULL; notes whether it has escapes */
static const char *find_close(struct parser *ps, bool *escaped)
{
	const char *p = ps->p;

	while (p < ps->end) {
		unsigned char c = (unsigned char)*p;
		size_t n = 1;

		if (c == '"')
			return p;
		if (c == '\\') {
			*escaped = true;
			n = 2;
		} else if (c < 0x20) {
			return fail(ps, "a string has a control character");
		} else if (c >= 0x80) {
			n = utf8_here(p, ps->end);
		}
		if (!n)
			return fail(ps, "a string is not valid UTF-8");
		p += n;
	}
	return fail(ps, "a string has no end");
}

/* At the opening quote.  @t->own is the caller's to free, also on failure. */
static int parse_text(struct parser *ps, struct text *t)
{
	bool escaped = false;
	const char *close;
	int r = 0;

	*t = (struct text){ 0 };
	if (peek(ps) != '"') {
		ps->what = "a member's name in quotes is missing";
		return -EINVAL;
	}
	ps->p++;
	close = find_close(ps, &escaped);
	if (!close)
		return -EINVAL;
	t->s = ps->p;
	t->len = (size_t)(close - ps->p);
	if (escaped)
		r = decode(ps, close, t);
	if (r == 0)
		ps->p = close + 1;
	return r;
}

static json_t *parse_string(struct parser *ps)
{
	struct text t;
	json_t *v = NULL;

	if (parse_text(ps, &t) == 0) {
		v = json_stringn_nocheck(t.s, t.len);
		if (!v)
			ps->what = NULL;
	}
	free(t.own);
	return v;
}

static bool digits(const char **p)
{
	const char *from = *p;

	while (**p >= '0' && **p <= '9')
		(*p)++;
	return *p > from;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? ; *@real: it has one of the later parts */
static bool is_number(const char *p, bool *real)
{
	bool zero;

	p += *p == '-';
	zero = *p == '0';
	if (!digits(&p) || (zero && p[-1] != '0') || (zero && p[-1] == '0' && p[-2] == '0'))
		return false;
	if (*p == '.') {
		*real = true;
		p++;
		if (!digits(&p))
			return false;
	}
	if (*p == 'e' || *p == 'E') {
		*real = true;
		p++;
		p += *p == '+' || *p == '-';
		if (!digits(&p))
			return false;
	}
	return !*p;
}

static json_t *parse_number(struct parser *ps)
{
	char text[NUMBER_MAX + 2] = " ";        /* is_number() looks one back */
	json_t *v = NULL;
	bool real = false;
	size_t n = 0;

	while (ps->p + n < ps->end && n <= NUMBER_MAX && ps->p[n] &&
	       strchr("+-.eE0123456789", ps->p[n]))
		n++;
	if (n == 0)
		return fail(ps, "a value is missing or not one of JSON");
	if (n >= NUMBER_MAX)
		return fail(ps, "a number has too many digits");
	memcpy(text + 1, ps->p, n);
	text[n + 1] = '\0';
	if (!is_number(text + 1, &real))
		return fail(ps, "a number is malformed");
	errno = 0;
	if (real) {
		double d = strtod(text + 1, NULL);

		if (!isfinite(d))
			return fail(ps, "a number is too big: real number overflow");
		v = json_real(d);
	} else {
		long long i = strtoll(text + 1, NULL, 10);

		if (errno == ERANGE)
			return fail(ps, "a number is too big: integers have 64 bits");
		v = json_integer(i);
	}
	ps->p += n;
	return v ? v : fail(ps, NULL);
}

/* 1: another element follows, 0: the end at @close, -1 */
static int next(struct parser *ps, char close, bool first)
{
	char c = peek(ps);

	if (c == close) {
		ps->p++;
		return 0;
	}
	if (first)
		return 1;
	if (c != ',') {
		ps->what = close == '}' ? "',' or '}' expected" : "',' or ']' expected";
		return -1;
	}
	ps->p++;
	return 1;
}

static int parse_member(struct parser *ps, json_t *obj)
{
	struct text key;
	json_t *value;
	int r = -1;

	if (parse_text(ps, &key) < 0)
		goto out;
	if (json_object_getn(obj, key.s, key.len)) {
		ps->what = "duplicate field ";
		snprintf(ps->member, sizeof(ps->member), "\"%.*s\"",
			 key.len < 60 ? (int)key.len : 60, key.s);
		goto out;
	}
	if (peek(ps) != ':') {
		ps->what = "':' expected";
		goto out;
	}
	ps->p++;
	value = parse_value(ps);
	if (!value)
		goto out;
	r = json_object_setn_new_nocheck(obj, key.s, key.len, value);
	if (r < 0)
		ps->what = NULL;
out:
	free(key.own);
	return r;
}

static json_t *parse_object(struct parser *ps)
{
	json_t *obj = json_object();
	bool first = true;
	int r;

	if (!obj)
		return fail(ps, NULL);
	ps->p++;
	while ((r = next(ps, '}', first)) > 0) {
		first = false;
		r = parse_member(ps, obj);
		if (r < 0)
			break;
	}
	if (r == 0)
		return obj;
	json_decref(obj);
	return NULL;
}

static json_t *parse_array(struct parser *ps)
{
	json_t *list = json_array();
	bool first = true;
	int r;

	if (!list)
		return fail(ps, NULL);
	ps->p++;
	while ((r = next(ps, ']', first)) > 0) {
		json_t *v = parse_value(ps);

		first = false;
		if (!v || json_array_append_new(list, v) < 0) {
			ps->what = v ? NULL : ps->what;
			r = -1;
			break;
		}
	}
	if (r == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *parse_nested(struct parser *ps, json_t *(*parse)(struct parser *ps))
{
	json_t *v;

	if (ps->depth >= LIMIT_JSON_DEPTH)
		return fail(ps, "nested too deeply");
	ps->depth++;
	v = parse(ps);
	ps->depth--;
	return v;
}

static bool word(struct parser *ps, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, text, n) != 0)
		return false;
	ps->p += n;
	return true;
}

static json_t *parse_value(struct parser *ps)
{
	char c = peek(ps);

	if (c == '{')
		return parse_nested(ps, parse_object);
	if (c == '[')
		return parse_nested(ps, parse_array);
	if (c == '"')
		return parse_string(ps);
	if (word(ps, "true"))
		return json_true();
	if (word(ps, "false"))
		return json_false();
	if (word(ps, "null"))
		return json_null();
	return parse_number(ps);
}

static int explain(const struct parser *ps, char why[160])
{
	unsigned line = 1, column = 1;

	if (!ps->what) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	for (const char *p = ps->begin; p < ps->p && p < ps->end; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	snprintf(why, 160, "not valid JSON: line %u, column %u: %s%s", line, column, ps->what,
		 ps->member);
	return -EINVAL;
}

int json_parse(const char *text, size_t len, json_t **ret, char why[160])
{
	struct parser ps = { .begin = text, .p = text, .end = text + len };
	json_t *v = parse_value(&ps);

	if (!v)
		return explain(&ps, why);
	skip_space(&ps);
	if (ps.p != ps.end) {
		json_decref(v);
		ps.what = "something follows behind the end";
		return explain(&ps, why);
	}
	*ret = v;
	return 0;
}
