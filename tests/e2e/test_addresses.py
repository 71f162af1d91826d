# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_addresses.py - packets to cluster IPs and node ports while these are given, taken and changed

Names in brackets are lines of the case list (tests/e2e/SERVICES.md).  Clients are a pod, the node and
"world", a neighbour outside.
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from services import SERVICES, SLICES, Pods, dropped, in_netns, make_world, names, refused    # noqa: E402

CLIENT, HOST, WORLD = "cli.default", None, "world"
WEB = [{"port": 80, "targetPort": 8080}]
BOTH = [dict(WEB[0], name="t"), dict(WEB[0], name="u", protocol="UDP")]
make_world()
NODE = Node().start()
API = NODE.client
SERVED = Pods(NODE)


def until(condition):
    eventually("programmed", condition)


def add_pod(name, app):
    return SERVED.add(name, {"app": app})[0]


def add(name, app="web", ports=None, **spec):
    spec = dict(spec, ports=ports or WEB)
    if app:
        spec["selector"] = {"app": app}
    return API.post(SERVICES, {"metadata": {"name": name}, "spec": spec})["spec"]


def change(name, **spec):
    return API.patch(SERVICES + "/" + name, {"spec": spec})["spec"]


def drop(*services):
    for name in services:
        API.delete(SERVICES + "/" + name)


def not_taken(field, words, function, *args, **spec):
    try:
        function(*args, **spec)
    except Refused as err:
        cause = err.status["details"]["causes"][0]
        assert err.code == 422 and cause["field"] == field and words in cause["message"], err
        return
    raise AssertionError("not refused")


IPS = {name: add_pod(name, app) for name, app in (("a", "web"), ("b", "web"), ("c", "other"))}
add_pod("cli", "none")


def one_of_two_goes():
    """[A5 A6] one Service goes and the other stays; a third, and one of the same name, serve at addresses of their own."""
    x, y = add("x")["clusterIP"], add("y")["clusterIP"]
    for ip in (x, y):
        until(lambda ip=ip: names(CLIENT, ip, 80) == ["a", "b"])
    drop("x")
    until(lambda: dropped(CLIENT, x, 80))
    assert names(CLIENT, y, 80) == ["a", "b"] == names(HOST, y, 80)
    third = add("z", "other")["clusterIP"]
    until(lambda: names(CLIENT, third, 80) == ["c"])
    again = add("x")["clusterIP"]
    until(lambda: names(CLIENT, again, 80) == ["a", "b"])
    assert len({y, third, again}) == 3
    drop("x", "y", "z")


def by_protocol():
    """[A8] one number over two protocols, with endpoints of their own."""
    ip = add("proto", None, BOTH)["clusterIP"]
    for name, protocol, of in (("t", "TCP", "a"), ("u", "UDP", "b")):
        API.post(SLICES, {"metadata": {"name": "proto-" + name, "labels": {"kubernetes.io/service-name": "proto"}},
                          "addressType": "IPv4", "endpoints": [{"addresses": [IPS[of]]}],
                          "ports": [{"name": name, "port": 8080, "protocol": protocol}]})
    for client in (CLIENT, HOST):
        until(lambda client=client: names(client, ip, 80) == ["a"])
        until(lambda client=client: names(client, ip, 80, True) == ["b"])
    for name in "tu":
        API.delete(SLICES + "/proto-" + name)
    drop("proto")


def updated():
    """[A12] another selector, and another target port: TCP and UDP clients follow."""
    ip = add("upd", "web", BOTH)["clusterIP"]
    for app, who in (("web", ["a", "b"]), ("other", ["c"]), ("web", ["a", "b"])):
        change("upd", selector={"app": app})
        for udp in (False, True):
            until(lambda who=who, udp=udp: names(CLIENT, ip, 80, udp) == who)
            until(lambda who=who, udp=udp: names(HOST, ip, 80, udp) == who)
    change("upd", ports=[dict(BOTH[0], targetPort=8081), BOTH[1]])
    until(lambda: refused(CLIENT, ip, 80))
    assert names(CLIENT, ip, 80, True) == ["a", "b"]
    drop("upd")


