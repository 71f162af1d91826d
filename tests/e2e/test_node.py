#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_node.py - the Node that netd is: what it says of itself, and what pods make of its links

Room: e2e.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node(flags=["--cluster-cidr", "10.244.0.0/16,fd55::/48"])
NODE1 = "/api/v1/nodes/node1"
READY = "node forwards and its networks are programmed"


def says(words):
    """The Node, when its condition Ready has such a message."""
    return NODE.await_object(NODE1, lambda o: any(
        c["type"] == "Ready" and words in c.get("message", "") for c in o["status"]["conditions"]))


def setup():
    run("ip link add up0 mtu 600 type veth peer name up1")
    run("ip link set up0 up")
    run("ip link set up1 up")
    run("ip addr add 192.0.2.1/24 dev up0")
    run("ip route add default via 192.0.2.9")
    NODE.start()


def an_uplink_too_small_for_ipv6():
    """Pods have what IPv6 needs, and the Node says so; it follows the link."""
    for name in "ab":
        NODE.client.post(PODS, pod(name))
        NODE.await_running(name)
    ips = [ip["ip"] for ip in NODE.client.get(PODS + "/b")["status"]["podIPs"]]
    assert ip_json("link show eth0", "a.default")[0]["mtu"] == 1280
    assert all(pings("a.default", ip, wait=10) for ip in ips), ips
    says("have MTU 1280, which it needs, and the default route's link only 600")
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "four"},
                                        "spec": {"cidrs": ["10.64.0.0/16"]}})
    NODE.client.post(PODS, pod("c", {"podnet.dev/networks": "four"}))
    NODE.await_running("c")
    assert ip_json("link show eth0", "c.default")[0]["mtu"] == 600
    run("ip link set up0 mtu 1400")
    says(READY)
    eventually("its pods have it", lambda: ip_json("link show eth0", "a.default")[0]["mtu"] == 1400)


def what_is_netds_of_it_is_put_right():
    """Also when others write it; what is theirs stays."""
    before = says(READY)
    NODE.client.patch(NODE1 + "/status", {"status": {
        "addresses": [{"type": "InternalIP", "address": "203.0.113.9"}], "capacity": {"pods": "1"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "No", "message": "nothing works"},
                       {"type": "Theirs", "status": "True"}],
        "nodeInfo": None}})
    NODE.client.patch(NODE1, {"metadata": {"labels": {
        "kubernetes.io/hostname": None, "kubernetes.io/os": "plan9", "theirs": "too"}}})

    def as_before(node):
        conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
        return node["metadata"]["labels"] == dict(before["metadata"]["labels"], theirs="too") and all(
            node["status"].get(part) == before["status"][part]
            for part in ("addresses", "nodeInfo", "capacity", "allocatable")) and \
            conditions["Ready"] == "True" and conditions["Theirs"] == "True"
    got = NODE.await_object(NODE1, as_before)
    assert NODE.tail(1000).count("event=node_put_right node=node1") in (1, 2), NODE.tail()
    NODE.client.post(PODS, pod("quiet"))
    NODE.await_running("quiet")
    assert NODE.client.get(NODE1) == got, "and nobody writes it again"


def prefixes_that_nobody_configured():
    """They differ from the stored ones, and there is nothing to tell of it."""
    NODE.stop()
    NODE.flags = []
    NODE.start()
    NODE.stop()
    assert "cluster_cidr_kept" not in NODE.tail(1000), NODE.tail()
    NODE.flags = ["--cluster-cidr", "10.99.0.0/16"]
    NODE.start()
    kept = [line for line in NODE.tail(1000).splitlines() if "cluster_cidr_kept" in line]
    assert kept == ["event=cluster_cidr_kept stored=10.244.0.0/16 configured=10.99.0.0/16"], kept


def refused(node, cidr):
    """The words of a start that does not come about."""
    node.flags = ["--service-cidr", cidr]
    node.start(ready=False)
    assert node.process.wait(DEADLINE) == 1
    failed = [line for line in node.tail(1000).splitlines() if "event=start_failed" in line]
    return re.search(r'err="(.*)"', failed[-1])[1]


