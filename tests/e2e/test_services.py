# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_services.py - packets through Services: who answers, as whom a client is seen, who is refused

Names in brackets are lines of the case list that each test shows.  Clients are a pod, the node and
"world", a neighbour outside.
"""
import collections
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import PODS, Node, eventually, main, pod, run     # noqa: E402
from services import (SERVICES, SIGMAS, SLICES, Pods, ask, dropped, in_netns, make_world, names,     # noqa: E402
                      refused, seen)

make_world()
NODE = Node().start()
API = NODE.client
SERVED = Pods(NODE)
add_pod, drop_pod = SERVED.add, SERVED.drop


def add_service(name, selector, ports=None, **spec):
    ports = ports or [{"port": 80, "targetPort": 8080}]
    return API.post(SERVICES, {"metadata": {"name": name},
                               "spec": dict({"selector": selector, "ports": ports}, **spec)})


def programmed(work):
    """Programming follows the answer of a write; what packets see is the event waited for."""
    eventually("programmed", work)


IPS = {n: add_pod(n, {"app": "web"}) for n in ("a", "b")}
CLIENTS = ("a.default", None, "world")


def cluster_ip():
    """[A2 A9 A10 A11 A14 A15] from a pod, by itself, from the node; the rest refused or dropped."""
    ip = add_service("web", {"app": "web"})["spec"]["clusterIP"]
    programmed(lambda: names(None, ip, 80) == ["a", "b"])
    for client in CLIENTS:
        assert names(client, ip, 80) == ["a", "b"], client
    answers = {seen("a.default", ip, 80) for _ in range(24)}
    assert "b " + IPS["a"][0] in answers, answers       # as itself
    assert "a 10.0.0.10" in answers, answers            # hairpin: as the node
    assert refused("a.default", ip, 81) and refused(None, ip, 81)
    assert dropped("a.default", "10.96.255.250", 80) and dropped(None, "10.96.255.250", 80)
    API.delete(SERVICES + "/web")
    programmed(lambda: dropped("a.default", ip, 80))


def both_families():
    """[A19 A7] TCP and UDP of one number, IPv4 and IPv6."""
    svc = add_service("dual", {"app": "web"}, ipFamilyPolicy="RequireDualStack", ports=[
        {"name": "t", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "u", "port": 80, "targetPort": 8080, "protocol": "UDP"}])
    for ip in svc["spec"]["clusterIPs"]:
        for udp in (False, True):
            programmed(lambda: names("a.default", ip, 80, udp) == ["a", "b"])
            assert names(None, ip, 80, udp) == ["a", "b"], (ip, udp)
    API.delete(SERVICES + "/dual")


def node_port():
    """[D1 D5 D7 D11 A13] on the node's address only; outside clients are seen as themselves."""
    svc = add_service("np", {"app": "web"}, type="NodePort")
    port, ip = svc["spec"]["ports"][0]["nodePort"], svc["spec"]["clusterIP"]
    programmed(lambda: names("world", "10.0.0.10", port) == ["a", "b"])
    for client in CLIENTS:
        assert names(client, "10.0.0.10", port) == ["a", "b"], client
    assert {seen("world", "10.0.0.10", port).split()[1] for _ in range(8)} == {"10.0.0.99"}
    assert refused("a.default", ip, port)
    API.delete(SERVICES + "/np")
    programmed(lambda: refused("world", "10.0.0.10", port))


def many_ports():
    """As many as a Service may have, each by both of its ways to say where it leads."""
    http = [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]
    add_pod("ported", {"app": "ported"}, containers=http)
    wish = [{"name": "port-%d" % i, "port": 1000 + i, "appProtocol": "example.org/protocol",
             "targetPort": "http" if i % 2 else 8080} for i in range(1000)]
    ip = add_service("many", {"app": "ported"}, wish)["spec"]["clusterIP"]
    for i in (0, 1, 500, 998, 999):
        programmed(lambda: names("a.default", ip, 1000 + i, times=1) == ["ported"])
    API.delete(SERVICES + "/many")
    drop_pod("ported")


def no_endpoints():
    """[B1 B3 B4 B6 B7] refused at once, and served as soon as there is one."""
    svc = add_service("none", {"app": "late"}, type="NodePort", ports=[
        {"name": "t", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "u", "port": 80, "targetPort": 8080, "protocol": "UDP"}])
    ip, port = svc["spec"]["clusterIP"], svc["spec"]["ports"][0]["nodePort"]
    programmed(lambda: refused("a.default", ip, 80))
    assert refused(None, ip, 80) and refused("world", "10.0.0.10", port)
    for client in ("a.default", None):      # the kernel limits the rate of ICMP errors (icmp(7))
        programmed(lambda: refused(client, ip, 80, udp=True))
    add_pod("late", {"app": "late"})
    programmed(lambda: names("a.default", ip, 80) == ["late"])
    drop_pod("late")
    programmed(lambda: refused("a.default", ip, 80))
    API.delete(SERVICES + "/none")


