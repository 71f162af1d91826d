# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_fields.py - fieldValidation, and the warnings about what is kept and not implemented"""
import json

from node import PODS, V1, Node, main, pod

node = Node().start()
c = node.client
MERGE = {"Content-Type": "application/merge-patch+json"}
ODD = {"metadata": {"name": "odd", "labls": {}}, "spec": {"foo": 1, "affinity": {"x": 1}, "containers": [
    {"name": "a", "image": "b", "args": ["x"], "port": []}]}}
UNKNOWN = ['unknown field "metadata.labls"', 'unknown field "spec.foo"',
           'unknown field "spec.containers[0].port"']
IGNORED = ["spec.affinity is accepted but not implemented",
           "spec.containers[0].args is accepted but not implemented"]


def send(method, url, body, headers=None):
    """(code, answer, warnings)"""
    c.conn.request(method, url, json.dumps(body), headers or {})
    answer = c.conn.getresponse()
    text = answer.read()
    got = []
    for header in answer.headers.get_all("Warning", []):
        assert header.startswith('299 - "') and header.endswith('"'), header
        got.append(header[7:-1].replace('\\"', '"').replace("\\\\", "\\"))
    return answer.status, json.loads(text), got


def modes():
    for query, code, warnings in (("", 201, UNKNOWN + IGNORED), ("&fieldValidation=", 201, UNKNOWN + IGNORED),
                                  ("&fieldValidation=Warn", 201, UNKNOWN + IGNORED),
                                  ("&fieldValidation=Ignore", 201, []),
                                  ("&fieldValidation=Strict", 400, IGNORED),
                                  ("&fieldValidation=strict", 422, [])):
        got, answer, warned = send("POST", PODS + "?dryRun=All" + query, ODD)
        assert (got, warned) == (code, warnings), (query, got, answer, warned)
        if got == 201:
            assert answer["spec"]["foo"] == 1 and "labls" in answer["metadata"], "kept as sent"


def strict():
    url = PODS + "?fieldValidation=Strict"
    code, status, _ = send("POST", url, ODD)
    assert code == 400 and status["reason"] == "BadRequest", status
    assert status["message"] == 'Pod in version "v1" cannot be handled as a Pod: ' \
        'strict decoding error: ' + ", ".join(UNKNOWN), status["message"]
    assert [x["field"] for x in status["details"]["causes"]] == [
        "metadata.labls", "spec.foo", "spec.containers[0].port"], status
    code, status, _ = send("POST", url, {"metadata": {"name": "odd"}, "spec": {"x": 1, "hostNetwork": 3}})
    assert code == 400, status
    assert sorted(x["field"] for x in status["details"]["causes"]) == ["spec.hostNetwork", "spec.x"], status
    code, status, _ = send("POST", V1 + "/networks?fieldValidation=Strict", {
        "metadata": {"name": "n", "x": 1}, "spec": {"cidrs": ["10.9.0.0/16"], "cdrs": []}})
    assert [x["field"] for x in status["details"]["causes"]] == ["metadata.x", "spec.cdrs"], status
    assert send("POST", url, pod("fine"))[0] == 201
    node.await_running("fine")
    code, _, warned = send("PATCH", PODS + "/fine?fieldValidation=Strict", {"metadata": {"x": 1}}, MERGE)
    assert code == 400, code


def only_what_is_new():
    """What stands there already is not told again: a patch of something else is quiet, also Strict."""
    code, _, warned = send("PATCH", PODS + "/fine", {"metadata": {"x": {"y": 1}}}, MERGE)
    assert code == 200 and warned == ['unknown field "metadata.x"'], warned
    for query in ("", "?fieldValidation=Strict"):
        code, _, warned = send("PATCH", PODS + "/fine" + query, {"metadata": {"labels": {"a": "b"}}}, MERGE)
        assert code == 200 and warned == [], warned
        code, _, warned = send("PUT", PODS + "/fine" + query, c.get(PODS + "/fine"))
        assert code == 200 and warned == [], warned
    c.delete(PODS + "/fine")


def hostile():
    """A member's name cannot end a header, nor can many of them fill the answer."""
    name = 'a"\r\nX-Evil: 1\u00e9\\'
    code, _, warned = send("POST", PODS + "?dryRun=All", dict(pod("h"), **{name: 1}))
    assert code == 201 and warned == ['unknown field "a"??X-Evil: 1??\\"'], warned
    code, _, warned = send("POST", PODS + "?dryRun=All", dict(pod("h"), **{"x%d" % i * 90: 1 for i in range(500)}))
    assert code == 201 and len(warned) == 24 and len(max(warned)) < 250, (code, len(warned))


def nobodys():
    """What is to be on a node that is not there is taken, and said to be so; of one that is there nothing is."""
    bodies = (("/api/v1/namespaces/default/pods", {"containers": []}), ("/apis/podnet.dev/v1/bridges", {}),
              ("/apis/podnet.dev/v1/tunnels", {"type": "udp", "local": "192.0.2.1", "port": 9}))
    for url, spec in bodies:
        for name, told in (("elsewhere", ['spec.nodeName: there is no Node "elsewhere"']), ("node1", [])):
            code, body, warnings = send("POST", url + "?dryRun=All", {
                "metadata": {"name": "x"}, "spec": dict(spec, nodeName=name)})
            assert (code, warnings) == (201, told), (url, code, warnings, body)


main([modes, strict, only_what_is_new, hostile, nobodys, node.stop])
