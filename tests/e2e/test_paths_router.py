#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paths_router.py - nodes on an L2 each, a router between them: pods reach each other through VXLAN

Room: e2e.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from nodes import Cluster, NETWORK  # noqa: E402
from reach import asks, everybody, populated  # noqa: E402
from services import in_netns  # noqa: E402

CLUSTER = Cluster(2, router=True, flags=["--resync", "0"])     # which would look at everything, and be counted
ONE, TWO = CLUSTER.members
IPS = {}
FDB = "bridge fdb show dev pn-vxlan4"


def setup():
    IPS.update(populated(CLUSTER))
    for member in CLUSTER.members:
        member.await_paths()


def seen():
    """What of ours leads to the other node.  A dump that others' changes interrupt may tell things twice."""
    neighbours = ONE.run("ip neigh show dev pn-vxlan4 nud permanent") + \
        ONE.run("ip -6 neigh show dev pn-vxlan4 nud permanent")
    return [sorted({line for line in text.splitlines() if not line.startswith("Dump was interrupted")})
            for text in (ONE.routes(), ONE.routes(6), neighbours, ONE.run(FDB))]


def every_pod_reaches_every_other():
    assert ONE.run("ip -d link show pn-vxlan4").count("nolearning") == 1
    everybody(CLUSTER, IPS)


def nothing_is_masqueraded_that_need_not():
    """A node's own source is of its block, so the answer comes back through the tunnel."""
    for address in IPS["a2"]:
        source = asks("node1", address).split()[1]
        block = ONE.node()["spec"]["podCIDRs"][":" in source]
        assert source.rsplit(":" if ":" in source else ".", 1)[0] in block, source
    assert "dev eth0 src 10.0.1.1" in ONE.run("ip route get 10.0.2.2"), "the underlay is as it was"


def packets_as_large_as_the_link():
    """What a pod may send passes whole; and nothing larger leaves it."""
    eventually("its link follows", lambda: ip_json("link show eth0", "a1.default")[0]["mtu"] == 1450)
    for address, head in zip(IPS["a2"], (28, 48)):
        run("ping -c 1 -W 10 -M do -s %d %s" % (1450 - head, address), netns="a1.default")
        assert "too long" in run("ping -c 1 -W 1 -M do -s %d %s" % (1451 - head, address), netns="a1.default",
                                 check=False)


def segments_fit():
    """Pods whose links are said to be larger than the tunnel: TCP through it agrees on less."""
    for member in CLUSTER.members:
        member.client.patch(NETWORK, {"spec": {"mtu": 1500}})
        eventually("its rule", lambda m=member: 'oifname "pn-*"' in m.run(
            "nft list chain inet podnet tunnels", check=False))
    for name in ("a1", "a2"):
        eventually("links follow", lambda n=name: ip_json("link show eth0", n + ".default")[0]["mtu"] == 1500)
    for address, most in zip(IPS["a2"], (1410, 1390)):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        door = in_netns("a2.default", lambda a=address, f=family: socket.create_server((a, 0), family=f))
        ours = in_netns("a1.default", lambda d=door: socket.create_connection(d.getsockname()[:2], 20))
        theirs = door.accept()[0]
        for end in (ours, theirs):
            size = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            assert most - 40 < size <= most, (address, size)
            end.close()
        door.close()
    for member in CLUSTER.members:
        member.client.patch(NETWORK, {"spec": {"mtu": None}})
    eventually("links follow", lambda: ip_json("link show eth0", "a1.default")[0]["mtu"] == 1450)


def what_is_taken_away_comes_back():
    before = seen()
    mac = before[3][0].split()[0]
    for command in ("ip route del " + TWO.node()["spec"]["podCIDR"], "bridge fdb del %s dev pn-vxlan4" % mac,
                    "bridge fdb replace %s dst 10.0.1.99 dev pn-vxlan4" % mac,
                    "ip neigh flush dev pn-vxlan4 nud permanent", "ip link set pn-vxlan4 down",
                    "ip link del pn-vxlan4"):
        ONE.run(command, check="flush" not in command)      # which gives up where they are back each time
        eventually(command, lambda: "pn-vxlan4" in ONE.run("ip link") and seen() == before)
        assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0], command
        assert asks("a1.default", IPS["a2"][1]) == "a2 " + IPS["a1"][1], command


