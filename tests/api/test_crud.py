# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_crud.py - create, get, list, replace, delete over every kind, and what survives a restart

Room: HTTP only; the kernel is looked at by tests/e2e.
"""
import sqlite3
import subprocess

from node import PODS, V1, Client, Node, Refused, eventually, main, pod, run

node = Node().start()
c = node.client

SAMPLES = {
    "/api/v1/namespaces": {"metadata": {"name": "crud"}},
    "/api/v1/namespaces/default/pods": pod("crud"),
    "/api/v1/namespaces/default/events": {
        "metadata": {"name": "crud"}, "reason": "Tried", "message": "by a test", "type": "Normal",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "crud"}},
    V1 + "/networks": {"metadata": {"name": "crud"}, "spec": {"cidrs": ["10.77.0.0/16"]}},
    V1 + "/networknamespaces": {"metadata": {"name": "crud"}, "spec": {}},
    V1 + "/veths": {"metadata": {"name": "crud"},
                    "spec": {"ends": [{"name": "crud0"}, {"name": "crud1"}]}},
    V1 + "/bridges": {"metadata": {"name": "crudbr"}, "spec": {}},
    V1 + "/routes": {"metadata": {"name": "crud"},
                     "spec": {"destination": "10.78.0.0/24", "type": "blackhole"}},
    V1 + "/tunnels": {"metadata": {"name": "crudvx"},
                      "spec": {"type": "vxlan", "id": 7, "local": "192.0.2.1", "peers": [
                          {"address": "192.0.2.2", "cidrs": ["10.80.0.0/24"]}]}},
}


def refused(code, reason, function, *args):
    try:
        answer = function(*args)
    except Refused as r:
        assert (r.code, r.status["reason"]) == (code, reason), r
        assert r.status["kind"] == "Status" and r.status["code"] == code, r
        return r.status
    raise AssertionError("not refused: %s" % answer)


def every_kind():
    for url, body in SAMPLES.items():
        item = url + "/" + body["metadata"]["name"]
        made = c.post(url, body)
        assert made["metadata"]["uid"] and made["metadata"]["resourceVersion"], made
        assert made["kind"] and made["apiVersion"], made
        refused(409, "AlreadyExists", c.post, url, body)
        got = c.get(item)
        assert got["metadata"]["uid"] == made["metadata"]["uid"], (url, got)
        listed = c.get(url)
        assert listed["kind"] == made["kind"] + "List", listed
        assert any(i["metadata"]["name"] == body["metadata"]["name"] for i in listed["items"]), url
        assert all(int(i["metadata"]["resourceVersion"]) <=
                   int(listed["metadata"]["resourceVersion"]) for i in listed["items"]), listed
        got = c.get(item)
        got["metadata"].setdefault("labels", {})["tried"] = "yes"
        got["metadata"].pop("resourceVersion")
        put = c.put(item, got)
        assert put["metadata"]["labels"]["tried"] == "yes", put
        assert put["metadata"]["generation" if "generation" in put["metadata"] else "uid"] == \
            made["metadata"]["generation" if "generation" in made["metadata"] else "uid"], put
        assert put["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
        gone = c.delete(item)
        assert gone["kind"] in ("Status", "Pod", "Namespace"), gone
        if gone["kind"] == "Status":
            assert gone["status"] == "Success" and gone["details"]["uid"] == made["metadata"]["uid"]
        if gone["kind"] != "Namespace":
            refused(404, "NotFound", c.get, item)
            refused(404, "NotFound", c.delete, item)


def server_members():
    made = c.post(PODS, {"metadata": {
        "name": "server", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x",
        "managedFields": [{"manager": "x"}]},
        "spec": {"containers": [], "unknown": {"kept": [1, 2]}},
        "status": {"phase": "Failed", "podIP": "1.2.3.4"}})
    meta = made["metadata"]
    assert meta["uid"] != "mine" and not meta["creationTimestamp"].startswith("2001"), meta
    assert not {"deletionTimestamp", "selfLink", "managedFields"} & set(meta), meta
    assert meta["generation"] == 1, meta
    assert made["spec"]["unknown"] == {"kept": [1, 2]}, made
    assert made["status"]["phase"] == "Pending" and made["status"]["podIP"] != "1.2.3.4", made
    node.await_running("server")
    old = c.get(PODS + "/server")
    new = dict(old, status={"phase": "Failed"})
    answer = c.put(PODS + "/server", new)
    assert answer["status"] == old["status"], "PUT must not change status"
    assert answer["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"], \
        "nothing changed, so the version stays"
    c.delete(PODS + "/server")


def generate_name():
    names = {c.post(PODS, {"metadata": {"generateName": "gen-"}, "spec": {}})["metadata"]["name"]
             for _ in range(5)}
    assert len(names) == 5 and all(len(n) == 9 and n.startswith("gen-") for n in names), names
    for name in names:
        c.delete(PODS + "/" + name)


def locking():
    made = c.post(PODS, pod("lock"))
    node.await_running("lock")
    stale = dict(made, metadata=dict(made["metadata"], labels={"a": "b"}))
    refused(409, "Conflict", c.put, PODS + "/lock", stale)
    refused(409, "Conflict", c.patch, PODS + "/lock",
            {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"],
                          "labels": {"a": "b"}}})
    other = dict(made, metadata={"name": "lock", "uid": "another"})
    refused(409, "Conflict", c.put, PODS + "/lock", other)
    for conditions in ({"uid": "another"}, {"resourceVersion": "1"}):
        refused(409, "Conflict", c.delete, PODS + "/lock", {"preconditions": conditions})
    now = c.get(PODS + "/lock")["metadata"]
    c.delete(PODS + "/lock", {"preconditions": {"uid": now["uid"],
                                                "resourceVersion": now["resourceVersion"]}})


def put_creates():
    """Of what is not there: a Service, Endpoints and an Event, as in Kubernetes; of a version that is not, nothing."""
    ns = "/api/v1/namespaces/default"
    for url, body in ((ns + "/services/put", {"spec": {"ports": [{"port": 80}]}}), (ns + "/endpoints/put", {}),
                      (ns + "/events/put", SAMPLES[ns + "/events"]), (PODS + "/put", pod("put"))):
        body = dict(body, metadata={"name": "put"})
        wanted = 404 if url.startswith(PODS) else 201
        for more, query, headers, code in (
                ({"resourceVersion": "7"}, "", None, 404), ({}, "", {"If-Match": '"7"'}, min(wanted + 211, 412)),
                ({"name": "other"}, "", None, 400), ({}, "?dryRun=All", None, wanted), ({}, "", None, wanted)):
            got, _, text = c.raw("PUT", url + query, dict(body, metadata=dict({"name": "put"}, **more)), headers)
            assert got == (code if wanted == 201 or code == 400 else 404), (url, more, query, got, text)
        if wanted == 201:
            assert c.get(url)["metadata"]["uid"]
            assert c.raw("PUT", url, c.get(url))[0] == 200
            c.delete(url)
    refused(404, "NotFound", c.put, ns + "/services/put/status", {"metadata": {"name": "put"}})


def finalizers():
    c.post(PODS, {"metadata": {"name": "fin", "finalizers": ["a.b/c"]}, "spec": {}})
    gone = c.delete(PODS + "/fin")
    assert gone["metadata"]["deletionTimestamp"], gone
    assert c.get(PODS + "/fin")["metadata"]["deletionGracePeriodSeconds"] == 0
    c.delete(PODS + "/fin")
    watch = node.watch(PODS + "?fieldSelector=metadata.name=fin")
    c.patch(PODS + "/fin", {"metadata": {"finalizers": None}})
    watch.until(lambda e: e["type"] == "DELETED")
    watch.close()
    refused(404, "NotFound", c.get, PODS + "/fin")


def grace():
    c.post(PODS, pod("grace", terminationGracePeriodSeconds=1))
    watch = node.watch(PODS + "?fieldSelector=metadata.name=grace")
    answer = c.delete(PODS + "/grace")
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 1, answer
    watch.until(lambda e: e["type"] == "DELETED")
    c.post(PODS, pod("grace", terminationGracePeriodSeconds=600))
    node.await_running("grace")
    # while something runs there
    held = subprocess.Popen(["ip", "netns", "exec", "grace.default", "sh", "-c", "echo in; read x"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "in\n"
    c.delete(PODS + "/grace")
    assert c.get(PODS + "/grace")["metadata"]["deletionTimestamp"]
    c.delete(PODS + "/grace?gracePeriodSeconds=0")
    refused(404, "NotFound", c.get, PODS + "/grace")
    held.communicate()
    watch.close()


def dry_run():
    before = c.get(PODS)["metadata"]["resourceVersion"]
    made = c.post(PODS + "?dryRun=All", pod("dry"))
    assert made["metadata"]["uid"] and "resourceVersion" not in made["metadata"], made
    refused(404, "NotFound", c.get, PODS + "/dry")
    assert c.get(PODS)["metadata"]["resourceVersion"] == before
    real = c.post(PODS, pod("dry"))
    c.call("PATCH", PODS + "/dry?dryRun=All", {"metadata": {"labels": {"a": "b"}}},
           {"Content-Type": "application/merge-patch+json"})
    c.delete(PODS + "/dry", {"dryRun": ["All"]})
    assert "labels" not in c.get(PODS + "/dry")["metadata"]
    assert c.get(PODS + "/dry")["metadata"]["uid"] == real["metadata"]["uid"]
    refused(422, "Invalid", c.post, PODS + "?dryRun=Some", pod("dry2"))
    c.delete(PODS + "/dry")


def addresses():
    net = V1 + "/networks"
    c.post(net, {"metadata": {"name": "addr"}, "spec": {"cidrs": ["10.99.0.0/24"],
                                                        "blockSizes": [24]}})
    refused(422, "Invalid", c.post, net, {"metadata": {"name": "over"},
                                          "spec": {"cidrs": ["10.99.0.128/25"]}})
    ask = {"podnet.dev/networks": "default,addr", "podnet.dev/ips": "addr=10.99.0.77"}
    made = c.post(PODS, pod("addr", ask))
    assert made["status"]["networks"][1]["ips"] == ["10.99.0.77"], made
    assert made["status"]["podIP"] == made["status"]["networks"][0]["ips"][0], made
    again = refused(422, "Invalid", c.post, PODS, pod("addr2", ask))
    assert "podnet.dev/ips" in again["details"]["causes"][0]["field"], again
    why = refused(403, "Forbidden", c.delete, net + "/addr")
    assert "default/addr" in why["message"], why
    refused(422, "Invalid", c.post, PODS, pod("addr3", {"podnet.dev/networks": "nowhere"}))
    refused(422, "Invalid", c.post, PODS, pod("addr3", {"podnet.dev/ips": "1.2.3.4"}))
    c.delete(PODS + "/addr")
    again = refused(409, "Conflict", c.post, PODS, pod("addr4", ask))
    assert "10.99.0.77 was freed a moment ago and can be had again in " in again["message"], again
    c.delete(net + "/addr")
    refused(403, "Forbidden", c.delete, net + "/default")


def routes():
    """Two Routes that would be one in the kernel: the second is refused, also by an update."""
    url = V1 + "/routes"

    def route(name, **spec):
        return {"metadata": {"name": name}, "spec": dict({"type": "blackhole"}, **spec)}
    c.post(url, route("one", destination="10.79.0.0/24"))
    c.post(url, route("six", destination="fd79::/64"))
    for body in (route("two", destination="10.79.0.0/24"),
                 route("two", destination="10.79.0.0/24", table=254, metric=0),
                 route("two", destination="fd79::/64", metric=1024)):
        why = refused(422, "Invalid", c.post, url, body)
        assert why["details"]["causes"][0]["field"] == "spec.destination", why
        assert 'Route "one"' in why["message"] or 'Route "six"' in why["message"], why
    for name, spec in (("two", {"metric": 7}), ("three", {"table": 100}),
                       ("four", {"networkNamespace": "elsewhere"}), ("five", {"nodeName": "node9"})):
        c.post(url, route(name, destination="10.79.0.0/24", **spec))
    refused(422, "Invalid", c.patch, url + "/two", {"spec": {"metric": None}})
    c.patch(url + "/one", {"spec": {"mtu": 1400}})
    for name in ("one", "two", "three", "four", "five", "six"):
        c.delete(url + "/" + name)


def tunnels():
    """What two tunnels of a node, or a tunnel and a Route, cannot both have: the second is refused, by field."""
    url = V1 + "/tunnels"

    def tunnel(name, **spec):
        whole = dict({"type": "udp", "local": "192.0.2.1", "port": 9000}, **spec)
        cidrs = whole.pop("cidrs", None)
        if cidrs:
            whole["peers"] = [{"address": "192.0.2.2", "cidrs": cidrs}]
        return {"metadata": {"name": name}, "spec": whole}

    def causes(body, update=None):
        why = refused(422, "Invalid", c.patch, update, body) if update else refused(422, "Invalid", c.post, url, body)
        return [(x["field"], x["message"]) for x in why["details"]["causes"]]

    c.post(V1 + "/routes", {"metadata": {"name": "tr"}, "spec": {"destination": "10.83.0.0/24", "type": "blackhole"}})
    c.post(url, tunnel("t1", cidrs=["10.81.0.0/24", "fd81::/64"]))
    made = c.post(url, tunnel("t2", type="vxlan", id=5, port=4790))
    assert made["spec"]["nodeName"] == "node1", made
    assert c.post(url + "?dryRun=All", tunnel("t3", type="vxlan", id=5, port=None))["spec"]["port"] == 4789
    for field, holder, spec in (
            ("spec.port", 'Tunnel "t1" has it', {}),
            ("spec.port", 'Tunnel "t1" has it', {"type": "vxlan", "id": 6, "local": "192.0.2.9"}),
            ("spec.port", 'Tunnel "t2" has it', {"port": 4790}),
            ("spec.id", 'Tunnel "t2" has it', {"type": "vxlan", "id": 5, "port": 4790}),
            ("spec.id", "netd itself has it", {"type": "vxlan", "id": 142, "port": 4789}),
            ("spec.port", "netd itself has it", {"port": 4789}),
            ("spec.port", "netd itself has it", {"port": 4788}),
            ("spec.port", "netd itself has it", {"port": 4788, "nodeName": "another"}),
            ("spec.port", "netd itself has it", {"type": "vxlan", "id": 6, "port": 4788}),
            ("spec.interface", 'Tunnel "t1" has it', {"port": 9001, "interface": "t1"}),
            ("spec.peers[0].cidrs[1]", 'Tunnel "t1" has it', {"port": 9001, "cidrs": ["10.82.0.0/24", "10.81.0.0/24"]}),
            ("spec.peers[0].cidrs[0]", 'Route "tr" has it', {"port": 9001, "cidrs": ["10.83.0.0/24"]})):
        said = causes(tunnel("t3", **spec))
        assert len(said) == 1 and said[0][0] == field and holder in said[0][1], (said, spec)
    for spec in ({"local": "192.0.2.9"}, {"local": "fd00::1"}, {"nodeName": "node9"}, {"port": 9001, "cidrs": ["10.81.0.0/25"]},
                 {"type": "vxlan", "id": 6, "port": 4790}, {"type": "vxlan", "id": 5, "port": 4791}):
        c.post(url, tunnel("t3", **spec))
        c.delete(url + "/t3")
    c.post(url, tunnel("t3", port=9001))
    assert causes({"spec": {"port": 9000}}, url + "/t3")[0][0] == "spec.port"
    for destination in ("10.81.0.0/24", "fd81::/64"):
        why = refused(422, "Invalid", c.post, V1 + "/routes", {
            "metadata": {"name": "t"}, "spec": {"destination": destination, "type": "blackhole"}})
        assert 'Tunnel "t1" has it' in why["message"], why
    c.patch(url + "/t1", {"spec": {"mtu": 1400}})
    for name in ("t1", "t2", "t3"):
        c.delete(url + "/" + name)
    c.delete(V1 + "/routes/tr")


def immutable():
    """What has been one node's stays there, and a namespace is what it was adopted from, or made."""
    specs = {"networknamespaces": {}, "veths": {"ends": [{"name": "mvx"}, {"name": "mvy"}]}, "bridges": {},
             "routes": {"type": "blackhole", "destination": "10.78.0.0/24"},
             "tunnels": {"type": "vxlan", "id": 9, "local": "192.0.2.1"}}
    for kind, spec in specs.items():
        url = V1 + "/" + kind
        c.post(url, {"metadata": {"name": "moved"}, "spec": spec})
        changes = [("nodeName", "elsewhere")] + [("path", "/proc/1/ns/net")] * (kind == "networknamespaces")
        for field, value in changes:
            why = refused(422, "Invalid", c.patch, url + "/moved", {"spec": {field: value}})
            assert [x["field"] for x in why["details"]["causes"]] == ["spec." + field], why
        c.patch(url + "/moved", {"spec": {"nodeName": None}})
        assert c.get(url + "/moved")["spec"]["nodeName"] == "node1"
        c.delete(url + "/moved")
    url = V1 + "/networknamespaces"
    c.post(url, {"metadata": {"name": "moved"}, "spec": {"path": "/proc/self/ns/none"}})
    why = refused(422, "Invalid", c.patch, url + "/moved", {"spec": {"path": None}})
    assert [x["field"] for x in why["details"]["causes"]] == ["spec.path"], why
    c.delete(url + "/moved")


