/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sysctl.c - sysctls of a network namespace
 *
 * Room: /proc/sys/net of the calling thread, whose view is that of the thread that opens the file.
 * May include: link/object.h, base, include/podnet.
 * #syscalls: open openat read write close
 */
#include <errno.h>
#include <fcntl.h>
#include <libpodnet/ip/ip.h>
#include <stdio.h>

static const struct pn_attr sysctl_attrs[] = {
	PN_ATTR(u.sysctl.value, PN_EXACT, false),
};

static bool key_ok(const char *key)
{
	static const char also[] = "/_-.@";
	size_t n = strlen(key);

	if (!n || n >= sizeof(((struct pn_obj *)0)->u.sysctl.key) || key[0] == '/' ||
	    key[n - 1] == '/' || strstr(key, "..") || strstr(key, "//"))
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = key[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr(also, c)))
			return false;
	}
	return true;
}

int pn_sysctl_check(const struct podnet_sysctl *spec, struct podnet_error *err)
{
	size_t most = sizeof(((struct pn_obj *)0)->u.sysctl.value);

	if (!spec->key || !key_ok(spec->key))
		return pn_err(err, -EINVAL, "sysctl_check", "key", NULL);
	if (!spec->value || strlen(spec->value) >= most || strchr(spec->value, '\n'))
		return pn_err(err, -EINVAL, "sysctl_check", "value", NULL);
	return 0;
}

bool pn_sysctl_of_link(const char *key)
{
	static const char *const general[] = { "all/", "default/", "lo/" };
	const char *at = strstr(key, "/conf/");

	at = at ? at + 6 : strstr(key, "/neigh/");
	if (!at)
		return false;
	at += *at == '/' ? 7 : 0;
	for (size_t i = 0; i < ARRAY_SIZE(general); i++) {
		if (!strncmp(at, general[i], strlen(general[i])))
			return false;
	}
	return true;
}

static int open_key(const char *key, int flags)
{
	char path[160];
	int n = snprintf(path, sizeof(path), "/proc/sys/net/%s", key), fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* a table of numbers is shown with tabs and written with blanks */
static size_t tidy(char *buf, size_t n)
{
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' ' || buf[n - 1] == '\t'))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\t')
			buf[i] = ' ';
	}
	buf[n] = '\0';
	return n;
}

int pn_sysctl_read(const char *key, char *buf, size_t size)
{
	_cleanup_close_ int fd = open_key(key, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	return n < 0 ? -errno : (int)tidy(buf, (size_t)n);
}

int pn_sysctl_write(const char *key, const char *value)
{
	_cleanup_close_ int fd = open_key(key, O_WRONLY);
	size_t n = strlen(value);
	ssize_t done;

	if (fd < 0)
		return fd;
	done = write(fd, value, n);
	if (done < 0)
		return -errno;
	return (size_t)done == n ? 0 : -EIO;
}

static int sysctl_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	return strcmp(a->u.sysctl.key, b->u.sysctl.key);
}

static void sysctl_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
			 uint32_t changed, const char *peer_ns)
{
	(void)changed;
	(void)peer_ns;
	if (verb == PN_DEL)
		snprintf(buf, size, "%s", obj->u.sysctl.key);
	else
		snprintf(buf, size, "%s %s", obj->u.sysctl.key, obj->u.sysctl.value);
}

const struct pn_kind pn_sysctl_kind = {
	"sysctl", sysctl_attrs, ARRAY_SIZE(sysctl_attrs), sysctl_cmp, NULL, sysctl_print,
};
