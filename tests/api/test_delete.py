# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_delete.py - options, preconditions, finalizers, owners, collections, namespaces"""
import json

from node import PODS, V1, Node, Refused, eventually, main, pod

node = Node().start()
c = node.client
NS = "/api/v1/namespaces"
EVENTS = NS + "/default/events"
MERGE = {"Content-Type": "application/merge-patch+json"}


def event(name, owners=(), **meta):
    """An Event: an object that nothing is done with."""
    meta = dict(meta, name=name)
    if owners:
        meta["ownerReferences"] = [{"apiVersion": o["apiVersion"], "kind": o["kind"],
                                    "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
                                   for o in owners]
    return {"metadata": meta, "involvedObject": {"kind": "Pod", "namespace": "default"}}


def send(method, url, body=None, code=200, headers=None):
    got, _, text = c.raw(method, url, body, headers or {})
    assert got == code, (method, url, got, text)
    return json.loads(text)


def there(url):
    return c.raw("GET", url)[0] == 200


def gone(url):
    eventually(url + " goes", lambda: not there(url))


def preconditions():
    e = c.post(EVENTS, event("p"))
    for wrong in ({"uid": "no"}, {"resourceVersion": "1"},
                  {"uid": e["metadata"]["uid"], "resourceVersion": "1"}):
        s = send("DELETE", EVENTS + "/p", {"preconditions": wrong}, 409)
        assert s["reason"] == "Conflict" and "Precondition failed" in s["message"], s
    s = send("DELETE", EVENTS + "/p?propagationPolicy=Sideways", None, 422)
    assert s["details"]["causes"][0]["field"] == "propagationPolicy", s
    for body, code in (({"propagationPolicy": "Sideways"}, 422), ({"propagationPolicy": 3}, 400),
                       ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
                       ({"dryRun": "All"}, 400), ({"dryRun": ["Some"]}, 422),
                       ({"dryRun": ["All", 3]}, 422), ({"preconditions": {"uid": 3}}, 400),
                       ({"gracePeriodSeconds": -1}, 400), ({"kind": "Pod"}, 400), ([], 400)):
        send("DELETE", EVENTS + "/p", body, code)
    send("DELETE", EVENTS + "/p?dryRun=All")
    send("DELETE", EVENTS + "/p", {"dryRun": ["All"]})
    assert c.get(EVENTS + "/p")["metadata"] == e["metadata"]
    s = send("DELETE", EVENTS + "/p", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {
        "uid": e["metadata"]["uid"], "resourceVersion": e["metadata"]["resourceVersion"]}})
    assert s["status"] == "Success" and s["details"] == {
        "name": "p", "kind": "events", "uid": e["metadata"]["uid"]}, s


def finalizers():
    c.post(EVENTS, event("f", finalizers=["x.io/a", "x.io/b"]))
    got = send("DELETE", EVENTS + "/f")
    stamp = got["metadata"]["deletionTimestamp"]
    assert got["kind"] == "Event" and got["metadata"]["deletionGracePeriodSeconds"] == 0, got
    again = send("DELETE", EVENTS + "/f")
    assert again["metadata"]["resourceVersion"] == got["metadata"]["resourceVersion"], again
    s = send("PATCH", EVENTS + "/f", {"metadata": {"finalizers": ["x.io/a", "x.io/c"]}}, 422, MERGE)
    assert s["details"]["causes"][0]["field"] == "metadata.finalizers[1]", s
    assert s["details"]["causes"][0]["reason"] == "FieldValueForbidden", s
    got = send("PATCH", EVENTS + "/f", {"metadata": {"finalizers": ["x.io/b"],
                                                     "deletionTimestamp": None}}, 200, MERGE)
    assert got["metadata"]["deletionTimestamp"] == stamp, got
    w = node.watch(EVENTS + "?fieldSelector=metadata.name=f")
    w.until(lambda e: e["type"] == "ADDED")
    got = send("PATCH", EVENTS + "/f", {"metadata": {"finalizers": None}}, 200, MERGE)
    last = w.until(lambda e: e["type"] == "DELETED")["object"]
    w.close()
    assert int(last["metadata"]["resourceVersion"]) >= int(got["metadata"]["resourceVersion"]), last
    assert not there(EVENTS + "/f")


