/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unused.h - what a user wrote and netd has no use for
 *
 * Room (codec).  Such members are kept as they were sent (API-CONTRACT 4): dropping them would make
 * every later apply see a difference.  So that nobody relies on them, they are told.
 */
#ifndef NETD_CODEC_UNUSED_H
#define NETD_CODEC_UNUSED_H

#include <netd/codec/kind.h>

/**
 * kind_unused() - find members without a use
 * @old:     what stands there with the same value is not told again; NULL on create
 * @unknown: gets those that the kind does not have
 * @ignored: gets those that Kubernetes has, and that nothing is done with here
 *
 * Members of a podnet.dev kind outside of metadata are not looked at: there kind_check() refuses
 * what is unknown.
 */
void kind_unused(const struct kind *kind, const struct doc *doc, const struct doc *old,
		 struct causes *unknown, struct causes *ignored);

#endif
