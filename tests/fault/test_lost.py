# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_lost.py - what was acknowledged is there, or netd says that it is not: the log deleted or cut off, while netd is
down and while it runs; no version is ever given out twice"""
import shutil

from store import *             # noqa: F403  pylint: disable=wildcard-import


def cut(path):
    os.truncate(path, os.path.getsize(path) // 3)


def version(node):
    return int(node.client.get(PODS)["metadata"]["resourceVersion"])


def expired(node, revision):
    """Who has seen it has to list again, whichever way he comes."""
    code, _, text = node.client.raw("GET", PODS + "?resourceVersion=%d" % revision)
    assert code == 410 and json.loads(text)["reason"] == "Expired", (code, text)
    watch = node.watch(PODS + "?resourceVersion=%d" % revision)
    event = watch.next()
    watch.close()
    assert event["type"] == "ERROR" and event["object"]["code"] == 410, event


def gone(node, seen, names):
    """After the loss: said, the kernel as declared, and counting goes on above."""
    assert node.said("writes_lost") == 1, node.tail()
    events = node.watch("/api/v1/events?timeoutSeconds=20")
    said = events.until(lambda e: e["object"]["reason"] == "WritesLost")["object"]
    assert said["type"] == "Warning" and str(seen) in said["message"], said
    events.close()
    assert version(node) > seen
    expired(node, seen)
    there = {p["metadata"]["name"] for p in node.client.get(PODS)["items"]}
    assert there < set(names), there
    eventually("namespaces as declared",
               lambda: namespaces() == sorted(n + ".default" for n in there))
    node.client.post(PODS, pod("new"))
    created = int(node.await_running("new")["metadata"]["resourceVersion"])
    assert created > seen, (created, seen)


# what happens to the log while netd is down, and whether it was killed
LOSSES = [("deleted", os.unlink), ("cut to nothing", lambda p: os.truncate(p, 0)), ("cut", cut)]


@alone
def while_down():
    for says, loss in LOSSES:
        node = Stored(["--log-level", "warning"]).start()
        names = ["p%d" % i for i in range(30)]
        for name in names:
            node.client.post(PODS, pod(name))
        for name in names:
            node.await_running(name)
        seen = version(node)
        durable = max(int(p["metadata"]["resourceVersion"]) for p in node.client.get(PODS)["items"])
        node.client.patch(PODS + "/p0", {"metadata": {"labels": {"a": "b"}}})    # on the disk for certain
        seen = version(node)
        node.kill()
        log = node.db + "-wal"
        used = os.path.getsize(log)
        if says == "cut":
            os.truncate(log, frames(node) // 2)
        else:
            loss(log)
        assert durable <= seen and used
        node.start()
        gone(node, seen, names)
        stop_and_forget(node)
        print("     %s" % says)


def frames(node):
    """How far the log of a netd that was killed is filled: what comes behind is zeros."""
    with open(node.db + "-wal", "rb") as log:
        return len(log.read().rstrip(b"\0"))


def stop_and_forget(node):
    node.stop()
    NODES.remove(node)
    code, text = node.netd_says("--purge")
    assert code == 0, text


@alone
def while_running():
    """It is brought to the database and made anew; a kill takes nothing."""
    node = Stored(["--log-level", "warning"]).start()
    for i in range(10):
        node.client.post(PODS, pod("p%d" % i))
    os.unlink(node.db + "-wal")
    for i in range(10, 20):
        node.client.post(PODS, pod("p%d" % i))
    seen = version(node)
    assert node.said("store_log_made_anew") == 1, node.tail()
    node.kill()
    node.start()
    assert node.said("writes_lost") == 0, node.tail()
    assert {p["metadata"]["name"] for p in node.client.get(PODS)["items"]} == {"p%d" % i for i in range(20)}
    assert version(node) > seen
    node.stop()


@alone
def orderly():
    """A restart costs nobody his watch, and gives out no version twice."""
    node = Stored().start()
    node.client.post(PODS, pod("a"))
    node.await_running("a")
    seen = version(node)
    node.stop()
    node.start()
    assert version(node) >= seen
    watch = node.watch(PODS + "?resourceVersion=%d" % seen)
    node.client.post(PODS, pod("b"))
    event = watch.next()
    assert event["type"] == "ADDED" and event["object"]["metadata"]["name"] == "b", event
    assert node.said("writes_lost") == 0
    node.stop()


@alone
def older_file():
    """A copy by hand of a database that ended in order is put in the place of a later one."""
    node = Stored(["--log-level", "warning"]).start()
    node.client.post(PODS, pod("a"))
    node.await_running("a")
    node.stop()
    shutil.copy(node.db, node.dir + "/older")
    node.start()
    node.client.post(PODS, pod("b"))
    node.await_running("b")
    seen = version(node)
    node.stop()
    shutil.copy(node.dir + "/older", node.db)
    os.unlink(node.dir + "/revision")       # as after a boot: the time is left
    node.start()
    assert version(node) > seen
    expired(node, seen)
    eventually("namespaces as declared", lambda: namespaces() == ["a.default"])
    node.stop()


if __name__ == "__main__":
    main([while_down, while_running, orderly, older_file])
