# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_refusals.py - bad writes by table: the code, every field at fault at once, nothing changed

A row is a body, the code, and either the fields of all causes, in order, or a piece of the message.
Every answer is a Status with the reason that belongs to its code, and no list has a new version.
"""
import json

from node import PODS, V1, Node, main, pod

node = Node().start()
c = node.client
NS, NODES, EVENTS = "/api/v1/namespaces", "/api/v1/nodes", "/api/v1/namespaces/default/events"
NETS, VETHS, BRIDGES, ROUTES = (V1 + "/" + k for k in ("networks", "veths", "bridges", "routes"))
NETNS = V1 + "/networknamespaces"
P, B, N = PODS + "/there", BRIDGES + "/br-there", NETS + "/there"

REASONS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
           409: ("AlreadyExists", "Conflict"), 410: "Expired", 413: "RequestEntityTooLarge",
           415: "UnsupportedMediaType", 422: "Invalid", 504: "Timeout"}
MERGE = "application/merge-patch+json"
JSONP = "application/json-patch+json"
STRAT = "application/strategic-merge-patch+json"


def po(_name="x", _meta=None, **spec):
    return {"metadata": dict({"name": _name}, **(_meta or {})), "spec": spec}


def box(**members):
    """A pod with one good container, changed."""
    return po(containers=[dict({"name": "a", "image": "i"}, **members)])


def port(**members):
    return box(ports=[dict({"containerPort": 80}, **members)])


PORTS = "metadata.annotations[podnet.dev/ports]"


def published(ports):
    return po(_meta={"annotations": {"podnet.dev/ports": ports}})


def hosted(ports, **members):
    """... beside a hostPort."""
    return dict(published(ports), spec=port(hostPort=8080, **members)["spec"])


def op(word, path, **members):
    return [dict({"op": word, "path": path}, **members)]


# method, url, content type, [(body, code, fields of the causes or a piece of the message)]
GROUPS = [
    ("POST", PODS, None, [                                  # text that is not JSON, or not of use
        ('{"a":}', 400, "column 6"),
        ('{"a":1,}', 400, "line 1, column"),
        ("{'a':1}", 400, "not valid JSON"),
        ('{\n"a":01}', 400, "line 2"),
        ('{"a":+1}', 400, "malformed"),
        ('{"a":.5}', 400, "malformed"),
        ('{"a":NaN}', 400, "not valid JSON"),
        ('{"a":1e999}', 400, "too big"),
        ('{"a":99999999999999999999}', 400, "64 bits"),
        ('{"a":' + "1" * 100 + "}", 400, "too many digits"),
        ('{"a":"\x01"}', 400, "control character"),
        ('{"a":"\\ud800"}', 400, "escape"),
        ('{"a":"\\u0000"}', 400, "escape"),
        (b'{"a":"\xff"}', 400, "UTF-8"),
        ('{"a":"b', 400, "no end"),
        ("{} {}", 400, "something follows"),
        ("\ufeff{}".encode(), 400, "not valid JSON"),
        ("null", 400, "must be a JSON object"),
        ('"x"', 400, "must be a JSON object"),
        ('{"a":' * 70 + "1" + "}" * 70, 400, "nested too deeply"),
        ('{"spec":{"x":1,"x":2}}', 400, 'duplicate field "x"'),
        ('{"metadata":null}', 422, ["metadata.name"]),
        ("{}", 422, ["metadata.name"]),
    ]),
    ("POST", PODS, None, [                                  # types, at every depth
        ({"metadata": 3}, 400, "metadata"),
        ({"metadata": {"name": 3}}, 400, ["metadata.name"]),
        ({"metadata": {"name": "x", "namespace": 3}}, 400, "metadata.namespace"),
        (po(_meta={"labels": []}), 400, ["metadata.labels"]),
        (po(_meta={"labels": {"a": 1, "b": True}}), 400, ["metadata.labels[a]", "metadata.labels[b]"]),
        (po(_meta={"annotations": "x"}), 400, ["metadata.annotations"]),
        (po(_meta={"finalizers": "x"}), 400, ["metadata.finalizers"]),
        (po(_meta={"finalizers": [3, "ok"]}), 400, ["metadata.finalizers[0]"]),
        (po(_meta={"ownerReferences": {}}), 400, ["metadata.ownerReferences"]),
        (po(_meta={"ownerReferences": ["x"]}), 400, ["metadata.ownerReferences[0]"]),
        ({"metadata": {"name": "x"}, "spec": []}, 400, ["spec"]),
        (po(containers={}), 400, ["spec.containers"]),
        (po(containers=["x"]), 400, ["spec.containers[0]"]),
        (box(image=3, ports={}), 400, ["spec.containers[0].image", "spec.containers[0].ports"]),
        (port(containerPort="80"), 400, ["spec.containers[0].ports[0].containerPort"]),
        (port(containerPort=80.5), 400, ["spec.containers[0].ports[0].containerPort"]),
        (port(containerPort=80.0), 400, ["spec.containers[0].ports[0].containerPort"]),
        (po(hostNetwork="yes", nodeName=1), 400, ["spec.nodeName", "spec.hostNetwork"]),
        (po(nodeSelector={"a": 1}), 400, ["spec.nodeSelector[a]"]),
        (po(terminationGracePeriodSeconds=1.5), 400, ["spec.terminationGracePeriodSeconds"]),
    ]),
    ("POST", PODS, None, [                                  # names and values
        (po("A"), 422, ["metadata.name"]),
        (po("-a"), 422, ["metadata.name"]),
        (po("a..b"), 422, ["metadata.name"]),
        (po("a" * 254), 422, ["metadata.name"]),
        (po("a/b"), 422, ["metadata.name"]),
        ({"metadata": {"generateName": "A_"}}, 422, ["metadata.generateName", "metadata.name"]),
        (po(_meta={"labels": {"a/b/c": "x", "k": "-"}}), 422, ["metadata.labels"] * 2),
        (po(_meta={"labels": {"a" * 64: "x"}}), 422, ["metadata.labels"]),
        (po(_meta={"labels": {"a": "x" * 64}}), 422, ["metadata.labels"]),
        (po(_meta={"annotations": {"a b": "x"}}), 422, ["metadata.annotations"]),
        (po(_meta={"annotations": {"a": "x" * 262145}}), 422, ["metadata.annotations"]),
        (po(_meta={"finalizers": ["-"]}), 422, ["metadata.finalizers[0]"]),
        (po(_meta={"ownerReferences": [{}]}), 422, ["metadata.ownerReferences[0]." + m for m in
                                                    ("uid", "apiVersion", "kind", "name")]),
        (po(_meta={"ownerReferences": [dict(uid="1", apiVersion="v1", kind="Pod", name="p",
                                            controller=True)] * 2}), 422, ["metadata.ownerReferences"]),
        (po(containers=[{}]), 422, ["spec.containers[0].name", "spec.containers[0].image"]),
        (po(containers=[{"name": "a", "image": "i"}] * 2), 422, ["spec.containers[1].name"]),
        (box(name="A_b"), 422, ["spec.containers[0].name"]),
        (port(containerPort=0), 422, ["spec.containers[0].ports[0].containerPort"]),
        (port(containerPort=65536), 422, ["spec.containers[0].ports[0].containerPort"]),
        (port(protocol="ICMP"), 422, ["spec.containers[0].ports[0].protocol"]),
        (port(name="a" * 16), 422, ["spec.containers[0].ports[0].name"]),
        (port(hostIP="1.2.3"), 422, ["spec.containers[0].ports[0].hostIP"]),
        (po(restartPolicy="Sometimes", dnsPolicy="x"), 422, ["spec.restartPolicy", "spec.dnsPolicy"]),
        (po(hostname="a.b", subdomain="-"), 422, ["spec.hostname", "spec.subdomain"]),
        (po(terminationGracePeriodSeconds=-1), 422, ["spec.terminationGracePeriodSeconds"]),
        (po(_meta={"annotations": {"podnet.dev/networks": "nowhere"}}), 422,
         ["metadata.annotations[podnet.dev/networks]"]),
        (po(_meta={"annotations": {"podnet.dev/ips": "10.99.0.1"}}), 422,
         ["metadata.annotations[podnet.dev/ips]"]),
        (port(hostPort=65536), 422, ["spec.containers[0].ports[0].hostPort"]),
        (port(hostPort=-1), 422, ["spec.containers[0].ports[0].hostPort"]),
        (po(containers=[{"name": "c", "image": "i", "ports": [
            {"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]}]), 422,
         ["spec.containers[0].ports[1].hostPort"]),
        (published("80-"), 422, [PORTS]), (published("0"), 422, [PORTS]),
        (published("80:"), 422, [PORTS]), (published("90-80"), 422, [PORTS]),
        (published("80/icmp"), 422, [PORTS]), (published("65535-65536"), 422, [PORTS]),
        (published("8000-8100:9000-9099"), 422, [PORTS]), (published("1.2.3:80"), 422, [PORTS]),
        (published("fd00::1:80"), 422, [PORTS]), (published("80, 79-81"), 422, [PORTS]),
        (published("1-2000:2-2001"), 422, [PORTS]), (published("80, 0.0.0.0:80"), 422, [PORTS]),
        (hosted("8000-8100/tcp"), 422, [PORTS]), (hosted("0.0.0.0:8080"), 422, [PORTS]),
        (hosted("10.0.0.1:8080", hostIP="10.0.0.1"), 422, [PORTS]),
        (po(_meta={"annotations": {"podnet.dev/port": "80"}}), 422,
         ["metadata.annotations[podnet.dev/port]"]),
        (pod("there"), 409, 'pods "there" already exists'),
    ]),
    ("POST", PODS + "?fieldValidation=Strict", None, [
        (po(foo=1, bar=2), 400, ["spec.foo", "spec.bar"]),
        (box(img=1), 400, ["spec.containers[0].img"]),
    ]),
    ("POST", PODS + "?fieldValidation=Loose", None, [(po(), 422, ["fieldValidation"])]),
    ("POST", PODS + "?dryRun=Some", None, [(po(), 422, ["dryRun"])]),
    ("POST", PODS + "?dryRun=All", None, [(po("A"), 422, ["metadata.name"]),
                                          (pod("there"), 409, "already exists")]),
    ("POST", NETS, None, [
        (po(cidrs=["10.9.0.0/33"]), 422, ["spec.cidrs[0]"]),
        (po(cidrs=["10.9.0.0/16", "10.8.0.0/16"]), 422, ["spec.cidrs[1]"]),
        (po(cidrs=["10.9.0.0/16", "fd09::/64", "fd08::/64"]), 422, "spec.cidrs: Too many"),
        (po(cidrs=[]), 422, ["spec.cidrs"]),
        (po(cidrs=["127.0.0.0/8"]), 422, ["spec.cidrs[0]"]),
        (po(cidrs=["10.9.0.0/30"], type="mesh"), 422, "spec.type: Unsupported value"),
        (po(cidrs=["10.9.0.0/16"], blockSizes=[99]), 422, ["spec.blockSizes[0]"]),
        (po(cidrs=["10.77.1.0/24"]), 422, ["spec.cidrs[0]"]),
        (po(cidrs=["10.9.0.0/16"], masquerade="no", isolation=1), 400,
         ["spec.masquerade", "spec.isolation"]),
        (dict(po(cidrs=["10.9.0.0/16"]), extra=1), 400, ["extra"]),
    ]),
    ("POST", VETHS, None, [
        (po(ends=[{"name": "a"}, {"name": "b", "adresses": []}]), 400, ["spec.ends[1].adresses"]),
        (po(ends=[{"name": "a"}, {"name": "b", "addresses": ["10.0.0.300/24", "::/129"]}]), 422,
         ["spec.ends[1].addresses[0]", "spec.ends[1].addresses[1]"]),
        (po(ends=[{}, {}]), 422, "spec.ends[1].name: Required value"),
        (po(ends=[{"name": "a"}] * 3), 422, "spec.ends: Too many"),
    ]),
    ("POST", BRIDGES, None, [
        (po("b", macAddress="1:2:3", mtu=67), 422, ["spec.mtu", "spec.macAddress"]),
        (po("b", addresses=["10.0.0.1"] * 2), 422, ["spec.addresses[1]"]),
    ]),
    ("POST", ROUTES, None, [
        (po(), 422, "spec.destination: Required value"),
        (po(destination="10.0.0.1/8", gateway="10.0.0.1"), 422, ["spec.destination"]),
        (po(destination="10.0.0.0/8", gateway="fd00::1"), 422, ["spec.gateway"]),
        (po(destination="default", interface="lo", table=0, metric=-1), 422,
         ["spec.table", "spec.metric"]),
        (po(destination="default", type="blackhole", gateway="10.0.0.1"), 422, ["spec.gateway"]),
    ]),
    ("POST", NETNS, None, [(po("n", path="relative"), 422, ["spec.path"])]),
    ("POST", NS, None, [
        ({"metadata": {"name": "a.b"}}, 422, ["metadata.name"]),
        ({"metadata": {"name": "a", "namespace": "b"}}, 400, "metadata.namespace"),
        ({"metadata": {"name": "a"}, "spec": {"finalizers": ["-", 3]}}, 400,
         ["spec.finalizers[0]", "spec.finalizers[1]"]),
        ({"metadata": {"name": "default"}}, 409, 'namespaces "default" already exists'),
    ]),
    ("POST", NS + "/ending/pods", None, [(po(), 403, ["metadata.namespace"])]),
    ("PUT", P, None, [
        (dict(pod("other")), 400, "metadata.name"),
        (dict(pod("there"), kind="Node"), 400, "kind"),
        (dict(pod("there"), apiVersion="v2"), 400, "apiVersion"),
        (po("there", {"namespace": "other"}), 400, "metadata.namespace"),
        (po("there", {"resourceVersion": "1"}), 409, "the object has been modified"),
        (po("there", {"resourceVersion": "x"}), 409, "the object has been modified"),
        (po("there", {"uid": "1-2-3"}), 409, "Precondition failed: UID"),
        (po("there", hostNetwork=True), 422, ["spec"]),
        (po("there", {"labels": {"-": ""}}, dnsPolicy="x"), 422, "metadata.labels"),
    ]),
    ("PUT", P + "/status", None, [
        ({"status": {"phase": "Sleeping", "podIP": "x"}}, 422, ["status.phase", "status.podIP"]),
        ({"status": {"conditions": [{}]}}, 422,
         ["status.conditions[0].type", "status.conditions[0].status"]),
        ({"status": {"conditions": [{"type": "A", "status": "True"}] * 2}}, 422,
         ["status.conditions[1].type"]),
        ({"status": {"conditions": {}}}, 400, ["status.conditions"]),
        ({"status": "x"}, 400, ["status"]),
        ({"metadata": {"resourceVersion": "1"}, "status": {}}, 409, "modified"),
    ]),
    ("PUT", PODS + "/absent", None, [(pod("absent"), 404, 'pods "absent" not found')]),
    ("PUT", PODS + "/absent/status", None, [({"status": {}}, 404, 'pods "absent" not found')]),
    ("PUT", EVENTS + "/x/status", None, [({"status": {}}, 404, "requested resource")]),
    ("PUT", N, None, [(po("there", cidrs=["10.78.0.0/16"]), 422, "spec.cidrs")]),
    ("PUT", NS + "/ending/finalize", None, [({"spec": {"finalizers": ["-"]}}, 422, ["spec.finalizers[0]"]),
                                            ({"spec": 3}, 400, "spec: must be an object")]),
    ("PUT", NS + "/absent/finalize", None, [({}, 404, 'namespaces "absent" not found')]),
    ("PATCH", P, MERGE, [
        ("[]", 400, "must be a JSON object"),
        ("", 400, "no body"),
        ("{", 400, "line 1"),
        ({"metadata": {"name": "other"}}, 400, "metadata.name"),
        ({"kind": "Node"}, 400, "kind"),
        ({"metadata": {"labels": {"a": 1}}}, 422, ["metadata.labels[a]"]),
        ({"metadata": {"labels": "x", "finalizers": ["-"]}}, 422,
         ["metadata.labels", "metadata.finalizers[0]"]),
        ({"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified"),
        ({"metadata": {"uid": "1"}}, 409, "UID"),
        ({"spec": {"hostNetwork": True}}, 422, ["spec"]),
    ]),
    ("PATCH", P, JSONP, [
        ("{}", 400, "must be a JSON list"),
        (["x"], 400, "operation 0"),
        (op("fly", "/metadata"), 400, "op must be"),
        (op("add", "/metadata"), 400, "value is missing"),
        (op("add", "metadata", value=1), 400, "begins with '/'"),
        (op("add", "/metadata/labels/a~2", value=""), 400, "'~'"),
        (op("remove", "/metadata/nothing"), 422, ["patch"]),
        (op("replace", "/spec/containers/7", value={}), 422, ["patch"]),
        (op("test", "/metadata/name", value="other"), 422, "operation 0 (test /metadata/name)"),
        (op("add", "/metadata/labels", value={"a": 1}), 422, ["metadata.labels[a]"]),
        (op("replace", "", value={"metadata": {"name": "other"}}), 400, "metadata.name"),
        (op("remove", ""), 422, ["patch"]),
        (op("copy", "/metadata/x", **{"from": "/nowhere"}), 422, ["patch"]),
        (op("move", "/metadata/x/y", **{"from": "/metadata"}), 422, "itself"),
        (op("replace", "/metadata/resourceVersion", value="1"), 409, "modified"),
        (op("test", "/kind", value="Pod") * 10001, 413, "at most 10000"),
    ]),
    ("PATCH", P, STRAT, [
        ({"spec": {"containers": [{"image": "x"}]}}, 400, "spec.containers"),
        ({"spec": {"containers": ["x"]}}, 400, "spec.containers"),
        ({"metadata": {"$patch": "swap"}}, 400, "metadata.$patch"),
        ({"metadata": {"$retainKeys": 3}}, 400, "metadata.$retainKeys"),
        ({"metadata": {"$setElementOrder/finalizers": {}}}, 400, "$setElementOrder"),
        ({"metadata": {"finalizers": [{}]}}, 400, "metadata.finalizers"),
        ({"metadata": {"labels": {"a": 1}}}, 422, ["metadata.labels[a]"]),
    ]),
    ("PATCH", P, None, [({}, 415, MERGE)]),
    ("PATCH", P, "application/json", [({}, 415, STRAT)]),
    ("PATCH", P, "application/apply-patch+yaml", [({}, 415, JSONP)]),
    ("PATCH", N, STRAT, [({}, 415, MERGE)]),
    ("PATCH", N, MERGE, [({"spec": {"ciders": []}}, 400, ["spec.ciders"]),
                         ({"spec": {"mtu": "1500"}}, 422, ["spec.mtu"]),
                         ({"spec": {"type": "bridge"}}, 422, "spec.type")]),
    ("PATCH", B, JSONP, [(op("add", "/spec/addresses", value=["x"]), 422, ["spec.addresses[0]"])]),
    ("PATCH", PODS + "/absent", JSONP, [([], 404, 'pods "absent" not found')]),
    ("PATCH", EVENTS + "/held", MERGE, [
        ({"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}, 422, ["metadata.finalizers[1]"])]),
    ("PATCH", N + "/status", MERGE, [({"status": {"conditions": [{"type": "A"}]}}, 422,
                                      ["status.conditions[0].status"])]),
    ("DELETE", P, None, [
        ({"kind": "Pod"}, 400, "DeleteOptions"),
        ("[]", 400, "must be a JSON object"),
        ({"gracePeriodSeconds": -1}, 400, "gracePeriodSeconds"),
        ({"gracePeriodSeconds": "1"}, 400, "gracePeriodSeconds"),
        ({"propagationPolicy": "Sideways"}, 422, ["propagationPolicy"]),
        ({"propagationPolicy": "Orphan", "orphanDependents": False}, 422, ["propagationPolicy"]),
        ({"dryRun": "All"}, 400, "dryRun"),
        ({"dryRun": ["all"]}, 422, ["dryRun"]),
        ({"preconditions": {"uid": "1"}}, 409, "Precondition failed: UID"),
        ({"preconditions": {"resourceVersion": "1"}}, 409, "Precondition failed: ResourceVersion"),
        ({"preconditions": {"uid": 1}}, 400, "preconditions.uid"),
        ({"preconditions": "x"}, 400, "preconditions"),
    ]),
    ("DELETE", P, "text/plain", [("x", 415, "application/json")]),
    ("DELETE", P + "?gracePeriodSeconds=soon", None, [(None, 400, "gracePeriodSeconds")]),
    ("DELETE", P + "?propagationPolicy=x", None, [(None, 422, ["propagationPolicy"])]),
    ("DELETE", P + "?dryRun=x", None, [(None, 422, ["dryRun"])]),
    ("DELETE", PODS + "/absent", None, [(None, 404, 'pods "absent" not found')]),
    ("DELETE", P + "/status", None, [(None, 405, "does not allow")]),
    ("DELETE", PODS + "?fieldSelector=spec.nothing%3Dx", None, [(None, 400, "field label not supported")]),
    ("DELETE", PODS + "?fieldSelector=x", None, [(None, 400, "x")]),
    ("DELETE", PODS, None, [({"dryRun": "All"}, 400, "dryRun"),
                            ({"preconditions": {"uid": "1"}}, 409, "UID")]),
    ("DELETE", "/api/v1/pods", None, [(None, 405, "does not allow")]),
    ("DELETE", NS, None, [(None, 403, "may not be deleted")]),
    ("DELETE", NODES, None, [(None, 403, "netd runs on it")]),
    ("DELETE", NETS, None, [(None, 403, "cannot be deleted")]),
    ("DELETE", NETS + "/default", None, [(None, 403, "cannot be deleted")]),
    ("POST", P, None, [(pod("there"), 405, "does not allow")]),
    ("POST", "/api/v1/pods", None, [(pod("x"), 405, "does not allow")]),
    ("PUT", PODS, None, [(pod("x"), 405, "does not allow")]),
    ("PATCH", NS + "/ending/finalize", MERGE, [({}, 405, "does not allow")]),
    ("OPTIONS", P, None, [(None, 405, "does not allow")]),
]


def versions():
    """Of every object, but for what netd itself still writes: there is nothing of that left."""
    return {(i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]):
            i["metadata"]["resourceVersion"]
            for url in (NS, NODES, "/api/v1/pods", "/api/v1/events", NETS, NETNS, VETHS, BRIDGES, ROUTES)
            for i in c.get(url)["items"] if i["metadata"].get("namespace") == "default" or
            i["kind"] not in ("Event",)}


def judge(status, want):
    if isinstance(want, str):
        return want in status["message"]
    causes = status.get("details", {}).get("causes", [])
    return [x.get("field") for x in causes] == want and \
        all(x["message"] and (status["code"] == 403 or x["field"] in status["message"]) for x in causes)


def row(method, url, kind, body, code, want):
    """None, or what is wrong with the answer."""
    got, headers, text = c.raw(method, url, body, {"Content-Type": kind} if kind else {})
    say = "%s %s %.100s: " % (method, url, body)
    try:
        status = json.loads(text)
    except ValueError:
        return "%swant %d, got %d, not JSON: %.300r" % (say, code, got, text)
    if got != code or status.get("kind") != "Status":
        return "%swant %d, got %d: %.500r" % (say, code, got, text)
    reason = REASONS[code] if isinstance(REASONS[code], tuple) else (REASONS[code],)
    if status["code"] != code or status["reason"] not in reason or status["status"] != "Failure" or \
            headers["Content-Type"] != "application/json":
        return "%snot the Status: %s" % (say, status)
    return None if judge(status, want) else "%swant %s, got %s" % (say, want, status)


def prepare():
    """Objects to run into."""
    c.post(PODS, pod("there"))
    c.post(NETS, po("there", cidrs=["10.77.0.0/16"]))
    c.post(BRIDGES, po("br-there"))
    node.await_running("there")
    node.await_ready(N)
    node.await_ready(B)
    c.post(EVENTS, {"metadata": {"name": "held", "finalizers": ["x.io/a"]},
                    "involvedObject": {"kind": "Pod", "namespace": "default"}})
    c.delete(EVENTS + "/held")
    c.post(NS, {"metadata": {"name": "ending"}, "spec": {"finalizers": ["kubernetes", "x.io/a"]}})
    c.delete(NS + "/ending")


def table():
    before = versions()
    wrong = [row(method, url, kind, *r) for method, url, kind, rows in GROUPS for r in rows]
    bad = [w for w in wrong if w]
    assert not bad, "%d of %d rows:\n  %s" % (len(bad), len(wrong), "\n  ".join(bad))
    assert len(wrong) >= 120, len(wrong)
    assert before == versions(), "something was written"
    print("%d rows" % len(wrong))


main([prepare, table, node.stop])
