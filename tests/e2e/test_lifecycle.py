# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_lifecycle.py - packets through Services while endpoints, types and policies come and go

Names in brackets are lines of the case list (tests/e2e/SERVICES.md).  Clients are a pod, the node and
"world", a neighbour outside.
"""
import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from services import (HERE, SERVICES, SLICES, Pods, ask, dropped, in_netns, make_world,       # noqa: E402
                      names, refused, seen, serve)

EVENTS = "/api/v1/namespaces/default/events"
CLIENT, HOST, WORLD = "cli.default", None, "world"
WEB = [{"port": 80, "targetPort": 8080}]
make_world()
run("ip route add default via 10.0.0.99")
NODE = Node().start()
API = NODE.client
SERVED = Pods(NODE)
drop_pod = SERVED.drop


def until(condition):
    """Programming follows the answer of a write; what packets see is the event waited for."""
    eventually("programmed", condition)


def add_pod(name, app, server=True, **spec):
    return (SERVED.add(name, {"app": app}, script="echo.py" if server else None, **spec) or [None])[0]


def leave(name):
    """It terminates, and serves."""
    API.delete(PODS + "/" + name, {"gracePeriodSeconds": 600})


def set_ready(name, status):
    API.patch(PODS + "/%s/status" % name, {"status": {"conditions": [{"type": "Ready", "status": status}]}})


def add_service(name, selector=None, ports=None, **spec):
    spec = dict(spec, ports=ports or WEB)
    if selector:
        spec["selector"] = {"app": selector}
    return API.post(SERVICES, {"metadata": {"name": name}, "spec": spec})


def change(name, **spec):
    return API.patch(SERVICES + "/" + name, {"spec": spec})


def drop_services(*services):
    for name in services:
        API.delete(SERVICES + "/" + name)


def balance(name, address):
    """The load balancer's address of a Service."""
    svc = API.get(SERVICES + "/" + name)
    svc["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
    API.put(SERVICES + "/" + name + "/status", svc)


def add_slice(service, name, endpoints):
    API.post(SLICES, {"metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
                      "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                      "endpoints": endpoints})


def health(port, address="10.0.0.10", client=WORLD):
    """(code, headers, document) of the health port, or the OSError."""
    def work():
        conn = http.client.HTTPConnection(address, port, timeout=20)
        conn.request("GET", "/healthz")
        got = conn.getresponse()
        return got.status, got.headers, json.loads(got.read())
    return in_netns(client, work)


def is_healthy(port, code, endpoints, address="10.0.0.10"):
    got = health(port, address)
    return not isinstance(got, OSError) and (got[0], got[2]["localEndpoints"]) == (code, endpoints)


IPS = {n: add_pod(n, "web") for n in ("a", "b")}
add_pod("cli", "none", server=False)


# ---- B: no endpoints ----

def failed_pods():
    """[B2] a pod that has failed is no endpoint, also where those that are not ready are."""
    add_pod("gone", "gone")
    ip = add_service("gone", "gone", publishNotReadyAddresses=True)["spec"]["clusterIP"]
    until(lambda: names(CLIENT, ip, 80) == ["gone"])
    API.patch(PODS + "/gone/status", {"status": {"phase": "Failed"}})
    until(lambda: refused(CLIENT, ip, 80))
    assert refused(HOST, ip, 80)
    drop_services("gone")
    drop_pod("gone")


def dropped_packets(address, port):
    """Those that a connection had to send again until it was answered or refused."""
    with socket.socket() as sock:
        sock.settimeout(DEADLINE)
        with contextlib.suppress(ConnectionRefusedError):
            sock.connect((address, port))
            sock.recv(100)
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return struct.unpack_from("=I", info, 100)[0]       # tcpi_total_retrans


def back_and_forth():
    """[B7] none, one, none, one: each connection is answered or refused at once."""
    add_pod("flip", "flip")
    svc = add_service("flip", "flip", type="NodePort")
    ip, port = svc["spec"]["clusterIP"], svc["spec"]["ports"][0]["nodePort"]
    until(lambda: names(CLIENT, ip, 80) == ["flip"])
    tried, ended = [], threading.Event()

    def connect(client, address, at):
        while not ended.is_set():
            tried.append((client, in_netns(client, lambda: dropped_packets(address, at))))
    threads = [threading.Thread(target=connect, args=args) for args in (
        (CLIENT, ip, 80), (HOST, ip, 80), (WORLD, "10.0.0.10", port))]
    for thread in threads:
        thread.start()
    for _ in range(4):
        set_ready("flip", "False")
        until(lambda: refused(CLIENT, ip, 80))
        set_ready("flip", "True")
        until(lambda: names(CLIENT, ip, 80) == ["flip"])
    ended.set()
    for thread in threads:
        thread.join()
    slow = [s for s in tried if s[1] != 0]
    assert tried and not slow, slow
    drop_services("flip")
    drop_pod("flip")


def never_refused_at_start():
    """[B8] what a start has not programmed yet is dropped, and never refused: there is no moment between."""
    ip = add_service("cold", "web")["spec"]["clusterIP"]
    until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
    NODE.stop()
    run("nft delete table inet podnet")
    answers, ended = [], threading.Event()

    def connect():
        while not ended.is_set():
            answers.append(seen(CLIENT, ip, 80, timeout=0.1))
    thread = threading.Thread(target=connect)
    thread.start()
    eventually("tried in vain", lambda: len(answers) > 2)
    NODE.start()
    globals()["API"] = NODE.client
    eventually("answered", lambda: isinstance(answers[-1], str))
    ended.set()
    thread.join()
    assert not any(isinstance(s, ConnectionRefusedError) for s in answers), answers
    drop_services("cold")


# ---- C: readiness and termination ----

def not_ready_published():
    """[C2 C3 C4] not ready, and terminating too: served if that is asked for, at the node port too."""
    add_pod("nr", "nr")
    set_ready("nr", "False")
    svc = add_service("nr", "nr", type="NodePort", publishNotReadyAddresses=True)
    ip, port = svc["spec"]["clusterIP"], svc["spec"]["ports"][0]["nodePort"]
    places = ((CLIENT, ip, 80), (HOST, ip, 80), (CLIENT, "10.0.0.10", port), (WORLD, "10.0.0.10", port))
    for _ in range(2):
        until(lambda: names(CLIENT, ip, 80) == ["nr"])
        assert all(names(*place) == ["nr"] for place in places)
        change("nr", publishNotReadyAddresses=False)
        until(lambda: refused(CLIENT, ip, 80))
        assert all(refused(*place) for place in places)
        change("nr", publishNotReadyAddresses=True)
        until(lambda: names(CLIENT, ip, 80) == ["nr"])
        leave("nr")             # the same again while it terminates
    drop_services("nr")
    drop_pod("nr")


def terminating_serve():
    """[C5 C6 C7 C8 C9] those that terminate serve while there are no others; the health port says no."""
    add_pod("last", "last")
    cluster = add_service("last", "last", type="NodePort")["spec"]
    inside = add_service("last-in", "last", internalTrafficPolicy="Local")["spec"]
    outside = add_service("last-out", "last", type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    balance("last-out", "203.0.113.7")
    places = ((CLIENT, cluster["clusterIP"], 80), (HOST, cluster["clusterIP"], 80),
              (CLIENT, inside["clusterIP"], 80), (HOST, inside["clusterIP"], 80),
              (CLIENT, "10.0.0.10", cluster["ports"][0]["nodePort"]),
              (WORLD, "10.0.0.10", cluster["ports"][0]["nodePort"]),
              (WORLD, "10.0.0.10", outside["ports"][0]["nodePort"]), (WORLD, "203.0.113.7", 80))
    for place in places:
        until(lambda place=place: names(*place) == ["last"])
    until(lambda: is_healthy(outside["healthCheckNodePort"], 200, 1))
    leave("last")
    until(lambda: is_healthy(outside["healthCheckNodePort"], 503, 0))
    for place in places:
        assert names(*place) == ["last"], place
    add_pod("next", "last")
    for place in places:
        until(lambda place=place: names(*place) == ["next"])
    until(lambda: is_healthy(outside["healthCheckNodePort"], 200, 1))
    drop_pod("last")
    drop_pod("next")
    until(lambda: refused(CLIENT, cluster["clusterIP"], 80))
    drop_services("last", "last-in", "last-out")


def rolling():
    """[C10] pods with a readiness probe are replaced one by one behind a load balancer: no connection fails."""
    probed = [{"name": "c", "image": "i", "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}]
    for name in ("r0", "r1"):
        add_pod(name, "roll", containers=probed)
    add_service("roll", "roll", type="LoadBalancer")
    balance("roll", "203.0.113.8")
    until(lambda: names(WORLD, "203.0.113.8", 80) == ["r0", "r1"])
    failed, done, ended = [], [0] * 4, threading.Event()

    def connect(who):
        while not ended.is_set():
            try:
                ask("203.0.113.8", 80, False, 20)
            except OSError as err:
                failed.append(err)
            done[who] += 1
    threads = [threading.Thread(target=lambda who=who: in_netns(WORLD, lambda: connect(who))) for who in range(4)]
    for thread in threads:
        thread.start()
    for i in range(4):
        add_pod("r%d" % (i + 2), "roll", containers=probed)
        until(lambda i=i: "r%d" % (i + 2) in names(WORLD, "203.0.113.8", 80))
        leave("r%d" % i)
        until(lambda i=i: "r%d" % i not in names(WORLD, "203.0.113.8", 80, times=60))
        before = list(done)         # whoever is with it still is served to the end
        until(lambda was=before: all(now > n for now, n in zip(done, was)))
        drop_pod("r%d" % i)
    ended.set()
    for thread in threads:
        thread.join()
    assert sum(done) > 100 and not failed, (done, failed[:5])
    drop_services("roll")
    for name in ("r4", "r5"):
        drop_pod(name)


# ---- E: types ----

def external_name():
    """[E1 E2 E3 E4] ExternalName to and from ClusterIP and NodePort: addresses come and go."""
    name = {"type": "ExternalName", "externalName": "example.org", "clusterIP": None, "clusterIPs": None}
    svc = API.post(SERVICES, {"metadata": {"name": "kind"}, "spec": {
        "type": "ExternalName", "externalName": "example.org", "selector": {"app": "web"}, "ports": WEB}})
    assert "clusterIP" not in svc["spec"] and "clusterIPs" not in svc["spec"], svc
    for kind in ("ClusterIP", "NodePort"):
        spec = change("kind", type=kind, externalName=None)["spec"]
        ip, port = spec["clusterIP"], spec["ports"][0].get("nodePort")
        until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
        assert bool(port) == (kind == "NodePort"), spec
        if port:
            until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "b"])
        spec = change("kind", **dict(name, ports=[{"port": 80, "targetPort": 8080, "nodePort": None}]))["spec"]
        assert "clusterIP" not in spec and "nodePort" not in spec["ports"][0], spec
        until(lambda: dropped(CLIENT, ip, 80))
        if port:
            until(lambda: refused(WORLD, "10.0.0.10", port))
    drop_services("kind")


def labels():
    """[E6 E7] a Service that is another proxy's, or headless by its label, is left alone, and taken up again."""
    ip = add_service("label", "web")["spec"]["clusterIP"]
    for label in ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"):
        until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
        API.patch(SERVICES + "/label", {"metadata": {"labels": {label: "other"}}})
        until(lambda: dropped(CLIENT, ip, 80))
        API.patch(SERVICES + "/label", {"metadata": {"labels": {label: None}}})
    until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
    drop_services("label")
    svc = add_service("label", "web")
    svc = dict(svc, metadata={"name": "born", "labels": {"service.kubernetes.io/headless": ""}}, status={})
    for member in ("clusterIP", "clusterIPs"):
        svc["spec"].pop(member)
    born = API.post(SERVICES, svc)["spec"]["clusterIP"]
    until(lambda: names(CLIENT, API.get(SERVICES + "/label")["spec"]["clusterIP"], 80) == ["a", "b"])
    assert dropped(CLIENT, born, 80)
    drop_services("label", "born")


def collection():
    """[E8] a collection of Services is deleted; the rest serves on."""
    ips = []
    for i in range(3):
        svc = API.post(SERVICES, {"metadata": {"name": "many%d" % i, "labels": {"set": "x"}},
                                  "spec": {"selector": {"app": "web"}, "ports": WEB}})
        ips.append(svc["spec"]["clusterIP"])
    kept = add_service("kept", "web")["spec"]["clusterIP"]
    for ip in ips + [kept]:
        until(lambda ip=ip: names(CLIENT, ip, 80) == ["a", "b"])
    gone = API.delete(SERVICES + "?labelSelector=set=x")
    assert sorted(i["metadata"]["name"] for i in gone["items"]) == ["many0", "many1", "many2"], gone
    for ip in ips:
        until(lambda ip=ip: dropped(CLIENT, ip, 80))
    assert names(CLIENT, kept, 80) == ["a", "b"]
    drop_services("kept")


def two_families():
    """[E9] a second family comes and goes with the policy, and the first stays."""
    spec = add_service("fam", "web", ipFamilyPolicy="SingleStack")["spec"]
    first = spec["clusterIP"]
    assert spec["clusterIPs"] == [first] and ":" not in first
    until(lambda: names(CLIENT, first, 80) == ["a", "b"])
    for _ in range(2):
        spec = change("fam", ipFamilyPolicy="PreferDualStack")["spec"]
        second = spec["clusterIPs"][1]
        assert spec["clusterIPs"][0] == first and ":" in second, spec
        until(lambda: names(CLIENT, second, 80) == ["a", "b"])
        spec = change("fam", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"], clusterIPs=[first])["spec"]
        assert spec["clusterIPs"] == [first], spec
        until(lambda: not isinstance(seen(CLIENT, second, 80, timeout=0.3), str))
        assert names(CLIENT, first, 80) == ["a", "b"]
        slices = SLICES + "?labelSelector=kubernetes.io/service-name=fam"
        until(lambda: [s["addressType"] for s in NODE.client.get(slices)["items"]] == ["IPv4"])
    drop_services("fam")
    spec = add_service("six", "web", ipFamilies=["IPv6"])["spec"]
    assert ":" in spec["clusterIP"] and len(spec["clusterIPs"]) == 1
    until(lambda: names(CLIENT, spec["clusterIP"], 80) == ["a", "b"])
    drop_services("six")


# ---- G: traffic policies ----

def node_endpoint():
    """[G3] internal policy Local with an endpoint in the node's own network."""
    add_pod("hostep", "hostep", server=False, hostNetwork=True)
    server = subprocess.Popen([sys.executable, os.path.join(HERE, "echo.py"), "hostep", "8080"],
                              stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    ip = add_service("hostep", "hostep", internalTrafficPolicy="Local")["spec"]["clusterIP"]
    for client in (CLIENT, HOST):
        until(lambda client=client: names(client, ip, 80) == ["hostep"])
    server.kill()
    server.wait()
    drop_services("hostep")
    drop_pod("hostep")


def elsewhere():
    """[G5 G6 G9] Local, and all endpoints on another node: outside nobody is served and the health port says
    so; a pod and the node are, at the load balancer's address and at the node port."""
    spec = add_service("else", type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    balance("else", "203.0.113.9")
    add_slice("else", "else-1", [{"addresses": [IPS["b"]], "nodeName": "node2"}])
    port = spec["ports"][0]["nodePort"]
    for client in (CLIENT, HOST):
        until(lambda client=client: names(client, "203.0.113.9", 80) == ["b"])
        assert names(client, "10.0.0.10", port) == ["b"]
    assert dropped(WORLD, "203.0.113.9", 80) and dropped(WORLD, "10.0.0.10", port)
    until(lambda: is_healthy(spec["healthCheckNodePort"], 503, 0))
    API.patch(SLICES + "/else-1", {"endpoints": [{"addresses": [IPS["a"]], "nodeName": "node1"},
                                                 {"addresses": [IPS["b"]], "nodeName": "node2"}]})
    until(lambda: names(WORLD, "203.0.113.9", 80) == ["a"])
    until(lambda: is_healthy(spec["healthCheckNodePort"], 200, 1))
    API.delete(SLICES + "/else-1")
    drop_services("else")


def health_port():
    """[G4 G5 G7] it is answered as by kube-proxy, comes and goes with the policy, and waits for a taken port."""
    spec = add_service("hc", "web", type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    balance("hc", "203.0.113.10")
    port = spec["healthCheckNodePort"]
    until(lambda: is_healthy(port, 200, 2))
    code, headers, document = health(port)
    assert document == {"service": {"namespace": "default", "name": "hc"}, "localEndpoints": 2,
                        "serviceProxyHealthy": True}, document
    assert headers["X-Load-Balancing-Endpoint-Weight"] == "2" and headers["Content-Type"] == "application/json"
    until(lambda: is_healthy(port, 200, 2, "fd00:1::10"))
    assert health(port, client=HOST)[0] == 200 == health(port, client=CLIENT)[0]
    assert isinstance(health(port, "127.0.0.1", HOST), ConnectionRefusedError), "not the node's address"
    quiet = [in_netns(WORLD, lambda: socket.create_connection(("10.0.0.10", port))) for _ in range(80)]
    assert is_healthy(port, 200, 2), "silent callers are in nobody's way"
    for sock in quiet:
        sock.close()
    until(lambda: names(WORLD, "203.0.113.10", 80) == ["a", "b"])
    assert seen(WORLD, "203.0.113.10", 80).split()[1] == "10.0.0.99"
    spec = change("hc", externalTrafficPolicy="Cluster")["spec"]
    assert "healthCheckNodePort" not in spec, spec
    until(lambda: isinstance(health(port), ConnectionRefusedError))
    assert names(WORLD, "203.0.113.10", 80) == ["a", "b"]
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # of our own connections
    taken.bind(("10.0.0.10", port))
    taken.listen()
    watch = NODE.watch(EVENTS + "?fieldSelector=involvedObject.name=hc,reason=FailedToStartServiceHealthcheck")
    assert change("hc", externalTrafficPolicy="Local", healthCheckNodePort=port)["spec"]["healthCheckNodePort"] == port
    assert "port %d: Address already in use" % port in watch.next()["object"]["message"]
    watch.close()
    taken.close()
    until(lambda: is_healthy(port, 200, 2))
    NODE.stop()
    NODE.start()
    globals()["API"] = NODE.client
    until(lambda: is_healthy(port, 200, 2))
    run("ip addr del 10.0.0.10/24 dev uplink")
    run("ip addr add 10.0.0.11/24 dev uplink")
    until(lambda: is_healthy(port, 200, 2, "10.0.0.11"))
    run("ip addr del 10.0.0.11/24 dev uplink")
    run("ip addr add 10.0.0.10/24 dev uplink")
    run("ip route add default via 10.0.0.99")
    until(lambda: is_healthy(port, 200, 2))
    API.delete(SERVICES + "/hc")
    until(lambda: isinstance(health(port), ConnectionRefusedError))


def preferred():
    """[G10] the same zone, or the same node, while there is a ready endpoint in it; else all."""
    API.patch("/api/v1/nodes/node1", {"metadata": {"labels": {"topology.kubernetes.io/zone": "z1"}}})
    ip = add_service("near")["spec"]["clusterIP"]
    near = {"addresses": [IPS["a"]], "nodeName": "node1", "zone": "z1"}
    far = {"addresses": [IPS["b"]], "nodeName": "node2", "zone": "z2"}
    add_slice("near", "near-1", [near, far])
    until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
    for wish in ("PreferSameNode", "PreferClose", "PreferSameZone"):
        change("near", trafficDistribution=wish)
        until(lambda: names(CLIENT, ip, 80) == ["a"])
        API.patch(SLICES + "/near-1", {"endpoints": [dict(near, conditions={"ready": False}), far]})
        until(lambda: names(CLIENT, ip, 80) == ["b"])
        API.patch(SLICES + "/near-1", {"endpoints": [near, far]})
        until(lambda: names(CLIENT, ip, 80) == ["a"])
    change("near", trafficDistribution=None)
    until(lambda: names(CLIENT, ip, 80) == ["a", "b"])
    API.delete(SLICES + "/near-1")
    drop_services("near")


def masqueraded():
    """[G8] external policy Cluster: who comes from outside for an endpoint that is not here is seen as the node."""
    far = serve(WORLD, "echo.py", "far", 8080)
    port = add_service("out", type="NodePort")["spec"]["ports"][0]["nodePort"]
    add_slice("out", "out-1", [{"addresses": ["10.0.0.99"], "nodeName": "node2"},
                               {"addresses": [IPS["a"]], "nodeName": "node1"}])
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a", "far"])
    assert {seen(WORLD, "10.0.0.10", port) for _ in range(24)} == {"far 10.0.0.10", "a 10.0.0.99"}
    change("out", externalTrafficPolicy="Local")
    until(lambda: names(WORLD, "10.0.0.10", port) == ["a"])
    assert seen(WORLD, "10.0.0.10", port) == "a 10.0.0.99"
    API.delete(SLICES + "/out-1")
    drop_services("out")
    far.kill()
    far.wait()


def never_masqueraded():
    """[G11 A9] a pod is seen as itself by another pod, straight and through a Service."""
    cli = API.get(PODS + "/cli")["status"]
    svc = add_service("self", "web", ipFamilyPolicy="RequireDualStack")["spec"]
    for i, address in enumerate(ip["ip"] for ip in cli["podIPs"]):
        target = API.get(PODS + "/a")["status"]["podIPs"][i]["ip"]
        assert seen(CLIENT, target, 8080) == "a " + address
        until(lambda i=i: names(CLIENT, svc["clusterIPs"][i], 80) == ["a", "b"])
        assert {seen(CLIENT, svc["clusterIPs"][i], 80).split()[1] for _ in range(8)} == {address}
    drop_services("self")


# ---- J: names ----

def long_names():
    """[J13] the longest names serve; longer ones, and others than ASCII, are refused by field."""
    label, pod_name = "s" * 63, ("p" * 63 + ".") * 3 + "p" * 61
    wish = pod(pod_name, containers=[{"name": "c" * 63, "image": "i", "ports": [
        {"name": "x" * 15, "containerPort": 8080}]}])
    wish["metadata"]["labels"] = {"k" * 63: "v" * 63}
    API.post(PODS, wish)
    ip = NODE.await_running(pod_name)["status"]["podIP"]
    inside = next(n for n in namespaces() if n.startswith("ppp"))
    SERVED.servers["long"] = serve(inside, "echo.py", "long", 8080)
    svc = API.post(SERVICES, {"metadata": {"name": label}, "spec": {
        "selector": {"k" * 63: "v" * 63}, "ports": [{"name": "n" * 63, "port": 80, "targetPort": "x" * 15}]}})
    until(lambda: seen(CLIENT, svc["spec"]["clusterIP"], 80) == "long " + API.get(
        PODS + "/cli")["status"]["podIP"])
    ends = API.get(SLICES + "?labelSelector=kubernetes.io/service-name=" + label)["items"]
    assert ends[0]["endpoints"][0]["addresses"] == [ip] and len(ends[0]["metadata"]["name"]) == 63, ends
    for field, meta, spec in (
            ("metadata.name", {"name": "s" * 64}, {}),
            ("metadata.name", {"name": "wéb"}, {}),
            ("metadata.labels", {"name": "x", "labels": {"k": "v" * 64}}, {}),
            ("metadata.labels", {"name": "x", "labels": {"k": "ü"}}, {}),
            ("spec.selector", {"name": "x"}, {"selector": {"k" * 64: "v"}}),
            ("spec.ports[0].name", {"name": "x"}, {"ports": [{"name": "n" * 64, "port": 80}]}),
            ("spec.ports[0].targetPort", {"name": "x"}, {"ports": [{"port": 80, "targetPort": "x" * 16}]})):
        try:
            got = API.post(SERVICES, {"metadata": meta, "spec": dict({"ports": WEB}, **spec)})
            raise AssertionError("not refused: %s" % got)
        except Refused as err:
            fields = [c["field"] for c in err.status["details"]["causes"]]
            assert err.code == 422 and any(f.startswith(field) for f in fields), err
    SERVED.silence("long")
    API.delete(SERVICES + "/" + label)
    API.delete(PODS + "/" + pod_name)


if __name__ == "__main__":
    main([failed_pods, back_and_forth, never_refused_at_start, not_ready_published, terminating_serve, rolling,
          external_name, labels, collection, two_families, node_endpoint, elsewhere, health_port, preferred,
          masqueraded, never_masqueraded, long_names])
