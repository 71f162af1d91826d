/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ack.c - datagrams to and from the kernel, and what an ack says
 *
 * Room: bytes.  May include: libmnl, linux/.
 * #syscalls: sendto recvfrom poll ppoll
 */
#include "ack.h"

#include <errno.h>
#include <libpodnet/nl/nl.h>
#include <sys/socket.h>

static int keep_attr(const struct nlattr *attr, void *data)
{
	struct nl_ack *ack = data;

	switch (mnl_attr_get_type(attr)) {
	case NLMSGERR_ATTR_MSG:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			ack->text = mnl_attr_get_str(attr);
		break;
	case NLMSGERR_ATTR_OFFS:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			ack->off = mnl_attr_get_u32(attr);
		break;
	}
	return MNL_CB_OK;
}

int nl_ack_parse(const struct nlmsghdr *nlh, struct nl_ack *ret)
{
	const size_t code = sizeof(int);
	size_t skip = nlh->nlmsg_type == NLMSG_DONE ? code : sizeof(struct nlmsgerr);
	const struct nlmsgerr *said = mnl_nlmsg_get_payload(nlh);
	struct nl_ack ack = { 0 };

	if (mnl_nlmsg_get_payload_len(nlh) < skip)
		return -EBADMSG;
	ack.rc = said->error;
	/* NETLINK_CAP_ACK keeps the request out of the ack, so attributes follow its header */
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_parse(nlh, (unsigned int)skip, keep_attr, &ack);
	*ret = ack;
	return 0;
}

int nl_send(int fd, const void *buf, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t r;

	do {
		r = sendto(fd, buf, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == len ? 0 : -EIO;
}

ssize_t nl_recv(int fd, void *buf, size_t size)
{
	ssize_t r;

	do {
		r = recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? -EIO : -errno;
	return (size_t)r > size ? -EMSGSIZE : r;
}
