# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_services.py - Service, EndpointSlice, Endpoints, NetworkPolicy: what the server gives and keeps

Room: HTTP only.
"""
import ipaddress
import json
import socket
import subprocess

from node import Client, Node, Refused, eventually, main, run

FLAGS = ["--service-cidr", "10.96.0.0/24,fd96::/112", "--node-port-range", "30000-30063"]
POOL = ["--load-balancer-cidr", "192.0.2.8/30,fd92::/126"]
IPS_KEY = "podnet.dev/load-balancer-ips"
node = Node(flags=FLAGS).start()
c = node.client
NS = "/api/v1/namespaces/default"
SVC = NS + "/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
BETA = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
RANGE4, RANGE6 = ipaddress.ip_network("10.96.0.0/24"), ipaddress.ip_network("fd96::/112")


def svc(name, ports=({"port": 80},), **spec):
    spec.setdefault("selector", {"app": name})
    return {"metadata": {"name": name}, "spec": dict(spec, ports=[dict(p) for p in ports])}


def refused(field, piece, function, *args):
    try:
        answer = function(*args)
    except Refused as r:
        assert r.code == 422, r
        causes = r.status["details"]["causes"]
        assert any(x["field"] == field and piece in x["message"] for x in causes), causes
        return
    raise AssertionError("not refused: %s" % answer)


def drop(*names):
    for name in names:
        c.delete(SVC + "/" + name)


def cluster_ips():
    made = c.post(SVC, svc("one"))
    spec = made["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in RANGE4, spec
    assert spec["clusterIPs"] == [spec["clusterIP"]], spec
    assert spec["ipFamilies"] == ["IPv4"] and spec["ipFamilyPolicy"] == "SingleStack", spec
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}], spec
    assert made["status"] == {"loadBalancer": {}}, made
    refused("spec.clusterIPs", "provided IP is already allocated", c.post, SVC,
            svc("two", clusterIP=spec["clusterIP"]))
    refused("spec.clusterIPs", "not in the valid range", c.post, SVC,
            svc("two", clusterIP="10.97.0.1"))
    refused("spec.clusterIPs", "reserved", c.post, SVC, svc("two", clusterIP="10.96.0.255"))
    want = c.post(SVC + "?dryRun=All", svc("two", clusterIPs=["10.96.0.7"]))["spec"]
    assert want["clusterIP"] == "10.96.0.7", want
    assert c.post(SVC, svc("two", clusterIPs=["10.96.0.7"]))["spec"] == dict(
        want, clusterIP="10.96.0.7")
    drop("two")
    assert c.post(SVC, svc("two", clusterIP="10.96.0.7"))["spec"]["clusterIP"] == "10.96.0.7", \
        "what is freed can be had at once"
    drop("one", "two")


def external_is_outside():
    """An address of the cluster IPs' range is nobody's to name: the next Service may be given it."""
    c.post(SVC, svc("named", externalIPs=["192.0.2.9"]))
    for ip in (str(RANGE4[9]), str(RANGE6[9])):
        refused("spec.externalIPs[1]", "may not be in the range of cluster IPs", c.patch, SVC + "/named",
                {"spec": {"externalIPs": ["192.0.2.9", ip]}})
    assert c.get(SVC + "/named")["spec"]["externalIPs"] == ["192.0.2.9"]
    drop("named")


def put_keeps():
    made = c.post(SVC, svc("keep", type="NodePort", ports=[
        {"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30011}]))
    body = svc("keep", type="NodePort", ports=[
        {"name": "b", "port": 81}, {"name": "a", "port": 8080}])
    after = c.put(SVC + "/keep", body)["spec"]
    before = made["spec"]
    assert after["clusterIP"] == before["clusterIP"], after
    assert after["ports"][0]["nodePort"] == 30011, after
    assert after["ports"][1]["nodePort"] == before["ports"][0]["nodePort"], after
    again = c.put(SVC + "/keep", body)
    assert again["metadata"]["resourceVersion"] == c.get(SVC + "/keep")["metadata"]["resourceVersion"]
    refused("spec.clusterIPs[0]", "may not change once set", c.patch, SVC + "/keep",
            {"spec": {"clusterIP": "10.96.0.9"}})
    swapped = c.put(SVC + "/keep", svc("keep", type="NodePort", ports=[
        {"name": "b", "port": 81, "nodePort": after["ports"][1]["nodePort"]},
        {"name": "a", "port": 8080, "nodePort": 30011}]))["spec"]
    assert swapped["ports"][1]["nodePort"] == 30011, swapped
    drop("keep")


def node_ports():
    first = c.post(SVC, svc("np1", type="NodePort", ports=[{"port": 80, "nodePort": 30005}]))
    assert first["spec"]["externalTrafficPolicy"] == "Cluster", first
    refused("spec.ports[0].nodePort", "provided port is already allocated", c.post, SVC,
            svc("np2", type="NodePort", ports=[{"port": 80, "nodePort": 30005, "protocol": "UDP"}]))
    refused("spec.ports[0].nodePort", "The range of valid ports is 30000-30063", c.post, SVC,
            svc("np2", type="NodePort", ports=[{"port": 80, "nodePort": 8080}]))
    refused("spec.ports[0].nodePort", "may not be used when type is 'ClusterIP'", c.post, SVC,
            svc("np2", ports=[{"port": 80, "nodePort": 30006}]))
    dns = c.post(SVC, svc("np2", type="NodePort", ports=[
        {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53}]))["spec"]["ports"]
    assert dns[0]["nodePort"] == dns[1]["nodePort"], dns
    taken = {30005, dns[0]["nodePort"]}
    many = c.post(SVC, svc("np3", type="NodePort", ports=[
        {"name": "p%d" % i, "port": 1000 + i} for i in range(62)]))["spec"]["ports"]
    taken |= {p["nodePort"] for p in many}
    assert taken == set(range(30000, 30064)), sorted(taken)
    try:
        c.post(SVC, svc("np4", type="NodePort"))
        raise AssertionError("the range is full")
    except Refused as r:
        assert r.code == 503 and "nodePort" in r.status["message"], r
    assert all(i["metadata"]["name"] != "np4" for i in c.get(SVC)["items"])
    ip = c.post(SVC, svc("np5"))["spec"]["clusterIP"]
    drop("np3", "np5")
    again = c.post(SVC, svc("np4", type="NodePort", clusterIP=ip,
                            ports=[{"port": 80, "nodePort": many[0]["nodePort"]}]))
    assert again["spec"]["ports"][0]["nodePort"] == many[0]["nodePort"], again
    drop("np1", "np2", "np4")


def many_ports():
    """As many as a slice can list; a slice by hand may have more."""
    ports = [{"name": "p%d" % i, "port": 1000 + i} for i in range(1001)]
    refused("spec.ports", "must have at most 1000 items", c.post, SVC, svc("many", ports))
    twins = [dict(p) for p in ports[:1000]]
    twins[998]["port"] = 1000
    twins[3]["nodePort"] = twins[999]["nodePort"] = 30060
    for field in ("spec.ports[998]", "spec.ports[999].nodePort"):
        refused(field, "Duplicate value", c.post, SVC, svc("many", twins, type="NodePort"))
    made = c.post(SVC, svc("many", ports[:1000]))
    assert len(made["spec"]["ports"]) == 1000
    wide = [{"name": "p%d" % i, "port": 1 + i} for i in range(20001)]
    body = {"metadata": {"name": "wide"}, "addressType": "IPv4", "endpoints": []}
    refused("ports", "must have at most 20000 items", c.post, SLICES, dict(body, ports=wide))
    assert len(c.post(SLICES, dict(body, ports=wide[:101]))["ports"]) == 101
    c.delete(SLICES + "/wide")
    drop("many")


def types():
    made = c.post(SVC, svc("kind", type="LoadBalancer", externalTrafficPolicy="Local",
                           loadBalancerClass="a.b/c"))["spec"]
    health, port = made["healthCheckNodePort"], made["ports"][0]["nodePort"]
    assert health != port and made["allocateLoadBalancerNodePorts"] is True, made
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    assert c.patch(SVC + "/kind/status", ingress)["status"] == ingress["status"]
    less = c.patch(SVC + "/kind", {"spec": {"type": "ClusterIP"}})
    refused("status.loadBalancer.ingress", "may only be used when `spec.type` is LoadBalancer",
            c.patch, SVC + "/kind/status", ingress)
    assert less["status"] == {"loadBalancer": {}}, less["status"]
    less = less["spec"]
    gone = {"healthCheckNodePort", "externalTrafficPolicy", "loadBalancerClass",
            "allocateLoadBalancerNodePorts"}
    assert not gone & set(less) and "nodePort" not in less["ports"][0], less
    c.post(SVC, svc("other", type="NodePort", ports=[
        {"name": "a", "port": 1, "nodePort": health}, {"name": "b", "port": 2, "nodePort": port}]))
    name = c.patch(SVC + "/kind", {"spec": {"type": "ExternalName", "externalName": "a.b"}})["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(name), name
    c.post(SVC, svc("third", clusterIP=made["clusterIP"]))
    back = c.patch(SVC + "/kind", {"spec": {"type": "ClusterIP", "externalName": None}})["spec"]
    assert back["clusterIP"] != made["clusterIP"], back
    none = c.post(SVC, svc("bare", type="LoadBalancer", allocateLoadBalancerNodePorts=False))["spec"]
    assert "nodePort" not in none["ports"][0], none
    refused("spec.clusterIP", "ExternalName", c.post, SVC, {
        "metadata": {"name": "bad"}, "spec": {"type": "ExternalName", "externalName": "a.b",
                                              "clusterIP": "10.96.0.77"}})
    drop("kind", "other", "third", "bare")


def families():
    both = c.post(SVC, svc("dual", ipFamilyPolicy="PreferDualStack"))["spec"]
    assert both["ipFamilies"] == ["IPv4", "IPv6"] and len(both["clusterIPs"]) == 2, both
    assert ipaddress.ip_address(both["clusterIPs"][1]) in RANGE6, both
    six = c.post(SVC, svc("six", ipFamilies=["IPv6"]))["spec"]
    assert ":" in six["clusterIP"] and six["ipFamilyPolicy"] == "SingleStack", six
    asked = c.post(SVC, svc("asked", clusterIPs=["fd96::77", "10.96.0.77"]))["spec"]
    assert asked["ipFamilies"] == ["IPv6", "IPv4"], asked
    assert asked["ipFamilyPolicy"] == "RequireDualStack" and asked["clusterIP"] == "fd96::77", asked
    one = c.patch(SVC + "/dual", {"spec": {"ipFamilyPolicy": "SingleStack"}})["spec"]
    assert one["clusterIPs"] == both["clusterIPs"][:1] and one["ipFamilies"] == ["IPv4"], one
    two = c.patch(SVC + "/dual", {"spec": {"ipFamilyPolicy": "RequireDualStack",
                                           "clusterIPs": [one["clusterIP"],
                                                          both["clusterIPs"][1]]}})["spec"]
    assert two["clusterIPs"] == both["clusterIPs"], "the second was free again"
    refused("spec.ipFamilies[0]", "may not change", c.patch, SVC + "/six",
            {"spec": {"ipFamilies": ["IPv4"]}})
    head = c.post(SVC, svc("head", clusterIP="None"))["spec"]
    assert head["clusterIPs"] == ["None"] and head["ipFamilies"] == ["IPv4"], head
    free = c.post(SVC, svc("free", clusterIP="None", selector={}))["spec"]
    assert free["ipFamilyPolicy"] == "RequireDualStack" and len(free["ipFamilies"]) == 2, free
    drop("dual", "six", "asked", "head", "free")


def single_stack():
    other = Node(flags=["--service-cidr", "fd97::/112"])
    node.stop()
    other.start()
    client = other.client
    got = client.post(SVC, svc("only"))["spec"]
    assert got["clusterIP"].startswith("fd97::") and got["ipFamilies"] == ["IPv6"], got
    refused("spec.ipFamilyPolicy", "not configured for dual-stack", client.post, SVC,
            svc("both", ipFamilyPolicy="RequireDualStack"))
    refused("spec.ipFamilies[0]", "not configured on this cluster", client.post, SVC,
            svc("four", ipFamilies=["IPv4"]))
    assert client.post(SVC, svc("rather", ipFamilyPolicy="PreferDualStack"))["spec"]["clusterIPs"]
    other.stop()
    node.start()


def networks():
    refused("spec.cidrs[0]", "overlaps with the addresses of Services", Client(node.socket).post,
            "/apis/podnet.dev/v1/networks", {"metadata": {"name": "over"},
                                             "spec": {"cidrs": ["10.96.0.128/25"]}})


def restart():
    client = Client(node.socket)
    made = client.post(SVC, svc("stay", type="NodePort"))["spec"]
    client.close()
    node.stop()
    node.start()
    client = Client(node.socket)
    assert client.get(SVC + "/stay")["spec"] == made
    refused("spec.clusterIPs", "already allocated", client.post, SVC,
            svc("thief", clusterIP=made["clusterIP"]))
    refused("spec.ports[0].nodePort", "already allocated", client.post, SVC,
            svc("thief", type="NodePort", ports=[{"port": 1,
                                                  "nodePort": made["ports"][0]["nodePort"]}]))
    client.delete(SVC + "/stay")
    client.close()


def ranges():
    """Who has a number of a range that is no more keeps it, and is told so at each start; others are not."""
    client = Client(node.socket)
    wish = svc("moved", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30002,
               clusterIPs=["10.96.0.200", "fd96::8"], ipFamilyPolicy="RequireDualStack",
               ports=[{"name": "a", "port": 1, "nodePort": 30001}, {"name": "b", "port": 2, "nodePort": 30040}])
    kept = client.post(SVC, wish)["spec"]
    client.post(SVC, svc("fits", type="NodePort", clusterIP="10.96.0.9",
                         ports=[{"port": 1, "nodePort": 30041}]))
    client.close()
    node.stop()
    node.flags = ["--service-cidr", "10.96.0.0/25,fd97::/112", "--node-port-range", "30032-30063"]
    node.start()
    watch = node.watch(NS + "/events?fieldSelector=involvedObject.kind=Service,type=Warning")
    told = set()

    def all_told(event):
        """Of these two; what was told of others before is there as well."""
        obj = event["object"]
        if obj["involvedObject"]["name"] in ("moved", "fits"):
            told.add((obj["involvedObject"]["name"], obj["reason"], obj["message"]))
        return len(told) == 4
    watch.until(all_told)
    watch.close()
    outside = "Cluster IP %s is not within the service CIDR 10.96.0.0/25,fd97::/112; please recreate service"
    port = "Port %d is not within the port range 30032-30063; please recreate service"
    assert told == {("moved", "ClusterIPOutOfRange", outside % "10.96.0.200"),
                    ("moved", "ClusterIPOutOfRange", outside % "fd96::8"),
                    ("moved", "PortOutOfRange", port % 30001), ("moved", "PortOutOfRange", port % 30002)}, told
    client = Client(node.socket)
    assert client.get(SVC + "/moved")["spec"] == kept
    for name in ("moved", "fits"):
        client.delete(SVC + "/" + name)
    client.close()
    node.stop()
    node.flags = list(FLAGS)
    node.start()


def ingress(obj):
    return [i["ip"] for i in obj["status"]["loadBalancer"].get("ingress", [])]


def balanced(name, annotations=None, **spec):
    wish = svc(name, type="LoadBalancer", **spec)
    wish["metadata"]["annotations"] = annotations or {}
    return wish


def await_ips(name, ips):
    return node.await_object(SVC + "/" + name, lambda o: ingress(o) == ips)


def no_pool():
    """Without a pool the status is its user's, and a class that asks for one is told that there is none."""
    global c
    c = node.client             # of the netd that restart() has started
    made = c.post(SVC, balanced("own", loadBalancerIP="anything"))
    assert ingress(made) == [] and "loadBalancerClass" not in made["spec"], made
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    assert ingress(c.put(SVC + "/own/status", made)) == ["198.51.100.1"]
    watch = node.watch(NS + "/events")
    c.post(SVC, balanced("asks", loadBalancerClass="podnet.dev/pool"))
    watch.until(lambda e: e["object"]["reason"] == "NoLoadBalancerAddress" and
                "no pool is configured" in e["object"]["message"])
    watch.close()
    refused("spec.loadBalancerIP", "The pool is empty", c.post, SVC,
            balanced("more", loadBalancerClass="podnet.dev/pool", loadBalancerIP="192.0.2.8"))
    drop("own")


