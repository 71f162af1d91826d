# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_watch.py - every event once and in order, resuming, and the three ways a watch ends"""
import threading
import time

from node import PODS, Client, Node, Watch, main, pod

node = Node().start()
c = node.client
CONFIG = "/api/v1/namespaces/default/events"       # written by us alone: nothing else changes them


def event(name, note="x"):
    return {"metadata": {"name": name}, "reason": "Tried", "message": note, "type": "Normal",
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "none"}}


def initial_then_live():
    c.post(CONFIG, event("w1"))
    watch = node.watch(CONFIG)
    first = watch.next()
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "w1"), first
    c.patch(CONFIG + "/w1", {"message": "y"})
    c.delete(CONFIG + "/w1")
    changed, gone = watch.next(), watch.next()
    assert changed["type"] == "MODIFIED" and changed["object"]["message"] == "y", changed
    assert gone["type"] == "DELETED" and gone["object"]["message"] == "y", gone
    assert int(gone["object"]["metadata"]["resourceVersion"]) > \
        int(changed["object"]["metadata"]["resourceVersion"])
    watch.close()


def resume():
    version = c.get(CONFIG)["metadata"]["resourceVersion"]
    c.post(CONFIG, event("w2"))
    c.patch(CONFIG + "/w2", {"message": "y"})
    c.delete(CONFIG + "/w2")
    for _ in range(2):
        watch = node.watch(CONFIG + "?resourceVersion=" + version)
        assert [watch.next()["type"] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]
        watch.close()
    node.stop()
    node.start()
    globals()["c"] = node.client
    watch = node.watch(CONFIG + "?resourceVersion=" + version)     # and over a restart
    assert [watch.next()["type"] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]
    watch.close()


def transitions():
    """With a selector, one that begins to match is new, and one that ceases to is gone."""
    watch = node.watch(CONFIG + "?labelSelector=on%3Dyes")
    c.post(CONFIG, event("w3"))
    for labels, want in (({"on": "yes"}, "ADDED"), ({"more": "x"}, "MODIFIED"),
                         ({"on": "no"}, "DELETED"), ({"on": "yes"}, "ADDED")):
        now = c.patch(CONFIG + "/w3", {"metadata": {"labels": labels}})
        got = watch.next()
        assert got["type"] == want, (want, got)
        meta = got["object"]["metadata"]
        assert meta["resourceVersion"] == now["metadata"]["resourceVersion"], got
        assert meta["labels"]["on"] == "yes", got       # gone: as it was when it matched
    c.delete(CONFIG + "/w3")
    assert watch.next()["type"] == "DELETED"
    watch.close()
    c.post(CONFIG, dict(event("w4"), reason="Other"))
    watch = node.watch(CONFIG + "?fieldSelector=reason%3DOther")
    assert watch.next()["object"]["metadata"]["name"] == "w4"
    c.patch(CONFIG + "/w4", {"reason": "Tried"})
    assert watch.next()["type"] == "DELETED"
    watch.close()
    c.delete(CONFIG + "/w4")


def selected_lists():
    for name, labels in (("l1", {"app": "a"}), ("l2", {"app": "b"}), ("l3", {})):
        c.post(CONFIG, {"metadata": {"name": name, "labels": labels}, "reason": "Listed",
                        "involvedObject": {"namespace": "default"}})
    for query, want in (("labelSelector=app", ["l1", "l2"]), ("labelSelector=app%3Da", ["l1"]),
                        ("labelSelector=!app&fieldSelector=reason%3DListed", ["l3"]),
                        ("labelSelector=app+in+(a,c)", ["l1"]),
                        ("fieldSelector=metadata.name%3Dl2,reason%3DListed", ["l2"])):
        got = [i["metadata"]["name"] for i in c.get(CONFIG + "?" + query)["items"]]
        assert got == want, (query, got)
    for name in ("l1", "l2", "l3"):
        c.delete(CONFIG + "/" + name)


def errors():
    for version in ("1", str(10 ** 17)):            # trimmed long ago; from the future
        watch = node.watch(CONFIG + "?resourceVersion=" + version)
        got = watch.next()
        assert got["type"] == "ERROR" and got["object"]["code"] == 410, got
        assert got["object"]["reason"] == "Expired", got
        assert watch.next() is None
        watch.close()
    for query in ("resourceVersion=abc", "labelSelector=a%3D%3D%3Db", "fieldSelector=spec.x%3D1"):
        code, _, body = c.raw("GET", CONFIG + "?watch=1&" + query)
        assert code == 400, (query, code, body)


