# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_errors.py - bad requests by table: each gets its code and reason, and changes nothing"""
import json
import subprocess

from node import PODS, V1, Node, main, pod

node = Node().start()
c = node.client
JSON = {"Content-Type": "application/json"}
NS = "/api/v1/namespaces"
NETS = V1 + "/networks"
VETHS = V1 + "/veths"


def meta(name, **spec):
    return {"metadata": {"name": name}, "spec": spec}


def ends(*names):
    return {"ends": [{"name": n} for n in names]}


# method, path, body, headers, code, reason, a piece of the message or a field of a cause
ROWS = [
    ("GET", "/nowhere", None, {}, 404, "NotFound", "could not find the requested resource"),
    ("GET", "/api/v1/nowhere", None, {}, 404, "NotFound", "requested resource"),
    ("GET", "/apis/nowhere/v1/pods", None, {}, 404, "NotFound", "requested resource"),
    ("GET", "/api/v1//pods", None, {}, 404, "NotFound", "requested resource"),
    ("GET", PODS + "/a/b", None, {}, 404, "NotFound", "requested resource"),
    ("GET", PODS + "/a", None, {}, 404, "NotFound", 'pods "a" not found'),
    ("GET", NETS + "/a", None, {}, 404, "NotFound", 'networks.podnet.dev "a" not found'),
    ("PUT", PODS + "/a", pod("a"), {}, 404, "NotFound", 'pods "a" not found'),
    ("DELETE", PODS + "/a", None, {}, 404, "NotFound", 'pods "a" not found'),
    ("POST", "/api/v1/pods", pod("a"), {}, 405, "MethodNotAllowed", "does not allow this method"),
    ("PUT", PODS, pod("a"), {}, 405, "MethodNotAllowed", "does not allow"),
    ("PATCH", NS, {}, {}, 405, "MethodNotAllowed", "does not allow"),
    ("POST", "/version", {}, {}, 405, "MethodNotAllowed", "does not allow"),
    ("DELETE", PODS + "/a/status", None, {}, 405, "MethodNotAllowed", "does not allow"),
    ("GET", PODS, None, {"Accept": "application/vnd.kubernetes.protobuf"}, 406, "NotAcceptable",
     "application/json"),
    ("GET", PODS, None, {"Accept": "text/html"}, 406, "NotAcceptable", "application/json"),
    ("POST", PODS, "x", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType",
     "application/json"),
    ("POST", PODS, "x" * (1024 * 1024 + 1), JSON, 413, "RequestEntityTooLarge", "1048576"),
    ("POST", PODS, "{", JSON, 400, "BadRequest", "line 1"),
    ("POST", PODS, "[]", JSON, 400, "BadRequest", ""),
    ("POST", PODS, "", JSON, 400, "BadRequest", "no body"),
    ("POST", PODS, '{"a":1,"a":2}', JSON, 400, "BadRequest", ""),
    ("POST", PODS, "[" * 100 + "]" * 100, JSON, 400, "BadRequest", "deep"),
    ("POST", PODS, {"kind": "Node", "metadata": {"name": "a"}}, {}, 400, "BadRequest", "kind"),
    ("POST", PODS, {"apiVersion": "v2", "metadata": {"name": "a"}}, {}, 400, "BadRequest",
     "apiVersion"),
    ("POST", PODS, {"metadata": {"name": "a", "namespace": "b"}}, {}, 400, "BadRequest",
     "namespace"),
    ("POST", PODS, {"metadata": "x"}, {}, 400, "BadRequest", "metadata"),
    ("POST", PODS, {"metadata": {"name": "a", "resourceVersion": "3"}}, {}, 400, "BadRequest",
     "resourceVersion should not be set"),
    ("POST", NS + "/nowhere/pods", pod("a"), {}, 404, "NotFound", 'namespaces "nowhere" not found'),
    ("POST", PODS, {"metadata": {}, "spec": {}}, {}, 422, "Invalid", "metadata.name"),
    ("POST", PODS, pod("A_b"), {}, 422, "Invalid", "metadata.name"),
    ("POST", PODS, {"metadata": {"name": "a", "labels": {"-": "x"}}}, {}, 422, "Invalid",
     "metadata.labels"),
    ("POST", PODS, {"metadata": {"name": "a"}, "spec": "x"}, {}, 400, "BadRequest", "spec"),
    ("POST", PODS, pod("a", {"podnet.dev/mac": "xx"}), {}, 422, "Invalid",
     "metadata.annotations[podnet.dev/mac]"),
    ("POST", PODS, pod("a", {"kubernetes.io/ingress-bandwidth": "fast"}), {}, 422, "Invalid",
     "metadata.annotations[kubernetes.io/ingress-bandwidth]"),
    ("POST", PODS, pod("a", {"podnet.dev/network": "default"}), {}, 422, "Invalid",
     "metadata.annotations[podnet.dev/network]: Forbidden: there is no such annotation"),
    ("POST", PODS, pod("a", readinessGates=[{}]), {}, 422, "Invalid",
     "spec.readinessGates[0].conditionType"),
    ("POST", PODS, pod("a", {"podnet.dev/ips": "10.244.0.1"}), {}, 422, "Invalid", "is reserved"),
    ("POST", PODS, pod("a", {"podnet.dev/ips": "10.244.0.0"}), {}, 422, "Invalid", "is reserved"),
    ("POST", PODS, pod("a", {"podnet.dev/ips": "10.244.3.255"}), {}, 422, "Invalid", "is reserved"),
    ("POST", PODS + "?dryRun=Maybe", pod("a"), {}, 422, "Invalid", "dryRun"),
    ("POST", NETS, meta("a"), {}, 422, "Invalid", "spec.cidrs"),
    ("POST", NETS, meta("a", cidrs=["10.0.0.1/8"]), {}, 422, "Invalid", "spec.cidrs[0]"),
    ("POST", NETS, meta("a", cidrs=["10.244.4.0/24"]), {}, 422, "Invalid", 'Network "default"'),
    ("POST", NETS, meta("a", cidrs=["10.9.0.0/16"], mtu=10), {}, 422, "Invalid", "spec.mtu"),
    ("POST", NETS, meta("a", cidrs=["10.9.0.0/16"], typ="x"), {}, 400, "BadRequest", "spec.typ"),
    ("POST", NETS, meta("a", cidrs=["10.9.0.0/16"], mtu="1500"), {}, 400, "BadRequest", "spec.mtu"),
    ("POST", V1 + "/networknamespaces", meta("a.b"), {}, 422, "Invalid", "metadata.name"),
    ("POST", VETHS, meta("a", **ends("x")), {}, 422, "Invalid", "spec.ends"),
    ("POST", VETHS, meta("a", **ends("x", "x")), {}, 422, "Invalid", "spec.ends[1].name"),
    ("POST", VETHS, meta("a", **ends("x", "a/b")), {}, 422, "Invalid", "spec.ends[1].name"),
    ("POST", VETHS, meta("a", **ends("x", "pnabcdefghijklm")), {}, 422, "Invalid",
     "spec.ends[1].name"),
    ("POST", VETHS, meta("a", **ends("x", "foo%d")), {}, 422, "Invalid", "spec.ends[1].name"),
    ("POST", VETHS, meta("a", **ends("all", "x")), {}, 422, "Invalid", "spec.ends[0].name"),
    ("POST", V1 + "/bridges", meta("a", interface="default"), {}, 422, "Invalid", "spec.interface"),
    ("POST", V1 + "/bridges", meta("all"), {}, 422, "Invalid", "spec.interface"),
    ("POST", V1 + "/routes", meta("a", destination="10.0.0.0/8"), {}, 422, "Invalid", "spec"),
    ("POST", V1 + "/routes", meta("a", destination="10.0.0.0/8", type="blackhole", metric=8192), {}, 422,
     "Invalid", "spec.metric"),
    ("POST", V1 + "/tunnels", meta("a"), {}, 422, "Invalid", "spec.type"),
    ("POST", V1 + "/tunnels", meta("a", type="udp", local="10.0.0.1"), {}, 422, "Invalid", "spec.port"),
    ("POST", V1 + "/tunnels", meta("a", type="vxlan", local="10.0.0.1"), {}, 422, "Invalid", "spec.id"),
    ("POST", V1 + "/tunnels", meta("a", type="udp", local="10.0.0.1", port=9, peer=[]), {}, 400, "BadRequest",
     "spec.peer"),
    ("POST", V1 + "/tunnels", meta("a", type="udp", local="10.0.0.1", port="9"), {}, 400, "BadRequest", "spec.port"),
    ("POST", V1 + "/tunnels", meta("a", type="udp", local="10.0.0.1", port=9, mtu=9, peers=[
        {"address": "fd00::1", "cidrs": ["10.1.0.0/16"]}]), {}, 422, "Invalid", "spec.peers[0].address"),
    ("DELETE", NS + "/default", None, {}, 403, "Forbidden", 'namespaces "default" is forbidden'),
    ("DELETE", NS + "/kube-system", None, {}, 403, "Forbidden", "is forbidden"),
    ("DELETE", "/api/v1/nodes/node1", None, {}, 403, "Forbidden", "netd runs on it"),
    ("POST", "/api/v1/nodes", {"metadata": {"name": "far"}, "spec": {"podCIDRs": ["10.244.0.0/20"]}},
     {}, 422, "Invalid", "spec.podCIDRs[0]"),
    ("PATCH", "/api/v1/nodes/node1", {"spec": {"podCIDRs": ["10.3.0.0/24"]}},
     {"Content-Type": "application/merge-patch+json"}, 422, "Invalid", "spec.podCIDRs"),
    ("DELETE", NETS + "/default", None, {}, 403, "Forbidden",
     'networks.podnet.dev "default" is forbidden'),
    ("GET", PODS + "?labelSelector=a%3D%3D%3Db", None, {}, 400, "BadRequest", "labelSelector"),
    ("GET", PODS + "?fieldSelector=spec.x%3Db", None, {}, 400, "BadRequest",
     "field label not supported: spec.x"),
    ("GET", PODS + "?resourceVersion=x", None, {}, 400, "BadRequest", "resourceVersion"),
    ("GET", PODS + "?resourceVersion=99999999999999999", None, {}, 504, "Timeout",
     "ResourceVersionTooLarge"),
    ("GET", PODS + "?resourceVersionMatch=Exact", None, {}, 422, "Invalid", "resourceVersion"),
    ("GET", PODS + "/a/log", None, {}, 404, "NotFound", "pods/log is not served: podnet holds"),
    ("POST", PODS + "/a/exec?command=x", None, {}, 404, "NotFound", "pods/exec is not served"),
    ("GET", PODS + "/a/nothing", None, {}, 404, "NotFound", "the server could not find the requested"),
    ("GET", NETS + "/a/log", None, {}, 404, "NotFound", "the server could not find the requested"),
    ("DELETE", PODS + "/a?gracePeriodSeconds=x", None, {}, 400, "BadRequest", "gracePeriodSeconds"),
]


