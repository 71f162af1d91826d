# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_newer.py - the requests of kubectl 1.27 to 1.35, as they are on the wire

Room: Debian has kubectl 1.20 only (test_kubectl.py), so the forms in which newer ones ask are replayed.
What of them has a suite is not here: protobuf bodies in test_media, sendInitialEvents in test_watch.
"""
import json

from node import PODS, Node, main, pod

node = Node().start()
c = node.client
NS = "/api/v1/namespaces/default"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io," \
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
GROUPS = "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList%s"
AGGREGATED = ",".join([GROUPS % ("v2", ""), GROUPS % ("v2beta1", ""), "application/json"])
NOPEER = ",".join([GROUPS % ("v2", ";profile=nopeer"), GROUPS % ("v2", ""), "application/json"])
CBOR = "application/json;q=0.9,application/cbor;q=1"
STRATEGIC = "application/strategic-merge-patch+json"
EMPTY = '{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}'


def bad():
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"containers": [], "foo": 1}}


def service(**spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": dict({"selector": {"a": "b"}, "ports": [{"port": 80}]}, **spec)}


# method, path, body, headers, code, and what the answer is or has
ROWS = [
    ("GET", "/api?timeout=32s", None, {"Accept": AGGREGATED}, 200, "APIVersions"),
    ("GET", "/apis?timeout=32s", None, {"Accept": AGGREGATED}, 200, "APIGroupList"),
    ("GET", "/api", None, {"Accept": NOPEER}, 200, "APIVersions"),
    ("GET", "/apis", None, {"Accept": NOPEER}, 200, "APIGroupList"),
    ("GET", "/api/v1?timeout=32s", None, {"Accept": "application/json, */*"}, 200, "APIResourceList"),
    ("GET", "/apis/podnet.dev/v1?timeout=32s", None, {"Accept": CBOR}, 200, "APIResourceList"),
    ("POST", PODS + "?fieldManager=kubectl-create&fieldValidation=Strict", bad(), {}, 400,
     'strict decoding error: unknown field "spec.foo"'),
    ("POST", PODS + "?dryRun=All&fieldManager=kubectl-client-side-apply&fieldValidation=Strict", bad(), {}, 400,
     'unknown field "spec.foo"'),
    ("POST", PODS + "?fieldManager=kubectl-create&fieldValidation=Strict", pod("n"), {"Accept": CBOR}, 201, "Pod"),
    ("POST", NS + "/services?fieldManager=kubectl-create&fieldValidation=Strict", service(), {}, 201, "Service"),
    ("GET", PODS + "?limit=500", None, {"Accept": TABLE}, 200, "Table"),
    ("GET", PODS + "/n", None, {"Accept": TABLE}, 200, "Table"),
    ("GET", PODS + "?limit=500&resourceVersion=0", None, {"Accept": CBOR}, 200, "PodList"),
    ("GET", SLICES + "?labelSelector=kubernetes.io%2Fservice-name%3Ds&limit=500", None, {}, 200, "EndpointSliceList"),
    ("PATCH", PODS + "/n?fieldManager=kubectl-label", {"metadata": {"labels": {"a": "b"}}},
     {"Content-Type": "application/merge-patch+json"}, 200, "Pod"),
    ("PATCH", PODS + "/n?fieldManager=kubectl-client-side-apply&fieldValidation=Strict", {"spec": {"foo": 1}},
     {"Content-Type": STRATEGIC}, 400, 'unknown field "spec.foo"'),
    ("PATCH", PODS + "/n?fieldManager=kubectl&fieldValidation=Strict&force=false", "{}",
     {"Content-Type": "application/apply-patch+yaml"}, 415, "UnsupportedMediaType"),
    ("PATCH", PODS + "/n/status?fieldManager=kubectl-patch", {"status": {"message": "x"}},
     {"Content-Type": STRATEGIC}, 200, "Pod"),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, {}, 404, "NotFound"),
    ("GET", PODS + "/n/exec?command=sh&stdin=true", None,
     {"Sec-WebSocket-Protocol": "v5.channel.k8s.io"}, 404, "pods/exec is not served"),
    ("DELETE", NS + "/services/s", EMPTY, {}, 200, "Status"),
    ("GET", NS + "/services/s", None, {}, 404, "NotFound"),
    ("DELETE", PODS + "/n", EMPTY, {}, 200, "Pod"),
]


def requests():
    wrong = []
    for method, path, body, headers, code, piece in ROWS:
        got, answer, text = c.raw(method, path, body, headers)
        said = json.loads(text)
        ok = piece == said.get("kind") or (code >= 400 and piece in text.decode().replace('\\"', '"'))
        if got != code or not ok or answer["Content-Type"] != "application/json":
            wrong.append("%s %s: want %d %s, got %d %.300r" % (method, path, code, piece, got, text))
    assert not wrong, "\n".join(wrong)


def delete_by_asking():
    """>= 1.27 waits for the end of a deletion by GET: 404, or another uid, is the end."""
    made = c.post(PODS, {"metadata": {"name": "d", "finalizers": ["a.b/c"]}, "spec": {"containers": []}})
    c.delete(PODS + "/d", json.loads(EMPTY))
    still = c.get(PODS + "/d")["metadata"]
    assert still["uid"] == made["metadata"]["uid"] and still["deletionTimestamp"], still
    watch = node.watch(PODS + "?fieldSelector=metadata.name%3Dd&resourceVersion=" + still["resourceVersion"])
    c.patch(PODS + "/d", {"metadata": {"finalizers": None}})
    assert watch.until(lambda e: e["type"] == "DELETED")["object"]["metadata"]["uid"] == still["uid"]
    watch.close()
    assert c.raw("GET", PODS + "/d")[0] == 404
    again = c.post(PODS, pod("d"))
    assert c.get(PODS + "/d")["metadata"]["uid"] == again["metadata"]["uid"] != still["uid"]
    c.delete(PODS + "/d")


main([requests, delete_by_asking, node.stop])