def macs():
    """One MAC address twice on a bridge network is refused; on another one it is fine."""
    for i, kind in enumerate(("bridge", "bridge", "routed")):
        c.post(V1 + "/networks", {"metadata": {"name": "mac%d" % i},
                                  "spec": {"type": kind, "cidrs": ["10.10%d.0.0/24" % i]}})

    def ask(net):
        return {"podnet.dev/networks": net, "podnet.dev/mac": "02:00:00:00:00:07"}
    c.post(PODS, pod("mac-a", ask("mac0")))
    why = refused(422, "Invalid", c.post, PODS, pod("mac-b", ask("mac0")))
    assert why["details"]["causes"][0]["field"] == "metadata.annotations[podnet.dev/mac]", why
    assert "default/mac-a" in why["message"], why
    c.post(PODS, pod("mac-b", ask("mac1")))
    c.post(PODS, pod("mac-c", ask("mac2")))
    c.post(PODS, pod("mac-d", ask("mac2")))
    c.delete(PODS + "/mac-a")
    c.post(PODS, pod("mac-a", ask("mac0")))
    for name in "abcd":
        c.delete(PODS + "/mac-" + name)
    for i in range(3):
        c.delete(V1 + "/networks/mac%d" % i)


def condition(obj, kind):
    return next((x for x in obj["status"].get("conditions", []) if x["type"] == kind), {})