def pool():
    """Addresses of the pool: given with the answer, asked for, kept, moved, given back."""
    global c
    c.post(SVC, balanced("old", ipFamilyPolicy="RequireDualStack"))
    node.stop()
    node.flags += POOL
    c = node.start().client
    asks = node.await_object(SVC + "/asks", ingress)        # who waited for a pool
    old = node.await_object(SVC + "/old", ingress)
    assert sorted(ingress(asks) + ingress(old)) == ["192.0.2.8", "192.0.2.9", "fd92::"], (asks, old)
    assert old["spec"]["loadBalancerClass"] == "podnet.dev/pool", old
    drop("asks", "old")
    made = c.post(SVC, balanced("one"))
    assert made["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.8", "ipMode": "VIP"}], made
    assert made["spec"]["loadBalancerClass"] == "podnet.dev/pool", made
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    assert ingress(c.put(SVC + "/one/status", made)) == ["192.0.2.8"], "what was given is ours to say"
    again = c.put(SVC + "/one", svc("one", type="LoadBalancer"))
    assert ingress(again) == ["192.0.2.8"], again
    assert again["spec"]["loadBalancerClass"] == "podnet.dev/pool", again
    for field, piece, wish in (
            ("spec.loadBalancerIP", "already allocated", balanced("two", loadBalancerIP="192.0.2.8")),
            ("spec.loadBalancerIP", "no such address", balanced("two", loadBalancerIP="192.0.2.12")),
            ("spec.loadBalancerIP", "no such address", balanced("two", loadBalancerIP="fd92::1")),
            ("spec.loadBalancerIP", "must be a valid IP", balanced("two", loadBalancerIP="high")),
            ("metadata.annotations[%s]" % IPS_KEY, "already allocated",
             balanced("two", {IPS_KEY: "192.0.2.8"})),
            ("metadata.annotations[%s]" % IPS_KEY, "one of each family",
             balanced("two", {IPS_KEY: "192.0.2.9, 192.0.2.10"})),
            ("metadata.annotations[%s]" % IPS_KEY, "one of each family", balanced("two", {IPS_KEY: ""}))):
        refused(field, piece, c.post, SVC, wish)
    both = balanced("two", {IPS_KEY: "192.0.2.11, fd92::3"}, ipFamilyPolicy="RequireDualStack")
    assert ingress(c.post(SVC + "?dryRun=All", both)) == ["192.0.2.11", "fd92::3"]
    assert ingress(c.post(SVC, both)) == ["192.0.2.11", "fd92::3"], "first and last are addresses too"
    moved = c.patch(SVC + "/one", {"spec": {"loadBalancerIP": "192.0.2.10"}})
    assert ingress(moved) == ["192.0.2.10"], moved
    assert ingress(c.patch(SVC + "/one", {"spec": {"loadBalancerIP": None}})) == ["192.0.2.10"]
    refused("spec.loadBalancerIP", "already allocated", c.patch, SVC + "/one",
            {"spec": {"loadBalancerIP": "192.0.2.11"}})
    single = {"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"],
                       "clusterIPs": [c.get(SVC + "/two")["spec"]["clusterIP"]]},
              "metadata": {"annotations": {IPS_KEY: "192.0.2.11"}}}
    assert ingress(c.patch(SVC + "/two", single)) == ["192.0.2.11"]
    other = c.post(SVC, balanced("other", loadBalancerClass="a.b/c"))
    assert ingress(other) == [], other
    other["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.11"}]}}
    assert ingress(c.put(SVC + "/other/status", other)) == ["192.0.2.11"], "it is nobody's of ours"
    plain = c.patch(SVC + "/one", {"spec": {"type": "ClusterIP"}})
    assert ingress(plain) == [] and "loadBalancerClass" not in plain["spec"], plain
    assert ingress(c.patch(SVC + "/one", {"spec": {"type": "LoadBalancer"}})) == ["192.0.2.8"]
    drop("other")
    assert ingress(c.post(SVC, both | {"metadata": {"name": "six", "annotations": {
        IPS_KEY: "192.0.2.10, fd92::3"}}})) == ["192.0.2.10", "fd92::3"], "given back by two"
    drop("one", "two", "six")


