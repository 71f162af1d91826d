/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * time.c - clocks, RFC 3339 times, random bytes and UUIDs
 *
 * Room: the two clocks and getrandom(2); nothing is kept.  May include: netd/base, libc.
 * #syscalls: getrandom clock_gettime gettimeofday
 */
#include <errno.h>
#include <netd/base/base.h>
#include <netd/base/fault.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#define YEAR_1          (-62135596800LL)    /* 0001-01-01T00:00:00Z */
#define YEAR_9999_END   253402300799LL

int64_t now_realtime_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + fault_clock_ms();
}

int64_t now_realtime_s(void)
{
	return now_realtime_ms() / 1000;
}

uint64_t now_monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* RFC 3339 has four digits for the year: what lies outside is shown as the nearest it can say. */
void time_format(int64_t s, char buf[24])
{
	time_t t = s < YEAR_1 ? YEAR_1 : s > YEAR_9999_END ? YEAR_9999_END : s;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	snprintf(buf, 24, "%04u-%02u-%02uT%02u:%02u:%02uZ", (tm.tm_year + 1900U) % 10000,
		 (tm.tm_mon + 1U) % 100, tm.tm_mday % 100U, tm.tm_hour % 100U, tm.tm_min % 100U,
		 tm.tm_sec % 100U);
}

/* Exactly @n digits; moves @p on.  -1 if there are fewer. */
static int digits(const char **p, unsigned n)
{
	int value = 0;

	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		value = value * 10 + (**p - '0');
	}
	return value;
}

static bool literal(const char **p, char upper)
{
	if ((**p & ~0x20) != (upper & ~0x20) || !**p)
		return false;
	(*p)++;
	return true;
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01 on; years count from one 400 before, so that none is less than 0. */
static int64_t days_of(int year, int month, int day)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t whole = year + 399, days = 365 * whole + whole / 4 - whole / 100 + whole / 400;

	return days - 865259 + before[month - 1] + (month > 2 && month_days(year, 2) == 29) + day - 1;
}

/* "Z", or hours and minutes east of Greenwich; the text must end there. */
static int parse_zone(const char *p, int *ret_s)
{
	int sign = *p == '-' ? -1 : 1, h, m;

	*ret_s = 0;
	if ((*p == 'Z' || *p == 'z') && !p[1])
		return 0;
	if (*p != '+' && *p != '-')
		return -EINVAL;
	p++;
	h = digits(&p, 2);
	if (h < 0 || h > 23 || *p++ != ':')
		return -EINVAL;
	m = digits(&p, 2);
	if (m < 0 || m > 59 || *p)
		return -EINVAL;
	*ret_s = sign * (h * 3600 + m * 60);
	return 0;
}

/* seconds of the day, or -1 */
static int parse_clock(const char **p)
{
	int h = digits(p, 2), m, s;

	if (h < 0 || h > 23 || *(*p)++ != ':')
		return -1;
	m = digits(p, 2);
	if (m < 0 || m > 59 || *(*p)++ != ':')
		return -1;
	s = digits(p, 2);
	if (s < 0 || s > 60)            /* 60: a leap second */
		return -1;
	return h * 3600 + m * 60 + s;
}

int time_parse(const char *text, int64_t *s)
{
	const char *p = text;
	int year, month, day, clock, zone;
	int64_t at;

	year = digits(&p, 4);
	if (year < 0 || *p++ != '-')
		return -EINVAL;
	month = digits(&p, 2);
	if (month < 1 || month > 12 || *p++ != '-')
		return -EINVAL;
	day = digits(&p, 2);
	if (day < 1 || day > month_days(year, month) || !literal(&p, 'T'))
		return -EINVAL;
	clock = parse_clock(&p);
	if (clock < 0)
		return -EINVAL;
	if (*p == '.') {
		if (p++, digits(&p, 1) < 0)
			return -EINVAL;
		while (*p >= '0' && *p <= '9')
			p++;
	}
	if (parse_zone(p, &zone) < 0)
		return -EINVAL;
	at = days_of(year, month, day) * 86400 + clock - zone;
	if (at < YEAR_1 || at > YEAR_9999_END)  /* a zone may lead there; it cannot be written */
		return -EINVAL;
	*s = at;
	return 0;
}

int random_bytes(void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = getrandom((char *)p + done, n - done, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static void print_uuid(uint8_t b[16], char buf[37])
{
	static const char digits_of[] = "0123456789abcdef";

	b[6] = (b[6] & 0x0f) | 0x40;        /* RFC 4122: version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;        /* and its variant */
	for (size_t i = 0; i < 16; i++) {
		if (i >= 4 && i <= 10 && i % 2 == 0)
			*buf++ = '-';
		*buf++ = digits_of[b[i] >> 4];
		*buf++ = digits_of[b[i] & 15];
	}
	*buf = '\0';
}

void uuid_make(char buf[37])
{
	uint8_t b[16];

	/* getrandom(2) of 16 bytes has no way to fail on a kernel that has it; clocks stand in */
	if (random_bytes(b, sizeof(b)) < 0) {
		uint64_t t[2] = { now_monotonic_us(), (uint64_t)now_realtime_s() };

		memcpy(b, t, sizeof(b));
	}
	print_uuid(b, buf);
}

void uuid_next(struct uuids *from, char buf[37])
{
	if (!from->left && random_bytes(from->drawn, sizeof(from->drawn)) == 0)
		from->left = ARRAY_SIZE(from->drawn);
	if (from->left)
		print_uuid(from->drawn[--from->left], buf);
	else
		uuid_make(buf);
}

int name_generate(const char *prefix, char ret[64])
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	uint8_t random[5];
	int r = random_bytes(random, sizeof(random));
	size_t n;

	if (r < 0)
		return r;
	snprintf(ret, 64, "%.58s", prefix);
	n = strlen(ret);
	for (size_t i = 0; i < sizeof(random); i++)
		ret[n + i] = alphabet[random[i] % (sizeof(alphabet) - 1)];
	ret[n + sizeof(random)] = '\0';
	return 0;
}
