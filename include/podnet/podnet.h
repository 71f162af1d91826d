/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/podnet.h - everything, and the version
 */
#ifndef PODNET_PODNET_H
#define PODNET_PODNET_H

#include <podnet/addr.h>
#include <podnet/announce.h>
#include <podnet/conntrack.h>
#include <podnet/context.h>
#include <podnet/error.h>
#include <podnet/firewall.h>
#include <podnet/ip.h>
#include <podnet/link.h>
#include <podnet/monitor.h>
#include <podnet/nat.h>
#include <podnet/netns.h>
#include <podnet/overlay.h>
#include <podnet/plan.h>
#include <podnet/route.h>
#include <podnet/service.h>
#include <podnet/shape.h>
#include <podnet/tun.h>
#include <podnet/vxlan.h>

#define PODNET_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/** podnet_version() - PODNET_VERSION of the library that is loaded */
PODNET_API const char *podnet_version(void);

#ifdef __cplusplus
}
#endif
#endif
