# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_tunnels.py - Tunnels and a node made by hand at the other end: packets, changes, drift, restart, purge

Room: one netd; the other node is a namespace whose VXLAN device ip(8) makes.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node()
URL = V1 + "/tunnels"
HERE, THERE = "02:00:00:00:00:0a", "02:00:00:00:00:14"


def sh(text):
    subprocess.run(["sh", "-ec", text], check=True)


def setup():
    """The underlay, and a far node with what a Tunnel makes, by hand."""
    sh("""ip netns add far
    ip link add up0 type veth peer name up1 netns far
    ip addr add 10.0.0.10/24 dev up0; ip addr add fd00::10/64 dev up0 nodad; ip link set up0 up
    ip -n far addr add 10.0.0.20/24 dev up1; ip -n far addr add fd00::20/64 dev up1 nodad
    ip -n far link set up1 up; ip -n far link set lo up
    ip route add default via 10.0.0.20
    ip -n far link add vx0 address %s type vxlan id 42 local 10.0.0.20 dstport 4789 nolearning
    ip -n far addr add 172.20.1.1/32 dev vx0; ip -n far addr add fd20:0:0:1::1/128 dev vx0 nodad
    ip -n far link set vx0 mtu 1450 up
    bridge -n far fdb append %s dev vx0 dst 10.0.0.10
    ip -n far neigh add 172.20.0.1 lladdr %s dev vx0; ip -n far route add 172.20.0.1 dev vx0
    ip -n far neigh add fd20::1 lladdr %s dev vx0; ip -n far route add fd20::1 dev vx0 src fd20:0:0:1::1
    """ % (THERE, HERE, HERE, HERE))
    NODE.start()


def vxlan(**more):
    peer = {"address": "10.0.0.20", "cidrs": ["172.20.1.0/24", "fd20:0:0:1::/64"], "macAddress": THERE}
    return {"metadata": {"name": "over"}, "spec": dict({
        "type": "vxlan", "interface": "vx0", "id": 42, "local": "10.0.0.10", "macAddress": HERE,
        "addresses": ["172.20.0.1/32", "fd20::1/128"], "peers": [peer]}, **more)}


def link(name):
    return next(iter(l for l in ip_json("-d link show") if l["ifname"] == name), None)


def mtu(name):
    return (link(name) or {}).get("mtu")


def data(name):
    """What is particular to its type; {}: it is not there."""
    return (link(name) or {"linkinfo": {"info_data": {}}})["linkinfo"]["info_data"]


