# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_media.py - what a body may be written in: JSON, JSON unsaid, and Kubernetes' protobuf"""
import json

from node import PODS, Node, main

node = Node().start()
c = node.client
NS = "/api/v1/namespaces"
PROTOBUF = {"Content-Type": "application/vnd.kubernetes.protobuf",
            "Accept": "application/vnd.kubernetes.protobuf,application/json"}


def part(number, body):
    body = body.encode() if isinstance(body, str) else body
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def unknown(api_version, kind, raw):
    """runtime.Unknown, as kubectl 1.32 sends a Namespace."""
    return b"k8s\0" + part(1, part(1, api_version) + part(2, kind)) + part(2, raw) + part(3, "") + part(4, "")


def namespace(name):
    return unknown("v1", "Namespace", part(1, part(1, name) + part(11, part(1, "a") + part(2, "b"))) + part(2, ""))


def protobuf():
    code, headers, body = c.raw("POST", NS, namespace("red"), PROTOBUF)
    got = json.loads(body)
    assert code == 201 and headers["Content-Type"] == "application/json", (code, body)
    assert got["metadata"]["name"] == "red" and got["metadata"]["labels"]["a"] == "b", got
    assert got["status"]["phase"] == "Active" and got["spec"]["finalizers"] == ["kubernetes"], got
    for url, data, code in ((NS, namespace("red"), 409), (NS, namespace("Red"), 422),
                            (NS, namespace("blue")[:-9], 400), (NS, b"k8s", 400), (NS, b"", 400),
                            (NS, unknown("v1", "Pod", b""), 400), (NS, unknown("v2", "Namespace", b""), 400),
                            (PODS, unknown("v1", "Pod", b""), 415)):
        got, _, body = c.raw("POST", url, data, PROTOBUF)
        assert got == code and json.loads(body)["kind"] == "Status", (data, got, body)
    c.delete(NS + "/red")
    spec = part(1, part(1, "http") + bytes([3 << 3, 80]) + part(4, bytes([1 << 3, 0, 2 << 3, 90]))) + \
        part(2, part(1, "app") + part(2, "web")) + part(4, "ClusterIP")
    code, _, body = c.raw("POST", NS + "/default/services",
                          unknown("v1", "Service", part(1, part(1, "web")) + part(2, spec)), PROTOBUF)
    got = json.loads(body)
    assert code == 201 and got["spec"]["selector"] == {"app": "web"}, (code, body)
    assert got["spec"]["ports"] == [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 90}], got
    c.delete(NS + "/default/services/web")


def unsaid():
    for kind in ({}, {"Content-Type": ""}, {"Content-Type": "application/json; charset=utf-8"},
                 {"Content-Type": "Application/JSON"}):
        code, _, body = c.raw("POST", NS + "?dryRun=All", '{"metadata":{"name":"x"}}', kind)
        assert code == 201, (kind, code, body)
    for kind in ("text/plain", "application/yaml", "application/jsonx", "application/merge-patch+json",
                 "application/x-www-form-urlencoded"):
        code, _, body = c.raw("POST", NS, '{"metadata":{"name":"x"}}', {"Content-Type": kind})
        assert code == 415 and "application/json" in json.loads(body)["message"], (kind, code, body)


main([protobuf, unsaid, node.stop])
