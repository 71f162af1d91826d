#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paths_v4.py - an underlay of IPv4 alone carries both families, on one L2 without a tunnel

Room: e2e.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from nodes import Cluster, NODES  # noqa: E402
from reach import everybody, populated  # noqa: E402

CLUSTER = Cluster(2, v6=False)
ONE, TWO = CLUSTER.members
IPS = {}
LOCAL = "podnet.dev/link-local"


def through_a_tunnel():
    """IPv6 blocks only, while nothing is known of the other's link."""
    IPS.update(populated(CLUSTER, "a"))
    for one, other in ((ONE, TWO), (TWO, ONE)):
        one.client.patch(NODES + other.name, {"metadata": {"annotations": {LOCAL: None}}})
        eventually("through the tunnel", lambda o=one: "dev pn-vxlan4" in o.routes(6))
        assert "via 10.0.0." in one.routes() and "pn-vxlan4" not in one.routes()
        one.await_paths()
    everybody(CLUSTER, IPS)


def by_link_local_addresses():
    """Each Node tells it, as soon as there is another one."""
    for one, other in ((ONE, TWO), (TWO, ONE)):
        local = other.await_object(NODES + other.name, lambda o: LOCAL in o["metadata"].get("annotations", {}))
        local = local["metadata"]["annotations"][LOCAL]
        assert local in other.run("ip addr show dev eth0"), local
        one.client.patch(NODES + other.name, {"metadata": {"annotations": {LOCAL: local}}})
        eventually("by " + local, lambda o=one, l=local: "via %s dev eth0" % l in o.routes(6))
    everybody(CLUSTER, IPS)


if __name__ == "__main__":
    main([through_a_tunnel, by_link_local_addresses])
