# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_damage.py - a database that is damaged, or not this netd's: it does not start on it, says which it is and what
to do, and what stands in the kernel goes on; damaged while netd runs, nothing more is acknowledged"""
import shutil

from store import *             # noqa: F403  pylint: disable=wildcard-import

DAMAGED, FAILED = 3, 1          # exit statuses: netd(8)


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def sql(path, text):
    db = sqlite3.connect(path)
    db.executescript(text)
    db.close()


def pages(path, name):
    """(offset, content) of each page of a table or an index."""
    db = sqlite3.connect(path)
    size = db.execute("PRAGMA page_size").fetchone()[0]
    numbers = [row[0] for row in db.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,))]
    db.close()
    with open(path, "rb") as file:
        for number in numbers:
            file.seek((number - 1) * size)
            yield (number - 1) * size, file.read(size)


def scribble(path, name):
    for at, _ in pages(path, name):
        overwrite(path, at, b"\xa5" * 512)


def swap(path, name, old, new):
    """Other content of the same length, where nothing of the form is wrong."""
    count = 0
    for at, page in pages(path, name):
        if old in page:
            overwrite(path, at + page.index(old), new)
            count += 1
    assert count, (name, old)


WHERE = " WHERE kind = 'pods' AND name = 'a'"
TWICE = """DROP INDEX object_key; CREATE INDEX object_key ON object (kind, ns, name);
    INSERT INTO object SELECT kind, ns, name, rev, bytes FROM object""" + WHERE

# what is done to the file; the exit status of a start and of --check; what a start says of it
ROWS = [
    ("the header", lambda p: overwrite(p, 0, b"\0" * 100), DAMAGED, "file is not a database"),
    ("the first letters", lambda p: overwrite(p, 0, b"X"), DAMAGED, "file is not a database"),
    ("the schema's page", lambda p: overwrite(p, 100, b"\xa5" * 3000), DAMAGED, "malformed"),
    ("the table of objects", lambda p: scribble(p, "object"), DAMAGED, "amage"),
    ("the index of objects", lambda p: scribble(p, "object_key"), DAMAGED, "amage"),
    ("a key in the index", lambda p: swap(p, "object_key", b"defaulta", b"defaultx"), DAMAGED, "object_key"),
    ("the claims", lambda p: scribble(p, "claim"), DAMAGED, "amage"),
    ("cut in half", lambda p: os.truncate(p, os.path.getsize(p) // 2 // 4096 * 4096), DAMAGED, "malformed"),
    ("an object that is no JSON", lambda p: sql(p, "UPDATE object SET bytes = substr(bytes, 2)" + WHERE),
     DAMAGED, "pods default/a is no object"),
    ("another object's bytes", lambda p: sql(p, """UPDATE object SET bytes = (SELECT bytes FROM object
        WHERE kind = 'pods' AND name = 'b')""" + WHERE), DAMAGED, "pods default/a is the row of another"),
    ("an old revision's bytes", lambda p: sql(p, "UPDATE object SET rev = rev - 1" + WHERE), DAMAGED,
     "pods default/a is not of the revision"),
    ("a kind nobody knows", lambda p: sql(p, "UPDATE object SET kind = 'pots'" + WHERE), DAMAGED,
     "pots default/a is of a kind that this netd does not know"),
    ("an object twice", lambda p: sql(p, TWICE), DAMAGED, "pods default/a is there twice"),
    ("a claim that is none", lambda p: sql(p, "UPDATE claim SET key = 'nonsense' WHERE kind = 'ip'"
                                           " AND key = (SELECT max(key) FROM claim WHERE kind = 'ip')"),
     DAMAGED, "nonsense cannot be read"),
    ("a newer schema", lambda p: sql(p, "PRAGMA user_version = 99"), DAMAGED,
     "schema version 99 is newer than this netd, which knows "),
    ("another program's", lambda p: sql(p, "PRAGMA application_id = 7"), DAMAGED, "another program"),
    ("nothing in it", lambda p: os.truncate(p, 0), FAILED, "what another database declared"),
    ("not there", os.unlink, FAILED, "what another database declared"),
]


def in_kernel():
    """What pods rest on; the pool goes with its netd, by and by."""
    return namespaces(), our_links(), run("ip route"), run("ip -6 route"), run("nft list ruleset")


@alone
def at_start():
    """Each row on a copy of the same database, with two pods standing."""
    node = Stored(["--log-level", "warning"]).start()
    for name in "ab":
        node.client.post(PODS, pod(name))
    address = {name: node.await_running(name)["status"]["podIP"] for name in "ab"}
    node.stop()
    good = node.dir + "/good.db"
    shutil.copy(node.db, good)
    kernel = in_kernel()
    for says, damage, status, words in ROWS:
        damage(node.db)
        if status == DAMAGED:
            code, text = node.netd_says("--check")
            assert code == DAMAGED and node.db in text, (says, code, text)
            assert words in text or "problems" in text, (says, text)
        node.start(ready=False)
        assert node.process.wait(DEADLINE) == status, (says, node.process.returncode, node.tail(3))
        line = node.tail(1)
        assert "event=start_failed what=store" in line and " do=" in line, (says, line)
        assert words in line and (node.db if status == DAMAGED else node.state) in line, (says, line)
        assert in_kernel() == kernel, says
        assert reaches("a.default", address["b"]) and reaches("b.default", address["a"]), says
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(node.db + suffix):
                os.unlink(node.db + suffix)
        shutil.copy(good, node.db)
        print("     %s" % says)
    node.start()
    node.await_running("a")
    node.stop()


# what is done to a sound database, and what --check says of it; netd starts on it all the same
UNSOUND = [
    ("a claim of nobody", "UPDATE claim SET owner = 'gone' WHERE kind = 'ip' AND key = '{a}'", "is of gone, which is not there"),
    ("a claim too many", "INSERT INTO claim SELECT kind, 'default/10.244.3.3', owner, 0 FROM claim WHERE key = '{a}'",
     "default/10.244.3.3 is of pods default/a, which does not hold it"),
    ("a claim too few", "DELETE FROM claim WHERE key = '{a}'", "{a} is held by pods default/a and not claimed"),
    ("one address in two ways", "INSERT INTO claim SELECT kind, replace(key, '::', ':0:0:0:0:'), owner, free_after FROM claim"
     " WHERE kind = 'ip' AND key = '{a6}'", "is claimed twice"),
    ("a counter below a row", "UPDATE meta SET value = 5 WHERE key IN ('clean', 'ceiling')", "and the counter is at 5"),
    ("a history that is none", "UPDATE event SET bytes = x'00' WHERE rev = (SELECT max(rev) FROM event)",
     "is no object"),
]


@alone
def unsound():
    """netd --check finds what the database itself cannot know, and finds nothing in a sound one."""
    node = Stored().start()
    for name in "ab":
        node.client.post(PODS, pod(name))
    ips = [ip["ip"] for ip in node.await_running("a")["status"]["podIPs"]]
    words = {"a": "default/" + ips[0], "a6": "default/" + ips[1]}
    code, text = node.netd_says("--check")      # beside the one that runs
    assert code == 0 and text.rstrip().endswith(": ok"), text
    node.stop()
    code, text = node.netd_says("--check")
    assert code == 0 and text.rstrip().endswith(": ok"), text
    good = node.dir + "/good.db"
    shutil.copy(node.db, good)
    for says, damage, want in UNSOUND:
        sql(node.db, damage.format(**words))
        code, text = node.netd_says("--check")
        assert code == DAMAGED and want.format(**words) in text, (says, code, text)
        shutil.copy(good, node.db)
        print("     %s" % says)
    code, text = node.netd_says("--check")
    assert code == 0, text
    os.unlink(node.db)
    code, text = node.netd_says("--check")
    assert code == 0 and "none yet" in text, text


BLOCKS = "SELECT key FROM claim WHERE kind = 'block' AND key LIKE 'default/10.244.%' ORDER BY key"
CLAIM = "INSERT INTO claim SELECT kind, 'default/10.244.%d.0/22', '%s', 0 FROM claim WHERE key = '%s'"


@alone
def blocks_of_gone_nodes():
    """A Node's blocks go with it; those that an older netd left are freed at start, and are no damage."""
    node = Stored(["--log-level", "warning"]).start()
    uid = node.client.post("/api/v1/nodes", {"metadata": {"name": "gone"}})["metadata"]["uid"]
    node.stop()
    mine = node.rows(BLOCKS)
    assert len(mine) == 1, mine
    for number, owner in ((8, uid), (12, uid), (16, "nobody")):
        sql(node.db, CLAIM % (number, owner, mine[0][0]))
    code, text = node.netd_says("--check")
    assert code == 0 and "problem" not in text, text
    node.start()
    assert node.said("lost_block_freed") == 1, node.tail()
    assert "block=default/10.244.16.0/22 node=nobody" in node.tail(), node.tail()
    assert len(node.rows(BLOCKS)) == 3, node.rows(BLOCKS)
    node.client.delete("/api/v1/nodes/gone")
    assert node.rows(BLOCKS) == mine, node.rows(BLOCKS)
    node.client.post(PODS, pod("there", {"podnet.dev/ips": "10.244.8.9"}))     # and can be claimed again
    node.stop()
    code, text = node.netd_says("--check")
    assert code == 0, text


