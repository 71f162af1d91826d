# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_openapi.py - every operation of api/openapi.yaml: its parameters, bodies, forms and codes; and api/samples

Room: the document is the table.  RECIPES says how a code is come by; what no recipe leads to, another suite may.
Whether an answer is as documented, node.py looks at; what none of the suites has seen, coverage.py tells.
"""
import glob
import json
import time

import openapi
from node import Client, Node, UnixConnection, main, run

run("ip link add lan type veth peer name wan")     # the node has an address
run("ip address add 192.0.2.1/24 dev lan")
run("ip link set lan up")
run("ip link set wan up")
node = Node().start()
c, view = node.client, Client(node.dir + "/view.sock")
document = openapi.book.document
LARGE = b" " * (1 << 20) + b"{}"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE = {"Content-Type": "application/merge-patch+json"}
PROTOBUF = "application/vnd.kubernetes.protobuf"
ORDER = ["Namespace", "Network", "NetworkNamespace"]    # needed by others


def samples():
    found = []
    for file in sorted(glob.glob(openapi.TREE + "/api/samples/*.json")):
        with open(file) as text:
            sample = json.load(text)
        if sample["kind"] == "Event":       # old ones are tidied away
            sample["lastTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found.append(sample)
    return sorted(found, key=lambda o: ORDER.index(o["kind"]) if o["kind"] in ORDER else len(ORDER))


def api_of(operation):
    """(apiVersion, kind) of what it is about, or None."""
    gvk = operation.get("x-kubernetes-group-version-kind")
    return gvk and ((gvk["group"] + "/" if gvk["group"] else "") + gvk["version"], gvk["kind"])


class Kind:
    """One kind in one version, with a sample and its operations."""

    def __init__(self, api):
        self.api = api
        self.sample = next(o for o in samples() if (o["apiVersion"], o["kind"]) == api and
                           o["metadata"].get("namespace", "default") == "default")
        self.name = self.sample["metadata"]["name"]
        self.operations = [o for o in document.operations if api_of(document.operation(*o)) == api]
        self.collection = self.url(self.paths("post")[0])
        self.item = self.collection + "/" + self.name

    def url(self, path, namespace="default"):
        return path.replace("{namespace}", namespace).replace("{name}", self.name)

    def paths(self, method):
        return [path for path, m in self.operations if m == method]

    def body(self, **meta):
        """The sample, with other metadata."""
        return dict(self.sample, metadata=dict(self.sample["metadata"], **meta))


def kinds():
    seen = {}
    for operation in document.operations:
        api = api_of(document.operation(*operation))
        if api and api not in seen:
            seen[api] = Kind(api)
    return list(seen.values())


def expect(code, method, url, body=None, headers=None, client=c):
    got, _, text = client.raw(method.upper(), url, body, headers)
    assert got == code, "%s %s %s %s: %d and not %d: %s" % (method, url, str(body)[:80], headers, got, code, text[:300])
    return json.loads(text or b"null")


def usual(k, method):
    """(body, headers) of a request that would be accepted."""
    if method == "patch":
        return {"metadata": {"labels": {"a": "b"}}}, MERGE
    return (k.sample if method in ("put", "post") else None), {}


def nobody(k, method, url):
    body, headers = usual(k, method)
    if method == "put":
        body = k.body(name="nobody", resourceVersion="1")   # else some kinds are made by it
    return url.replace("/" + k.name, "/nobody"), body, headers


def with_header(k, method, url, **more):
    body, headers = usual(k, method)
    return url, body, dict(headers, **{name.replace("_", "-"): value for name, value in more.items()})


# code: methods to the request that it answers, (url, body, headers); 403 to who may only read
RECIPES = {
    "201": {"put": lambda k, m, u: (u.replace("/" + k.name, "/nobody") + "?dryRun=All", k.body(name="nobody"), {})},
    "304": {"get": lambda k, m, u: (u, None, {"If-None-Match": "*"})},
    "400": {"get": lambda k, m, u: (u + "?includeObject=All", None, {"Accept": TABLE}),
            "put post patch delete": lambda k, m, u: (u, "{", usual(k, m)[1])},
    "403": {"put post patch delete": lambda k, m, u: (u, *usual(k, m))},
    "404": {"post": lambda k, m, u: (u.replace("/default/", "/nowhere/"), k.body(namespace="nowhere"), {}),
            "get put patch delete": nobody},
    "406": {"get put post patch delete": lambda k, m, u: with_header(k, m, u, Accept="text/html")},
    "409": {"post": lambda k, m, u: (u, k.sample, {}),
            "put": lambda k, m, u: (u, k.body(resourceVersion="1"), {}),
            "patch": lambda k, m, u: (u, {"metadata": {"resourceVersion": "1"}}, MERGE),
            "delete": lambda k, m, u: (u, {"preconditions": {"uid": "another"}}, {})},
    "410": {"get": lambda k, m, u: (u + "?resourceVersion=1&resourceVersionMatch=Exact", None, {})},
    "412": {"put patch delete": lambda k, m, u: with_header(k, m, u, If_Match='"1"')},
    "413": {"get put post patch delete": lambda k, m, u: (u, LARGE, usual(k, m)[1])},
    "415": {"put post patch delete": lambda k, m, u: (u, "{}", {"Content-Type": "text/plain"})},
    "422": {"get": lambda k, m, u: (u + "?resourceVersionMatch=Exact", None, {}),
            "put post patch delete": lambda k, m, u: (u + "?dryRun=Some", *usual(k, m))},
    "504": {"get": lambda k, m, u: (u + "?resourceVersion=9000000000000000000", None, {})},
}


def refusals(k):
    for path, method in k.operations:
        for code in document.operation(path, method)["responses"]:
            for methods, request in RECIPES.get(code, {}).items():
                if method in methods.split():
                    expect(int(code), method, *request(k, method, k.url(path)),
                           client=view if code == "403" else c)


def parameters(k, path, method):
    """A query and headers for each parameter by its example; those of a watch apart."""
    for parameter in document.parameters(path, method):
        name, value = parameter["name"], parameter.get("example")
        if value is None or parameter["in"] == "path" or \
                name in ("watch", "sendInitialEvents", "allowWatchBookmarks", "timeoutSeconds"):
            continue
        query = "%s=%s" % (name, str(value).lower() if isinstance(value, bool) else value)
        if parameter["in"] == "header":
            yield "", {name: value}
        elif name == "fieldSelector" and method == "delete":
            yield "", {}
        elif name == "resourceVersionMatch":
            yield query + "&resourceVersion=0", {}
        else:
            yield query, {"Accept": TABLE} if name == "includeObject" else {}


def created(k):
    for query, headers in parameters(k, k.paths("post")[0], "post"):
        expect(201, "post", k.collection + "?dryRun=All&" + query, k.sample, headers)
    return expect(201, "post", k.collection, k.sample)


def watched(url):
    """Up to the bookmark behind what there is; with every parameter of a watch."""
    conn = UnixConnection(node.socket)
    conn.request("GET", url + "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=600"
                 "&resourceVersionMatch=NotOlderThan")
    answer = conn.getresponse()
    assert answer.status == 200, answer.read()
    while json.loads(answer.readline())["type"] != "BOOKMARK":
        pass
    conn.close()


def read(k):
    for path in k.paths("get"):
        url = k.url(path)
        for query, headers in parameters(k, path, "get"):
            expect(200, "get", url + "?" + query, None, headers)
        for form in document.resolve(document.operation(path, "get")["responses"]["200"])["content"]:
            if "stream=watch" in form:
                watched(url)
            else:
                expect(200, "get", url, None, {"Accept": form})


PATCHES = {
    "application/merge-patch+json": {"metadata": {"labels": {"a": "merge"}}},
    "application/strategic-merge-patch+json": {"metadata": {"labels": {"a": "strategic"}}},
    "application/json-patch+json": [{"op": "add", "path": "/metadata/annotations", "value": {"a": "json"}}],
}


def changed(k):
    body = expect(200, "get", k.item)
    del body["metadata"]["resourceVersion"]     # the server may write too
    for path in k.paths("put"):
        for query, headers in parameters(k, path, "put"):
            expect(200, "put", k.url(path) + "?" + query, body, headers)
    for path in k.paths("patch"):
        for query, headers in parameters(k, path, "patch"):
            expect(200, "patch", k.url(path) + "?" + query, PATCHES["application/merge-patch+json"],
                   dict(MERGE, **headers))
        for sort in document.operation(path, "patch")["requestBody"]["content"]:
            expect(200, "patch", k.url(path), PATCHES[sort], {"Content-Type": sort})


def message(number, *parts):
    """A field of a protobuf message: of parts, of text or of a number."""
    if isinstance(parts[0], int):
        return bytes([number << 3, parts[0]])
    body = parts[0].encode() if isinstance(parts[0], str) else b"".join(parts)
    return bytes([number << 3 | 2, len(body)]) + body


def in_protobuf(k, methods):
    """By the numbers of Kubernetes' generated.proto: a name, and of a Service a port."""
    spec = message(2, message(1, message(3, 80))) if k.api[1] == "Service" else b""
    body = b"k8s\0" + message(1, message(1, k.api[0]), message(2, k.api[1])) + \
        message(2, message(1, message(1, k.name)), spec)
    for path, method in k.operations:
        content = document.operation(path, method).get("requestBody", {}).get("content", {})
        if method in methods and PROTOBUF in content:
            expect(201 if method == "post" else 200, method, k.url(path) + "?dryRun=All", body,
                   {"Content-Type": PROTOBUF})


