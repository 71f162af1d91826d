# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_endpoints.py - the Endpoints that are made of a Service's EndpointSlices

Room: HTTP only.
"""
from kubectl import make_uplink
from node import PODS, Node, eventually, main, pod

NS = "/api/v1/namespaces/default"
SVC, ENDPOINTS = NS + "/services", NS + "/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
BY = "endpointslice.kubernetes.io/managed-by"
CUT = "endpoints.kubernetes.io/over-capacity"
make_uplink()
node = Node(flags=["--service-cidr", "10.96.0.0/24,fd96::/112"]).start()
c = node.client


def add_pod(name, **spec):
    wish = pod(name, **spec)
    wish["metadata"]["labels"] = {"app": spec.get("subdomain", "many")}
    return c.post(PODS, wish)


def ready(name, status):
    c.patch(PODS + "/%s/status" % name, {"status": {"conditions": [{"type": "Ready", "status": status}]}})


def await_endpoints(name, wanted):
    return node.await_object(ENDPOINTS + "/" + name, wanted)


def ips(obj, which="addresses"):
    return [a["ip"] for s in obj.get("subsets", []) for a in s.get(which, [])]


def made():
    """As a kubelet's world has them: ready and not, by ports, of the first family, with the owner's labels."""
    service = c.post(SVC, {"metadata": {"name": "web", "labels": {"team": "a"}}, "spec": {
        "selector": {"app": "web"}, "ipFamilyPolicy": "RequireDualStack", "clusterIP": "None",
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "x"},
                  {"name": "dns", "port": 53, "protocol": "UDP"}]}})
    got = await_endpoints("web", lambda o: True)
    assert "subsets" not in got, got
    named = [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]
    for name in ("a", "b"):
        add_pod(name, subdomain="web", hostname=name, containers=named)
    add_pod("c", subdomain="web")
    running = {n: node.await_running(n) for n in "abc"}
    ip = {n: running[n]["status"]["podIP"] for n in "abc"}
    ready("b", "False")
    got = await_endpoints("web", lambda o: ips(o, "notReadyAddresses") == [ip["b"]]
                          and sorted(ips(o)) == sorted([ip["a"], ip["c"]]))
    first = next(s for s in got["subsets"] if len(s["ports"]) == 2)
    assert first["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "x"},
                              {"name": "dns", "port": 53, "protocol": "UDP"}], got
    assert first["addresses"] == [{"ip": ip["a"], "hostname": "a", "nodeName": "node1", "targetRef": {
        "kind": "Pod", "namespace": "default", "name": "a", "uid": running["a"]["metadata"]["uid"]}}], got
    other = next(s for s in got["subsets"] if len(s["ports"]) == 1)
    assert other["ports"][0]["name"] == "dns" and ips({"subsets": [other]}) == [ip["c"]], got
    assert got["metadata"]["labels"] == {"team": "a", "service.kubernetes.io/headless": ""}, got
    assert got["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"], got
    c.patch(PODS + "/c", {"metadata": {"finalizers": ["a.b/c"]}})
    c.delete(PODS + "/c")
    await_endpoints("web", lambda o: ips(o) == [ip["a"]] and ips(o, "notReadyAddresses") == [ip["b"]])
    svc = c.get(SVC + "/web")
    svc["spec"]["publishNotReadyAddresses"] = True
    c.put(SVC + "/web", svc)
    await_endpoints("web", lambda o: sorted(ips(o)) == sorted(ip.values()))


def kept_true():
    """What somebody changes in them is put right, and they go with their Service."""
    watch = node.watch(ENDPOINTS + "?fieldSelector=metadata.name=web")
    before = watch.next()["object"]
    c.patch(ENDPOINTS + "/web", {"subsets": None})
    assert "subsets" not in watch.next()["object"]
    assert watch.next()["object"]["subsets"] == before["subsets"]
    c.delete(ENDPOINTS + "/web")
    assert watch.next()["type"] == "DELETED"
    again = watch.next()
    assert again["type"] == "ADDED" and again["object"]["subsets"] == before["subsets"], again
    c.delete(SVC + "/web")
    watch.until(lambda e: e["type"] == "DELETED")
    watch.close()


def by_hand():
    """Those of a Service without a selector are their writer's."""
    c.post(SVC, {"metadata": {"name": "mine"}, "spec": {"ports": [{"port": 80}]}})
    mine = {"metadata": {"name": "mine"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}]}]}
    made_ = c.post(ENDPOINTS, mine)
    c.post(SVC, {"metadata": {"name": "after"}, "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}})
    await_endpoints("after", lambda o: True)
    assert c.get(ENDPOINTS + "/mine") == made_
    c.delete(SVC + "/after")
    watch = node.watch(ENDPOINTS + "?fieldSelector=metadata.name=mine")
    c.delete(SVC + "/mine")
    watch.until(lambda e: e["type"] == "DELETED")
    watch.close()


def mirrors(name):
    return [s for s in c.get(SLICES + "?labelSelector=kubernetes.io/service-name=" + name)["items"]
            if s["metadata"]["labels"][BY] == "endpointslicemirroring-controller.k8s.io"]


def await_mirrors(name, wanted):
    eventually("mirrored", lambda: wanted(mirrors(name)))
    return mirrors(name)


def mirrored():
    """Of Endpoints by hand, whichever comes first, a slice of each subset and family."""
    target = {"kind": "Pod", "namespace": "default", "name": "a", "uid": "u"}
    wish = {"metadata": {"name": "out", "labels": {"team": "b"}}, "subsets": [
        {"addresses": [{"ip": "192.0.2.1", "hostname": "a", "nodeName": "n", "targetRef": target}, {"ip": "fd00::1"}],
         "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 80}]},
        {"addresses": [{"ip": "192.0.2.3"}], "ports": [{"name": "b", "port": 81, "protocol": "UDP"}]}]}
    c.post(ENDPOINTS, wish)
    assert c.get(ENDPOINTS + "/out")["subsets"], "it waits for its Service"
    service = c.post(SVC, {"metadata": {"name": "out"}, "spec": {"ports": [{"port": 80}]}})
    got = await_mirrors("out", lambda v: len(v) == 3)
    first = next(s for s in got if len(s["endpoints"]) == 2)
    assert first["endpoints"] == [
        {"addresses": ["192.0.2.1"], "conditions": {"ready": True}, "hostname": "a", "nodeName": "n",
         "targetRef": target}, {"addresses": ["192.0.2.2"], "conditions": {"ready": False}}], first
    assert first["ports"] == [{"port": 80, "protocol": "TCP", "name": ""}], first
    assert first["metadata"]["labels"]["team"] == "b" and first["addressType"] == "IPv4", first
    assert first["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"], first
    assert sorted(s["addressType"] for s in got) == ["IPv4", "IPv4", "IPv6"], got
    c.delete(SLICES + "/" + first["metadata"]["name"])
    await_mirrors("out", lambda v: len(v) == 3)
    c.patch(ENDPOINTS + "/out", {"subsets": wish["subsets"][1:]})
    got = await_mirrors("out", lambda v: len(v) == 1)
    assert got[0]["ports"] == [{"name": "b", "port": 81, "protocol": "UDP"}], got
    c.patch(ENDPOINTS + "/out", {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}})
    await_mirrors("out", lambda v: not v)
    c.patch(ENDPOINTS + "/out", {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": None}}})
    await_mirrors("out", lambda v: len(v) == 1)
    c.delete(ENDPOINTS + "/out")
    await_mirrors("out", lambda v: not v)
    c.post(ENDPOINTS, wish)
    await_mirrors("out", lambda v: len(v) == 3)
    c.delete(SVC + "/out")
    await_mirrors("out", lambda v: not v)
    eventually("gone", lambda: "out" not in [o["metadata"]["name"] for o in c.get(ENDPOINTS)["items"]])


def zoned():
    """An endpoint is in the zone that its Node says."""
    c.post(SVC, {"metadata": {"name": "zoned"}, "spec": {"selector": {"app": "zoned"}, "ports": [{"port": 80}]}})
    add_pod("zoned", subdomain="zoned")

    def zones():
        return [e.get("zone") for s in c.get(SLICES + "?labelSelector=kubernetes.io/service-name=zoned")["items"]
                for e in s["endpoints"]]
    for zone in (None, "z1", "z2", None):
        c.patch("/api/v1/nodes/node1", {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}})
        eventually("in the zone", lambda: zones() == [zone])
    c.delete(SVC + "/zoned")


def over_capacity():
    """1000 addresses, those that are ready first."""
    for i in range(1010):
        add_pod("p%04d" % i, hostNetwork=True)
    node.await_running("p1009")
    for i in range(20):
        node.await_running("p%04d" % i)
        ready("p%04d" % i, "False")
    c.post(SVC, {"metadata": {"name": "many"}, "spec": {"selector": {"app": "many"}, "ports": [{"port": 80}]}})
    got = await_endpoints("many", lambda o: CUT in o["metadata"].get("annotations", {})
                          and len(ips(o)) == 990)
    assert got["metadata"]["annotations"][CUT] == "truncated"
    assert len(ips(got, "notReadyAddresses")) == 10, len(ips(got, "notReadyAddresses"))
    c.patch(SVC + "/many", {"spec": {"selector": {"app": "few"}}})
    got = await_endpoints("many", lambda o: "subsets" not in o)
    assert CUT not in got["metadata"].get("annotations", {}), got


main([made, kept_true, by_hand, mirrored, zoned, over_capacity, node.stop])
