#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paths_cluster.py - nodes that share etcd find their paths by themselves

Room: e2e.  Nobody tells a node of another; what is written once is so everywhere.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from etcd import Etcd           # noqa: E402
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from nodes import Cluster, NETWORK, NODES  # noqa: E402
from reach import asks, Connected, everybody, Pinging, populated, serve_all  # noqa: E402
from services import SERVICES, ask, in_netns, serve  # noqa: E402

CLUSTER = Cluster(3, etcd=Etcd("10.0.0.250"))
ONE, TWO, THREE = CLUSTER.members
IPS = {}


def setup():
    IPS.update(populated(CLUSTER))
    for member in CLUSTER.members:
        member.await_paths()


def every_pod_reaches_every_other():
    for member in CLUSTER.members:
        assert "pn-vxlan" not in member.run("ip link")
    everybody(CLUSTER, IPS)


def another_backend_for_all():
    """Written once; no packet of what goes on is lost, and no connection."""
    for backend, link in (("vxlan", "pn-vxlan4"), ("direct", "eth0")):
        going = [Pinging("a1.default", IPS["a%d" % n][family]) for n in (2, 3) for family in (0, 1)]
        held = [Connected("b%d.default" % n, IPS["b%d" % (n % 3 + 1)][n % 2]) for n in (1, 2, 3)]
        ONE.client.patch(NETWORK, {"spec": {"backend": backend}})
        for member in CLUSTER.members:
            eventually("paths go by " + link, lambda m=member, l=link: all(
                l in line for line in (m.routes() + m.routes(6)).splitlines() if " via " in line))
        everybody(CLUSTER, IPS)
        assert all(one.alive() for one in held)
        lost = [one.stop() for one in going]
        assert lost == [0, 0, 0, 0], (backend, lost)


def further_blocks():
    """Of another network: claimed with a node's first pod there, and others hear of it."""
    ONE.client.post("/apis/podnet.dev/v1/networks", {"metadata": {"name": "side"}, "spec": {
        "cidrs": ["10.77.0.0/16", "fd77::/48"]}})
    ips = {}
    for member in CLUSTER.members:
        name = "s%d" % member.number
        member.client.post(PODS, pod(name, {"podnet.dev/networks": "side"}))
        ips[name] = [ip["ip"] for ip in member.await_running(name)["status"]["podIPs"]]
    serve_all(ips)
    for client, own in ips.items():
        for server, addresses in ips.items():
            for source, address in zip(own, addresses):
                want = "%s %s" % (server, source)
                eventually("%s to %s" % (client, address), lambda c=client, a=address, w=want: asks(
                    c + ".default", a) == w)
    for name in ips:
        ONE.await_running(name)
        ONE.client.delete(PODS + "/" + name)
    eventually("the Network can go", lambda: ONE.client.raw("DELETE", "/apis/podnet.dev/v1/networks/side")[0]
               in (200, 404))
    for member in CLUSTER.members:
        eventually("no route to it", lambda m=member: "10.77." not in m.run("ip route"))


def services():
    """Of pods on all nodes, from pods and nodes everywhere."""
    ONE.client.post(SERVICES, {"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], "type": "NodePort"}})
    for member in CLUSTER.members:
        name = "w%d" % member.number
        wish = pod(name)
        wish["metadata"]["labels"] = {"app": "web"}
        member.client.post(PODS, wish)
        member.await_running(name)
        serve(name + ".default", "echo.py", name, 8080)
    spec = THREE.await_object(SERVICES + "/web", lambda o: o["spec"]["clusterIP"])["spec"]
    all_of_them = {"w1", "w2", "w3"}
    for client in ["a%d.default" % n for n in (1, 2, 3)] + ["node%d" % n for n in (1, 2, 3)]:
        for address, port in ((spec["clusterIP"], 80), (ONE.v4, spec["ports"][0]["nodePort"])):
            def names(c=client, a=address, p=port):
                got = [in_netns(c, lambda: ask(a, p, timeout=0.5)) for _ in range(24)]
                return {g.split()[0] if isinstance(g, str) else g for g in got}
            eventually("%s gets to all by %s" % (client, address), lambda n=names: n() == all_of_them)
    TWO.client.delete(PODS + "/w2")
    for client in ("a1.default", "a3.default"):
        def left(c=client):
            got = [in_netns(c, lambda: ask(spec["clusterIP"], 80, timeout=0.5)) for _ in range(12)]
            return {g.split()[0] if isinstance(g, str) else g for g in got}
        eventually("not to who is gone", lambda n=left: n() == {"w1", "w3"})
    ONE.client.delete(SERVICES + "/web")


def a_node_moves():
    """Its underlay address is another: all follow, by its Node."""
    for command in ("ip addr del %s/24 dev eth0" % TWO.v4, "ip addr add 10.0.0.22/24 dev eth0"):
        TWO.run(command)
    TWO.v4 = "10.0.0.22"
    for member in (ONE, THREE):
        eventually("routes follow", lambda m=member: "via 10.0.0.22 dev eth0" in m.routes())
    eventually("and back", lambda: all("via %s dev eth0" % m.v4 in TWO.routes() for m in (ONE, THREE)))
    everybody(CLUSTER, IPS)


def a_node_goes():
    """Stopped and deleted: no path leads there any more, and the others are as they were."""
    THREE.stop()

    def deleted():
        try:
            return ONE.client.delete(NODES + "node3")
        except Refused:
            return False            # it may come back, until its lease has ended
    eventually("it can be deleted", deleted)
    for member in (ONE, TWO):
        eventually("no route there", lambda m=member: "10.0.0.3" not in m.routes())
    assert asks("a1.default", IPS["a2"][0]) == "a2 " + IPS["a1"][0]


if __name__ == "__main__":
    setup()
    main([every_pod_reaches_every_other, another_backend_for_all, further_blocks, services, a_node_moves,
          a_node_goes])