def readiness_gates():
    c.post(PODS, pod("gates", readinessGates=[{"conditionType": "a.b/lb"}]))
    item = PODS + "/gates"
    got = node.await_running("gates")
    ready = condition(got, "Ready")
    assert condition(got, "ContainersReady")["status"] == "True", got
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady"), ready
    assert 'gate "a.b/lb" does not exist' in ready["message"], ready

    def patch(kind, status):
        return c.patch(item + "/status", {"status": {"conditions": [
            {"type": kind, "status": status}]}})
    assert "not \"True\", but False" in condition(patch("a.b/lb", "False"), "Ready")["message"]
    assert condition(patch("a.b/lb", "True"), "Ready")["status"] == "True"
    assert condition(patch("Ready", "False"), "Ready")["status"] == "True", "follows from the others"
    assert condition(patch("a.b/lb", "Unknown"), "Ready")["status"] == "False"
    c.delete(item)


def transition_times():
    c.post(PODS, pod("times"))
    node.await_running("times")

    def patch(**cond):
        got = c.patch(PODS + "/times/status", {"status": {"conditions": [dict(cond, type="X")]}})
        return condition(got, "X")["lastTransitionTime"]
    old = "2001-02-03T04:05:06Z"
    first = patch(status="True")
    assert first.startswith("20") and first.endswith("Z"), first
    assert patch(status="True", lastTransitionTime=old) == old, "the client says when"
    assert patch(status="True", reason="Same") == old, "the status is the same"
    assert patch(status="False", lastTransitionTime=old) != old, "a time that is the old one's"
    assert patch(status="True") >= first
    c.delete(PODS + "/times")
    got = c.patch("/api/v1/nodes/node1/status", {"status": {"conditions": [
        {"type": "Mine", "status": "True"}]}})
    assert condition(got, "Mine")["lastTransitionTime"], got