def endpoints_follow():
    """[A2 A3 A4 C1] pods, readiness, ports come and go."""
    svc = add_service("follow", {"app": "web"})
    ip = svc["spec"]["clusterIP"]
    programmed(lambda: names(None, ip, 80) == ["a", "b"])
    add_pod("c", {"app": "web"})
    programmed(lambda: names(None, ip, 80, times=60) == ["a", "b", "c"])
    not_ready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    API.patch(PODS + "/c/status", not_ready)
    programmed(lambda: names(None, ip, 80, times=60) == ["a", "b"])
    drop_pod("c")
    svc["spec"]["ports"] = [{"port": 81, "targetPort": 8080}]
    API.put(SERVICES + "/follow", svc)
    programmed(lambda: names(None, ip, 81) == ["a", "b"])
    assert refused(None, ip, 80)
    API.delete(SERVICES + "/follow")


def affinity():
    """[F1 F3 F7 F8] one client, one endpoint; kept over a restart; moved when it goes."""
    add_pod("d", {"app": "sticky"})
    add_pod("e", {"app": "sticky"})
    svc = add_service("sticky", {"app": "sticky"}, sessionAffinity="ClientIP",
                      ipFamilyPolicy="RequireDualStack")
    for ip in svc["spec"]["clusterIPs"]:
        programmed(lambda: not isinstance(seen("a.default", ip, 80), OSError))
        assert len(names("a.default", ip, 80)) == 1
    ip = svc["spec"]["clusterIP"]
    first = names("a.default", ip, 80)
    NODE.stop()
    NODE.start()
    assert names("a.default", ip, 80) == first
    drop_pod(first[0])
    programmed(lambda: names("a.default", ip, 80) in ([n] for n in ("d", "e") if n != first[0]))
    globals()["API"] = NODE.client
    API.patch(SERVICES + "/sticky", {"spec": {"sessionAffinity": "None"}})
    add_pod("f", {"app": "sticky"})
    programmed(lambda: names("a.default", ip, 80) == sorted({"d", "e", "f"} - set(first)))
    API.delete(SERVICES + "/sticky")
    for name in {"d", "e", "f"} & set(SERVED.servers):
        drop_pod(name)


def affinity_full():
    """[F9] with no room for one more client, it is served all the same, and remembered by nobody."""
    endpoint = add_pod("g", {"app": "full"})[0]
    ip = add_service("full", {"app": "full"}, sessionAffinity="ClientIP")["spec"]["clusterIP"]
    programmed(lambda: names("a.default", ip, 80) == ["g"])

    def clients():
        maps = [m["map"] for m in json.loads(run("nft -j list maps"))["nftables"] if "map" in m]
        return next(m for m in maps if m["name"].startswith("client-") and "client-port" not in m["name"]
                    and m["type"] == "ipv4_addr")
    size = clients()["size"]
    filler = ("10.%d.%d.%d : %s" % (128 + (n >> 16), n >> 8 & 255, n & 255, endpoint) for n in range(size - 2))
    with open("/run/clients.nft", "w") as text:
        text.write("add element inet podnet %s { %s }\n" % (clients()["name"], ", ".join(filler)))
    run("nft -f /run/clients.nft")
    for client in ("world", None, "b.default"):     # more than there is room for
        programmed(lambda: names(client, ip, 80) == ["g"])
    assert len(json.loads(run("nft -j list map inet podnet " + clients()["name"]))["nftables"][1]["map"]["elem"]) == size
    API.delete(SERVICES + "/full")
    drop_pod("g")


