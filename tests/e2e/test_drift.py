# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_drift.py - what somebody changes in the kernel is put back, and an Event says so"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import


NODE = Node()


def setup():
    NODE.start()
    client = NODE.client
    client.post(PODS, pod("a"))
    client.post(PODS, pod("b"))
    client.post(V1 + "/networknamespaces", {"metadata": {"name": "con"}})
    client.post(V1 + "/bridges", {"metadata": {"name": "br0"},
                                  "spec": {"addresses": ["172.16.0.1/24"], "mtu": 1400}})
    client.post(V1 + "/veths", {"metadata": {"name": "con"}, "spec": {"ends": [
        {"name": "veth1", "bridge": "br0"},
        {"name": "veth2", "networkNamespace": "con", "addresses": ["172.16.0.2/24"]}]}})
    client.post(V1 + "/routes", {"metadata": {"name": "con"}, "spec": {
        "networkNamespace": "con", "destination": "default", "gateway": "172.16.0.1"}})
    client.post(V1 + "/routes", {"metadata": {"name": "over"}, "spec": {
        "destination": "203.0.113.0/24", "interface": "br0"}})
    for url in ("/networknamespaces/con", "/bridges/br0", "/veths/con", "/routes/con", "/routes/over"):
        NODE.await_ready(V1 + url)
    for name in "ab":
        NODE.await_running(name)


def address(name):
    return NODE.client.get(PODS + "/" + name)["status"]["podIP"]


def pod_reachable():
    return pings("a.default", address("b")) and pings("b.default", address("a")) \
        and pings(None, address("a"))


def con_reachable():
    return pings("con", "172.16.0.1") and pings(None, "172.16.0.2")


def rename(link, name, netns=None):
    """One command, two requests: before 6.2 the kernel renames only what is down, and netd is quick."""
    run("ip link set %s down name %s" % (link, name), netns=netns)


def rename_pooled():
    """Of a pod whose link is as the pool made it: only the pool's mark is on both ends."""
    while ip_json("link show eth0", "b.default")[0]["ifalias"] != "podnet:netd:pool":
        NODE.client.delete(PODS + "/b")
        eventually("b gone", lambda: "b.default" not in namespaces())
        NODE.client.post(PODS, pod("b"))
        NODE.await_running("b")
    rename("eth0", "foo", netns="b.default")


# what is done to the kernel, who must be repaired, and how one sees that it was
ROWS = [
    ("host end of a pod deleted", lambda: run("ip link del " + host_link("a.default")), "a", pod_reachable),
    ("link inside a pod deleted", lambda: run("ip link del eth0", netns="a.default"), "a", pod_reachable),
    ("address inside a pod deleted",
     lambda: run("ip addr del %s/32 dev eth0" % address("a"), netns="a.default"), "a", pod_reachable),
    ("routes inside a pod flushed", lambda: run("ip route flush table main", netns="a.default"), "a", pod_reachable),
    ("neighbours inside a pod flushed",     # it gives up where they are back each time that it looks
     lambda: run("ip neigh flush nud permanent", netns="a.default", check=False), "a", pod_reachable),
    ("route to a pod deleted", lambda: run("ip route del " + address("a")), "a", pod_reachable),
    ("host end of a pod down", lambda: run("ip link set %s down" % host_link("a.default")), "a", pod_reachable),
    ("link inside a pod down", lambda: run("ip link set eth0 down", netns="a.default"), "a", pod_reachable),
    ("mtu of a pod's link changed", lambda: run("ip link set eth0 mtu 900", netns="a.default"), "a",
     lambda: ip_json("link show eth0", "a.default")[0]["mtu"] != 900),
    ("mtu of the host's end changed", lambda: run("ip link set %s mtu 900" % host_link("a.default")), "a",
     lambda: ip_json("link show " + host_link("a.default"))[0]["mtu"] != 900),
    ("namespace of a pod unpinned", lambda: run("ip netns del a.default"), "a", pod_reachable),
    ("nft table deleted", lambda: run("nft delete table inet podnet"), "node1",
     lambda: "masquerade" in run("nft list table inet podnet", check=False)),
    ("ruleset flushed", lambda: run("nft flush ruleset"), "node1",
     lambda: "masquerade" in run("nft list table inet podnet", check=False)),
    ("forwarding off", lambda: run("sysctl -qw net.ipv4.ip_forward=0"), "node1",
     lambda: run("sysctl -n net.ipv4.ip_forward") == "1\n"),
    ("IPv6 forwarding off", lambda: run("sysctl -qw net.ipv6.conf.all.forwarding=0"), "node1",
     lambda: run("sysctl -n net.ipv6.conf.all.forwarding") == "1\n"),
    ("bridge deleted", lambda: run("ip link del br0"), "br0", con_reachable),
    ("bridge's address deleted", lambda: run("ip addr del 172.16.0.1/24 dev br0"), "br0", con_reachable),
    ("bridge's mtu changed", lambda: run("ip link set br0 mtu 1300"), "br0",
     lambda: ip_json("link show br0")[0]["mtu"] == 1400),
    ("bridge renamed", lambda: rename("br0", "brx"), "br0",
     lambda: con_reachable() and "brx" not in run("ip link")),
    ("veth renamed", lambda: rename("veth1", "other"), "con",
     lambda: con_reachable() and "other" not in run("ip link")),
    ("link inside a pod renamed", lambda: rename("eth0", "foo", netns="a.default"),
     "a", lambda: pod_reachable() and "foo" not in run("ip link", netns="a.default")),
    ("link of the pool inside a pod renamed", rename_pooled, "b",
     lambda: pod_reachable() and "foo" not in run("ip link", netns="b.default")),
    ("loopback of a pod down", lambda: run("ip link set lo down", netns="b.default"), "b",
     lambda: pings("b.default", "127.0.0.1")),
    ("loopback of a declared namespace down", lambda: run("ip link set lo down", netns="con"), "con",
     lambda: pings("con", "127.0.0.1")),
    ("veth deleted", lambda: run("ip link del veth1"), "con", con_reachable),
    ("veth taken from its bridge", lambda: run("ip link set veth1 nomaster"), "con", con_reachable),
    ("declared route deleted", lambda: run("ip route del default", netns="con"), "con",
     lambda: "default" in run("ip -n con route")),
    ("declared namespace deleted", lambda: run("ip netns del con"), "con", con_reachable),
]