def wishes(client):
    """What users declared; status is netd's own and may still be on its way."""
    return [(i["metadata"]["name"], i["metadata"]["generation"], i["metadata"].get("labels"), i["spec"])
            for url in ("/api/v1/pods", NETS) for i in client.get(url)["items"]]


def table():
    before = wishes(c)
    wrong = []
    for method, path, body, headers, code, reason, piece in ROWS:
        got, answer_headers, text = c.raw(method, path, body, headers)
        try:
            status = json.loads(text)
        except ValueError:
            status = {}
        say = "%s %s %.60s" % (method, path, body)
        if (got, status.get("reason")) != (code, reason):
            wrong.append("%s: want %d %s, got %d %.300r" % (say, code, reason, got, text))
        elif piece not in text.decode() and piece not in status.get("message", ""):
            wrong.append("%s: %r is not in %.300r" % (say, piece, status.get("message")))
        elif status["kind"] != "Status" or status["code"] != code or \
                answer_headers["Content-Type"] != "application/json":
            wrong.append("%s: not a Status: %.300r" % (say, text))
    assert not wrong, "%d of %d rows:\n  %s" % (len(wrong), len(ROWS), "\n  ".join(wrong))
    assert before == wishes(c), "something was written"


def accepted():
    """What looks odd and must be taken all the same."""
    for accept in ("*/*", "application/*", "application/vnd.kubernetes.protobuf, */*"):
        code, headers, text = c.raw("GET", PODS, None, {"Accept": accept})
        assert code == 200 and json.loads(text)["kind"] == "PodList", (accept, code, text)
        assert headers["Content-Type"] == "application/json", headers["Content-Type"]
    code, _, text = c.raw("POST", PODS, json.dumps({"metadata": {"name": "odd", "labels": None}}))
    assert code == 201, text
    assert json.loads(text)["kind"] == "Pod", text
    c.delete(PODS + "/odd")
    for path in ("/version", "/version/", "/healthz", "/livez", "/readyz", "/metrics"):
        assert c.raw("GET", path)[0] == 200, path
    assert c.get(NS + "/absent/pods")["items"] == []
    version = c.get("/version/")
    assert len([v for v in version.values() if isinstance(v, str)]) >= 9, version


def all_causes_at_once():
    code, _, text = c.raw("POST", VETHS, {"metadata": {"name": "a"}, "spec": {
        "mtu": 3, "ends": [{"name": "a/b"}, {"name": "ok", "macAddress": "zz"}]}})
    fields = sorted(x["field"] for x in json.loads(text)["details"]["causes"])
    assert code == 422 and fields == ["spec.ends[0].name", "spec.ends[1].macAddress", "spec.mtu"], \
        (code, fields)


def large_body():
    """Also a body far over the limit gets its 413, with and without Expect: 100-continue."""
    for headers in ([], ["-H", "Expect:"]):
        done = subprocess.run(
            ["curl", "-s", "-S", "--unix-socket", node.socket, "-H", "Content-Type: application/json",
             "--data-binary", "@-", "-w", "\n%{http_code}"] + headers + ["http://podnet" + PODS],
            input=b"x" * (100 << 20), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        *body, code = done.stdout.decode().splitlines()
        assert code == "413" and "RequestEntityTooLarge" in body[0], (headers, done.stdout[-300:])


main([table, large_body, accepted, all_causes_at_once, node.stop])