def timeout():
    begin = time.monotonic()
    watch = node.watch(CONFIG + "?timeoutSeconds=1&allowWatchBookmarks=true")
    types = []
    while True:
        got = watch.next()
        if got is None:
            break
        types.append(got["type"])
    assert time.monotonic() - begin > 0.9
    assert types and types[-1] == "BOOKMARK", types
    watch.close()


def send_initial_events():
    c.post(CONFIG, event("w3"))
    watch = node.watch(CONFIG + "?sendInitialEvents=true&allowWatchBookmarks=true"
                       "&resourceVersionMatch=NotOlderThan")
    first, mark = watch.next(), watch.next()
    assert first["type"] == "ADDED", first
    meta = mark["object"]["metadata"]
    assert mark["type"] == "BOOKMARK", mark
    assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}, mark
    assert int(meta["resourceVersion"]) >= int(first["object"]["metadata"]["resourceVersion"])
    c.delete(CONFIG + "/w3")
    assert watch.next()["type"] == "DELETED"
    watch.close()
    code, _, _ = c.raw("GET", CONFIG + "?watch=1&sendInitialEvents=true")
    assert code == 422, code


def by_name():
    for spelling in ("watch=True", "watch=", "watch=true"):
        c.post(CONFIG, event("w4"))
        c.post(CONFIG, event("w5"))
        watch = Watch(node.socket, CONFIG + "?" + spelling + "&fieldSelector=metadata.name%3Dw5")
        assert watch.next()["object"]["metadata"]["name"] == "w5"
        c.delete(CONFIG + "/w4")
        c.delete(CONFIG + "/w5")
        got = watch.next()
        assert (got["type"], got["object"]["metadata"]["name"]) == ("DELETED", "w5"), got
        watch.close()


def one_namespace_only():
    c.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    here, everywhere = node.watch(PODS), node.watch("/api/v1/pods")
    c.post("/api/v1/namespaces/other/pods", pod("far"))
    c.post(PODS, pod("near"))
    assert here.next()["object"]["metadata"]["name"] == "near"
    assert everywhere.next()["object"]["metadata"]["name"] == "far"
    here.close()
    everywhere.close()
    c.delete(PODS + "/near")
    c.delete("/api/v1/namespaces/other")


def large_objects():
    note = "x" * 200000
    watch = node.watch(CONFIG)
    for i in range(5):
        c.post(CONFIG, event("big%d" % i, note[:1000] if i else note))
    assert len(watch.next()["object"]["message"]) == len(note)
    for i in range(1, 5):
        assert watch.next()["object"]["metadata"]["name"] == "big%d" % i
    watch.close()
    for i in range(5):
        c.delete(CONFIG + "/big%d" % i)


def list_and_watch_meet():
    """Whoever lists and watches from there has what the server has, whatever writers do."""
    stop = threading.Event()

    def write(n):
        client = Client(node.socket)
        i = 0
        while not stop.is_set():
            name = "race%d-%d" % (n, i % 7)
            client.raw("POST", CONFIG, event(name))
            client.raw("PATCH", CONFIG + "/" + name, {"message": str(i)},
                       {"Content-Type": "application/merge-patch+json"})
            if i % 3 == 0:
                client.raw("DELETE", CONFIG + "/" + name)
            i += 1
        client.close()

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for w in writers:
        w.start()
    watched = []
    for _ in range(5):
        listed = c.get(CONFIG)
        have = {i["metadata"]["name"]: i for i in listed["items"]}
        watched.append((have, node.watch(CONFIG + "?resourceVersion=" +
                                         listed["metadata"]["resourceVersion"])))
        time.sleep(0.05)
    stop.set()
    for w in writers:
        w.join()
    mark = c.post(CONFIG, event("end"))["metadata"]["resourceVersion"]
    want = {i["metadata"]["name"]: i for i in c.get(CONFIG)["items"]}
    for have, watch in watched:
        last = 0
        while last < int(mark):
            got = watch.next()
            meta = got["object"]["metadata"]
            assert int(meta["resourceVersion"]) > last, "out of order"
            last = int(meta["resourceVersion"])
            known = meta["name"] in have
            assert known == (got["type"] != "ADDED"), (got["type"], meta)
            if got["type"] == "DELETED":
                del have[meta["name"]]
            else:
                have[meta["name"]] = got["object"]
        assert have == want
        watch.close()


main([initial_then_live, resume, transitions, selected_lists, errors, timeout, send_initial_events, by_name, one_namespace_only,
      large_objects, list_and_watch_meet, node.stop])
