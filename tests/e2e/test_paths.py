#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paths.py - pods of some nodes on one L2 reach each other at their own addresses

Room: e2e.  The nodes are told of each other as a common store would do it.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from nodes import Cluster, NODES, tell  # noqa: E402
from reach import asks, Connected, everybody, Pinging, populated  # noqa: E402

CLUSTER = Cluster(3)
ONE, TWO, THREE = CLUSTER.members
IPS = {}
LINGERS_S = 59          # a tunnel of ours that leads nowhere any more


def setup():
    IPS.update(populated(CLUSTER))


def every_pod_reaches_every_other():
    for member in CLUSTER.members:
        member.await_paths()
        assert "pn-vxlan" not in member.run("ip link")
    everybody(CLUSTER, IPS)


def routes_follow_the_node():
    """Its address, whether it is there at all."""
    before = ONE.routes()
    assert "via 10.0.0.3 dev eth0" in before, before
    ONE.client.patch(NODES + "node3/status", {"status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.0.33"}, {"type": "InternalIP", "address": "fd0e::33"}]}})
    eventually("the route leads to another address", lambda: "via 10.0.0.33 dev eth0" in ONE.routes())
    ONE.client.patch(NODES + "node3", {"metadata": {"annotations": {
        "podnet.dev/node-address": "10.0.0.3,fd0e::3"}}})
    eventually("what is annotated is better", lambda: ONE.routes() == before)
    ONE.client.delete(NODES + "node3")
    eventually("no route to a Node that is gone", lambda: "10.0.0.3" not in ONE.routes())
    assert "10.0.0.2" in ONE.routes()
    tell(ONE, THREE.node())
    eventually("nor without its Node", lambda: ONE.routes() == before)


def what_is_taken_away_comes_back():
    before = ONE.routes(), ONE.routes(6)
    for line in before[0].splitlines():
        if " via " in line:
            ONE.run("ip route del " + line.split()[0])
    eventually("routes deleted by hand", lambda: ONE.routes() == before[0])
    eventually("it is told of this node, and of which way", lambda: {
        (e["involvedObject"]["name"], e["message"].split(";")[0]) for e in ONE.client.get("/api/v1/events")["items"]
        if e["reason"] == "Repaired"} == {
            ("node1", "the kernel had drifted on the path to node %s" % n) for n in ("node2", "node3")})
    ONE.run("ip link set eth0 down")
    ONE.run("ip link set eth0 up")
    ONE.run("ip addr add %s/64 dev eth0 nodad" % ONE.v6)    # it went with the link
    eventually("a link went down and up", lambda: (ONE.routes(), ONE.routes(6)) == before)
    assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0]


def what_is_foreign_stays():
    """A route to the same block is reported, not replaced; and when it goes ours is there."""
    block = THREE.node()["spec"]["podCIDR"]
    ONE.run("ip route del " + block)
    eventually("repaired", lambda: block in ONE.routes())
    ONE.run("ip route replace blackhole " + block)
    ONE.await_paths("False", "node node3: route blackhole " + block)
    assert "blackhole " + block in ONE.run("ip route"), ONE.run("ip route")
    assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0], "the other node's is as it was"
    ONE.run("ip route del blackhole " + block)
    ONE.await_paths("True")
    assert asks("a1.default", IPS["a3"][0]) == "a3 " + IPS["a1"][0]


def others(line):
    """A route that leads to another node."""
    return " via " in line or "dev pn-udp" in line


def change(backend, by):
    """No packet of what goes on is lost, and no connection."""
    pings_ = [Pinging("a1.default", IPS["a%d" % n][family]) for n in (2, 3) for family in (0, 1)]
    held = [Connected("b%d.default" % n, IPS["b%d" % (n % 3 + 1)][n % 2]) for n in (1, 2, 3)]
    CLUSTER.backend(backend)
    for member in CLUSTER.members:
        eventually("paths go by " + by, lambda: all(
            by in line for line in (member.routes() + member.routes(6)).splitlines() if others(line)))
        assert all(one.alive() for one in held)
    everybody(CLUSTER, IPS)
    assert all(one.alive() for one in held)
    lost = [one.stop() for one in pings_]
    assert lost == [0, 0, 0, 0], lost
    for member in CLUSTER.members:
        member.await_paths()


def another_backend_under_way():
    change("vxlan", "pn-vxlan4")
    eventually("pods follow", lambda: ip_json("link show eth0", "a1.default")[0]["mtu"] == 1450)
    left = time.monotonic()
    change("udp", "pn-udp4")
    assert ip_json("link show eth0", "a1.default")[0]["mtu"] == 1450 or time.monotonic() > left + LINGERS_S
    held = [Connected("b1.default", address) for address in IPS["b2"]]
    missed = ONE.tail(100000).count("tunnel_not_carried")       # of a podnet-fwd that was slow to begin
    ONE.stop()
    assert all(one.alive() for one in held)
    ONE.start()
    ONE.kill()
    ONE.start()
    ONE.await_paths()
    assert all(one.alive() for one in held), "podnet-fwd goes on"
    assert ONE.tail(100000).count("tunnel_not_carried") == missed
    everybody(CLUSTER, IPS)
    change("direct", "eth0")
    links = TWO.run("ip link")      # VXLAN is there for those who still send by it
    assert "pn-vxlan4" in links or time.monotonic() > left + LINGERS_S, links
    change("auto", "eth0")


def a_restart_changes_nothing():
    """And what was changed meanwhile is seen."""
    before = ONE.routes(), ONE.routes(6)
    ONE.stop()
    assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0]
    ONE.run("ip route add 10.244.128.0/22 via 10.0.0.3 proto 142")
    ONE.start()
    eventually("a stray is swept", lambda: (ONE.routes(), ONE.routes(6)) == before)
    eventually("and a tunnel that nobody needs", lambda: "pn-vxlan" not in ONE.run("ip link"))


def purged():
    """All that is ours goes, and nothing else."""
    ONE.stop()
    run(*ONE.through, ONE.netd, "--config", "/dev/null", "--state-dir", ONE.dir + "/state", "--run-dir", ONE.dir,
        "--purge")
    assert not ONE.routes() and not ONE.routes(6)
    assert "10.0.0.0/24 dev eth0" in ONE.run("ip route")


if __name__ == "__main__":
    setup()
    main([every_pod_reaches_every_other, routes_follow_the_node, what_is_taken_away_comes_back,
          what_is_foreign_stays, another_backend_under_way, a_restart_changes_nothing, purged])