def policies():
    """[G1 G2 B5 G4 C8] Local without a local endpoint drops what comes from outside only."""
    svc = add_service("far", {}, type="NodePort", externalTrafficPolicy="Local")
    ip, port = svc["spec"]["clusterIP"], svc["spec"]["ports"][0]["nodePort"]
    elsewhere = {"metadata": {"name": "far-1", "labels": {"kubernetes.io/service-name": "far"}},
                 "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                 "endpoints": [{"addresses": [IPS["b"][0]], "nodeName": "node2"}]}
    API.post(SLICES, elsewhere)
    programmed(lambda: names("a.default", ip, 80) == ["b"])
    assert names("a.default", "10.0.0.10", port) == ["b"] == names(None, "10.0.0.10", port)
    assert dropped("world", "10.0.0.10", port)
    API.patch(SERVICES + "/far", {"spec": {"externalTrafficPolicy": "Cluster"}})
    programmed(lambda: names("world", "10.0.0.10", port) == ["b"])
    API.patch(SERVICES + "/far", {"spec": {"internalTrafficPolicy": "Local"}})
    programmed(lambda: dropped("a.default", ip, 80))
    API.delete(SLICES + "/far-1")
    API.delete(SERVICES + "/far")


def outside_addresses():
    """[E5 H1 H2] externalIPs and a load balancer's address, with source ranges."""
    svc = add_service("ext", {"app": "web"}, type="LoadBalancer", externalIPs=["203.0.113.5"],
                      loadBalancerSourceRanges=["192.0.2.0/24"])
    svc["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.6"}]}}
    API.put(SERVICES + "/ext/status", svc)
    programmed(lambda: names("world", "203.0.113.5", 80) == ["a", "b"])
    programmed(lambda: dropped("world", "203.0.113.6", 80))
    API.patch(SERVICES + "/ext",
              {"spec": {"loadBalancerSourceRanges": ["192.0.2.0/24", "10.0.0.0/24"]}})
    programmed(lambda: names("world", "203.0.113.6", 80) == ["a", "b"])
    API.delete(SERVICES + "/ext")


def types():
    """[E1 E3 E6 E7] what is not ours to serve is left alone, and taken up again."""
    svc = add_service("kind", {"app": "web"})
    ip = svc["spec"]["clusterIP"]
    programmed(lambda: names(None, ip, 80) == ["a", "b"])
    label = {"metadata": {"labels": {"service.kubernetes.io/service-proxy-name": "other"}}}
    API.patch(SERVICES + "/kind", label)
    programmed(lambda: dropped("a.default", ip, 80))
    label["metadata"]["labels"]["service.kubernetes.io/service-proxy-name"] = None
    API.patch(SERVICES + "/kind", label)
    programmed(lambda: names(None, ip, 80) == ["a", "b"])
    API.patch(SERVICES + "/kind", {"spec": {"type": "ExternalName", "externalName": "example.org",
                                            "clusterIP": None, "clusterIPs": None}})
    programmed(lambda: dropped("a.default", ip, 80))
    API.delete(SERVICES + "/kind")


def distribution():
    """[A17] even, and by the weights, but for chance."""
    svc = add_service("many", {"app": "web"})
    ip = svc["spec"]["clusterIP"]
    programmed(lambda: names(None, ip, 80) == ["a", "b"])

    def share(times):
        count = in_netns("a.default", lambda: collections.Counter(
            ask(ip, 80, udp=False).split()[0] for _ in range(times)))
        return count["a"] / times
    n = 1000
    assert abs(share(n) - 0.5) < SIGMAS * (0.25 / n) ** 0.5
    API.patch(SERVICES + "/many", {"metadata": {"annotations": {"podnet.dev/weights": "a=3, b=1"}}})
    programmed(lambda: "mod 4" in run("nft list chain inet podnet tcp4-random-4", check=False))
    assert abs(share(n) - 0.75) < SIGMAS * (0.75 * 0.25 / n) ** 0.5
    API.patch(SERVICES + "/many", {"metadata": {"annotations": {"podnet.dev/algorithm": "maglev"}}})
    programmed(lambda: "jhash" in run("nft list chain inet podnet tcp4-maglev-16381", check=False))
    assert names("a.default", ip, 80, times=60) == ["a", "b"]
    API.delete(SERVICES + "/many")


def repaired():
    """[J3 J4 J10] a flush, a deleted element, a restart."""
    ip = add_service("kept", {"app": "web"})["spec"]["clusterIP"]
    programmed(lambda: names(None, ip, 80) == ["a", "b"])
    for command in ("nft flush ruleset", "nft delete table inet podnet",
                    "nft flush map inet podnet tcp-backends4",
                    "nft flush chain inet podnet services",
                    "nft delete element inet podnet tcp4-random-2 { %s . tcp . 80 }" % ip):
        run(command)
        programmed(lambda: names("a.default", ip, 80) == ["a", "b"])
    NODE.stop()
    NODE.start()
    globals()["API"] = NODE.client
    assert NODE.metric("podnet_kernel_operations_total") == 0
    assert names("a.default", ip, 80) == ["a", "b"]
    API.delete(SERVICES + "/kept")


if __name__ == "__main__":
    main([cluster_ip, both_families, node_port, many_ports, no_endpoints, endpoints_follow, affinity, affinity_full,
          policies, outside_addresses, types, distribution, repaired])
