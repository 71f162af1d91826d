# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_doors.py - who may come in by which door, and what each may do there"""
import json
import os
import stat

from node import PODS, V1, Client, Node, Watch, main, pod

node = Node().start()
admin = node.client
VIEW = node.dir + "/view.sock"
view = Client(VIEW)
POD = PODS + "/there"
MERGE = {"Content-Type": "application/merge-patch+json"}

# method, url, body, headers, how the message begins: every verb that writes, of each shape of path
WRITES = [
    ("POST", PODS, pod("x"), {}, "pods is forbidden: "),
    ("POST", PODS + "?dryRun=All", pod("x"), {}, "pods is forbidden: "),
    ("POST", PODS, "{broken", {"Content-Type": "text/x"}, "pods is forbidden: "),
    ("POST", "/api/v1/namespaces/absent/pods", pod("x"), {}, "pods is forbidden: "),
    ("POST", PODS, b"x" * (2 << 20), {}, "pods is forbidden: "),
    ("PUT", POD, pod("there"), {"Accept": "text/html"}, 'pods "there" is forbidden: '),
    ("PATCH", POD, {"metadata": {"labels": {"a": "b"}}}, MERGE, 'pods "there" is forbidden: '),
    ("PATCH", PODS + "/absent", {}, MERGE, 'pods "absent" is forbidden: '),
    ("DELETE", POD, None, {}, 'pods "there" is forbidden: '),
    ("DELETE", PODS, None, {}, "pods is forbidden: "),
    ("PUT", POD + "/status", pod("there"), {}, 'pods "there" is forbidden: '),
    ("PATCH", POD + "/status", {"status": {}}, MERGE, 'pods "there" is forbidden: '),
    ("PUT", "/api/v1/namespaces/default/finalize", {}, {}, 'namespaces "default" is forbidden: '),
    ("DELETE", "/api/v1/nodes/node1", None, {}, 'nodes "node1" is forbidden: '),
    ("POST", V1 + "/bridges", {"metadata": {"name": "br0"}}, {},
     "bridges.podnet.dev is forbidden: "),
    ("DELETE", "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/x", None, {},
     'networkpolicies.networking.k8s.io "x" is forbidden: '),
]

# what the route alone decides stays as it is
ROUTES = [("POST", "/nowhere", 404), ("PUT", PODS, 405), ("POST", "/version", 405),
          ("POST", "/api/v1/pods", 405), ("DELETE", "/apis", 405)]

READS = [PODS, POD, POD + "/status", "/api/v1/pods", "/api/v1/nodes", "/version", "/healthz",
         "/metrics", "/api", "/apis", "/api/v1", "/openapi/v2", "/openapi/v3", "/openapi.yaml",
         PODS + "?labelSelector=a%3Db&limit=1"]


def modes():
    """Of both sockets: its group and nobody else."""
    for path in (node.socket, VIEW):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660, path


def prepare():
    admin.post(PODS, pod("there"))
    node.await_running("there")


def view_writes_nothing():
    revision = admin.get(PODS)["metadata"]["resourceVersion"]
    for method, url, body, headers, begins in WRITES:
        code, got, text = view.raw(method, url, body, headers)
        say = "%s %s: %d %.300r" % (method, url, code, text)
        status = json.loads(text)
        assert code == 403 and got["Content-Type"] == "application/json", say
        assert (status["kind"], status["status"], status["reason"], status["code"]) == \
            ("Status", "Failure", "Forbidden", 403), say
        assert status["message"].startswith(begins + '"uid:%d" has the role view' % os.getuid()), say
    assert admin.get(PODS)["metadata"]["resourceVersion"] == revision, "something was written"


def view_routes():
    for method, url, want in ROUTES:
        code, _, text = view.raw(method, url, "{}")
        assert code == want, "%s %s: want %d, got %d %.300r" % (method, url, want, code, text)


def view_reads():
    for url in READS:
        code, _, text = view.raw("GET", url)
        assert code == 200, "%s: %d %.300r" % (url, code, text)


def view_watches():
    watch = Watch(VIEW, PODS + "?fieldSelector=metadata.name=seen")
    admin.post(PODS, pod("seen"))
    assert watch.next()["type"] == "ADDED"
    watch.close()


main([modes, prepare, view_writes_nothing, view_routes, view_reads, view_watches, node.stop])
