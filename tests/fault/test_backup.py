# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_backup.py - a copy made beside a netd that writes is whole, and put back it is what the kernel becomes"""
import shutil
import signal
import stat
import threading

from store import *             # noqa: F403  pylint: disable=wildcard-import


def writer(node, name, stop, done):
    """Pods of no network, one by one; @done: what was acknowledged."""
    client, n = Client(node.socket), 0
    while not stop.is_set():
        client.post(PODS, pod("%s-%d" % (name, n), hostNetwork=True))
        done.append("%s-%d" % (name, n))
        n += 1
    client.close()


def sound(node, copy):
    """What the copy says of itself, and the pods in it."""
    other = node.dir + "/other"
    os.mkdir(other)
    shutil.copy(copy, other + "/netd.db")
    code, text = node.netd_says("--state-dir", other, "--check")
    assert code == 0, text
    db = sqlite3.connect(other + "/netd.db")
    names = {row[0] for row in db.execute("SELECT name FROM object WHERE kind = 'pods'")}
    db.close()
    shutil.rmtree(other)
    return names


@alone
def while_writing():
    node = Stored(["--log-level", "error"]).start()
    stop, done = threading.Event(), []
    threads = [threading.Thread(target=writer, args=(node, "w%d" % i, stop, done)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(5):
            before = list(done)
            copy = node.dir + "/copy%d" % i
            code, text = node.netd_says("--backup", copy)
            assert code == 0 and copy in text, text
            after = list(done)
            assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
            names = sound(node, copy)
            assert set(before) <= names and len(names) <= len(after) + len(threads), i
            assert not os.path.exists(copy + ".part")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    size = os.stat(copy).st_size
    code, text = node.netd_says("--backup", copy)           # never over what is there
    assert code == 1 and "is there already" in text and os.stat(copy).st_size == size, text
    code, text = node.netd_says("--backup", node.dir + "/nowhere/copy")
    assert code == 1 and node.dir + "/nowhere/copy.part" in text, text
    node.stop()
    code, text = node.netd_says("--backup", node.dir + "/at-rest")
    assert code == 0 and sound(node, node.dir + "/at-rest") == set(done), text


@alone
def killed():
    """A backup that dies has made nothing that looks like one, and the next one works."""
    node = Stored().start()
    copy = node.dir + "/copy"
    for point in [p for p in run(node.netd, "--fault-points").split() if p.startswith("backup-")]:
        code, text = node.netd_says("--backup", copy, env={"PODNET_FAULT": point})
        assert code == -signal.SIGKILL, (point, code, text)
        assert not os.path.exists(copy), point
        code, text = node.netd_says("--backup", copy)
        assert code == 0, text
        sound(node, copy)
        os.unlink(copy)
        print("     %s" % point)
    node.stop()


@alone
def restored():
    """Killed, a copy put over its database with the log still there: the kernel becomes what the copy says."""
    node = Stored(["--log-level", "warning"]).start()
    client = node.client
    for name in ("a", "b"):
        client.post(PODS, pod(name))
    address = {n: node.await_running(n)["status"]["podIP"] for n in ("a", "b")}
    code, text = node.netd_says("--backup", node.dir + "/copy")
    assert code == 0, text
    client.delete(PODS + "/b")
    client.post(PODS, pod("c"))
    node.await_running("c")
    client.patch(PODS + "/a", {"metadata": {"labels": {"later": "yes"}}})
    seen = int(client.get(PODS)["metadata"]["resourceVersion"])
    node.kill()
    assert os.path.getsize(node.db + "-wal")
    shutil.copy(node.dir + "/copy", node.db)
    node.start()
    client = node.client
    assert node.said("restored") == 1 and node.said("stale_log_dropped") == 1, node.tail()
    assert node.said("writes_lost") == 0
    for name in ("a", "b"):
        assert node.await_running(name)["status"]["podIP"] == address[name]
    assert "labels" not in client.get(PODS + "/a")["metadata"]
    eventually("namespaces as declared", lambda: namespaces() == ["a.default", "b.default"])
    assert reaches("a.default", address["b"])
    assert int(client.get(PODS)["metadata"]["resourceVersion"]) > seen
    code, _, text = client.raw("GET", PODS + "?resourceVersion=%d" % seen)
    assert code == 410, text
    watch = node.watch(PODS + "?resourceVersion=%d" % seen)
    assert watch.next()["object"]["code"] == 410
    client.post(PODS, pod("d"))
    assert int(node.await_running("d")["metadata"]["resourceVersion"]) > seen
    events = node.watch("/api/v1/events?timeoutSeconds=20")
    events.until(lambda e: e["object"]["reason"] == "Restored")
    node.stop()
    code, text = node.netd_says("--check")
    assert code == 0, text
    node.start()                # and from now on it is a database like any other
    assert node.said("restored") == 1
    node.stop()


if __name__ == "__main__":
    main([while_writing, killed, restored])
