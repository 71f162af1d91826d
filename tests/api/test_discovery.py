# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_discovery.py - what a client reads before it does anything, and the forms of an answer"""
import json

import yaml

from node import PODS, V1, Node, main, pod

node = Node().start()
c = node.client
FULL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def roots():
    api = c.get("/api")
    assert api["kind"] == "APIVersions" and api["versions"] == ["v1"], api
    assert "apiVersion" not in api and isinstance(api["serverAddressByClientCIDRs"], list), api
    groups = c.get("/apis")
    assert (groups["kind"], groups["apiVersion"]) == ("APIGroupList", "v1"), groups
    for group in groups["groups"]:
        assert group["preferredVersion"] == group["versions"][0], group
        alone = c.get("/apis/" + group["name"])
        assert (alone.pop("kind"), alone.pop("apiVersion")) == ("APIGroup", "v1")
        assert alone == group, (alone, group)
    assert "podnet.dev" in [g["name"] for g in groups["groups"]], groups
    for path in ("/api/v2", "/api/", "/apis/nowhere", "/apis/podnet.dev/v9", "/apis//v1"):
        code = c.raw("GET", path)[0]
        assert code == (200 if path == "/api/" else 404), (path, code)
    for path in ("/api/", "/apis/", "/api/v1/", "/apis/podnet.dev/", "/apis/podnet.dev/v1/"):
        assert c.get(path) == c.get(path[:-1]), path
    for path in ("/api", "/apis", "/api/v1", "/apis/podnet.dev/v1", "/openapi/v2"):
        assert c.raw("POST", path, "{}")[0] == 405, path


def paths():
    """Every group and version, the core first."""
    found = ["/api/v1"]
    for group in c.get("/apis")["groups"]:
        found += ["/apis/" + v["groupVersion"] for v in group["versions"]]
    return found


def resources():
    """Each resource that is listed can be listed, and what it says of itself is so."""
    kinds = {}
    for path in paths():
        said = c.get(path)
        assert said["kind"] == "APIResourceList", said
        assert path.endswith("/" + said["groupVersion"]), said
        for entry in said["resources"]:
            assert {"name", "singularName", "namespaced", "kind", "verbs"} <= set(entry), entry
            if "/" in entry["name"]:
                assert entry["verbs"] == {"namespaces/finalize": ["update"], "services/stats": ["get"]}.get(
                    entry["name"], ["get", "patch", "update"]), entry
                continue
            kinds[entry["name"]] = entry
            if "create" in entry["verbs"]:
                assert set(FULL) <= set(entry["verbs"]), entry
            assert entry["verbs"] == sorted(entry["verbs"]), entry
            answer = c.get("%s/%s" % (path, entry["name"]))
            assert answer["kind"] == entry["kind"] + "List", answer
            assert answer["apiVersion"] == said["groupVersion"], answer
            code = c.raw("GET", "%s/namespaces/default/%s" % (path, entry["name"]))[0]
            assert (code == 200) == entry["namespaced"], (entry, code)
    assert kinds["pods"]["shortNames"] == ["po"] and kinds["pods"]["categories"] == ["all"]
    assert kinds["namespaces"]["shortNames"] == ["ns"] and "categories" not in kinds["nodes"]
    assert kinds["networks"]["categories"] == ["podnet"], kinds["networks"]
    assert "pods/status" in [r["name"] for r in c.get("/api/v1")["resources"]]


def version():
    said = c.get("/version")
    for member in ("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate",
                   "goVersion", "compiler", "platform"):
        assert isinstance(said[member], str), said
    assert int(said["major"]) == 1 and int(said["minor"]) >= 21 and said["gitVersion"][0] == "v"
    assert c.raw("GET", "/livez")[2] == b"ok"