def pool_full():
    """The Service is accepted, an Event tells, and it has an address when one is free."""
    for i in range(4):
        assert ingress(c.post(SVC, balanced("b%d" % i))) == ["192.0.2.%d" % (8 + i)]
    watch = node.watch(NS + "/events")
    assert ingress(c.post(SVC, balanced("late", ipFamilyPolicy="RequireDualStack"))) == ["fd92::"]
    watch.until(lambda e: e["object"]["reason"] == "NoLoadBalancerAddress" and
                e["object"]["involvedObject"]["name"] == "late")
    watch.close()
    drop("b2")
    await_ips("late", ["192.0.2.10", "fd92::"])
    c.post(SVC, balanced("later"))
    c.patch(SVC + "/b1", {"spec": {"type": "NodePort"}})
    await_ips("later", ["192.0.2.9"])


def pool_restart():
    """The same addresses, also without the option; what was given then is kept, and given back."""
    global c
    before = {o["metadata"]["name"]: ingress(o) for o in c.get(SVC)["items"]}
    for flags in (POOL, [], POOL):
        node.stop()
        checked = subprocess.run([node.netd, "--check", "--config", "/dev/null",
                                  "--state-dir", node.dir + "/state"], stdout=subprocess.PIPE, text=True,
                                 check=False)
        assert checked.returncode == 0, checked.stdout
        node.flags = FLAGS + flags
        c = node.start().client
        assert {o["metadata"]["name"]: ingress(o) for o in c.get(SVC)["items"]} == before
        refused("spec.loadBalancerIP", "already allocated" if flags else "The pool is empty", c.post, SVC,
                balanced("thief", loadBalancerClass="podnet.dev/pool", loadBalancerIP="192.0.2.8"))
        c.patch(SVC + "/b0", {"metadata": {"labels": {"seen": str(len(flags))}}})
        if not flags:
            c.delete(SVC + "/b3")
            before.pop("b3")
    assert ingress(c.post(SVC, balanced("again"))) == ["192.0.2.11"]
    drop("again", *[n for n in before if n != "kubernetes" and n not in ("b1",)], "b1")