def cascade():
    """Dependents of dependents too; what has another owner that lives only loses the reference."""
    owner, other = c.post(EVENTS, event("o")), c.post(EVENTS, event("other"))
    child = c.post(EVENTS, event("child", [owner]))
    c.post(EVENTS, event("grandchild", [child]))
    c.post(EVENTS, event("shared", [owner, other]))
    c.post(PODS, dict(pod("owned"), metadata=dict(event("owned", [owner])["metadata"])))
    send("DELETE", EVENTS + "/o", {"propagationPolicy": "Background"})
    for url in (EVENTS + "/child", EVENTS + "/grandchild", PODS + "/owned"):
        gone(url)
    eventually("the reference goes", lambda: [
        r["name"] for r in c.get(EVENTS + "/shared")["metadata"]["ownerReferences"]] == ["other"])
    send("DELETE", EVENTS + "/other")
    gone(EVENTS + "/shared")


def dangling():
    """An owner that was never there; one of a kind that is not served says nothing."""
    ghost = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ghost", "uid": "1-2-3"}}
    c.post(EVENTS, event("d", [ghost]))
    gone(EVENTS + "/d")
    c.post(EVENTS, event("rs", [dict(ghost, kind="ReplicaSet", apiVersion="apps/v1")]))
    c.post(EVENTS, event("d2", [ghost]))
    gone(EVENTS + "/d2")
    assert there(EVENTS + "/rs")
    c.delete(EVENTS + "/rs")


def orphan():
    for how, body in (("?propagationPolicy=Orphan", None), ("", {"orphanDependents": True})):
        owner = c.post(EVENTS, event("o"))
        c.post(EVENTS, event("child", [owner]))
        send("DELETE", EVENTS + "/o" + how, body)
        gone(EVENTS + "/o")
        assert "ownerReferences" not in c.get(EVENTS + "/child")["metadata"]
        c.delete(EVENTS + "/child")


def foreground():
    owner = c.post(EVENTS, event("o"))
    c.post(EVENTS, event("child", [owner], finalizers=["x.io/a"]))
    got = send("DELETE", EVENTS + "/o", {"propagationPolicy": "Foreground"})
    assert got["metadata"]["finalizers"] == ["foregroundDeletion"], got
    eventually("the child is marked",
               lambda: "deletionTimestamp" in c.get(EVENTS + "/child")["metadata"])
    assert there(EVENTS + "/o"), "the owner waits for its dependents"
    c.patch(EVENTS + "/child", {"metadata": {"finalizers": None}})
    gone(EVENTS + "/child")
    gone(EVENTS + "/o")


def collected_at_start():
    """The owner goes, and netd before it has looked: it looks when it starts."""
    owner = c.post(EVENTS, event("o"))
    for i in range(450):
        c.post(EVENTS, event("c%d" % i, [owner]))
    c.delete(EVENTS + "/o")
    node.kill()
    node.start()
    globals()["c"] = node.client
    eventually("all go", lambda: not [e for e in c.get(EVENTS)["items"]
                                      if e["metadata"]["name"].startswith("c")])


def collection():
    send("POST", NS, {"metadata": {"name": "many"}}, 201)
    pods = NS + "/many/pods"
    send("DELETE", "/api/v1/pods", None, 405)
    for i in range(250):
        c.post(NS + "/many/events", dict(event("e%d" % i), involvedObject={"namespace": "many"}))
    for i in range(3):
        c.post(pods, pod("p%d" % i))
    got = send("DELETE", pods + "?dryRun=All")
    assert got["kind"] == "PodList" and len(got["items"]) == 3, got
    got = send("DELETE", pods + "?fieldSelector=metadata.name%21%3Dp1", {"dryRun": ["All"]})
    assert [i["metadata"]["name"] for i in got["items"]] == ["p0", "p2"], got
    assert len(c.get(pods)["items"]) == 3
    got = send("DELETE", pods + "?fieldSelector=metadata.name%21%3Dp1")
    assert [i["metadata"]["name"] for i in got["items"]] == ["p0", "p2"], got
    assert [i["metadata"]["name"] for i in c.get(pods)["items"]] == ["p1"]
    send("DELETE", pods, {"gracePeriodSeconds": 600})       # over at once: nothing runs in it
    gone(pods + "/p1")
    c.post(pods, pod("p4"))
    got = send("DELETE", pods, {"gracePeriodSeconds": 0})
    assert len(got["items"]) == 1 and c.get(pods)["items"] == []
    for i in range(5):
        c.patch(NS + "/many/events/e%d" % i, {"metadata": {"labels": {"odd": str(i % 2)}}})
    got = send("DELETE", NS + "/many/events?labelSelector=odd%20in%20(1)")
    assert sorted(i["metadata"]["name"] for i in got["items"]) == ["e1", "e3"], got
    assert there(NS + "/many/events/e2") and not there(NS + "/many/events/e3")
    got = send("DELETE", NS + "/many/events")
    assert len(got["items"]) >= 248 and got["kind"] == "EventList", len(got["items"])
    assert send("DELETE", NS + "/many/events?fieldSelector=metadata.name=none")["items"] == []
    for url in (NS, V1 + "/networks", "/api/v1/nodes"):
        s = send("DELETE", url, None, 403)      # one of them may not go, so none does
        assert s["reason"] == "Forbidden", s
    assert there(NS + "/many")
    send("DELETE", NS + "/many")
    gone(NS + "/many")