def pinged():
    """[A16] a cluster IP answers no ping: it says so at once."""
    ip = add("ping")["clusterIP"]
    until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
    for client in (CLIENT, HOST):
        words = (["ip", "netns", "exec", client] if client else []) + ["ping", "-c", "1", "-W", "1", ip]

        def told(words=words):          # again, for the kernel limits the rate of ICMP errors (icmp(7))
            said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
            assert "bytes from" not in said, said
            return "Unreachable" in said or "Operation not permitted" in said
        until(told)
    drop("ping")


def to_node_port():
    """[D2 D6] ClusterIP to NodePort with TCP, then UDP beside it: one number for both; and on request too."""
    ip = add("np")["clusterIP"]
    port = change("np", type="NodePort")["ports"][0]["nodePort"]
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "b"])
    spec = change("np", ports=[dict(BOTH[0], nodePort=port), BOTH[1]])
    assert [p["nodePort"] for p in spec["ports"]] == [port, port], spec
    for udp in (False, True):
        until(lambda udp=udp: names(WORLD, "10.0.0.10", port, udp) == ["a", "b"])
        assert names(CLIENT, ip, 80, udp) == ["a", "b"]
    assert "nodePort" not in change("np", type="ClusterIP", ports=BOTH)["ports"][0]
    until(lambda: refused(WORLD, "10.0.0.10", port))
    drop("np")
    add("asked", "other", [dict(p, nodePort=30123) for p in BOTH], type="NodePort")
    for udp in (False, True):
        until(lambda udp=udp: names(WORLD, "10.0.0.10", 30123, udp) == ["c"])
    drop("asked")


def taken_ports():
    """[D3 D4 D5] a number that is another's, or out of the range, is refused; free again it is taken at once."""
    port = add("first", type="NodePort")["ports"][0]["nodePort"]
    mine = [dict(WEB[0], nodePort=port)]
    not_taken("spec.ports[0].nodePort", "already allocated", add, "second", "other", mine, type="NodePort")
    add("second", "other", type="NodePort")
    not_taken("spec.ports[0].nodePort", "already allocated", change, "second", ports=mine)
    for number in (29999, 32768):
        out = [dict(WEB[0], nodePort=number)]
        not_taken("spec.ports[0].nodePort", "not in the valid range", add, "third", "web", out, type="NodePort")
        not_taken("spec.ports[0].nodePort", "not in the valid range", change, "second", ports=out)
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "b"])
    drop("first")
    assert change("second", ports=mine)["ports"][0]["nodePort"] == port
    until(lambda: names(WORLD, "10.0.0.10", port) == ["c"])
    drop("second")


def others_addresses():
    """[E5] two addresses that another has: one Event names both, and they are had when they are free."""
    mine = ["203.0.113.31", "203.0.113.32", "203.0.113.33"]
    add("first", externalIPs=mine[:2])
    until(lambda: names(WORLD, mine[0], 80) == ["a", "b"])
    add("second", "other", externalIPs=mine)
    until(lambda: names(WORLD, mine[2], 80) == ["c"])
    why = "203.0.113.31 port 80 is Service default/first's already, " \
        "203.0.113.32 port 80 is Service default/first's already"
    until(lambda: [e["message"] for e in API.get("/api/v1/events")["items"]
                   if e["reason"] == "AddressInUse"] == [why])
    assert names(WORLD, mine[0], 80) == ["a", "b"]
    drop("first")
    for ip in mine:
        until(lambda ip=ip: names(WORLD, ip, 80) == ["c"])
    drop("second")


