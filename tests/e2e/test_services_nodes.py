#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_services_nodes.py - Services of two nodes: endpoints here and there, clients here, there and outside

Room: e2e.  Names in brackets are lines of the case list that each test shows.  Each runs twice: with
pods routed directly, and through a tunnel.  The nodes are told of Services and EndpointSlices as a
common store would do it.
"""
import http.client
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Refused, eventually, main, run  # noqa: E402
from nodes import Cluster       # noqa: E402
from services import SERVICES, SLICES, ask, in_netns, serve  # noqa: E402

CLUSTER = Cluster(2)
ONE, TWO = CLUSTER.members
IPS = {}
WORLD, HOST1, HOST2 = "world", "node1", "node2"
CLIENT1, CLIENT2 = "c1.default", "c2.default"
WEB = [{"name": "w", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080},
       {"name": "u", "port": 80, "targetPort": 8080, "protocol": "UDP", "nodePort": 30080}]
ADDRESSES = ["10.96.7.7", "fd09::707"]
NODE_PORT = 30080
ADDRESS = "203.0.113.7"


def setup():
    """A client outside on the nodes' L2; servers a1 and a2, clients c1 and c2."""
    CLUSTER.begin()
    IPS.update(CLUSTER.pods("ac"))
    for name in ("a1", "a2"):
        serve(name + ".default", "echo.py", name, 8080)
    run("ip netns add world")
    run("ip link add upw type veth peer name eth0 netns world")
    run("ip link set upw master ul up")
    for command in ("sysctl -q -w net.ipv6.conf.eth0.accept_dad=0", "ip link set lo up", "ip link set eth0 up",
                    "ip addr add 10.0.0.99/24 dev eth0", "ip addr add fd0e::99/64 dev eth0 nodad",
                    "ip route add 203.0.113.0/24 via 10.0.0.1"):
        run(command, netns="world")
    for member in CLUSTER.members:
        # without any route the kernel refuses before it asks what a Service's outside address is
        member.run("ip route add default via 10.0.0.99")
        member.run("ip -6 route add default via fd0e::99")
        member.await_paths()


