/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tape.c - from a text of JSON to its values
 *
 * Room (codec): RFC 8259, with its limits: depth, duplicate members, integers of 64 bits, no NUL in
 * strings.  Our own reader, since jansson's loses a byte of a string, silently, when an allocation
 * fails while it reads one; and it says why in our words.  Strings stay where they are in a copy of
 * the text: an escape is never shorter than what it stands for, and there is room for a NUL where
 * the closing quote was.  Recursion is bounded by the depth.  May include: netd/base.
 */
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <netd/base/limits.h>
#include <netd/codec/tape.h>
#include <netd/codec/utf8.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_MAX 63           /* bytes of a number's text */
#define SKIP_MAX ((1u << 29) - 1)       /* struct value */
#define AHEAD sizeof(uint64_t)  /* bytes behind the text that are read, and are 0 */
#define NAMES_MARKED 64         /* members of an object that are looked for among those before */

struct parser {
	struct tape *t;
	char *p, *end;              /* in the copy */
	const char *what;           /* why reading failed; NULL: no memory */
	char member[64];            /* the name of a member that is there twice */
	unsigned depth;
};

static int read_value(struct parser *ps);

static int fail(struct parser *ps, const char *what)
{
	ps->what = what;
	return what ? -EINVAL : -ENOMEM;
}

static int grow(struct parser *ps)
{
	struct tape *t = ps->t;
	size_t cap = t->cap ? t->cap * 2 : TAPE_FEW;
	struct value *more = t->few;

	if (t->cap)
		more = realloc(t->v == t->few ? NULL : t->v, cap * sizeof(*more));
	if (!more)
		return fail(ps, NULL);
	if (t->cap && t->v == t->few)
		memcpy(more, t->few, sizeof(t->few));
	t->v = more;
	t->cap = cap;
	return 0;
}

/* One value more, whose index is t->n before. */
static inline int push(struct parser *ps, struct value v)
{
	struct tape *t = ps->t;

	if (t->n == t->cap && grow(ps) < 0)
		return -ENOMEM;
	v.skip = 1;
	t->v[t->n++] = v;
	return 0;
}

/* the next byte that is no blank; the NUL at the end */
static char peek(struct parser *ps)
{
	while (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\t' || *ps->p == '\r')
		ps->p++;
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

/* From ps->p to the quote at @close, in place; its end, or NULL. */
static char *unescape(struct parser *ps, const char *close)
{
	char *out = ps->p;

	while (out && ps->p < close) {
		if (*ps->p != '\\') {
			*out++ = *ps->p++;
			continue;
		}
		ps->p++;
		out = put_escape(ps, out);
	}
	if (!out)
		fail(ps, "a string has an escape that is not valid");
	return out;
}

#define EACH(byte) (0x0101010101010101u * (byte))

/*
 * Behind what has no quote, backslash or control character and is ASCII, eight bytes at a time.  A
 * difference that borrows sets bits of bytes behind the first one that is special, never before it.
 */
static char *skip_plain(char *p)
{
	uint64_t w, quote, slash, found;

	for (;; p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));       /* make_copy() has left room */
		w = le64toh(w);
		quote = w ^ EACH('"');
		slash = w ^ EACH('\\');
		found = (w | (w - EACH(0x20)) | (quote - EACH(1)) | (slash - EACH(1))) & EACH(0x80);
		if (found)
			return p + __builtin_ctzll(found) / 8;
	}
}

/* the quote that ends a string which begins at ps->p, or NULL; notes whether it has escapes */
static char *find_close(struct parser *ps, bool *escaped)
{
	char *p = ps->p;

	for (;;) {
		size_t n = 2;

		p = skip_plain(p);              /* the NUL at the end is special */
		if (p >= ps->end)
			break;
		if (*p == '"')
			return p;
		if (*p == '\\')
			*escaped = true;
		else if ((unsigned char)*p < 0x20)
			return fail(ps, "a string has a control character"), NULL;
		else
			n = utf8_here(p, ps->end);
		if (!n)
			return fail(ps, "a string is not valid UTF-8"), NULL;
		p += n;
		if (p > ps->end)
			break;
	}
	fail(ps, "a string has no end");
	return NULL;
}