def watched():
    client = Client(node.socket)
    for url, body in (
            (SVC, svc("seen", selector={})),      # so that nobody makes Endpoints of that name
            (NS + "/endpoints", {"metadata": {"name": "seen"}, "subsets": [
                {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
            (SLICES, {"metadata": {"name": "seen"}, "addressType": "IPv4"}),
            (POLICIES, {"metadata": {"name": "seen"}})):
        watch = node.watch(url + "?fieldSelector=metadata.name=seen")
        made = client.post(url, body)
        assert watch.next()["object"] == made
        made["metadata"]["labels"] = {"a": "b"}
        client.put(url + "/seen", made)
        assert watch.next()["type"] == "MODIFIED"
        client.delete(url + "/seen")
        assert watch.next()["type"] == "DELETED"
        watch.close()
    client.close()


def beta():
    """v1beta1 of EndpointSlice: the same object, its node and zone said in topology."""
    client = Client(node.socket)
    eventually("those of Services that went go", lambda: not client.get(SLICES)["items"])
    watch, old = node.watch(SLICES), node.watch(BETA)
    made = client.post(BETA, {"metadata": {"name": "beta"}, "addressType": "IPv4", "endpoints": [
        {"addresses": ["192.0.2.1"], "topology": {"kubernetes.io/hostname": "n1", "rack": "r1",
                                                  "topology.kubernetes.io/zone": "z1"}}]})
    beta_end = {"addresses": ["192.0.2.1"], "nodeName": "n1", "topology": {
        "kubernetes.io/hostname": "n1", "rack": "r1", "topology.kubernetes.io/zone": "z1"}}
    v1_end = {"addresses": ["192.0.2.1"], "nodeName": "n1", "zone": "z1",
              "deprecatedTopology": {"rack": "r1"}}
    v1 = client.get(SLICES + "/beta")
    assert made["apiVersion"] == "discovery.k8s.io/v1beta1" and made["endpoints"] == [beta_end], made
    assert v1["apiVersion"] == "discovery.k8s.io/v1" and v1["endpoints"] == [v1_end], v1
    assert watch.next()["object"] == v1 and old.next()["object"] == made
    assert client.get(BETA)["items"] == [made] and client.get(BETA)["apiVersion"] == made["apiVersion"]
    again = client.put(BETA + "/beta", made)
    assert again == made, "what was read can be written back"
    for url, other in ((BETA, v1), (SLICES, made)):
        try:
            client.put(url + "/beta", other)
            raise AssertionError("the other version was taken")
        except Refused as r:
            assert r.code == 400, r
    dry = client.call("PATCH", BETA + "/beta?dryRun=All", {"metadata": {"labels": {"a": "b"}}},
                      {"Content-Type": "application/merge-patch+json"})
    assert dry["endpoints"] == [beta_end] and dry["apiVersion"] == made["apiVersion"], dry
    patched = client.call("PATCH", BETA + "/beta", [
        {"op": "replace", "path": "/endpoints/0/topology/kubernetes.io~1hostname", "value": "n2"},
        {"op": "remove", "path": "/endpoints/0/nodeName"}],
        {"Content-Type": "application/json-patch+json"})
    assert patched["endpoints"][0]["nodeName"] == "n2", patched
    assert client.get(SLICES + "/beta")["endpoints"][0]["nodeName"] == "n2"
    table = json.loads(client.raw("GET", BETA + "/beta", None, {
        "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})[2])
    assert table["rows"][0]["cells"][0] == "beta", table
    gone = client.delete(BETA)
    assert [i["apiVersion"] for i in gone["items"]] == [made["apiVersion"]], gone
    group = client.get("/apis/discovery.k8s.io")
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1"], group
    assert group["preferredVersion"]["version"] == "v1", group
    watch.close()
    old.close()
    client.close()


def stats():
    """What a Service has counted: every port, nothing counted yet; read only, JSON only."""
    c.post(SVC, svc("counted", [{"name": "a", "port": 80}, {"name": "b", "port": 53,
                                                                    "protocol": "UDP"}]))
    got = c.get(SVC + "/counted/stats")
    zero = {"packets": 0, "bytes": 0}
    assert got["kind"] == "ServiceStats" and got["apiVersion"] == "podnet.dev/v1", got
    assert got["metadata"]["uid"] == c.get(SVC + "/counted")["metadata"]["uid"]
    assert [(p["name"], p["protocol"], p["port"]) for p in got["ports"]] == [
        ("a", "TCP", 80), ("b", "UDP", 53)], got
    assert all((p["connections"], p["received"], p["sent"], p["endpoints"]) == (0, zero, zero, [])
               for p in got["ports"]), got
    for method, name, code in (("GET", "nobody", 404), ("POST", "counted", 405),
                               ("PUT", "counted", 405), ("DELETE", "counted", 405)):
        assert c.raw(method, SVC + "/" + name + "/stats")[0] == code, method
    assert c.raw("GET", SVC + "/counted/stats", headers={"Accept": "text/html"})[0] == 406
    assert c.raw("GET", NS + "/pods" + "/x/stats")[0] == 404
    counted_once()
    drop("counted")


def counted_once():
    """A datagram to an endpoint on the node itself passes twice, by way of lo."""
    run("ip addr add 10.9.9.9/32 dev lo")
    c.post(SLICES, {"metadata": {"name": "here", "labels": {"kubernetes.io/service-name": "counted"}},
                    "addressType": "IPv4", "endpoints": [{"addresses": ["10.9.9.9"]}],
                    "ports": [{"name": "b", "port": 9, "protocol": "UDP"}]})
    eventually("programmed", lambda: "10.9.9.9" in run("nft list map inet podnet udp-backends4",
                                                       check=False))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((c.get(SVC + "/counted")["spec"]["clusterIP"], 53))
        sock.send(b"?")
    def seen():
        return c.get(SVC + "/counted/stats")["ports"][1]["endpoints"]
    eventually("it is counted", lambda: any(e["connections"] for e in seen()))
    one = {"address": "10.9.9.9", "port": 9, "connections": 1,
           "received": {"packets": 1, "bytes": 29}, "sent": {"packets": 0, "bytes": 0}}
    assert seen() == [one], seen()
    c.delete(SLICES + "/here")
    run("ip addr del 10.9.9.9/32 dev lo")


main([cluster_ips, external_is_outside, put_keeps, node_ports, many_ports, types, families, single_stack, networks, stats,
      restart, ranges, no_pool, pool, pool_full, pool_restart, watched, beta, node.stop])