def deleted(k):
    for path in k.paths("delete"):
        chosen = "dryRun=All&" + ("" if "{name}" in path else "fieldSelector=metadata.name=%s&" % k.name)
        for query, headers in parameters(k, path, "delete"):
            expect(200, "delete", k.url(path) + "?" + chosen + query, None, headers)
        expect(200, "delete", k.url(path) + "?" + chosen, {"propagationPolicy": "Orphan"})
    expect(200, "delete", k.item)


def walk(k):
    """Everything that can be asked of one kind, as a test of its own."""
    def test():
        in_protobuf(k, ["post"])
        created(k)
        refusals(k)
        read(k)
        changed(k)
        in_protobuf(k, ["put"])
        deleted(k)
    test.__name__ = "%s in %s" % (k.api[1], k.api[0])
    return test


def special():
    """The paths that are no resource."""
    for path, method in document.operations:
        operation = document.operation(path, method)
        if api_of(operation):
            continue
        url = path.format(group="podnet.dev", version="v1")
        for query, _ in [("", {})] + list(parameters(None, path, method)):
            assert c.raw(method.upper(), url + "?" + query)[0] == 200, url
        if "404" in operation["responses"]:
            assert c.raw(method.upper(), path.format(group="nowhere", version="v1"))[0] == 404, path
        expect(405, "put", url, "{}")


