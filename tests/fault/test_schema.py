# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_schema.py - a database of each schema there was is opened by this netd, and the next schema will be a row

Room: tests/golden/store/schema-N.sql is a database of schema N, as netd of that time has left it.  A test build takes
one more step of the upgrade from the environment.
"""
import glob
import shutil
import signal

from store import *             # noqa: F403  pylint: disable=wildcard-import

GOLDEN = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../golden/store")
NEXT = {"PODNET_FAULT_SCHEMA": "ALTER TABLE object ADD COLUMN next INTEGER NOT NULL DEFAULT 7"}
REFUSED = 3


def schema(path):
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


def standing():
    """A netd of this schema with two pods, stopped."""
    node = Stored().start()
    for name in "ab":
        node.client.post(PODS, pod(name))
        node.await_running(name)
    node.stop()
    return node


def has_pods(node):
    assert {p["metadata"]["name"] for p in node.client.get(PODS)["items"]} == {"a", "b"}
    assert reaches(None, node.client.get(PODS + "/a")["status"]["podIP"])


@alone
def upgraded():
    """By one more step; the older netd refuses what it has become, and goes on with the copy."""
    node = standing()
    old = schema(node.db)
    copy = "%s.schema-%d" % (node.db, old)
    node.start(env=NEXT)
    has_pods(node)
    assert node.rows("SELECT DISTINCT next FROM object") == [(7,)]
    assert node.said("schema_upgrade") == 1, node.tail()
    node.stop()
    assert schema(node.db) == old + 1 and schema(copy) == old
    kernel = namespaces(), our_links(), run("ip route")
    node.start(ready=False)
    assert node.process.wait(DEADLINE) == REFUSED
    assert "schema version %d is newer than this netd, which knows %d" % (old + 1, old) in node.tail(1), node.tail(1)
    assert node.db in node.tail(1)
    assert kernel == (namespaces(), our_links(), run("ip route"))
    code, text = node.netd_says("--check")
    assert code == REFUSED and "is newer" in text, text
    shutil.copy(copy, node.db)
    node.start()
    has_pods(node)
    node.stop()


@alone
def killed():
    """At each step of it: the next start begins with the old or the new, and ends with the new."""
    for point in [p for p in run(os.environ["NETD"], "--fault-points").split() if p.startswith("schema-")]:
        node = standing()
        old = schema(node.db)
        node.start(env=dict(NEXT, PODNET_FAULT=point), ready=False)
        assert node.process.wait(DEADLINE) == -signal.SIGKILL, (point, node.tail(3))
        node.start(env=NEXT)
        has_pods(node)
        assert schema(node.db) == old + 1
        node.stop()
        NODES.remove(node)
        assert node.netd_says("--purge")[0] == 0
        print("     %s" % point)


@alone
def broken():
    """A step that fails changes nothing, and without room for a copy there is none."""
    node = standing()
    old = schema(node.db)
    node.start(env={"PODNET_FAULT_SCHEMA": "DROP TABLE claim; INSERT INTO nowhere VALUES (1)"}, ready=False)
    assert node.process.wait(DEADLINE) == 1, node.tail(2)
    assert "nowhere" in node.tail(1) or "error" in node.tail(1), node.tail(1)
    assert schema(node.db) == old
    os.unlink("%s.schema-%d" % (node.db, old))
    os.mkdir("%s.schema-%d.part" % (node.db, old))
    node.start(env=NEXT, ready=False)
    assert node.process.wait(DEADLINE) == 1 and "no copy could be made" in node.tail(1), node.tail(1)
    assert schema(node.db) == old
    node.start()
    has_pods(node)
    node.stop()


@alone
def each_there_was():
    """Every object of the fixture is there, as this netd's, and pods are made for this boot."""
    files = sorted(glob.glob(GOLDEN + "/schema-*.sql"))
    assert len(files) == schema_known(), files
    for path in files:
        node = Stored()
        os.mkdir(node.state)
        db = sqlite3.connect(node.db)
        with open(path) as text:
            db.executescript(text.read())
        want = db.execute("SELECT kind, name FROM object WHERE kind NOT LIKE '~%' AND kind != 'events'").fetchall()
        db.close()
        code, text = node.netd_says("--check")
        assert code == 0, text
        node.start()
        node.await_running("web")
        assert reaches(None, node.client.get(PODS + "/web")["status"]["podIP"])
        assert set(want) <= set(node.rows("SELECT kind, name FROM object")) and len(want) > 10, len(want)
        node.stop()
        code, text = node.netd_says("--check")
        assert code == 0, text
        NODES.remove(node)
        assert node.netd_says("--purge")[0] == 0
        print("     %s" % os.path.basename(path))


def schema_known():
    """The newest schema of this netd."""
    node = Stored().start()
    node.stop()
    NODES.remove(node)
    node.netd_says("--purge")
    return schema(node.db)


if __name__ == "__main__":
    main([upgraded, killed, broken, each_there_was])
