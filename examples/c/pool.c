/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - namespaces with their link made ahead, handed out by descriptor
 *
 *	sudo ./pool
 */
#include <podnet/podnet.h>
#include <stdio.h>
#include <unistd.h>

/* Nobody else holds the namespace, so the kernel takes it back; the link we need not wait for. */
static int give_back(struct podnet *ctx, int fd, const char *link, struct podnet_error *err)
{
	int r = podnet_link_absent(ctx, NULL, link, err);

	close(fd);
	return r;
}

int main(void)
{
	const struct podnet_pool_spec spec = { .size = 4, .inside = "eth0" };
	char link[PODNET_IFNAME_SIZE], text[512];
	struct podnet_error err = { 0 };
	struct podnet_pool *pool = NULL;
	struct podnet *ctx = NULL;
	int r = podnet_open(&ctx, NULL, &err);

	if (r == 0)
		r = podnet_pool_new(ctx, &spec, &pool, &err);
	if (r == 0)
		r = podnet_pool_fill(pool, 2, &err);
	if (r >= 0) {
		printf("%d made, %u ready\n", r, podnet_pool_ready(pool));
		r = podnet_pool_take(pool, NULL, NULL, link, &err);
	}
	if (r >= 0) {
		printf("descriptor %d is a namespace, its eth0 is the far end of %s\n", r, link);
		r = give_back(ctx, r, link, &err);
	}
	/* what was not handed out; its links go with their namespaces, a moment later */
	podnet_pool_free(pool);
	podnet_close(ctx);
	if (r >= 0)
		return 0;
	podnet_error_text(&err, text, sizeof(text));
	fprintf(stderr, "pool: %s\n", text);
	return 1;
}
