# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_patch.py - the three patches, the status subresource, and many writers of one object"""
import json
import threading

from node import PODS, V1, Client, Node, Refused, main, pod

node = Node().start()
c = node.client
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


def merge():
    c.post(PODS, {"metadata": {"name": "m", "labels": {"a": "1", "b": "2"}},
                  "spec": {"containers": [], "extra": {"x": [1, 2], "y": 1}}})
    got = c.patch(PODS + "/m", {"metadata": {"labels": {"a": None, "c": "3"}}})
    assert got["metadata"]["labels"] == {"b": "2", "c": "3"}, got["metadata"]
    before = got["metadata"]["resourceVersion"]
    node.await_running("m")
    before = c.get(PODS + "/m")["metadata"]["resourceVersion"]
    got = c.patch(PODS + "/m", {})
    assert got["metadata"]["resourceVersion"] == before, "an empty patch writes nothing"
    c.delete(PODS + "/m")


def types():
    c.post(PODS, pod("t"))
    for kind in ("application/json", "text/plain", "application/apply-patch+yaml"):
        code, _, body = c.raw("PATCH", PODS + "/t", "{}", {"Content-Type": kind})
        assert code == 415, (kind, code, body)
    code, _, body = c.raw("PATCH", PODS + "/t", "[1]", MERGE)
    assert code == 400, body
    code, _, body = c.raw("PATCH", PODS + "/absent", "{}", MERGE)
    assert code == 404, body
    c.delete(PODS + "/t")


def send(url, patch, headers, code=200):
    got, _, body = c.raw("PATCH", url, patch, headers)
    assert got == code, (got, body)
    return json.loads(body)


def json_patch():
    c.post(PODS, {"metadata": {"name": "j", "labels": {"a": "1"}, "annotations": {"x/y": "1"}}})
    got = send(PODS + "/j", [{"op": "test", "path": "/metadata/labels/a", "value": "1"},
                             {"op": "add", "path": "/metadata/labels/b", "value": "2"},
                             {"op": "move", "from": "/metadata/annotations/x~1y",
                              "path": "/metadata/labels/c"}], JSON)
    assert got["metadata"]["labels"] == {"a": "1", "b": "2", "c": "1"}, got["metadata"]
    refused = send(PODS + "/j", [{"op": "remove", "path": "/metadata/labels/b"},
                                 {"op": "test", "path": "/metadata/labels/a", "value": "2"}],
                   JSON, 422)
    assert refused["reason"] == "Invalid" and "/metadata/labels/a" in refused["message"], refused
    assert c.get(PODS + "/j")["metadata"]["labels"] == got["metadata"]["labels"], "all or nothing"
    send(PODS + "/j", [{"op": "replace", "path": "/metadata/labels", "value": "x"}], JSON, 422)
    version = node.await_running("j")["metadata"]["resourceVersion"]     # and nobody writes any more
    stale = str(int(version) - 1)
    for v, code in ((stale, 409), (version, 200)):
        send(PODS + "/j", [{"op": "replace", "path": "/metadata/resourceVersion", "value": v}],
             JSON, code)
    send(V1 + "/networks/default", [{"op": "add", "path": "/metadata/labels",
                                     "value": {"a": "b"}}], JSON)
    c.delete(PODS + "/j")


