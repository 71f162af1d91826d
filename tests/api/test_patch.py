# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_patch.py - merge patches, the status subresource, and many writers of one object"""
import threading

from node import PODS, V1, Client, Node, Refused, main, pod

node = Node().start()
c = node.client
MERGE = {"Content-Type": "application/merge-patch+json"}


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


def parallel():
    """Patches without a version never conflict, and all of them land."""
    c.post(PODS, pod("p"))
    failures = []

    def one(i):
        client = Client(node.socket)
        try:
            for k in range(5):
                client.patch(PODS + "/p", {"metadata": {"labels": {"k%d-%d" % (i, k): "x"}}})
        except Refused as r:
            failures.append(r)
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


main([merge, types, parallel, status, immutable, node.stop])