def restart():
    made = [c.post(PODS, pod("stay%d" % i)) for i in range(3)]
    for pod_ in made:
        node.await_running(pod_["metadata"]["name"])
    before = {i["metadata"]["name"]: i for i in c.get(PODS)["items"]}
    version = c.get(PODS)["metadata"]["resourceVersion"]
    uid = c.get("/api/v1/nodes/node1")["metadata"]["uid"]
    node.stop()
    node.start()
    fresh = Client(node.socket)
    after = {i["metadata"]["name"]: i for i in fresh.get(PODS)["items"]}
    assert after == before, "objects must be as they were"
    assert int(fresh.get(PODS)["metadata"]["resourceVersion"]) >= int(version)
    assert fresh.get("/api/v1/nodes/node1")["metadata"]["uid"] == uid
    for name in before:
        fresh.delete(PODS + "/" + name)
    fresh.close()


def rewrite(before, after, holding):
    """In every object of a stopped netd that has `holding` in it."""
    base = sqlite3.connect(node.dir + "/state/netd.db")
    with base:
        for row, text in base.execute("SELECT rowid, bytes FROM object").fetchall():
            text = text if isinstance(text, bytes) else text.encode()
            if holding in text:
                base.execute("UPDATE object SET bytes = ? WHERE rowid = ?", (text.replace(before, after), row))
    base.close()