def a_node_more_is_one_path():
    """When a Node comes or goes, what leads to it is looked at, and the Network that tells its blocks."""
    block = "10.244.200.0/22"
    before = ONE.metric("podnet_reconciles_total")
    for i in range(20):
        ONE.client.post("/api/v1/nodes", {"metadata": {"name": "more", "annotations": {
            "podnet.dev/node-address": "10.0.3.%d" % (i + 1)}}, "spec": {"podCIDRs": [block]}})
        eventually("a path", lambda: block in ONE.routes())
        ONE.client.delete("/api/v1/nodes/more")
        eventually("none", lambda: block not in ONE.routes())
    looked = ONE.metric("podnet_reconciles_total") - before
    assert looked <= 2 * 40 + 2, looked


def a_restart_changes_nothing():
    before = seen(), ip_json("link show pn-vxlan4", "node1")[0]["ifindex"]
    repairs = ONE.tail(100000).count("event=repaired")
    ONE.stop()
    assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0]
    ONE.start()
    after = seen(), ip_json("link show pn-vxlan4", "node1")[0]["ifindex"]
    assert after == before, (after, before)
    ONE.await_paths()
    assert ONE.tail(100000).count("event=repaired") == repairs


def the_underlay_gets_smaller():
    """The tunnel and the pods' links follow."""
    for member in CLUSTER.members:
        member.run("ip link set eth0 mtu 1400")
    eventually("the tunnel follows", lambda: ip_json("link show pn-vxlan4", "node1")[0]["mtu"] == 1350)
    eventually("and the pods", lambda: ip_json("link show eth0", "a1.default")[0]["mtu"] == 1350)
    everybody(CLUSTER, IPS)


def the_underlay_has_another_address():
    """Of this node: its tunnel is made anew, and the others are told."""
    for command in ("ip addr del 10.0.1.1/24 dev eth0", "ip addr add 10.0.1.11/24 dev eth0",
                    "ip route add default via 10.0.1.254"):
        ONE.run(command)
    eventually("it sends from there", lambda: "local 10.0.1.11" in ONE.run("ip -d link show pn-vxlan4", check=False))
    TWO.client.patch("/api/v1/nodes/node1/status", {"status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.1.11"}, {"type": "InternalIP", "address": ONE.v6}]}})
    ONE.v4 = "10.0.1.11"
    eventually("others send there", lambda: "dst 10.0.1.11" in TWO.run(FDB))
    ONE.await_paths()
    eventually("all that lay on it is there", lambda: asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0])
    everybody(CLUSTER, IPS)


def by_datagrams():
    """Backend udp: the packets are podnet-fwd's."""
    for backend, link in (("udp", "pn-udp4"), ("auto", "pn-vxlan4")):
        CLUSTER.backend(backend)
        for member in CLUSTER.members:
            eventually("paths by " + link, lambda m=member, l=link: "dev " + l in m.routes() and "dev " + l in m.routes(6))
        everybody(CLUSTER, IPS)


def no_way_is_told():
    CLUSTER.backend("direct")
    ONE.await_paths("False", "no path to 10.244.4.0/22 of node node2: it is on none of this node's links")
    eventually("there is none", lambda: "via" not in ONE.routes())

    def at_once():
        ONE.client.patch(NETWORK, {"spec": {"backend": "direct"}})
        ONE.await_paths("False")
        begun = time.monotonic()
        ONE.client.patch(NETWORK, {"spec": {"backend": "auto"}})
        ONE.await_paths()
        return time.monotonic() - begun < 2
    eventually("nothing is under way that could be lost", at_once)
    CLUSTER.backend("auto")
    for member in CLUSTER.members:
        member.await_paths()
    eventually("it is as it was", lambda: asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0])


def the_other_node_goes():
    ONE.client.delete("/api/v1/nodes/node2")
    eventually("nothing leads there", lambda: "via" not in ONE.routes() + ONE.routes(6))
    eventually("nor is anybody behind the tunnel", lambda: ONE.run(FDB) == "")
    assert "backend" in ONE.client.get(NETWORK)["spec"]


def purged():
    ONE.stop()
    run(*ONE.through, ONE.netd, "--config", "/dev/null", "--state-dir", ONE.dir + "/state", "--run-dir", ONE.dir,
        "--purge")
    assert not ONE.routes() and not ONE.routes(6) and "pn-" not in ONE.run("ip link")


if __name__ == "__main__":
    setup()
    main([every_pod_reaches_every_other, nothing_is_masqueraded_that_need_not, packets_as_large_as_the_link,
          segments_fit, what_is_taken_away_comes_back, a_node_more_is_one_path, a_restart_changes_nothing,
          the_underlay_gets_smaller, the_underlay_has_another_address, by_datagrams, no_way_is_told, the_other_node_goes, purged])