def node_moves():
    """[D9] the node gets another address, and its own back: node ports are where it is."""
    port = add("moves", type="NodePort")["ports"][0]["nodePort"]
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "b"])
    for here, there in (("10.0.0.11", "10.0.0.10"), ("10.0.0.10", "10.0.0.11")):
        run("ip addr del %s/24 dev uplink" % there)
        run("ip addr add %s/24 dev uplink" % here)
        until(lambda here=here: names(WORLD, here, port) == ["a", "b"])
        assert isinstance(names(WORLD, there, port, times=1), OSError)
    drop("moves")


def sticky():
    """[F2 F4 F6] at the node port too; each connection renews it, and after its time another may be chosen."""
    port = add("stick", type="NodePort", sessionAffinity="ClientIP", sessionAffinityConfig={
        "clientIP": {"timeoutSeconds": 2}})["ports"][0]["nodePort"]
    until(lambda: isinstance(names(WORLD, "10.0.0.10", port), list))

    def always(seconds):
        """The one that answers twice a second for so long; who could not ask for 2 s begins again."""
        begun = last = time.monotonic()
        seen = set()
        while True:
            asked = time.monotonic()
            answer = names(WORLD, "10.0.0.10", port, times=1)
            if time.monotonic() > last + 1.9:       # since before the one before
                begun, seen = asked, set()
            seen |= set(answer)
            if asked >= begun + seconds:
                return seen
            last = asked
            time.sleep(0.5)
    first = always(5)
    assert len(first) == 1, first
    tries = 0
    while always(0) == first:
        tries += 1
        assert tries < 24, "never another"
        time.sleep(2.5)             # its time, and some
    drop("stick")


def ask_as(source, address, port):
    """The name of who answers a client of that address."""
    with socket.create_connection((address, port), 20, (source, 0)) as sock:
        return sock.recv(100).decode().split()[0]


def sticky_addresses():
    """[F5 F11] each address of a Service keeps a client's endpoint for itself, whatever the policy."""
    spec = add("each", type="LoadBalancer", sessionAffinity="ClientIP")
    svc = API.get(SERVICES + "/each")
    svc["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.20"}]}}
    API.put(SERVICES + "/each/status", svc)
    places = (("10.0.0.10", spec["ports"][0]["nodePort"]), ("203.0.113.20", 80), (spec["clusterIP"], 80))
    for place in places:
        until(lambda place=place: isinstance(names(WORLD, *place), list))
    sources = ["10.0.0.%d" % n for n in range(100, 116)]
    for source in sources:
        run("ip -n world addr add %s/24 dev eth0" % source)

    def look():
        return in_netns(WORLD, lambda: {(s, p): ask_as(s, *p) for s in sources for p in places})
    first = look()
    for policy in ("Cluster", "Local", "Cluster"):
        change("each", externalTrafficPolicy=policy)
        for _ in range(20):         # before it is programmed, and after
            assert look() == first, policy
    assert any(len({first[s, p] for p in places}) > 1 for s in sources), first
    drop("each")


def restarted():
    """[J1 J2] while netd is down all goes on, and then a new Service has an address of its own."""
    spec = add("old", type="NodePort")
    ip, port = spec["clusterIP"], spec["ports"][0]["nodePort"]
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "b"])
    NODE.kill()
    assert names(CLIENT, ip, 80) == ["a", "b"] == names(HOST, ip, 80) == names(WORLD, "10.0.0.10", port)
    NODE.start()
    globals()["API"] = NODE.client
    assert names(CLIENT, ip, 80) == ["a", "b"]
    fresh = add("new", "other")["clusterIP"]
    assert fresh != ip
    until(lambda: names(CLIENT, fresh, 80) == ["c"])
    assert names(CLIENT, ip, 80) == ["a", "b"]
    drop("old", "new")


if __name__ == "__main__":
    main([one_of_two_goes, by_protocol, updated, pinged, to_node_port, taken_ports, others_addresses, node_moves, sticky,
          sticky_addresses, restarted])