def repaired(row):
    says, damage, name, check = row
    before = NODE.metric("podnet_drift_repaired_total")
    revision = NODE.client.get("/api/v1/events")["metadata"]["resourceVersion"]
    watch = NODE.watch("/api/v1/events?resourceVersion=" + revision)
    damage()
    watch.until(lambda e: e["object"].get("reason") == "Repaired"
                and e["object"]["involvedObject"]["name"] == name)
    watch.close()
    eventually(says + ": in order again", check)
    eventually(says + ": counted", lambda: NODE.metric("podnet_drift_repaired_total") > before)


def make_test(row):
    def test():
        repaired(row)
    test.__name__ = row[0].replace(" ", "_").replace("'", "")
    return test


def a_link_that_blinks_keeps_its_routes():
    """Down and up again at once: the link is as it was, and no event tells of a Route that went with it."""
    with open(NODE.dir + "/blink", "w") as batch:
        batch.write("link set br0 down\nlink set br0 up\n")
    for _ in range(5):
        start = time.monotonic()
        run("ip -batch " + NODE.dir + "/blink")
        eventually("the route is back", lambda: "203.0.113.0/24" in run("ip route"))
        assert time.monotonic() - start < 20, "by the resync"


def what_is_foreign_inside_a_pod_stays():
    run("ip link add name extra type veth peer name extra2", netns="a.default")
    run("ip addr add 192.0.2.1/32 dev eth0", netns="a.default")
    run("ip link set eth0 down", netns="a.default")
    eventually("eth0 up", pod_reachable)
    assert "extra" in run("ip link show extra", netns="a.default")


def a_namespace_tells_its_inode():
    def same(namespace):
        return namespace["status"].get("inode") == os.stat("/run/netns/con").st_ino
    NODE.await_object(V1 + "/networknamespaces/con", same)
    run("ip netns del con")
    # the new one may have the number of the old one: then nothing is told by a watch
    eventually("made again", lambda: os.path.exists("/run/netns/con")
               and same(NODE.client.get(V1 + "/networknamespaces/con")))
    eventually("all of it", con_reachable)


def a_sysctl_that_is_not_announced_waits_for_the_resync():
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "lan"}, "spec": {
        "type": "bridge", "cidrs": ["10.62.0.0/16"]}})
    NODE.await_ready(V1 + "/networks/lan")
    NODE.stop()
    NODE.flags = ["--resync", "1"]
    NODE.start()
    repaired(("redirects", lambda: run("sysctl -qw net.ipv4.neigh.br-lan.proxy_delay=80"), "lan",
              lambda: run("sysctl -n net.ipv4.neigh.br-lan.proxy_delay") == "0\n"))
    NODE.client.delete(V1 + "/networks/lan")
    eventually("gone", lambda: "br-lan" not in our_links() and "10.62." not in run("ip route"))
    eventually("the node's too", lambda: "10.62." not in run("nft list table inet podnet"))
    NODE.flags = []


def nothing_to_do_makes_no_change():
    NODE.stop()
    NODE.start()
    assert NODE.metric("podnet_kernel_operations_total") == 0, NODE.tail()


if __name__ == "__main__":
    setup()
    main([make_test(row) for row in ROWS] + [a_link_that_blinks_keeps_its_routes, what_is_foreign_inside_a_pod_stays,
                                             a_namespace_tells_its_inode,
                                             a_sysctl_that_is_not_announced_waits_for_the_resync,
                                             nothing_to_do_makes_no_change])