@alone
def at_work():
    """Pages that were sound at the start are not any more: 503, and all that was acknowledged before is there."""
    node = Stored().start()
    client = node.client
    client.post(PODS, pod("a"))
    address = node.await_running("a")["status"]["podIP"]
    filler = {"filler": "x" * 20000}
    for i in range(150):        # more than the database keeps in memory, and a checkpoint
        client.post(PODS, pod("h%d" % i, filler, hostNetwork=True))
    client.post(PODS, pod("last", hostNetwork=True))
    for i in range(150):        # netd has no write of its own left, which would be the first to fail, or none
        node.await_running("h%d" % i)
    node.await_running("last")
    eventually("a checkpoint", lambda: os.path.getsize(node.db) > 3000000)
    before = client.get(PODS)
    for name in ("object", "object_key", "event"):
        scribble_all_but_first(node, name)
    message = ""
    for i in range(150):
        version = client.get(PODS + "/h%d" % i)["metadata"]["resourceVersion"]
        try:
            client.patch(PODS + "/h%d" % i, {"metadata": {"annotations": {"filler": "y" * 20000}}})
        except Refused as err:
            assert err.code == 503, err
            message = err.status["message"]
            assert client.get(PODS + "/h%d" % i)["metadata"]["resourceVersion"] == version
            break
    assert node.db in message, message
    assert refused(503, lambda: client.post(PODS, pod("b"))) == message     # and it stays so
    code, text = node.ready()
    assert code == 503 and node.db in text, text
    assert node.said("store_failing") == 1
    assert len(client.get(PODS)["items"]) == len(before["items"])
    run("ip link del " + host_link("a.default"))
    eventually("a is reachable", lambda: pings(None, address))
    node.kill()
    node.start(ready=False)
    assert node.process.wait(DEADLINE) == DAMAGED, node.tail(3)
    assert reaches(None, address)


def scribble_all_but_first(node, name):
    """Beside a netd that runs: through the file, as a bad disk would."""
    db = sqlite3.connect("file:%s?mode=ro" % node.db, uri=True)
    size = os.path.getsize(node.db)
    numbers = [row[0] for row in db.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,))]
    db.close()
    for number in numbers:
        if number * 4096 <= size:
            overwrite(node.db, (number - 1) * 4096, b"\xa5" * 512)


if __name__ == "__main__":
    main([at_start, unsound, blocks_of_gone_nodes, at_work])
