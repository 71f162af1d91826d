/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_notice.c - any bytes as messages of the kernel
 *
 * The kernel is trusted, yet not to be of our version: whatever an attribute holds, nothing beside
 * the message is read.  Each message lies in a block of its own, so that the sanitizer sees it.
 */
#include "fuzz.h"

#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <libpodnet/monitor/parse.h>

static void parse(const struct nlmsghdr *nlh)
{
	struct pn_notice notice = { .table = "podnet" };
	struct pn_link_seen link;
	struct pn_obj limit;
	uint32_t to;

	if (pn_notice_route(nlh, &notice))
		must(notice.ev.type != PODNET_EVENT_NFT);
	notice = (struct pn_notice){ .table = "podnet" };
	if (pn_notice_nft(nlh, &notice))
		must(notice.ev.type == PODNET_EVENT_NFT);
	if (pn_link_parse(nlh, &link) == 0)
		must(memchr(link.alias, 0, sizeof(link.alias)) &&
		     memchr(link.obj.link, 0, sizeof(link.obj.link)));
	(void)pn_limit_parse(nlh, &limit);
	(void)pn_filter_parse(nlh, &to);
	(void)pn_ingress_parse(nlh);
	(void)pn_nsid_parse(nlh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;

	while (size >= sizeof(struct nlmsghdr)) {
		uint32_t said;
		struct nlmsghdr *nlh;

		memcpy(&said, data, sizeof(said));
		len = said < sizeof(struct nlmsghdr) || said > size ? size : said;
		nlh = calloc(1, MNL_ALIGN(len));        /* the kernel pads, and libmnl counts on it */
		if (!nlh)
			return 0;
		memcpy(nlh, data, len);
		nlh->nlmsg_len = (uint32_t)len;
		parse(nlh);
		free(nlh);
		data += len;
		size -= len;
	}
	return 0;
}