/* At the opening quote. */
static int read_string(struct parser *ps)
{
	bool escaped = false;
	char *begin = ++ps->p, *close = find_close(ps, &escaped), *end = close;

	if (close && escaped)
		end = unescape(ps, close);
	if (!end)
		return -EINVAL;
	*end = '\0';
	ps->p = close + 1;
	return push(ps, (struct value){ .type = VALUE_STRING, .n = (uint32_t)(end - begin),
					.text = begin });
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
	p += *p == '-';
	if (p[0] == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	if (!digits(&p))
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

/* Most numbers are ports.  @ret is written also when it is none of so few digits. */
static bool read_short(struct parser *ps, int64_t *ret)
{
	const char *p = ps->p;

	*ret = 0;
	if (*p < '1' || *p > '9')
		return false;
	while (*p >= '0' && *p <= '9' && p - ps->p < 10)
		*ret = *ret * 10 + (*p++ - '0');
	if (*p != ',' && *p != '}' && *p != ']')
		return false;
	ps->p += p - ps->p;
	return true;
}

static int read_number(struct parser *ps)
{
	char text[NUMBER_MAX + 1];
	struct value v = { .type = VALUE_INTEGER };
	bool real = false;
	size_t n;

	if (read_short(ps, &v.integer))
		return push(ps, v);
	n = strspn(ps->p, "+-.eE0123456789");
	if (n == 0)
		return fail(ps, "a value is missing or not one of JSON");
	if (n >= NUMBER_MAX)
		return fail(ps, "a number has too many digits");
	memcpy(text, ps->p, n);
	text[n] = '\0';
	if (!is_number(text, &real))
		return fail(ps, "a number is malformed");
	errno = 0;
	if (real) {
		v.type = VALUE_REAL;
		v.real = strtod(text, NULL);
		if (!isfinite(v.real))
			return fail(ps, "a number is too big: real number overflow");
	} else {
		v.integer = strtoll(text, NULL, 10);
		if (errno == ERANGE)
			return fail(ps, "a number is too big: integers have 64 bits");
	}
	ps->p += n;
	return push(ps, v);
}

/* 1: another element follows, 0: the end at @close, or -EINVAL */
static int next(struct parser *ps, char close, bool first)
{
	char c = peek(ps);

	if (c == close) {
		ps->p++;
		return 0;
	}
	if (first)
		return 1;
	if (c != ',')
		return fail(ps, close == '}' ? "',' or '}' expected" : "',' or ']' expected");
	ps->p++;
	return 1;
}

static bool same(const struct value *a, const struct value *b)
{
	return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

static int fail_twice(struct parser *ps, const struct value *name)
{
	snprintf(ps->member, sizeof(ps->member), "\"%.*s\"", name->n < 60 ? (int)name->n : 60,
		 name->text);
	return fail(ps, "duplicate field ");
}

/*
 * The name that was read last, of the object at @object with @n members before it.  @marks has a
 * bit for each of those: mostly none is set twice, and nothing needs to be compared.
 */
static int check_name(struct parser *ps, size_t object, size_t n, uint64_t *marks)
{
	const struct value *name = &ps->t->v[ps->t->n - 1], *other = &ps->t->v[object + 1];
	uint64_t hash = name->n, mark;

	if (n >= NAMES_MARKED)
		return 0;
	if (name->n)
		hash += 5 * (uint64_t)name->text[0] + 11 * (uint64_t)name->text[name->n - 1] +
			23 * (uint64_t)name->text[name->n / 2];
	mark = 1ull << (hash & 63);
	if (*marks & mark)
		for (size_t i = 0; i < n; i++, other = value_next(other + 1))
			if (same(name, other))
				return fail_twice(ps, name);
	*marks |= mark;
	return 0;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp((*(const struct value *const *)a)->text,
		      (*(const struct value *const *)b)->text);
}

/* Of so many members that each cannot be compared with each. */
static int check_many_names(struct parser *ps, size_t object, size_t n)
{
	const struct value **names = malloc(n * sizeof(const struct value *)), *name;
	int r = 0;

	if (!names)
		return fail(ps, NULL);
	name = &ps->t->v[object + 1];
	for (size_t i = 0; i < n; i++, name = value_next(name + 1))
		names[i] = name;
	qsort(names, n, sizeof(const struct value *), name_cmp);
	for (size_t i = 1; i < n && r == 0; i++)
		if (same(names[i - 1], names[i]))
			r = fail_twice(ps, names[i]);
	free(names);
	return r;
}

static int read_member(struct parser *ps, size_t object, size_t n, uint64_t *marks)
{
	int r;

	if (peek(ps) != '"')
		return fail(ps, "a member's name in quotes is missing");
	r = read_string(ps);
	if (r == 0)
		r = check_name(ps, object, n, marks);
	if (r < 0)
		return r;
	if (peek(ps) != ':')
		return fail(ps, "':' expected");
	ps->p++;
	return read_value(ps);
}

static int read_object(struct parser *ps, size_t at)
{
	uint64_t marks = 0;
	uint32_t n = 0;
	int r;

	while ((r = next(ps, '}', n == 0)) > 0) {
		r = read_member(ps, at, n, &marks);
		if (r < 0)
			return r;
		n++;
	}
	ps->t->v[at].n = n;
	return r == 0 && n > NAMES_MARKED ? check_many_names(ps, at, n) : r;
}

static int read_list(struct parser *ps, size_t at)
{
	uint32_t n = 0;
	int r;

	while ((r = next(ps, ']', n == 0)) > 0) {
		r = read_value(ps);
		if (r < 0)
			return r;
		n++;
	}
	ps->t->v[at].n = n;
	return r;
}

static int read_nested(struct parser *ps, enum value_type type)
{
	size_t at = ps->t->n;
	int r;

	if (ps->depth >= LIMIT_JSON_DEPTH)
		return fail(ps, "nested too deeply");
	r = push(ps, (struct value){ .type = type });
	if (r < 0)
		return r;
	ps->depth++;
	ps->p++;
	r = type == VALUE_OBJECT ? read_object(ps, at) : read_list(ps, at);
	ps->depth--;
	ps->t->v[at].skip = (ps->t->n - at) & SKIP_MAX;
	return r;
}

static bool word(struct parser *ps, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(ps->p, text, n) != 0)
		return false;
	ps->p += n;
	return true;
}

static int read_value(struct parser *ps)
{
	char c = peek(ps);

	if (c == '{')
		return read_nested(ps, VALUE_OBJECT);
	if (c == '[')
		return read_nested(ps, VALUE_LIST);
	if (c == '"')
		return read_string(ps);
	if (c == 't' && word(ps, "true"))
		return push(ps, (struct value){ .type = VALUE_TRUE });
	if (c == 'f' && word(ps, "false"))
		return push(ps, (struct value){ .type = VALUE_FALSE });
	if (c == 'n' && word(ps, "null"))
		return push(ps, (struct value){ .type = VALUE_NULL });
	return read_number(ps);
}

/* @text is as it came: the copy is written over. */
static int explain(const struct parser *ps, const char *text, char why[160])
{
	const char *at = text + (ps->p - ps->t->text);
	unsigned line = 1, column = 1;

	if (!ps->what) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	for (const char *p = text; p < at; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	snprintf(why, 160, "not valid JSON: line %u, column %u: %s%s", line, column, ps->what,
		 ps->member);
	return -EINVAL;
}

static int make_copy(struct tape *t, const char *text, size_t len)
{
	size_t room = len + AHEAD;

	if (t->room < room) {
		if (t->text != t->small)
			free(t->text);
		t->room = 0;
		t->text = room <= TAPE_SMALL ? t->small : malloc(room);
		if (!t->text)
			return -ENOMEM;
		t->room = room <= TAPE_SMALL ? TAPE_SMALL : room;
	}
	if (len)
		memcpy(t->text, text, len);
	memset(t->text + len, 0, AHEAD);
	t->n = 0;
	return 0;
}

int tape_read(struct tape *t, const char *text, size_t len, char why[160])
{
	struct parser ps = { .t = t };
	int r;

	if (len > SKIP_MAX) {
		snprintf(why, 160, "not valid JSON: too long");
		return -EINVAL;
	}
	if (make_copy(t, text, len) < 0)
		return explain(&ps, text, why);
	ps.p = t->text;
	ps.end = t->text + len;
	r = read_value(&ps);
	if (r == 0 && (peek(&ps) || ps.p != ps.end))
		r = fail(&ps, "something follows behind the end");
	return r < 0 ? explain(&ps, text, why) : 0;
}

void tape_fini(struct tape *t)
{
	if (t->v != t->few)
		free(t->v);
	if (t->text != t->small)
		free(t->text);
	tape_init(t);
}
