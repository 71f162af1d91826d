# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_counters.py - packets, bytes and connections by port of a Service and by endpoint"""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import PODS, Client, Node, Refused, eventually, main, pod, run    # noqa: E402
from services import SERVICES, Pods, ask, in_netns, make_world     # noqa: E402

make_world()
NODE = Node().start()
API = NODE.client
SERVED = Pods(NODE)
drop_pod = SERVED.drop
PORTS = [{"name": "t", "port": 80, "targetPort": 8080},
         {"name": "u", "port": 53, "targetPort": 8080, "protocol": "UDP"},
         {"name": "idle", "port": 81, "targetPort": 8081}]
HEADER = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}


def add_pod(name, app):
    return SERVED.add(name, {"app": app})


def stats(name):
    """Ports by their name, endpoints in them by address."""
    got = API.get(SERVICES + "/" + name + "/stats")
    assert (got["kind"], got["metadata"]["name"], got["nodeName"]) == ("ServiceStats", name, "node1")
    for port in got["ports"]:
        port["endpoints"] = {e["address"]: e for e in port["endpoints"]}
    return {port["name"]: port for port in got["ports"]}


def datagrams(where, ip, port, times):
    """So many round trips of one socket; bytes there and back."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET

    def work():
        back = 0
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect((ip, port))
            for _ in range(times):
                sock.send(b"question")
                back += HEADER[family] + len(sock.recv(100))
        return times * (HEADER[family] + len("question")), back
    return in_netns(where, work)


def exact():
    """What clients did by each address is what is told, to the packet."""
    ips = add_pod("one", "count")
    svc = API.post(SERVICES, {"metadata": {"name": "count"}, "spec": {
        "selector": {"app": "count"}, "ports": PORTS, "type": "NodePort",
        "ipFamilyPolicy": "RequireDualStack"}})
    nodeport = {p["name"]: p["nodePort"] for p in svc["spec"]["ports"]}
    ways = [(where, ip, 53, 80) for where in ("cli.default", None) for ip in svc["spec"]["clusterIPs"]]
    ways += [("world", ip, nodeport["u"], nodeport["t"]) for ip in ("10.0.0.10", "fd00:1::10")]
    for where, ip, _, port in ways:
        eventually("programmed", lambda: not isinstance(
            in_netns(where, lambda: ask(ip, port)), OSError))   # pylint: disable=cell-var-from-loop
    before, there, back = stats("count"), 0, 0
    for where, ip, port, _ in ways:
        sums = datagrams(where, ip, port, 10)
        there, back = there + sums[0], back + sums[1]
    for where, ip, _, port in ways:
        for _ in range(5):
            assert not isinstance(in_netns(where, lambda: ask(ip, port)), OSError)  # pylint: disable=cell-var-from-loop
    after = stats("count")
    assert after["u"]["connections"] - before["u"]["connections"] == len(ways), after["u"]
    for way, size in (("received", there), ("sent", back)):
        assert after["u"][way]["packets"] - before["u"][way]["packets"] == 10 * len(ways), after["u"]
        assert after["u"][way]["bytes"] - before["u"][way]["bytes"] == size, after["u"]
    assert after["t"]["connections"] - before["t"]["connections"] == 5 * len(ways), after["t"]
    assert after["idle"]["connections"] == 0 == after["idle"]["received"]["packets"]
    assert sorted(after["u"]["endpoints"]) == sorted(ips)
    assert {e["port"] for e in after["u"]["endpoints"].values()} == {8080}
    for port in after.values():
        assert sum(e["connections"] for e in port["endpoints"].values()) == port["connections"]
    kept(after)


def asked_early():
    """A scrape before netd knows its Services."""
    try:
        client = Client(NODE.socket)
        client.raw("GET", "/metrics")
        client.close()
        return True
    except OSError:
        return False


def kept(was):
    """A restart and an endpoint that goes: no sum goes back, and only those that serve are told."""
    NODE.stop()
    NODE.start(ready=False)
    eventually("it answers", asked_early)
    NODE.wait_ready()
    globals()["API"] = NODE.client
    assert stats("count")["u"] == was["u"]
    add_pod("two", "count")
    drop_pod("one")
    ip = API.get(SERVICES + "/count")["spec"]["clusterIP"]
    eventually("the other alone", lambda: all(
        str(in_netns("cli.default", lambda: ask(ip, 80))).startswith("two ") for _ in range(4)))
    # it keeps what it has while it leaves
    eventually("it has left", lambda: not stats("count")["u"]["endpoints"])
    now = stats("count")
    assert now["u"]["received"]["packets"] == was["u"]["received"]["packets"]
    assert now["t"]["connections"] >= was["t"]["connections"] + 4
    assert stats("count")["u"] == now["u"]
    told()


def in_metrics():
    """The series of the Service: what, port, way to the value."""
    text = API.raw("GET", "/metrics")[2].decode()
    return {(m[1], m[2], m[3]): int(m[4]) for m in re.finditer(
        r'^podnet_service_(\w+)_total\{namespace="default",service="count",port="(\d+)",'
        r'protocol="\w+"(?:,way="(\w+)")?\} (\d+)$', text, re.M)}


def as_metrics(ports):
    values = {}
    for name, number in (("t", "80"), ("u", "53")):
        values["connections", number, None] = ports[name]["connections"]
        for way in ("received", "sent"):
            for what in ("packets", "bytes"):
                values[what, number, way] = ports[name][way][what]
    return values


def told():
    """The same in /metrics, by port; nothing of ports without traffic.  The last FIN comes late."""
    eventually("told alike", lambda: in_metrics() == as_metrics(stats("count")))
    assert NODE.metric("podnet_service_ports_left_out") == 0


def counted(name, *wanted):
    """Connections, packets received and sent: what was sent last may be under way."""
    def so():
        got = stats(name)["u"]
        return (got["connections"], got["received"]["packets"], got["sent"]["packets"]) == wanted
    eventually("%s has %s" % (name, wanted), so)


def one_way():
    """A sender that nobody answers is one connection, whatever it sends."""
    API.post(PODS, pod("deaf"))
    dead = NODE.await_running("deaf")["status"]["podIPs"][0]["ip"]
    run("nft add table inet deaf", netns="deaf.default")
    run("nft", "add chain inet deaf in { type filter hook input priority 0; policy drop; }",
        netns="deaf.default")
    svc = API.post(SERVICES, {"metadata": {"name": "deaf"}, "spec": {"ports": [PORTS[1]]}})
    API.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
        "metadata": {"name": "deaf-1", "labels": {"kubernetes.io/service-name": "deaf"}},
        "addressType": "IPv4", "ports": [{"name": "u", "port": 9, "protocol": "UDP"}],
        "endpoints": [{"addresses": [dead], "nodeName": "node1"}]})
    eventually("programmed", lambda: dead in run("nft list map inet podnet udp-backends4",
                                                 check=False))

    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((svc["spec"]["clusterIP"], 53))
            for _ in range(7):
                sock.send(b"?")
    in_netns("cli.default", work)
    counted("deaf", 1, 7, 0)
    API.delete(SERVICES + "/deaf")
    try:
        stats("deaf")
        raise AssertionError("stats of a Service that went")
    except Refused as refused:
        assert refused.code == 404


def begins_anew():
    """A Service with the address of one that went, by its name or another, begins at 0."""
    add_pod("heir", "heir")
    ip = "10.96.77.7"

    def make(name):
        API.post(SERVICES, {"metadata": {"name": name}, "spec": {
            "selector": {"app": "heir"}, "ports": PORTS, "clusterIP": ip}})
        eventually("served", lambda: not isinstance(in_netns("cli.default", lambda: ask(ip, 80)), OSError))
        datagrams("cli.default", ip, 53, 10)
    make("first")
    eventually("all counted", lambda: stats("first")["u"]["sent"]["packets"] == 10)
    for name, asks in (("second", True), ("second", False), ("third", False)):
        before = "second" if name == "third" else "first" if asks else "second"
        if asks:
            stats(before)
        API.delete(SERVICES + "/" + before)
        eventually("the one before is gone", lambda: ip not in run("nft list map inet podnet udp-backends4"))
        make(name)
        counted(name, 1, 10, 10)
    drop_pod("heir")
    API.delete(SERVICES + "/third")


if __name__ == "__main__":
    add_pod("cli", "client")
    main([exact, one_way, begins_anew])
