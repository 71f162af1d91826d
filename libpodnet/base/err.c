/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * err.c - filling and printing struct podnet_error; the version
 *
 * Room: no netlink, no allocation.  May include: include/podnet, libc.
 */
#include <libpodnet/base/base.h>
#include <podnet/podnet.h>
#include <stdio.h>

int pn_err(struct podnet_error *err, int code, const char *step, const char *field,
	   const char *kernel)
{
	if (!err)
		return code;
	err->code = code;
	err->step = step;
	err->field = field;
	err->object[0] = '\0';
	snprintf(err->kernel, sizeof(err->kernel), "%s", kernel ? kernel : "");
	err->why = NULL;
	return code;
}

int pn_err_why(struct podnet_error *err, int code, const char *step, const char *field,
	       const char *why)
{
	pn_err(err, code, step, field, NULL);
	if (err)
		err->why = why;
	return code;
}

void pn_err_object(struct podnet_error *err, const char *object)
{
	if (err)
		snprintf(err->object, sizeof(err->object), "%s", object ? object : "");
}

int podnet_error_text(const struct podnet_error *err, char *buf, size_t size)
{
	char words[96];
	const char *text, *more;

	if (!err || !err->code)
		return snprintf(buf, size, "no error");
	/* the GNU form, which may return a text of its own instead of filling the buffer */
	text = strerror_r(err->code < 0 ? -err->code : err->code, words, sizeof(words));
	more = err->kernel[0] ? err->kernel : err->why ? err->why : "";
	return snprintf(buf, size, "%s%s%s%s%s: %s%s%s%s", err->step ? err->step : "podnet",
			err->object[0] ? " " : "", err->object,
			err->field ? ": " : "", err->field ? err->field : "", text,
			err->kernel[0] ? " (kernel: " : *more ? " (" : "", more,
			*more ? ")" : "");
}

const char *podnet_version(void)
{
	return PODNET_VERSION;
}
