/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quantity.c - Kubernetes quantities of whole units
 *
 * Room (codec): pure functions.  Source: k8s.io/apimachinery/pkg/api/resource/quantity.go.  What
 * is smaller than a unit (m, u, n) is refused: a thousandth of a bit per second is a slip.
 * May include: netd/base, libc.
 */
#include <errno.h>
#include <netd/codec/format.h>

#define DIGITS_MAX 18           /* a mantissa of so many stays under 2^63 */

static int binary_suffix(const char *s)
{
	static const char units[] = "KMGTPE";
	const char *u = s[0] ? strchr(units, s[0]) : NULL;

	return u && s[1] == 'i' && !s[2] ? 10 * (int)(u - units + 1) : -1;
}

/* power of ten of a suffix or an exponent; -EINVAL */
static int decimal_suffix(const char *s, int *exp)
{
	static const char units[] = "kMGTPE";
	const char *u = s[0] ? strchr(units, s[0]) : NULL;
	int sign = 1, v = 0;

	if (!s[0] || (u && !s[1])) {
		*exp = u ? 3 * (int)(u - units + 1) : 0;
		return 0;
	}
	if (*s != 'e' && *s != 'E')
		return -EINVAL;
	s++;
	if (*s == '-' || *s == '+')
		sign = *s++ == '-' ? -1 : 1;
	if (!*s || strlen(s) > 2)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = 10 * v + (*s - '0');
	}
	*exp = sign * v;
	return 0;
}

/* digits with at most one point; *@frac: how many stand behind it */
static const char *mantissa(const char *s, unsigned __int128 *ret, int *frac)
{
	unsigned __int128 v = 0;
	bool point = false;
	int digits = 0, significant = 0;

	*frac = 0;
	for (;; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9')
			break;
		digits++;
		v = 10 * v + (unsigned)(*s - '0');
		significant += v != 0;
		*frac += point;
		if (significant > DIGITS_MAX || digits > 64)
			return NULL;
	}
	*ret = v;
	return digits ? s : NULL;
}

int quantity_parse(const char *text, uint64_t *ret)
{
	unsigned __int128 v, divisor = 1;
	int frac, exp = 0, bits;
	bool negative = *text == '-';
	const char *s;

	if (*text == '-' || *text == '+')
		text++;
	s = mantissa(text, &v, &frac);
	if (!s)
		return -EINVAL;
	bits = binary_suffix(s);
	if (bits < 0 && decimal_suffix(s, &exp) < 0)
		return -EINVAL;
	if (negative && v)
		return -ERANGE;
	if (bits > 0)
		v <<= bits;                     /* < 10^18 << 60: fits 128 bits */
	for (exp -= frac; v && exp > 0 && v <= INT64_MAX; exp--)
		v *= 10;
	if (v && exp > 0)
		return -ERANGE;
	for (; exp < 0 && divisor < (unsigned __int128)1 << 120; exp++)
		divisor *= 10;
	v = (v + divisor - 1) / divisor;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}