def fields(data):
    """(number, value) of a protobuf message in which nothing but numbers and lengths occur."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag, size = varint(), varint()
        assert tag & 7 == 2 and at + size <= len(data), (tag, size, at)
        yield tag >> 3, data[at:at + size]
        at += size


def at(data, *numbers):
    for number in numbers:
        data = dict(fields(data))[number]
    return data


def resources_of(path):
    return [r for r in c.get(path)["resources"] if "/" not in r["name"]]


def openapi_v2():
    """What old clients need of every kind, and schemas of ours alone."""
    code, headers, body = c.raw("GET", "/openapi/v2", None, {
        "Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})
    assert code == 200 and headers["Content-Type"] == "application/octet-stream", headers
    assert at(body, 1) == b"2.0", body
    dry = {}
    for number, path in fields(at(body, 8)):
        assert number == 2, number
        patch = at(path, 2, 8)
        assert [at(p, 1, 2, 3, 4) for n, p in fields(patch) if n == 8] == \
            [b"dryRun", b"fieldValidation"], patch
        assert at(patch, 13, 1) == b"x-kubernetes-group-version-kind", patch
        dry[at(path, 1).decode()] = yaml.safe_load(at(patch, 13, 2, 2))
    assert dry["/api/v1/namespaces/{namespace}/pods/{name}"] == \
        {"group": "", "kind": "Pod", "version": "v1"}, dry
    assert dry[V1 + "/veths/{name}"]["kind"] == "Veth", dry
    assert len(dry) == sum(len(resources_of(p)) for p in paths()), sorted(dry)
    defined = {at(d, 1).decode(): at(d, 2) for _, d in fields(at(body, 9))}
    assert sorted(defined) == sorted("dev.podnet.v1." + r["kind"] for r in resources_of(V1)), sorted(defined)
    for schema in defined.values():
        members = {at(m, 1): at(m, 2) for _, m in fields(at(schema, 25))}
        assert 25 in dict(fields(members[b"spec"])), "a spec lists its members"
        for name in (b"metadata", b"status"):   # they take others
            assert 25 not in dict(fields(members[name])), (name, members)


def check_version(path, said):
    """The document of a group and version, for newer clients."""
    assert said["openapi"].startswith("3."), said
    kinds = {}
    for item in said["paths"].values():
        for method, operation in item.items():
            if method == "parameters":
                continue
            gvk = operation["x-kubernetes-group-version-kind"]
            kinds[gvk["kind"]] = gvk
            names = [p["name"] for p in operation["parameters"]]    # none is a $ref
            assert method != "patch" or {"dryRun", "fieldValidation"} <= set(names), names
    assert sorted(kinds) == sorted(r["kind"] for r in resources_of(path)), kinds
    for kind, gvk in kinds.items():
        schema, = [s for s in said["components"]["schemas"].values()
                   if gvk in s.get("x-kubernetes-group-version-kind", [])]
        assert "metadata" in schema["properties"], (kind, schema)
    text = json.dumps(said)
    assert "strategic" not in text and '"additionalProperties": true' not in text and \
        '"additionalProperties": false' not in text
    return said["paths"]


def openapi_v3():
    index = c.get("/openapi/v3")["paths"]
    assert sorted("/" + p for p in index if p != "openapi.yaml") == sorted(paths()), index
    again = {}
    for path in paths():
        again.update(check_version(path, c.get(index[path[1:]]["serverRelativeURL"])))
    code, headers, body = c.raw("GET", index["openapi.yaml"]["serverRelativeURL"])
    assert code == 200 and headers["Content-Type"] == "application/yaml", headers
    whole = yaml.load(body, yaml.CSafeLoader)
    assert sorted(again) == sorted(p for p, item in whole["paths"].items()
                                   if any("x-kubernetes-action" in o for o in item.values())), again
    for path in ("/openapi/v3/api/v2", "/openapi/v3/api", "/openapi/v3/apis/podnet.dev",
                 "/openapi/v3/apis/nowhere/v1", "/openapi/v4", "/openapi/v3/x/podnet.dev/v1"):
        assert c.raw("GET", path)[0] == 404, path
    assert c.raw("PUT", "/openapi/v3/api/v1", "{}")[0] == 405


# Accept, and the kind of a list that answers it; None: 406
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PB = "application/vnd.kubernetes.protobuf"
ACCEPTS = [
    ("", "PodList"), ("*/*", "PodList"), ("application/*", "PodList"),
    ("application/json;charset=utf-8", "PodList"), ("application/json;q=0.9,application/cbor;q=1",
                                                   "PodList"),
    (PB + ", */*", "PodList"), (PB + ",application/json", "PodList"), (PB, None),
    ("text/html", None), (TABLE, "Table"), (TABLE + "," + PARTIAL, "Table"),
    (PARTIAL + "," + TABLE, "PartialObjectMetadataList"),
    ("application/json;as=Table;g=meta.k8s.io;v=v1beta1", "Table"),
    ("application/json; AS=table ; V=v1 ; G=meta.k8s.io", "Table"),
    (PB + ";as=Table;v=v1;g=meta.k8s.io," + TABLE, "Table"),
    ("application/json;as=Table;v=v2;g=meta.k8s.io", None),
    ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", "PodList"),
    ("application/json;as=Table;v=v1;g=other", None),
    ("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io", None),
    ("application/json,garbage;;=,", "PodList"), (",;=,", None),
]


def accepts():
    wrong = []
    for accept, kind in ACCEPTS:
        code, headers, text = c.raw("GET", PODS, None, {"Accept": accept} if accept else {})
        got = json.loads(text)
        if headers["Content-Type"] != "application/json" or \
                (code, got["kind"]) != ((200, kind) if kind else (406, "Status")):
            wrong.append("%s: %d %s" % (accept, code, got["kind"]))
    assert not wrong, "\n".join(wrong)
    code, _, text = c.raw("POST", PODS, pod("no"), {"Accept": TABLE})
    assert code == 406, (code, text)
    code, _, text = c.raw("GET", PODS + "/absent", None, {"Accept": TABLE})
    assert code == 404 and json.loads(text)["kind"] == "Status", text


def tags():
    """ETag and the headers that ask for one version, or for any other."""
    code, headers, text = c.raw("POST", PODS, pod("tag", **{"nodeName": "elsewhere"}))
    rev = json.loads(text)["metadata"]["resourceVersion"]
    tag = '"%s"' % rev
    assert code == 201 and headers["ETag"] == tag, headers.items()
    url = PODS + "/tag"
    assert c.raw("GET", url)[1]["ETag"] == tag
    label = {"metadata": {"labels": {"a": "b"}}}
    merge = {"Content-Type": "application/merge-patch+json"}
    rows = [
        ("GET", None, {"If-None-Match": tag}, 304),
        ("GET", None, {"If-None-Match": 'W/%s' % tag}, 304),
        ("GET", None, {"If-None-Match": '"1", %s' % tag}, 304),
        ("GET", None, {"If-None-Match": "*"}, 304),
        ("GET", None, {"If-None-Match": '"1"'}, 200),
        ("GET", None, {"If-None-Match": tag, "Accept": TABLE}, 200),
        ("PATCH", label, dict(merge, **{"If-Match": '"1"'}), 412),
        ("PATCH", label, dict(merge, **{"If-None-Match": "*"}), 412),
        ("PUT", pod("tag", nodeName="elsewhere"), {"If-Match": '"1"'}, 412),
        ("DELETE", None, {"If-Match": '"%s0"' % rev}, 412),
        ("DELETE", None, {"If-Match": ""}, 412),
        ("PATCH", label, dict(merge, **{"If-Match": tag}), 200),
        ("PATCH", label, dict(merge, **{"If-Match": tag}), 412),
        ("DELETE", None, {"If-Match": tag}, 412),
        ("DELETE", None, {"If-Match": "*"}, 200),
        ("DELETE", None, {"If-Match": "*"}, 404),
    ]
    for method, body, headers, want in rows:
        code, _, text = c.raw(method, url, body, headers)
        assert code == want, (method, headers, want, code, text)
        if code == 304:
            assert text == b"", text
        if code == 412:
            got = json.loads(text)
            assert (got["reason"], got["details"]["name"]) == ("PreconditionFailed", "tag"), got


main([roots, resources, version, openapi_v2, openapi_v3, accepts, tags])
node.stop()
