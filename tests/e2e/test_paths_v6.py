#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paths_v6.py - an underlay of IPv6 alone carries both families

Room: e2e.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from nodes import Cluster       # noqa: E402
from reach import everybody, populated  # noqa: E402

CLUSTER = Cluster(3, router=True, v4=False)


def every_pod_reaches_every_other():
    ips = populated(CLUSTER, "a")
    for member in CLUSTER.members:
        member.await_paths()
        assert "local fd0e:%d::%d" % (member.number, member.number) in member.run("ip -d link show pn-vxlan6")
    everybody(CLUSTER, ips)
    eventually("pods follow", lambda: ip_json("link show eth0", "a1.default")[0]["mtu"] == 1430)
    CLUSTER.backend("udp")
    for member in CLUSTER.members:
        eventually("paths by podnet-fwd", lambda m=member: "dev pn-udp6" in m.routes() and "dev pn-udp6" in m.routes(6))
    everybody(CLUSTER, ips)


if __name__ == "__main__":
    main([every_pod_reaches_every_other])
