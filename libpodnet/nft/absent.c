/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * absent.c - the calls of podnet/nat.h in a library that was built without nftables
 *
 * Room: compiled instead of all other files here, so that a program links either way.
 * May include: include/podnet/, libpodnet/base.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <podnet/nat.h>

int podnet_nat_ensure(struct podnet *ctx, const struct podnet_nat *spec, struct podnet_error *err)
{
	(void)ctx;
	(void)spec;
	return pn_err_why(err, -EOPNOTSUPP, "nat_ensure", NULL, "built without nftables");
}

int podnet_nat_absent(struct podnet *ctx, struct podnet_error *err)
{
	(void)ctx;
	return pn_err_why(err, -EOPNOTSUPP, "nat_absent", NULL, "built without nftables");
}
