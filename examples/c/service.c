/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.c - one address in front of two endpoints; one leaves; then all of it goes
 *
 *	sudo ./service
 *
 * What is declared for a handle reaches the kernel by a commit, as one transaction of table
 * "inet podnet-lib", of which a commit says how much it changed.  The table itself stays: `nft list
 * table inet podnet-lib` shows it, and `nft delete table inet podnet-lib` takes it away.
 */
#include <netinet/in.h>
#include <podnet/podnet.h>
#include <stdio.h>
#include <sys/socket.h>

static struct podnet_prefix prefix(const char *text)
{
	struct podnet_prefix p = { 0 };

	podnet_prefix_parse(text, &p);
	return p;
}

/* Pods are in 10.98.0.0/16, those of this node in 10.98.0.0/24; services are in 10.99.0.0/24. */
static int declare_nets(struct podnet_services *services, struct podnet_error *err)
{
	const struct podnet_prefix inside = prefix("10.98.0.0/16"), local = prefix("10.98.0.0/24");
	const struct podnet_prefix ours = prefix("10.99.0.0/24");
	const struct podnet_service_nets nets = {
		.inside = &inside, .ninside = 1, .local = &local, .nlocal = 1,
		.services = &ours, .nservices = 1,
	};

	return podnet_services_nets(services, &nets, err);
}

/* 10.99.0.1:80 to the first @n of two endpoints, of which the second takes twice as much. */
static int declare(struct podnet_services *services, size_t n, struct podnet_error *err)
{
	const struct podnet_endpoint endpoints[] = {
		{ .ip = prefix("10.98.0.2"), .port = 8080, .local = 1 },
		{ .ip = prefix("10.98.1.2"), .port = 8080, .weight = 2 },
	};
	const struct podnet_frontend frontend = {
		.ip = prefix("10.99.0.1"), .protocol = IPPROTO_TCP, .port = 80,
		.flags = PODNET_FRONTEND_CLUSTER_IP, .endpoints = endpoints, .nendpoints = n,
	};

	return podnet_services_set(services, &frontend, err);
}

static int commit(struct podnet_services *services, const char *what, struct podnet_error *err)
{
	int r = podnet_services_commit(services, err);

	if (r >= 0)
		printf("%s: %d changes\n", what, r);
	return r < 0 ? r : 0;
}

static int demo(struct podnet_services *services, struct podnet_error *err)
{
	const struct podnet_frontend key = {
		.ip = prefix("10.99.0.1"), .protocol = IPPROTO_TCP, .port = 80,
	};
	int r = declare_nets(services, err);

	if (r == 0)
		r = declare(services, 2, err);
	if (r == 0)
		r = commit(services, "to make it", err);
	if (r == 0)
		r = commit(services, "once more", err);
	if (r == 0)
		r = declare(services, 1, err);
	if (r == 0)
		r = commit(services, "one endpoint leaves", err);
	/* what connection tracking remembers of it: a program with a loop asks again a moment later */
	if (r == 0)
		r = podnet_services_settle(services, err);
	if (r >= 0)
		r = podnet_services_absent(services, &key, err);
	return r < 0 ? r : commit(services, "to take it away", err);
}

int main(void)
{
	struct podnet_services *services = NULL;
	struct podnet_error err = { 0 };
	struct podnet *ctx = NULL;
	char text[512];
	int r = podnet_open(&ctx, NULL, &err);

	if (r == 0)
		r = podnet_services_new(ctx, &services, &err);
	if (r == 0)
		r = demo(services, &err);
	podnet_services_free(services);
	podnet_close(ctx);
	if (r >= 0)
		return 0;
	podnet_error_text(&err, text, sizeof(text));
	fprintf(stderr, "service: %s\n", text);
	return 1;
}