def service_addresses_of_others():
    """Those of the node and of a Network are refused; after a start that was fine only told."""
    NODE.stop()
    assert refused(NODE, "10.64.8.0/24") == \
        "service-cidr: 10.64.8.0/24 overlaps with 10.64.0.0/16, of Network four"
    NODE.flags = []
    NODE.start()
    NODE.stop()
    fresh = Node()
    for cidr in ("192.0.2.0/25", "192.0.0.0/16"):
        assert refused(fresh, cidr) == "service-cidr: %s overlaps with 192.0.2.0/24, " \
            "an address or a connected route of this node" % cidr
    fresh.flags = ["--service-cidr", "198.51.100.0/24"]
    fresh.start()
    run("ip addr add 198.51.100.7/32 dev up0")
    fresh.stop()
    fresh.start()
    eventually("it is told", lambda: "service_cidr_overlaps" in fresh.tail(1000))
    fresh.stop()
    run("ip addr del 198.51.100.7/32 dev up0")


def blocks_of_others():
    """What another Node says to have is its own: no pod here gets an address of it, until that Node is gone."""
    node = Node(flags=["--cluster-cidr", "10.200.0.0/24,fd66::/48", "--block-size", "30,64"])
    node.start()
    mine = node.client.get(NODE1)["spec"]["podCIDRs"]
    assert mine[0] == "10.200.0.0/30", mine
    node.client.post("/api/v1/nodes", {"metadata": {"name": "other"}, "spec": {"podCIDRs": ["10.200.0.4/30"]}})
    node.stop()
    node.start()
    for name in "xyz":                      # a pod a block
        node.client.post(PODS, pod(name))
    ips = [node.await_running(name)["status"]["podIP"] for name in "xyz"]
    assert ips == ["10.200.0.2", "10.200.0.10", "10.200.0.14"], ips
    for name, cidrs in (("third", ["10.200.0.8/30"]), ("third", ["fd67::/64", "10.200.0.4/31"])):
        code, _, text = node.client.raw("POST", "/api/v1/nodes", {
            "metadata": {"name": name}, "spec": {"podCIDRs": cidrs}})
        assert code == 422 and b"spec.podCIDRs[%d]" % (len(cidrs) - 1) in text, (code, text)
    wanted = pod("w", {"podnet.dev/ips": "10.200.0.6"})
    assert node.client.raw("POST", PODS, wanted)[0] == 422
    node.await_object(V1 + "/networks/default", lambda o: {("other", "10.200.0.4/30"), ("node1", "10.200.0.8/30")} <= {
        (b["nodeName"], b["cidr"]) for b in o["status"].get("blocks", [])})
    node.client.delete("/api/v1/nodes/other")
    node.client.post(PODS, wanted)
    node.await_object(V1 + "/networks/default", lambda o: {"nodeName": "node1", "cidr": "10.200.0.4/30"}
                      in o["status"]["blocks"] and "other" not in str(o["status"]["blocks"]))
    checked = run(node.netd, "--config", "/dev/null", "--node-name", "node1", "--state-dir", node.dir + "/state",
                  "--run-dir", node.dir, "--check")
    assert ": ok" in checked, checked
    run("sysctl -q -w net.ipv4.conf.up0.rp_filter=1")
    node.stop()
    assert "strict_reverse_path" not in node.tail(1000)
    node.start()
    node.client.post("/api/v1/nodes", {"metadata": {"name": "other"}, "spec": {"podCIDRs": ["10.200.0.128/30"]}})
    eventually("a strict uplink is told of", lambda: any(
        e["reason"] == "StrictReversePath" and e["involvedObject"]["name"] == "node1" and "up0" in e["message"]
        for e in node.client.get("/api/v1/events")["items"]))
    node.stop()


if __name__ == "__main__":
    setup()
    main([an_uplink_too_small_for_ipv6, what_is_netds_of_it_is_put_right, prefixes_that_nobody_configured,
          service_addresses_of_others, blocks_of_others])