def everywhere(method, url, body=None):
    return [member.client.call(method, url, body,
                               {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else None)
            for member in CLUSTER.members][0]


def add_service(**spec):
    spec = dict({"type": "NodePort", "clusterIP": ADDRESSES[0], "clusterIPs": ADDRESSES, "ports": WEB,
                 "ipFamilyPolicy": "RequireDualStack"}, **spec)
    return everywhere("POST", SERVICES, {"metadata": {"name": "web"}, "spec": spec})


def change(**spec):
    everywhere("PATCH", SERVICES + "/web", {"spec": spec})


def endpoints(**conditions):
    """a1=True: a ready endpoint; a1={"serving": True ...}: such a one; those that are not named are none."""
    for family, kind in enumerate(("IPv4", "IPv6")):
        body = {"metadata": {"name": "web-%d" % family, "labels": {"kubernetes.io/service-name": "web"}},
                "addressType": kind, "ports": [{"name": p["name"], "port": 8080, "protocol": p["protocol"]}
                                               for p in WEB],
                "endpoints": [{"addresses": [IPS[name][family]], "nodeName": "node" + name[1:],
                               "conditions": {"ready": True} if how is True else how}
                              for name, how in conditions.items()]}
        for member in CLUSTER.members:
            try:
                member.client.put(SLICES + "/web-%d" % family, body)
            except Refused:
                member.client.post(SLICES, body)


def drop():
    everywhere("DELETE", SERVICES + "/web")
    for family in range(2):
        everywhere("DELETE", SLICES + "/web-%d" % family)


def seen(client, address, port, udp, timeout=0.4):
    """(server, peer), or why there is none."""
    got = in_netns(client, lambda: ask(address, port, udp, timeout=timeout))
    return tuple(got.split()) if isinstance(got, str) else type(got)


def reaches(client, address, port, *servers, peer=None, kinds=(False, True)):
    """That client gets to all of these and to nobody else, by TCP and UDP, and is seen as @peer."""
    for udp in kinds:
        def settled(udp=udp):
            got = {seen(client, address, port, udp) for _ in range(6 * len(servers))}
            return {one[0] for one in got if isinstance(one, tuple)} == set(servers) and \
                all(isinstance(one, tuple) and (peer is None or one[1] == peer) for one in got)
        eventually("%s to %s:%d: %s as %s" % (client, address, port, servers, peer), settled)


def dropped(client, address, port):
    for udp in (False, True):       # three times: one answer may just be late
        eventually("%s to %s:%d is dropped" % (client, address, port), lambda udp=udp: all(
            seen(client, address, port, udp) is TimeoutError for _ in range(3)))


def both_backends(test):
    """The test, with pods of the other node reached by its address, and through VXLAN."""
    def twice():
        for backend in ("direct", "vxlan"):
            CLUSTER.backend(backend)
            link = "eth0" if backend == "direct" else "pn-vxlan4"
            for member in CLUSTER.members:
                eventually("paths by " + link, lambda m=member: "dev " + link in m.run("ip route get " + IPS[
                    "a%d" % (3 - m.number)][0], check=False))
            test()
    twice.__name__ = test.__name__
    return twice


def clients_of_pods():
    """[A9 A11] a cluster IP, from pods and nodes here and there: endpoints of both, and pods are seen as they are."""
    add_service()
    endpoints(a1=True, a2=True)
    for family, address in enumerate(ADDRESSES):
        for client in ("c1", "c2"):
            reaches(client + ".default", address, 80, "a1", "a2", peer=IPS[client][family])
        for host in (HOST1, HOST2):
            reaches(host, address, 80, "a1", "a2")
    drop()


def node_ports():
    """[D1 G8] of every node, from outside, other nodes and pods; masqueraded where the endpoint is elsewhere."""
    add_service()
    endpoints(a2=True)
    for member in CLUSTER.members:
        for address in (member.v4, member.v6):
            for client in (WORLD, HOST1, HOST2, CLIENT1, CLIENT2):
                reaches(client, address, NODE_PORT, "a2")
    reaches(WORLD, TWO.v4, NODE_PORT, "a2", peer="10.0.0.99")
    peer = seen(WORLD, ONE.v4, NODE_PORT, False, timeout=20)[1]
    assert peer in (ONE.v4, "10.244.0.1"), "as the node, by an address that the other can answer: " + peer
    drop()


def readiness():
    """[C2 C3] an endpoint that is not ready gets nothing, by the node ports of both nodes, unless it is published."""
    add_service()
    endpoints(a2={"ready": False, "serving": False, "terminating": True})
    for address, port in ((ADDRESSES[0], 80), (ONE.v4, NODE_PORT), (TWO.v4, NODE_PORT)):
        for client in (CLIENT1, HOST1):
            eventually("refused", lambda c=client, a=address, p=port: seen(c, a, p, False) is ConnectionRefusedError)
    endpoints(a2={"ready": True, "serving": False, "terminating": True})     # as publishNotReadyAddresses has it
    for address, port in ((ADDRESSES[0], 80), (ONE.v4, NODE_PORT), (TWO.v4, NODE_PORT)):
        for client in (CLIENT1, HOST1, WORLD):
            if client != WORLD or port == NODE_PORT:
                reaches(client, address, port, "a2")
    drop()


TERMINATING = {"ready": False, "serving": True, "terminating": True}


def terminating():
    """[C5 C6 C7 C8] only an endpoint that terminates and serves is left: clients here and there, by each policy."""
    add_service()
    endpoints(a2=TERMINATING)
    for client in (CLIENT1, CLIENT2, HOST1, HOST2):
        reaches(client, ADDRESSES[0], 80, "a2")
        reaches(client, ONE.v4, NODE_PORT, "a2")
    reaches(WORLD, ONE.v4, NODE_PORT, "a2")
    change(internalTrafficPolicy="Local")
    reaches(CLIENT2, ADDRESSES[0], 80, "a2")
    dropped(CLIENT1, ADDRESSES[0], 80)
    change(internalTrafficPolicy="Cluster", externalTrafficPolicy="Local")
    reaches(WORLD, TWO.v4, NODE_PORT, "a2", peer="10.0.0.99")
    dropped(WORLD, ONE.v4, NODE_PORT)
    endpoints(a1=True, a2=TERMINATING)
    reaches(CLIENT2, ADDRESSES[0], 80, "a1")
    drop()


def internal_local():
    """[G1 G2] the endpoint of the own node only, for pods and nodes; without one it is dropped."""
    add_service(internalTrafficPolicy="Local")
    endpoints(a1=True, a2=True)
    for family, address in enumerate(ADDRESSES):
        reaches(CLIENT1, address, 80, "a1", peer=IPS["c1"][family])
        reaches(CLIENT2, address, 80, "a2", peer=IPS["c2"][family])
        reaches(HOST1, address, 80, "a1")
        reaches(HOST2, address, 80, "a2")
    endpoints(a2=True)
    for client in (CLIENT1, HOST1):
        dropped(client, ADDRESSES[0], 80)
    reaches(CLIENT2, ADDRESSES[0], 80, "a2")
    drop()


def health(member, port):
    conn = http.client.HTTPConnection(member.v4, port, timeout=20)

    def work():
        conn.request("GET", "/healthz")
        answer = conn.getresponse()
        return answer.status, json.loads(answer.read())["localEndpoints"]
    try:
        return in_netns(WORLD, work)
    finally:
        conn.close()


def external_local():
    """[G4 G5 G6 C8 H1 I7] the client's own address, no answer where no endpoint is, and the health port says so."""
    add_service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30081,
                loadBalancerClass="example.org/theirs")
    everywhere("PATCH", SERVICES + "/web/status", {"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}})
    endpoints(a1=True, a2=True)
    reaches(WORLD, ONE.v4, NODE_PORT, "a1", peer="10.0.0.99")
    reaches(WORLD, TWO.v4, NODE_PORT, "a2", peer="10.0.0.99")
    reaches(WORLD, ADDRESS, 80, "a1", peer="10.0.0.99")     # by node 1
    eventually("both are healthy", lambda: health(ONE, 30081) == (200, 1) == health(TWO, 30081))
    endpoints(a2=True)
    eventually("one is not", lambda: health(ONE, 30081) == (503, 0))
    assert health(TWO, 30081) == (200, 1)
    dropped(WORLD, ONE.v4, NODE_PORT)
    dropped(WORLD, ADDRESS, 80)
    for client in (CLIENT1, HOST1):
        reaches(client, ADDRESS, 80, "a2")
        reaches(client, ONE.v4, NODE_PORT, "a2")
    endpoints(a2=TERMINATING)
    eventually("nor is the other", lambda: health(TWO, 30081) == (503, 0))
    reaches(WORLD, TWO.v4, NODE_PORT, "a2", peer="10.0.0.99")
    change(externalTrafficPolicy="Cluster")
    reaches(WORLD, ONE.v4, NODE_PORT, "a2")
    drop()


class Caller:
    """A UDP client with one socket of a fixed port."""
    ports = iter(range(20000, 30000))

    def __init__(self, netns, address, port):
        import socket
        own = next(self.ports)

        def work():
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("", own))
            sock.settimeout(0.2)
            sock.connect((address, port))
            return sock
        self.sock = in_netns(netns, work)

    def ask(self):
        try:
            self.sock.send(b"?")
            return self.sock.recv(100).decode().split()[0]
        except OSError as err:
            return type(err).__name__

    def reaches(self, who):
        eventually("one socket reaches " + who, lambda: self.ask() == who)


def udp_goes_over():
    """[I1 I2 I3 I4] sockets that go on sending, when the endpoint is replaced by one of the other node."""
    add_service()
    endpoints(a1=True)
    callers = [Caller(client, address, port) for client, address, port in (
        (CLIENT1, ADDRESSES[0], 80), (CLIENT2, ADDRESSES[0], 80), (CLIENT1, ADDRESSES[1], 80),
        (HOST1, ADDRESSES[0], 80), (HOST2, ADDRESSES[0], 80), (WORLD, ONE.v4, NODE_PORT),
        (WORLD, TWO.v4, NODE_PORT), (WORLD, TWO.v6, NODE_PORT))]
    for name in ("a1", "a2", "a1"):
        endpoints(**{name: True})
        for caller in callers:
            caller.reaches(name)
    endpoints()
    for caller in callers:
        caller.reaches("ConnectionRefusedError")
    endpoints(a2=True)
    for caller in callers:
        caller.reaches("a2")
    change(internalTrafficPolicy="Local")
    endpoints(a1=True, a2=True)
    callers[0].reaches("a1")
    callers[1].reaches("a2")
    endpoints(a2=True)
    callers[0].reaches("TimeoutError")
    endpoints(a1=True, a2=True)
    callers[0].reaches("a1")
    for caller in callers:
        caller.sock.close()
    drop()


if __name__ == "__main__":
    setup()
    main([both_backends(test) for test in (
        clients_of_pods, node_ports, readiness, terminating, internal_local, external_local, udp_goes_over)])