def terminating():
    """While content with finalizers holds a namespace, nothing new is made in it."""
    send("POST", NS, {"metadata": {"name": "t"}, "spec": {"finalizers": ["kubernetes", "x.io/a"]}},
         201)
    c.post(NS + "/t/pods", dict(pod("a"), metadata={"name": "a", "finalizers": ["x.io/a"]}))
    got = send("DELETE", NS + "/t", {"propagationPolicy": "Foreground"})
    assert got["status"]["phase"] == "Terminating", got
    s = send("POST", NS + "/t/pods", pod("b"), 403)
    assert s["reason"] == "Forbidden", s
    assert s["details"]["causes"][0]["reason"] == "NamespaceTerminating", s
    s = send("POST", NS + "/t/pods?dryRun=All", pod("b"), 403)
    c.patch(NS + "/t/pods/a", {"metadata": {"finalizers": None}})
    gone(NS + "/t/pods/a")
    got = c.get(NS + "/t")
    got["spec"]["finalizers"] = []
    got["metadata"]["labels"]["not"] = "taken"
    assert send("PUT", NS + "/t", got)["spec"]["finalizers"] == ["kubernetes", "x.io/a"]
    stale = dict(got, metadata=dict(got["metadata"], resourceVersion="1"))
    send("PUT", NS + "/t/finalize", stale, 409)
    del got["metadata"]["resourceVersion"]
    send("PUT", NS + "/t/finalize", dict(got, spec={"finalizers": ["-"]}), 422)
    assert "x.io/a" in send("PUT", NS + "/t/finalize?dryRun=All", dict(got, spec={
        "finalizers": ["x.io/a"]}))["spec"]["finalizers"]
    assert send("PUT", NS + "/t/finalize", got)["spec"]["finalizers"] == []
    gone(NS + "/t")
    send("PUT", NS + "/t/finalize", got, 404)
    send("PATCH", NS + "/t/finalize", {}, 405, MERGE)


def generated():
    names = {c.post(EVENTS, dict(event(None), metadata={"generateName": "x" * 70}))[
        "metadata"]["name"] for _ in range(20)}
    assert len(names) == 20, names
    for name in names:
        assert len(name) == 63 and name.startswith("x" * 58), name
        assert all(ch in "bcdfghjklmnpqrstvwxz2456789" for ch in name[58:]), name
    send("DELETE", EVENTS)


def dry():
    """Everything but the write: what is refused is refused, and nothing is kept."""
    before = c.get("/api/v1/pods")["metadata"]["resourceVersion"]
    got = send("POST", PODS + "?dryRun=All", pod("dry"), 201)
    assert got["metadata"]["uid"] and "resourceVersion" not in got["metadata"], got
    assert got["metadata"]["generation"] == 1 and got["status"]["podIP"], got
    same = pod("dry", {"podnet.dev/ips": got["status"]["podIP"]})
    for _ in range(2):      # no address was kept
        send("POST", PODS + "?dryRun=All", same, 201)
    net = V1 + "/networks/default"
    old = c.get(net)
    for method, url, body, headers in (
            ("PUT", net, dict(old, metadata=dict(old["metadata"], labels={"a": "b"})), {}),
            ("PATCH", net, {"metadata": {"labels": {"a": "b"}}}, MERGE),
            ("PATCH", net + "/status", {"status": {"x": 1}}, MERGE)):
        got = send(method, url + "?dryRun=All", body, 200, headers)
        assert got != old and got["metadata"]["resourceVersion"] == \
            old["metadata"]["resourceVersion"], got
        send(method, url + "?dryRun=yes", body, 422, headers)
    assert c.get(net) == old
    assert c.get("/api/v1/pods")["metadata"]["resourceVersion"] == before


main([preconditions, finalizers, cascade, dangling, orphan, foreground, collection, terminating,
      generated, dry, collected_at_start, node.stop])