def owned():
    """All of an owner reference."""
    owner = expect(201, "post", "/api/v1/namespaces", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "Namespace", "name": "owner", "uid": owner["metadata"]["uid"],
                 "controller": True, "blockOwnerDeletion": False}
    made = expect(201, "post", "/api/v1/namespaces/owner/events", {
        "metadata": {"name": "owned", "ownerReferences": [reference]}, "involvedObject": {"namespace": "owner"}})
    assert made["metadata"]["ownerReferences"] == [reference], made
    expect(200, "delete", "/api/v1/namespaces/owner")


def holds(got, sent):
    """Every member that was sent is there as it was sent."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and all(name in got and holds(got[name], value) for name, value in sent.items())
    if isinstance(sent, list):
        return len(got) == len(sent) and all(map(holds, got, sent))
    return got == sent


def replay():
    """Each sample is created, read as it was sent, replaced and deleted."""
    items, every = {}, kinds()
    for sample in samples():
        k = next(k for k in every if k.api == (sample["apiVersion"], sample["kind"]))
        status = sample.pop("status", None)     # which a create does not take
        collection = k.url(k.paths("post")[0], sample["metadata"].get("namespace", ""))
        url = collection + "/" + sample["metadata"]["name"]
        items[url] = sample
        made = expect(201, "post", collection, sample)
        assert holds(made, sample), made
        if status:
            got = expect(200, "patch", url + "/status", {"status": status}, MERGE)
            assert holds(got["status"], status), got
    for url, sample in items.items():
        got = expect(200, "get", url)
        assert holds(got, sample), (url, got)
        sample = dict(sample, metadata=dict(sample["metadata"], labels={"replaced": "yes"}))
        put = expect(200, "put", url, sample)
        assert holds(put, sample) and put["metadata"]["uid"] == got["metadata"]["uid"], (url, put)
    for url in reversed(list(items)):
        expect(200, "patch", url, {"metadata": {"finalizers": None}}, MERGE)
        expect(200, "delete", url + "?gracePeriodSeconds=0")
    assert {s["kind"] for s in items.values()} == {k.api[1] for k in every}, "a sample of every kind"


main([walk(kind) for kind in kinds()] + [special, owned, replay])
node.stop()
