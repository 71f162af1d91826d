# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_distribution.py - how connections are shared out: evenly, by weight, by a hash of the source

Names in brackets are lines of the case list that each test shows.  Connections are counted where they
arrive; lists too long for real servers are compared with the maps in the kernel.
"""
import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from nftables import Nftables, elements, frontend, slots     # noqa: E402
from node import PODS, Node, eventually, main, pod, run     # noqa: E402
from services import SERVICES, SIGMAS, SLICES, ask, in_netns, make_world, serve     # noqa: E402

CONNECTIONS = 10000
MAGLEV = 16381

make_world()
NODE = Node(flags=["--log-level", "warning"]).start()
API = NODE.client
IPS = {}
for name in ("client", "server"):
    API.post(PODS, pod(name))
    IPS[name] = NODE.await_running(name)["status"]["podIP"]
run("sysctl", "-qw",
    "net.ipv4.ip_local_port_range=1024 65535", netns="client.default")
SERVERS = [serve("server.default", "echo.py", "s%d" % i, 9000 + i) for i in range(5)]


def put_slice(service, i, ports, addresses):
    """The @i-th slice of a Service; a slice's ports are all of its endpoints'."""
    name = "%s-%d" % (service, i)
    wish = {"metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": p, "protocol": "TCP"} for p in ports],
            "endpoints": [{"addresses": [a], "nodeName": "node1",
                           "targetRef": {"kind": "Pod", "name": "p%d" % k}}
                          for k, a in enumerate(addresses)]}
    code = API.raw("PUT", SLICES + "/" + name, wish)[0]
    if code == 404:
        API.post(SLICES, wish)
    else:
        assert code == 200, code


def add_service(name, **meta):
    return API.post(SERVICES, {"metadata": dict({"name": name}, **meta),
                               "spec": {"ports": [{"port": 80}]}})["spec"]["clusterIP"]


def share(ip, times):
    return in_netns("client.default", lambda: collections.Counter(
        ask(ip, 80).split()[0] for _ in range(times)))


def within(count, parts):
    """Each one's part, but for chance."""
    total, whole = sum(count.values()), sum(parts.values())
    for name, part in parts.items():
        p = part / whole
        sigma = (total * p * (1 - p)) ** 0.5
        assert abs(count[name] - total * p) <= SIGMAS * sigma, (count, parts)
    assert set(count) <= set(parts), count


def even():
    """[A17] 10,000 connections over 3 and 5 endpoints: what is no slot is tried again."""
    for n in (3, 5):
        ip = add_service("even%d" % n)
        for i in range(n):
            put_slice("even%d" % n, i, [9000 + i], [IPS["server"]])
        eventually("programmed", lambda: len(slots(ip)) == n)
        within(share(ip, CONNECTIONS), {"s%d" % i: 1 for i in range(n)})


def weighted():
    """[A17] 10,000 connections by weights 5, 2 and 1, which stand at the names of pods."""
    ip = add_service("weighted", annotations={"podnet.dev/weights": "p0=5, p1=2, p2=1"})
    wish = {"addressType": "IPv4", "metadata": {
        "labels": {"kubernetes.io/service-name": "weighted"}}}
    for i in range(3):
        wish["metadata"]["name"] = "weighted-%d" % i
        wish["ports"] = [{"name": "", "port": 9000 + i, "protocol": "TCP"}]
        wish["endpoints"] = [{"addresses": [IPS["server"]], "nodeName": "node1",
                              "targetRef": {"kind": "Pod", "name": "p%d" % i}}]
        API.post(SLICES, wish)
    eventually("programmed", lambda: len(slots(ip)) == 8)
    within(share(ip, CONNECTIONS), {"s0": 5, "s1": 2, "s2": 1})


def maglev():
    """[A17] one of 100 goes: of the others' slots at most 2 % move; and sources are spread."""
    fake = ["10.250.0.%d" % i for i in range(1, 101)]
    ip = add_service("maglev", annotations={"podnet.dev/algorithm": "maglev"})
    put_slice("maglev", 0, [80], fake)
    eventually("programmed", lambda: len(slots(ip)) == MAGLEV)
    before = slots(ip)
    put_slice("maglev", 0, [80], fake[:41] + fake[42:])
    gone = fake[41]
    eventually("programmed", lambda: gone not in {to[0] for to in slots(ip).values()})
    after = slots(ip)
    assert len(after) == MAGLEV, len(after)
    others = [slot for slot, to in before.items() if to[0] != gone]
    moved = sum(after[slot] != before[slot] for slot in others)
    print("     Maglev: %d of %d slots moved, %.2f %%" % (moved, len(others), 100 * moved / len(others)))
    assert moved <= 0.02 * len(others), (moved, len(others))
    real = add_service("hashed", annotations={"podnet.dev/algorithm": "maglev"})
    for i in range(5):
        put_slice("hashed", i, [9000 + i], [IPS["server"]])
    eventually("programmed", lambda: len(slots(real)) == MAGLEV)

    assert len(share(real, 120)) == 5


def many():
    """[A18] 1, 2, 3, 100, 1,000, 5,000 endpoints in one Service: as many slots, each of its own."""
    ip = add_service("many")
    for n in (1, 2, 3, 100, 1000, 5000, 3):
        wanted = ["10.251.%d.%d" % (i >> 8, i & 255) for i in range(n)]
        for i in range(5):
            put_slice("many", i, [80], wanted[i * 1000:(i + 1) * 1000])
        eventually("programmed", lambda: len(slots(ip)) == n)
        have = slots(ip)
        assert sorted(have) == list(range(n)), (n, sorted(have)[:5])
        assert sorted(to[0] for to in have.values()) == sorted(wanted), n
        size = next(s for s in (1, 2, 4, 128, 1024, 8192) if s >= n)
        assert frontend(ip) in elements("tcp4-random-%d" % size), (n, size)


def reused():
    """[J12] a Service goes and another takes its address at once: the new one's endpoints, always."""
    ip = add_service("even9")
    put_slice("even9", 0, [9000], [IPS["server"]])
    for i in range(1, 21):
        old, new = "even%d" % (8 + i), "even%d" % (9 + i)
        put_slice(new, 0, [9000 + i % 2], [IPS["server"]])
        API.delete(SERVICES + "/" + old)
        API.post(SERVICES, {"metadata": {"name": new},
                            "spec": {"clusterIP": ip, "ports": [{"port": 80}]}})
        eventually("the new one answers",
                   lambda: slots(ip) == {0: (IPS["server"], 9000 + i % 2)})
        assert share(ip, 5) == {"s%d" % (i % 2): 5}
        API.delete(SLICES + "/" + old + "-0")
    NODE.stop()
    NODE.start()
    globals()["API"] = NODE.client
    assert NODE.metric("podnet_kernel_operations_total") == 0


def changed_while_down():
    """[J5] 200 Services whose endpoints all changed while netd was down: one transaction."""
    nft = Nftables()
    ips = []
    for i in range(200):
        ips.append(add_service("down%d" % i))
        put_slice("down%d" % i, 0, [80], ["10.252.%d.%d" % (i >> 7, i & 127)])
    eventually("programmed", lambda: len(slots(ips[-1])) == 1)
    NODE.stop()
    run("nft flush map inet podnet tcp-backends4")
    before = nft.generation()
    NODE.start()
    globals()["API"] = NODE.client
    assert nft.generation() - before == 1, nft.generation() - before
    assert len(slots(ips[0])) == len(slots(ips[-1])) == 1
    nft.close()


if __name__ == "__main__":
    main([even, weighted, many, reused, changed_while_down, maglev])
