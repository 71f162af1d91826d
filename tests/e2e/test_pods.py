# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pods.py - what a pod can ask for, seen by packets and in the kernel

The node has an underlay to a world that has no route to pods, so what reaches it was masqueraded.
"""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node()
# prints the address that the first datagram came from
LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 999)); s.settimeout(60); print("bound", flush=True)
print(s.recvfrom(9)[1][0], flush=True)
"""
SEND = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"x", (sys.argv[1], 999))
"""


def setup():
    run("ip netns add world")
    run("ip link add uplink type veth peer name in netns world")
    for words in ("-4 addr add 10.0.0.10/24 dev uplink", "-6 addr add 2001:db8::10/64 dev uplink nodad",
                  "link set uplink up", "route add default via 10.0.0.1",
                  "-n world addr add 10.0.0.1/24 dev in", "-n world -6 addr add 2001:db8::1/64 dev in nodad",
                  "-n world link set in up", "-n world link set lo up"):
        run("ip " + words)
    run("ip -6 route add default via 2001:db8::1")
    NODE.start()
    for name in "ab":
        make(pod(name))


def make(body):
    NODE.client.post(PODS, body)
    return NODE.await_running(body["metadata"]["name"])


def ips(name):
    return [ip["ip"] for ip in NODE.client.get(PODS + "/" + name)["status"]["podIPs"]]


def source_seen(to_netns, address, from_netns):
    """The source address that a datagram has where it arrives."""
    listener = subprocess.Popen((["ip", "netns", "exec", to_netns] if to_netns else []) +
                                [sys.executable, "-c", LISTEN, address],
                                stdout=subprocess.PIPE, text=True)
    assert listener.stdout.readline() == "bound\n"
    run(sys.executable, "-c", SEND, address, netns=from_netns)
    return listener.communicate()[0].strip()


def pods_and_node_keep_their_addresses():
    # to the pods' own prefix the node's own address in it is the nearest (RFC 6724, rule 8)
    own = ips("a")[1].rsplit("::", 1)[0] + "::1"
    for a, b, node, near in zip(ips("a"), ips("b"), ("10.0.0.10", "2001:db8::10"), ("10.0.0.10", own)):
        for to_netns, to, from_netns, source in (("b.default", b, "a.default", a),
                                                 ("a.default", a, None, near),
                                                 (None, node, "a.default", a)):
            seen = source_seen(to_netns, to, from_netns)
            assert seen == source, "%s -> %s: %s and not %s" % (from_netns, to, seen, source)


def what_leaves_is_masqueraded():
    assert source_seen("world", "10.0.0.1", "a.default") == "10.0.0.10"
    assert source_seen("world", "2001:db8::1", "a.default") == "2001:db8::10"


def requested_address_and_mac():
    got = make(pod("asked", {"podnet.dev/ips": "10.244.3.200", "podnet.dev/mac": "02:00:00:00:00:42"}))
    assert got["status"]["podIP"] == "10.244.3.200", got["status"]
    link = ip_json("addr show eth0", "asked.default")[0]
    assert link["address"] == "02:00:00:00:00:42"
    assert pings("a.default", "10.244.3.200", wait=10)
    try:
        NODE.client.post(PODS, pod("asked2", {"podnet.dev/ips": "10.244.3.200"}))
        raise AssertionError("an address twice")
    except Refused as err:
        assert err.code == 422, err


def an_address_cools_down():
    first = ips("asked")[0]
    NODE.client.delete(PODS + "/asked")
    assert first not in [ip for n in range(3) for ip in [
        i["ip"] for i in make(pod("cool%d" % n))["status"]["podIPs"]]]
    try:
        NODE.client.post(PODS, pod("asked3", {"podnet.dev/ips": first}))
        raise AssertionError("no cool-down")
    except Refused as err:
        assert err.code == 409 and first + " was freed a moment ago" in err.status["message"], err
        assert 0 < int(err.status["message"].split()[-2]) <= 60, err


def host_network():
    got = make(pod("host", hostNetwork=True))
    assert got["status"]["podIP"] == "10.0.0.10" == got["status"]["hostIP"], got["status"]
    assert "host.default" not in namespaces()


def several_networks():
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "storage"}, "spec": {
        "type": "bridge", "cidrs": ["10.50.0.0/16"]}})
    NODE.await_ready(V1 + "/networks/storage")
    for name in "xy":
        make(pod(name, {"podnet.dev/networks": "default,storage"}))
    nets = NODE.client.get(PODS + "/x")["status"]["networks"]
    assert [n["name"] for n in nets] == ["default", "storage"], nets
    other = NODE.client.get(PODS + "/y")["status"]["networks"][1]["ips"][0]
    assert other.startswith("10.50."), other
    assert pings("x.default", other, wait=10)
    assert source_seen("y.default", other, "x.default") == nets[1]["ips"][0]
    assert "via 169.254.1.1 dev eth0" in run("ip -n x.default route show default")
    make(pod("z", {"podnet.dev/networks": "default,storage", "podnet.dev/default-route": "storage"}))
    assert "dev eth1" in run("ip -n z.default route show default")
    assert pings("z.default", "10.0.0.1", wait=10), "a bridged pod reaches the world"
    assert source_seen("world", "10.0.0.1", "z.default") == "10.0.0.10"


def bandwidth_is_set_and_changed_live():
    make(pod("slow", {"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "5M"}))
    inode = os.stat("/run/netns/slow.default").st_ino
    assert "rate 5Mbit" in run("tc qdisc show dev eth0", netns="slow.default")
    assert "rate 10Mbit" in run("tc qdisc show")
    ping = subprocess.Popen(["ping", "-i", "0.01", "-c", "60", "-q", ips("slow")[0]],
                            stdout=subprocess.PIPE, text=True)
    def patch(ingress, egress):
        NODE.client.patch(PODS + "/slow", {"metadata": {"annotations": {
            "kubernetes.io/ingress-bandwidth": ingress, "kubernetes.io/egress-bandwidth": egress}}})
    patch("20M", "6M")
    eventually("changed", lambda: "rate 20Mbit" in run("tc qdisc show"))
    eventually("changed", lambda: "rate 6Mbit" in run("tc qdisc show dev eth0", netns="slow.default"))
    assert " 0% packet loss" in ping.communicate()[0]
    patch("20M", None)          # for this the kernel stops the queue, and a packet may fall
    eventually("removed", lambda: "tbf" not in run("tc qdisc show dev eth0", netns="slow.default"))
    assert os.stat("/run/netns/slow.default").st_ino == inode


def around_a_namespace_that_exists():
    sleeper = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    own = os.stat("/proc/self/ns/net").st_ino
    eventually("unshared", lambda: os.stat("/proc/%d/ns/net" % sleeper.pid).st_ino != own)
    got = make(pod("brought", {"podnet.dev/netns": "pid:%d" % sleeper.pid,
                               "kubernetes.io/egress-bandwidth": "5M"}))
    inode = os.stat("/proc/%d/ns/net" % sleeper.pid).st_ino
    assert os.stat("/run/netns/brought.default").st_ino == inode
    assert pings("a.default", got["status"]["podIP"], wait=10)
    assert "ifb" in run("ip -d link show type ifb"), "limited where the pod cannot undo it"
    NODE.client.delete(PODS + "/brought")
    eventually("unpinned", lambda: "brought.default" not in namespaces())
    eventually("link gone", lambda: "eth0" not in run(
        "nsenter --net=/proc/%d/ns/net ip -br link" % sleeper.pid))
    sleeper.kill()
    sleeper.wait()


def sidecars_join():
    server = subprocess.Popen(["ip", "netns", "exec", "a.default", sys.executable, "-c", LISTEN, "127.0.0.1"],
                              stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "bound\n"
    run(sys.executable, "-c", SEND, "127.0.0.1", netns="a.default")
    assert server.communicate()[0].strip() == "127.0.0.1"


def readiness_by_patch():
    NODE.client.patch(PODS + "/a/status", {"status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "Tested"}]}})
    run("ip link del eth0", netns="a.default")
    eventually("repaired", lambda: pings("b.default", ips("a")[0]))
    ready = [c for c in NODE.client.get(PODS + "/a")["status"]["conditions"] if c["type"] == "Ready"]
    assert ready[0]["status"] == "False", ready


def a_held_namespace_loses_its_network():
    make(pod("held"))
    sleeper = subprocess.Popen(["ip", "netns", "exec", "held.default", "sleep", "600"])
    address = ips("held")[0]
    link = host_link("held.default")
    NODE.client.delete(PODS + "/held")
    eventually("unreachable", lambda: not pings(None, address))
    eventually("its link is gone", lambda: link not in [l["ifname"] for l in ip_json("link show")])
    sleeper.kill()
    sleeper.wait()


def a_namespace_takes_its_pods_with_it():
    NODE.client.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    team = "/api/v1/namespaces/team/pods"
    NODE.client.post(team, pod("one"))
    NODE.await_running("one", team)
    NODE.client.delete("/api/v1/namespaces/team")
    eventually("gone", lambda: "one.team" not in namespaces())
    eventually("gone", lambda: "team" not in [
        n["metadata"]["name"] for n in NODE.client.get("/api/v1/namespaces")["items"]])


def a_restart_changes_nothing():
    """Stopped, killed: no packet is lost and the kernel is not touched."""
    links = sum(len(i["status"].get("networks", [])) for i in NODE.client.get(PODS)["items"])
    eventually("what was deleted is gone", lambda: len(our_links()) == links + 1)     # a bridge
    for how in (signal.SIGTERM, signal.SIGKILL):
        ping = subprocess.Popen(["ip", "netns", "exec", "a.default", "ping", "-i", "0.005", "-c", "200",
                                 "-q", ips("b")[0]], stdout=subprocess.PIPE, text=True)
        NODE.kill(how)
        NODE.start()
        assert NODE.metric("podnet_kernel_operations_total") == 0, NODE.tail()
        assert " 0% packet loss" in ping.communicate()[0]


def addresses_wait_in_the_pool():
    """Those of the next pod are inside already, known to the host's end, and nothing leads there."""
    eventually("the pool is full", lambda: NODE.metric("podnet_pool_ready") == 16)
    waiting = {n["dst"]: n["dev"] for n in ip_json("neigh show nud permanent")}
    routes = [r["dst"] for family in "46" for r in ip_json("-%s route show proto 142" % family)]
    make(pod("next"))
    for ip in ips("next"):
        assert ip in waiting and ip not in routes, (ip, waiting, routes)
        route = ip_json("-%d route show %s" % (6 if ":" in ip else 4, ip))
        assert [r["dev"] for r in route] == [waiting[ip]], (ip, route, waiting)
        assert pings(None, ip, wait=10)
    NODE.client.delete(PODS + "/next")


def all_gone_at_the_end():
    for item in NODE.client.get(PODS)["items"]:
        NODE.client.delete(PODS + "/" + item["metadata"]["name"])
    NODE.client.delete(V1 + "/networks/storage")
    eventually("namespaces gone", lambda: namespaces() == ["world"])
    eventually("links gone", lambda: not our_links())
    eventually("routes gone", lambda: [
        r for r in ip_json("route show proto 142") if r.get("type") != "unreachable" and "via" not in r
        and r["dst"] != "10.96.0.0/16"] == [])
    NODE.stop()
    eventually("the pool's links gone", lambda: not marked_links())


if __name__ == "__main__":
    setup()
    main([pods_and_node_keep_their_addresses, addresses_wait_in_the_pool, what_leaves_is_masqueraded,
          requested_address_and_mac, an_address_cools_down, host_network, several_networks,
          bandwidth_is_set_and_changed_live, around_a_namespace_that_exists, sidecars_join, readiness_by_patch,
          a_held_namespace_loses_its_network, a_namespace_takes_its_pods_with_it,
          a_restart_changes_nothing, all_gone_at_the_end])