def strategic():
    c.post(PODS, {"metadata": {"name": "st"}, "spec": {"containers": [
        {"name": "a", "image": "one"}, {"name": "b", "image": "two"}]}})
    got = send(PODS + "/st", {"spec": {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "b", "image": "three"}]}}, STRATEGIC)
    assert [(x["name"], x["image"]) for x in got["spec"]["containers"]] == \
        [("a", "one"), ("b", "three")], got["spec"]
    got = send(PODS + "/st", {"metadata": {"finalizers": ["x/a", "x/b"]}}, STRATEGIC)
    got = send(PODS + "/st", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"],
                                           "finalizers": ["x/c"]}}, STRATEGIC)
    assert got["metadata"]["finalizers"] == ["x/b", "x/c"], got["metadata"]
    assert "$" not in json.dumps(got), got
    got = send(PODS + "/st/status", {"status": {"conditions": [
        {"type": "Mine", "status": "True"}]}}, STRATEGIC)
    assert "PodScheduled" in [x["type"] for x in got["status"]["conditions"]], got["status"]
    send(PODS + "/st", {"metadata": {"finalizers": None}}, STRATEGIC)
    refused = send(V1 + "/networks/default", {}, STRATEGIC, 415)
    assert "application/merge-patch+json" in refused["message"], refused
    refused = send(PODS + "/st", {"spec": {"containers": [{"image": "x"}]}}, STRATEGIC, 400)
    assert "spec.containers" in refused["message"], refused
    c.delete(PODS + "/st")


def grow():
    """An object stays below the limit, also when patches make it larger bit by bit."""
    c.post(PODS, pod("g"))
    for i in range(3):
        code = c.raw("PATCH", PODS + "/g", {"metadata": {"x%d" % i: "x" * 400000}}, MERGE)[0]
        assert code == (200 if i < 2 else 413), (i, code)
    c.delete(PODS + "/g")


def parallel():
    """Patches without a version never conflict, and all of them land."""
    c.post(PODS, pod("p"))
    failures = []

    def patch_of(i, k):
        label = "k%d-%d" % (i, k)
        if i % 3 == 0:
            return [{"op": "add", "path": "/metadata/labels/" + label, "value": "x"}], JSON
        return {"metadata": {"labels": {label: "x"}}}, STRATEGIC if i % 3 == 1 else MERGE

    c.patch(PODS + "/p", {"metadata": {"labels": {"k0-0": "x"}}})

    def one(i):
        client = Client(node.socket)
        for k in range(5):
            code, _, body = client.raw("PATCH", PODS + "/p", *patch_of(i, k))
            if code != 200:
                failures.append(body)
        client.close()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures
    assert len(c.get(PODS + "/p")["metadata"]["labels"]) == 100
    c.delete(PODS + "/p")


def status():
    c.post(PODS, pod("s"))
    running = node.await_running("s")
    got = c.patch(PODS + "/s/status", {"metadata": {"labels": {"no": "no"}}, "status": {
        "conditions": [{"type": "Ready", "status": "False", "reason": "Warming"}],
        "podIP": "1.1.1.1", "networks": []}})
    assert "labels" not in got["metadata"], got
    assert got["spec"] == running["spec"], got
    assert got["status"]["podIP"] == running["status"]["podIP"], got["status"]
    assert got["status"]["networks"] == running["status"]["networks"], got["status"]
    conditions = {x["type"]: x["status"] for x in got["status"]["conditions"]}
    assert conditions["Ready"] == "False" and conditions["NetworkReady"] == "True", conditions
    got = c.patch(PODS + "/s", {"status": {"phase": "Failed"}})
    assert got["status"]["phase"] == "Running", got
    assert c.get(PODS + "/s/status")["metadata"]["name"] == "s"
    c.delete(PODS + "/s")


def immutable():
    c.post(PODS, pod("i", {"podnet.dev/networks": "default"}))
    for patch in ({"spec": {"hostNetwork": True}},
                  {"metadata": {"annotations": {"podnet.dev/networks": "other"}}}):
        try:
            c.patch(PODS + "/i", patch)
        except Refused as r:
            assert r.code == 422, r
        else:
            raise AssertionError("not refused: %s" % patch)
    try:
        c.patch(V1 + "/networks/default", {"spec": {"cidrs": ["10.1.0.0/16"]}})
    except Refused as r:
        assert r.code == 422, r
    else:
        raise AssertionError("the CIDRs of a Network were changed")
    c.patch(PODS + "/i", {"metadata": {"annotations": {
        "kubernetes.io/ingress-bandwidth": "10M"}}})
    c.delete(PODS + "/i")


main([merge, types, json_patch, strategic, grow, parallel, status, immutable, node.stop])