def whole(address, size):
    """A packet that fills the MTU passes, and none is cut on the way."""
    return subprocess.run(["ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", str(size), address],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def reachable():
    return whole("172.20.1.1", 1450 - 28) and whole("fd20:0:0:1::1", 1450 - 48)


def packets():
    NODE.client.post(URL, vxlan())
    NODE.await_ready(URL + "/over")
    assert mtu("vx0") == 1450, link("vx0")
    eventually("reachable, when the underlay knows its neighbour", reachable)


def drift():
    """Repaired.  One thing at a time: a flush goes on until nothing is there, and may never see that."""
    for damage in ("bridge fdb del %s dev vx0" % THERE, "bridge fdb replace %s dev vx0 dst 10.0.0.99" % THERE,
                   "ip neigh del 10.0.0.20 dev vx0", "ip route del 172.20.1.0/24 dev vx0",
                   "ip -6 route del fd20:0:0:1::/64 dev vx0", "ip addr del 172.20.0.1/32 dev vx0",
                   "ip addr del fd20::1/128 dev vx0",
                   "ip link set vx0 down", "ip link set vx0 mtu 1300", "ip link set vx0 address 02:00:00:00:00:99",
                   "ip link del vx0", "ip link set vx0 down name vx9"):
        sh(damage)
        eventually("repaired: " + damage, reachable)
    assert NODE.alive()
    for way in ("dev up0", "via 10.0.0.20"):
        sh("ip route replace 172.20.1.0/24 " + way)
        eventually("another's route is told of, not at the next resync: " + way, lambda: NODE.await_ready(
            URL + "/over", status="False"))
        sh("ip route del 172.20.1.0/24 proto boot")
        NODE.await_ready(URL + "/over")
        eventually("and ours is back", reachable)


def changes():
    """A peer that goes takes its route, neighbour and entry along; another VNI is another device."""
    before = link("vx0")["ifindex"]
    other = {"address": "10.0.0.30", "cidrs": ["172.20.2.0/24"]}
    peers = vxlan()["spec"]["peers"]
    NODE.client.patch(URL + "/over", {"spec": {"peers": peers + [other]}})
    eventually("a second peer", lambda: "172.20.2.0/24" in run("ip route show dev vx0")
               and "10.0.0.30" in run("ip neigh show dev vx0") and "10.0.0.30" in run("bridge fdb show dev vx0"))
    NODE.client.patch(URL + "/over", {"spec": {"peers": peers}})
    eventually("gone", lambda: "172.20.2.0/24" not in run("ip route show dev vx0")
               and "10.0.0.30" not in run("ip neigh show dev vx0") and "10.0.0.30" not in run("bridge fdb show dev vx0"))
    assert link("vx0")["ifindex"] == before
    eventually("still reachable", reachable)
    NODE.client.patch(URL + "/over", {"spec": {"id": 43, "port": 4790}})
    eventually("made anew", lambda: data("vx0").get("id") == 43)
    assert data("vx0")["port"] == 4790 and not reachable()
    NODE.client.patch(URL + "/over", {"spec": {"id": 42, "port": 4789}})
    eventually("back", reachable)


def underlay_mtu():
    """Without one of its own the interface has the underlay's MTU less 50, also when that changes."""
    sh("ip link set up0 mtu 1400")
    eventually("less", lambda: mtu("vx0") == 1350)
    NODE.client.patch(URL + "/over", {"spec": {"mtu": 1300}})
    eventually("said", lambda: mtu("vx0") == 1300)
    sh("ip link set up0 mtu 1500")
    NODE.client.patch(URL + "/over", {"spec": {"mtu": None}})
    eventually("back", lambda: mtu("vx0") == 1450)


def ipv6_underlay():
    """IPv4 and IPv6 over it; the gateway is the peer's link-local address, which nobody has."""
    sh("""ip -n far link add vx6 address %s mtu 1430 type vxlan id 66 local fd00::20 dstport 4789 nolearning
    ip -n far addr add 172.21.1.1/32 dev vx6; ip -n far addr add fd21:0:0:1::1/128 dev vx6 nodad
    ip -n far link set vx6 up
    bridge -n far fdb append %s dev vx6 dst fd00::10
    ip -n far neigh add 172.21.0.1 lladdr %s dev vx6; ip -n far route add 172.21.0.1 dev vx6
    ip -n far neigh add fd21::1 lladdr %s dev vx6; ip -n far route add fd21::1 dev vx6 src fd21:0:0:1::1
    """ % (THERE, HERE, HERE, HERE))
    NODE.client.post(URL, {"metadata": {"name": "six"}, "spec": {
        "type": "vxlan", "interface": "vx6", "id": 66, "local": "fd00::10", "macAddress": HERE,
        "addresses": ["172.21.0.1/32", "fd21::1/128"], "peers": [
            {"address": "fd00::20", "cidrs": ["172.21.1.0/24", "fd21:0:0:1::/64"], "macAddress": THERE}]}})
    NODE.await_ready(URL + "/six")
    eventually("both families", lambda: whole("172.21.1.1", 1430 - 28) and whole("fd21:0:0:1::1", 1430 - 48))
    NODE.client.delete(URL + "/six")
    eventually("gone", lambda: not link("vx6"))


def restart():
    """Nothing changes by it, and what was taken away meanwhile comes back."""
    before = link("vx0")["ifindex"]
    NODE.kill()
    NODE.start()
    assert link("vx0")["ifindex"] == before
    eventually("still reachable", reachable)
    NODE.kill()
    sh("ip link del vx0")
    NODE.start()
    eventually("back", reachable)


def tun():
    """Of type udp: a persistent TUN device, its address, and routes into it."""
    NODE.client.post(URL, {"metadata": {"name": "tun0"}, "spec": {
        "type": "udp", "local": "10.0.0.10", "port": 9000, "addresses": ["172.22.0.100/16"], "peers": [
            {"address": "10.0.0.20", "cidrs": ["172.22.1.0/24"]},
            {"address": "10.0.0.30", "cidrs": ["172.22.2.0/24"], "framing": "pi"}]}})
    NODE.await_ready(URL + "/tun0")
    made = data("tun0")
    assert made["type"] == "tun" and made["persist"] and made["multi_queue"] and not made["pi"], made
    assert mtu("tun0") == 1500 - 20 - 8 - 4
    assert "172.22.1.0/24" in run("ip route show dev tun0") and "172.22.2.0/24" in run("ip route show dev tun0")
    sh("ip link del tun0")
    eventually("made anew", lambda: link("tun0") and "172.22.2.0/24" in run("ip route show dev tun0"))


def taken():
    """What another made under that name, or with that VNI, stays, and the condition says so."""
    sh("ip link add dummy9 type bridge; ip link add vx99 type vxlan id 99 dstport 4789 local 10.0.0.10")
    for name, spec in (("dummy9", {"id": 98}), ("other", {"id": 99, "interface": "vx98"})):
        NODE.client.post(URL, {"metadata": {"name": name}, "spec": dict(
            {"type": "vxlan", "local": "10.0.0.10"}, **spec)})
        NODE.await_ready(URL + "/" + name, status="False")
        NODE.client.delete(URL + "/" + name)
    assert link("dummy9") and link("vx99")
    sh("ip link del dummy9; ip link del vx99")


def condition(name, kind, status, words):
    """It becomes so, and says why; an Event says the same."""
    told = NODE.await_object(URL + "/" + name, lambda o: any(
        c["type"] == kind and c["status"] == status and words in c.get("message", "")
        for c in o.get("status", {}).get("conditions", [])))
    why = next(c for c in told["status"]["conditions"] if c["type"] == kind)
    if words:
        eventually("an Event: " + words, lambda: [e for e in NODE.client.get("/api/v1/events")["items"]
                   if e["involvedObject"]["name"] == name and e["type"] == "Warning"
                   and e["message"] == why["message"]])
    return why


def not_here():
    """A local address that the node has not: not Ready until it has it, of either type; on lo is on the node."""
    for kind, spec in (("vxlan", {"id": 77}), ("udp", {"port": 9077})):
        NODE.client.post(URL, {"metadata": {"name": kind}, "spec": dict(
            {"type": kind, "local": "198.51.100.7", "interface": "pl" + kind}, **spec)})
        why = condition(kind, "Ready", "False", "spec.local 198.51.100.7: no address of this node")
        assert why["reason"] == "AddressNotFound", why
        assert link("pl" + kind)
        sh("ip addr add 198.51.100.7/32 dev lo")
        NODE.await_ready(URL + "/" + kind)
        NODE.client.delete(URL + "/" + kind)
        sh("ip addr del 198.51.100.7/32 dev lo")


def led_away():
    """Of nodes' blocks and Services' addresses, also when the block came later; what is wider leads nothing away."""
    own = NODE.client.get("/api/v1/nodes/node1")["spec"]["podCIDRs"][0]
    inside = own.rsplit(".", 1)[0] + ".128/25"
    peer = {"address": "10.0.0.20", "cidrs": ["172.23.1.0/24", inside]}
    NODE.client.post(URL, {"metadata": {"name": "away"}, "spec": {
        "type": "vxlan", "id": 88, "local": "10.0.0.10", "peers": [peer]}})
    field = "spec.peers[0].cidrs[1]: "
    condition("away", "OverlapsCluster", "True", field + "%s leads away from %s, a block of this node" % (inside, own))
    for cidrs, words in ((["10.96.7.0/24"], "Services"), (["10.240.0.0/12"], None), (["172.24.7.0/24"], None)):
        NODE.client.patch(URL + "/away", {"spec": {"peers": [dict(peer, cidrs=cidrs)]}})
        condition("away", "OverlapsCluster", "True" if words else "False", words or "")
    nodes = "/api/v1/nodes"
    NODE.client.post(nodes, {"metadata": {"name": "other"}, "spec": {"podCIDRs": ["172.24.0.0/16"]}})
    NODE.client.patch(nodes + "/other/status", {"status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.20"}]}})
    condition("away", "OverlapsCluster", "True", '172.24.7.0/24 leads away from 172.24.0.0/16, a block of Node "other"')
    NODE.client.delete(nodes + "/other")
    condition("away", "OverlapsCluster", "False", "")
    NODE.client.delete(URL + "/away")


def gone():
    NODE.client.delete(URL + "/tun0")
    eventually("no tun0", lambda: not link("tun0"))
    NODE.stop()
    run(NODE.netd, "--config", "/dev/null", "--state-dir", NODE.dir + "/state", "--run-dir", NODE.dir, "--purge")
    assert not link("vx0") and "proto 142" not in run("ip route"), run("ip route")


main([setup, packets, drift, changes, underlay_mtu, ipv6_underlay, restart, tun, taken, not_here, led_away, gone])
