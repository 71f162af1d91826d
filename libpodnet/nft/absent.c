/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * absent.c - the calls of podnet/nat.h, firewall.h and service.h in a library that was built without nftables
 *
 * Room: compiled instead of all other files here, so that a program links either way.
 * May include: include/podnet/, libpodnet/base.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <podnet/firewall.h>
#include <podnet/nat.h>
#include <podnet/service.h>

static int no_nft(struct podnet_error *err, const char *step)
{
	return pn_err_why(err, -EOPNOTSUPP, step, NULL, "built without nftables");
}

int podnet_nat_ensure(struct podnet *ctx, const struct podnet_nat *spec, struct podnet_error *err)
{
	(void)ctx;
	(void)spec;
	return no_nft(err, "nat_ensure");
}

int podnet_nat_absent(struct podnet *ctx, struct podnet_error *err)
{
	(void)ctx;
	return no_nft(err, "nat_absent");
}

int podnet_droppers(struct podnet *ctx, int (*each)(const struct podnet_dropper *dropper, void *arg),
		    void *arg, struct podnet_error *err)
{
	(void)ctx;
	(void)each;
	(void)arg;
	return no_nft(err, "droppers");
}

int podnet_services_new(struct podnet *ctx, struct podnet_services **ret, struct podnet_error *err)
{
	(void)ctx;
	(void)ret;
	return no_nft(err, "services_new");
}

void podnet_services_free(struct podnet_services *services)
{
	(void)services;
}

int podnet_services_nets(struct podnet_services *services, const struct podnet_service_nets *nets,
			 struct podnet_error *err)
{
	(void)services;
	(void)nets;
	return no_nft(err, "services_nets");
}

int podnet_services_set(struct podnet_services *services, const struct podnet_frontend *frontend,
			struct podnet_error *err)
{
	(void)services;
	(void)frontend;
	return no_nft(err, "services_set");
}

int podnet_services_absent(struct podnet_services *services, const struct podnet_frontend *frontend,
			   struct podnet_error *err)
{
	(void)services;
	(void)frontend;
	return no_nft(err, "services_absent");
}

void podnet_services_doubt(struct podnet_services *services)
{
	(void)services;
}

int podnet_services_commit(struct podnet_services *services, struct podnet_error *err)
{
	(void)services;
	return no_nft(err, "services_commit");
}

int podnet_services_unsettled(const struct podnet_services *services)
{
	(void)services;
	return 0;
}

int podnet_services_settle(struct podnet_services *services, struct podnet_error *err)
{
	(void)services;
	return no_nft(err, "services_settle");
}

int podnet_services_counts(struct podnet_services *services,
			   int (*each)(const struct podnet_service_counts *counts, void *arg),
			   void *arg, struct podnet_error *err)
{
	(void)services;
	(void)each;
	(void)arg;
	return no_nft(err, "services_counts");
}

int podnet_services_keep(struct podnet_services *services, void **ret, size_t *len,
			 struct podnet_error *err)
{
	(void)services;
	(void)ret;
	(void)len;
	return no_nft(err, "services_keep");
}

int podnet_services_kept(struct podnet_services *services, const void *data, size_t len,
			 struct podnet_error *err)
{
	(void)services;
	(void)data;
	(void)len;
	return no_nft(err, "services_kept");
}
