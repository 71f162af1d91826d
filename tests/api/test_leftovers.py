# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_leftovers.py - one failed test stays one: the next finds what it would have found"""
import contextlib
import io
import os
import signal

from node import PODS, Node, main, passes, pod

NAMESPACES = "/api/v1/namespaces"
SERVICES = "/api/v1/namespaces/%s/services"
node = Node().start()


def make_all():
    node.client.post(NAMESPACES, {"metadata": {"name": "made"}})
    node.client.post(SERVICES % "made", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    made = pod("a", terminationGracePeriodSeconds=600)
    made["metadata"]["finalizers"] = ["example.com/never"]
    node.client.post(PODS, made)
    node.await_running("a")


def fails():
    make_all()
    os.kill(node.process.pid, signal.SIGSTOP)
    assert False, "as it shall"


def fails_without_netd():
    make_all()
    Node().start()
    node.kill()
    raise OSError("no assertion")


def put_back():
    node.client.post(SERVICES % "default", {"metadata": {"name": "kept"}, "spec": {"ports": [{"port": 80}]}})
    for test in (fails, fails_without_netd, fails):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            assert not passes(test)
        assert "FAIL %s: " % test.__name__ in out.getvalue(), out.getvalue()
        assert out.getvalue().count("Traceback") == 1, out.getvalue()
        assert [n for n in Node.every if n.alive()] == [node]
        assert node.client.get(PODS)["items"] == []
        names = [s["metadata"]["name"] for s in node.client.get("/api/v1/services")["items"]]
        assert "kept" in names and "s" not in names, names


main([put_back, node.stop])
