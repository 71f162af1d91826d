# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_audit.py - one line in the log for each write, done or refused: who, what, answer, revision"""
import json
import os
import shlex

from node import PODS, Client, Node, eventually, main, pod

node = Node().start()
admin, view = node.client, Client(node.dir + "/view.sock")
MERGE, JSONP = "application/merge-patch+json", "application/json-patch+json"
SECRET = "s3cr3t"
EVENTS = "/api/v1/namespaces/default/events"
KEYS = ["who", "client", "pid", "role", "door", "verb", "kind", "ns", "name", "code", "rev"]


def noted(body):
    """With something in it that no log may hold."""
    return dict(body, metadata=dict(body["metadata"], annotations={"token": SECRET}))


# door, method, url, body, type, and of the line: verb, kind, ns, name, code
WRITES = [
    (admin, "POST", PODS, noted(pod("a")), None, "create", "pods", "default", "a", 201),
    (admin, "POST", PODS, noted(pod("a")), None, "create", "pods", "default", "a", 409),
    (admin, "POST", PODS, noted(pod("a b\n\"")), None, "create", "pods", "default", 'a b\\x0a"', 422),
    (admin, "POST", PODS, '{"a": "' + SECRET, None, "create", "pods", "default", "", 400),
    (admin, "POST", PODS, b"x" * 1100000, None, "create", "pods", "default", "", 413),
    (admin, "PATCH", PODS + "/a", noted({"metadata": {}}), MERGE, "patch", "pods", "default", "a", 200),
    (admin, "PATCH", PODS + "/a", [{"op": "test", "path": "/x", "value": SECRET}], JSONP,
     "patch", "pods", "default", "a", 422),
    (admin, "PATCH", PODS + "/a/status", {"status": {"message": SECRET}}, MERGE,
     "patch", "pods", "default", "a", 200),
    (admin, "PATCH", PODS + "/none", {}, MERGE, "patch", "pods", "default", "none", 404),
    (admin, "POST", PODS, SECRET, "text/" + SECRET, "create", "pods", "default", "", 415),
    (admin, "POST", "/api/v1/namespaces", {"metadata": {"name": "n"}}, None, "create", "namespaces", "", "n", 201),
    (admin, "POST", "/apis/podnet.dev/v1/bridges", noted(pod("br")), None,
     "create", "bridges.podnet.dev", "", "", 400),
    (view, "POST", PODS, noted(pod("b")), None, "create", "pods", "default", "", 403),
    (view, "DELETE", PODS + "/a", None, None, "delete", "pods", "default", "a", 403),
    (view, "DELETE", PODS, None, None, "deletecollection", "pods", "default", "", 403),
    (admin, "DELETE", PODS + "/a%0Aevent=audit%20who=%22root%22%5C", None, None,
     "delete", "pods", "default", r'a\x0aevent=audit who="root"' + "\\", 404),
    (admin, "DELETE", PODS + "/%C2%9B" + "y" * 2000, None, None,
     "delete", "pods", "default", None, 404),
    (admin, "DELETE", PODS + "/a?gracePeriodSeconds=0", None, None, "delete", "pods", "default", "a", 200),
    (admin, "DELETE", EVENTS + "?fieldSelector=metadata.name=" + SECRET, None, None,
     "deletecollection", "events", "default", "", 200),
]


def parse(line):
    fields = [word.split("=", 1) for word in shlex.split(line)]
    return dict(fields), [key for key, _ in fields]


def lines():
    with open(node.dir + "/log", encoding="ascii") as log:
        return [line for line in log if line.startswith("event=audit ") and line.endswith("\n")]


def row(client, method, url, body, kind, verb, what, ns, name, code):
    before = len(lines())
    headers = {"Authorization": "Bearer " + SECRET}
    got, _, text = client.raw(method, url, body, dict(headers, **({"Content-Type": kind} if kind else {})))
    say = "%s %.60s: %d %.300r" % (method, url, got, text)
    assert got == code, say
    new = lines()[before:]              # the line is there before the answer is
    assert len(new) == 1, "%s: %s" % (say, new)
    fields, keys = parse(new[0])
    assert keys == ["event"] + KEYS + (["objects"] if verb == "deletecollection" and code < 400 else []), new
    want = {"who": "uid:%d" % os.getuid(), "client": "uid:%d" % os.getuid(), "pid": str(os.getpid()),
            "role": "view" if client is view else "admin", "verb": verb, "kind": what, "ns": ns,
            "code": str(code)}
    want["door"] = want["role"]
    if name is not None:
        want["name"] = name
    wrong = {k: (fields[k], v) for k, v in want.items() if fields[k] != v}
    assert not wrong, "%s: %s" % (say, wrong)
    rev = json.loads(text).get("metadata", {}).get("resourceVersion") if code < 300 else "0"
    assert rev is None or fields["rev"] == rev, (new, rev)
    assert len(new[0]) < 1024, len(new[0])


def writes():
    for one in WRITES:
        row(*one)


def no_others():
    """What only reads, what leads nowhere, and a dry run that is granted."""
    before = len(lines())
    for client in (admin, view):
        for url in (PODS, PODS + "/none", "/healthz", "/metrics", "/api"):
            client.raw("GET", url)
        client.raw("POST", "/nowhere", {})
        client.raw("PUT", PODS, {})
    assert admin.raw("POST", PODS + "?dryRun=All", pod("dry"))[0] == 201
    assert len(lines()) == before, lines()[before:]


def client_gone():
    """Of those who do not wait for the answer: what was written has a line, what was not has none."""
    def as_there():
        """What the last of them wrote may come behind the answer to who came later."""
        names = {parse(line)[0]["name"] for line in lines()}
        there = {e["metadata"]["name"] for e in admin.get(EVENTS)["items"]}
        return {n for n in names if n.startswith("gone")} == {n for n in there if n.startswith("gone")}

    for i in range(100):
        client = Client(node.socket)
        client.conn.request("POST", EVENTS, json.dumps({
            "metadata": {"name": "gone%d" % i}, "involvedObject": {"kind": "Pod", "namespace": "default"}}))
        if i % 2:
            admin.get(PODS)             # meanwhile that one is read
        client.conn.sock.close()
    admin.post(PODS, pod("last"))
    eventually("a line for each that was written, and for no other", as_there)


def no_secret():
    node.stop()
    with open(node.dir + "/log", "rb") as log:
        assert SECRET.encode() not in log.read()


main([writes, no_others, client_gone, no_secret])
