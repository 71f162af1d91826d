# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_bridge.py - pods on a bridge network of both families: isolation changed, routes flushed"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node()
LAN = V1 + "/networks/lan"


def setup():
    NODE.start()
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "lan"}, "spec": {
        "type": "bridge", "cidrs": ["10.60.0.0/16", "fd60::/48"]}})
    NODE.await_ready(LAN)
    for name in "ab":
        NODE.client.post(PODS, pod(name, {"podnet.dev/networks": "lan"}))
        NODE.await_running(name)


def ips(name):
    return [i["ip"] for i in NODE.client.get(PODS + "/" + name)["status"]["podIPs"]]


def reachable():
    return all(pings("a.default", ip) for ip in ips("b")) \
        and all(pings("b.default", ip) for ip in ips("a")) \
        and all(pings(None, ip) for ip in ips("a"))


def length6():
    return [a["prefixlen"] for l in ip_json("addr show eth0", "a.default")
            for a in l["addr_info"] if a["family"] == "inet6"]


def isolate(on, length):
    NODE.client.patch(LAN, {"spec": {"isolation": on}})
    eventually("the address has another length", lambda: length6() == [length])
    eventually("reachable", reachable)
    for name in "ab":
        NODE.await_object(PODS + "/" + name, lambda o: any(
            c["type"] == "NetworkReady" and c["status"] == "True" for c in o["status"]["conditions"]))


def isolation_goes_and_comes():
    assert length6() == [128]
    eventually("reachable", reachable)      # when the bridge passes on what comes from its ports
    isolate(False, 64)
    isolate(True, 128)


def flushed(command, netns="a.default"):
    revision = NODE.client.get("/api/v1/events")["metadata"]["resourceVersion"]
    watch = NODE.watch("/api/v1/events?resourceVersion=" + revision)
    run(command, netns=netns)
    watch.until(lambda e: e["object"].get("reason") == "Repaired"
                and e["object"]["involvedObject"]["name"] == "a")
    watch.close()
    eventually("reachable", reachable)


def flushed_routes_come_back():
    for isolation, length in ((True, 128), (False, 64)):
        isolate(isolation, length)
        flushed("ip route flush table main")
        flushed("ip -6 route flush table main")
        flushed("ip addr del %s/22 dev eth0" % ips("a")[0])


if __name__ == "__main__":
    setup()
    main([isolation_goes_and_comes, flushed_routes_come_back])