def moved():
    """What an earlier netd let move to another node, and left in the kernel, goes with the object at last."""
    client = Client(node.socket)
    for url, spec in (("/veths", {"ends": [{"name": "ghost0"}, {"name": "ghost1"}]}),
                      ("/routes", {"type": "blackhole", "destination": "10.77.0.0/24"})):
        client.post(V1 + url, {"metadata": {"name": "ghost"}, "spec": spec})
        node.await_ready(V1 + url + "/ghost")
    client.close()
    node.stop()
    rewrite(b'"node1"', b'"node9"', b'"ghost"')
    node.start()
    client = Client(node.socket)
    for url in ("/veths", "/routes"):
        assert client.get(V1 + url + "/ghost")["spec"]["nodeName"] == "node9"
        client.delete(V1 + url + "/ghost")
    eventually("gone", lambda: not run("ip route show 10.77.0.0/24") and "ghost" not in run("ip -br link"))
    client.post(V1 + "/veths", {"metadata": {"name": "ghost"},
                                "spec": {"ends": [{"name": "ghost0"}, {"name": "ghost1"}]}})
    node.await_ready(V1 + "/veths/ghost")
    client.delete(V1 + "/veths/ghost")
    client.close()


def reboot():
    """Another boot id in the database: as if the kernel had forgotten everything."""
    client = Client(node.socket)
    for name, notes in (("made", None), ("brought", {"podnet.dev/origin": "cni"})):
        client.post(PODS, pod(name, notes))
        node.await_running(name)
    before = client.get(PODS + "/made")
    boot = before["status"]["bootID"].encode()
    client.close()
    node.stop()
    rewrite(boot, b"00000000" + boot[8:], b"bootID")
    node.start()
    # its status is written after the pass that makes netd ready
    after = node.await_object(PODS + "/made", lambda o: o["status"].get("bootID") == boot.decode())
    assert after["metadata"]["uid"] == before["metadata"]["uid"], after
    assert after["status"]["podIPs"] == before["status"]["podIPs"], after
    client = Client(node.socket)
    refused(404, "NotFound", client.get, PODS + "/brought")
    watch = node.watch("/api/v1/namespaces/default/events")
    watch.until(lambda e: e["object"]["reason"] == "Rebooted")
    watch.close()
    client.delete(PODS + "/made")
    client.close()


main([every_kind, server_members, generate_name, locking, put_creates, finalizers, grace, dry_run, addresses,
      routes, tunnels, immutable, macs, readiness_gates, transition_times,
      restart, moved, reboot, node.stop])
