# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_paging.py - lists in pages that are one snapshot, and lists of another time"""
import base64
import json
import socket
import threading

from node import PODS, Client, Node, Refused, main

node = Node().start()
c = node.client
EVENTS = "/api/v1/namespaces/%s/events"
ONE = EVENTS % "default"


def event(name, ns="default"):
    return {"metadata": {"name": name}, "reason": "Tried", "message": "x", "type": "Normal",
            "involvedObject": {"kind": "Pod", "namespace": ns, "name": "none"}}


def names(got):
    return [i["metadata"]["namespace"] + "/" + i["metadata"]["name"] for i in got["items"]]


def page(url, limit, token=None):
    return c.get("%s?limit=%d%s" % (url, limit, "&continue=" + token if token else ""))


def pages(url, limit, between=lambda: None):
    """All pages, each with the version of the first and what remains counted rightly."""
    got = page(url, limit)
    version, found, parts = got["metadata"]["resourceVersion"], got["items"], [got]
    while "continue" in got["metadata"]:
        assert len(got["items"]) == limit, got["metadata"]
        between()
        got = page(url, limit, got["metadata"]["continue"])
        assert got["metadata"]["resourceVersion"] == version, (version, got["metadata"])
        found += got["items"]
        parts.append(got)
    assert "remainingItemCount" not in got["metadata"], got["metadata"]
    left = len(found)
    for part in parts[:-1]:
        left -= limit
        assert part["metadata"]["remainingItemCount"] == left, part["metadata"]
    return found


def plain():
    for ns in ("na", "nb"):
        c.post("/api/v1/namespaces", {"metadata": {"name": ns}})
    for ns, count in (("default", 7), ("na", 5), ("nb", 3)):
        for i in range(count):
            c.post(EVENTS % ns, event("e%02d" % i, ns))
    whole = c.get("/api/v1/events")
    assert names(whole) == sorted(names(whole)) and len(whole["items"]) == 15, names(whole)
    for limit in (1, 2, 3, 7, 14, 15, 16, 1000):
        assert pages("/api/v1/events", limit) == whole["items"], limit
    assert pages(ONE, 3) == c.get(ONE)["items"]
    assert c.get(ONE + "?limit=0")["items"] == c.get(ONE)["items"]
    assert "continue" not in page(ONE, 7)["metadata"]
    last = page("/api/v1/events", 15)
    assert "continue" not in last["metadata"], last["metadata"]


def selected():
    """Pages of what a selector chooses; what remains is not counted then."""
    for i in (1, 2, 4, 6):
        c.patch(ONE + "/e%02d" % i, {"metadata": {"labels": {"odd": "yes"}}})
    url = ONE + "?labelSelector=odd&limit=3"
    first = c.get(url)
    assert [i["metadata"]["name"] for i in first["items"]] == ["e01", "e02", "e04"], names(first)
    assert "remainingItemCount" not in first["metadata"], first["metadata"]
    c.patch(ONE + "/e05", {"metadata": {"labels": {"odd": "yes"}}})     # too late
    c.patch(ONE + "/e06", {"metadata": {"labels": {"odd": None}}})
    rest = c.get(url + "&continue=" + first["metadata"]["continue"])
    assert names(rest) == ["default/e06"] and "continue" not in rest["metadata"], rest


def by_field():
    """Fields beside the names are asked for while the list is sent; so the token stands behind it."""
    for i in range(7):
        c.patch(ONE + "/e%02d" % i, {"type": "Warning" if i % 3 == 0 else "Normal"})
    url = ONE + "?fieldSelector=type%3DWarning"
    assert names(c.get(url)) == ["default/e00", "default/e03", "default/e06"], names(c.get(url))
    first = c.get(url + "&limit=2")
    assert names(first) == ["default/e00", "default/e03"], names(first)
    assert "remainingItemCount" not in first["metadata"], first["metadata"]
    c.patch(ONE + "/e06", {"type": "Normal"})       # too late
    rest = c.get(url + "&limit=2&continue=" + first["metadata"]["continue"])
    assert names(rest) == ["default/e06"] and "continue" not in rest["metadata"], rest
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    exact = c.get(url + "&limit=2")
    assert names(exact) == names(first) and "continue" not in exact["metadata"], exact
    none = c.get(ONE + "?fieldSelector=type%3DOther&limit=2")
    assert none["items"] == [] and none["metadata"].keys() == {"resourceVersion"}, none
    assert names(c.get(url + ",metadata.name!%3De00")) == ["default/e03"]


def large():
    """A list of many pieces: each object once, in every form, and the connection lives on."""
    url = EVENTS % "large"
    c.post("/api/v1/namespaces", {"metadata": {"name": "large"}})
    for i in range(400):
        c.post(url, dict(event("e%03d" % i, "large"), message="x" * (i * 7 % 900)))
    client = Client(node.socket)
    for _ in range(3):
        whole = client.get(url)
        assert len(whole["items"]) == 400 and names(whole) == sorted(names(whole))
        assert whole["items"] == client.get(url + "?fieldSelector=type%3DNormal")["items"]
        assert whole["items"][::40] == [client.get(url + "/e%03d" % i) for i in range(0, 400, 40)]
        for form, row in (("Table", "rows"), ("PartialObjectMetadataList", "items")):
            _, _, text = client.raw("GET", url, headers={
                "Accept": "application/json;as=%s;g=meta.k8s.io;v=v1" % form})
            got = json.loads(text)
            assert got["kind"] == form and len(got[row]) == 400, text[:300]
            assert got["metadata"] == whole["metadata"]
    client.close()
    for read in (0, 1, 1000, 100000):               # who goes away in the middle harms nobody
        with socket.socket(socket.AF_UNIX) as half:
            half.connect(node.socket)
            half.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % url).encode())
            while read > 0:
                read -= len(half.recv(read))
    assert c.get(url) == whole


def one_snapshot():
    """Whatever happens between two pages, they are of the moment of the first."""
    before = c.get(ONE)["items"]
    turn = iter(range(100))

    def disturb():
        i = next(turn)
        c.delete(ONE + "/e%02d" % i)                    # already sent, or not yet
        c.post(ONE, event("e%02d-new" % (i + 3)))       # between two that were there
        c.patch(ONE + "/e05", {"message": "changed %d" % i})
        if i == 0:
            c.delete(ONE + "/e06")
            c.post(ONE, event("e06"))                   # gone and back: another uid

    assert pages(ONE, 2, disturb) == before
    assert c.get(ONE)["items"] != before
    node.stop()
    node.start()                                        # the history is in the store
    globals()["c"] = node.client


def writers():
    """Pages under concurrent writers: whole, in order, of one version each."""
    stop = threading.Event()
    failed = []

    def write(number):
        mine = Client(node.socket)
        i = 0
        try:
            while not stop.is_set():
                name = "w%d-%d" % (number, i % 10)
                mine.post(ONE, event(name))
                mine.patch(ONE + "/" + name, {"message": "y"})
                mine.delete(ONE + "/" + name)
                i += 1
        except Exception as err:                        # pylint: disable=broad-except
            failed.append(err)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        found = pages(ONE, 2)
        keys = [i["metadata"]["name"] for i in found]
        assert keys == sorted(set(keys)), keys
        version = page(ONE, 1)["metadata"]["resourceVersion"]
        again = c.get(ONE + "?resourceVersionMatch=Exact&resourceVersion=" + version)
        assert again["metadata"]["resourceVersion"] == version, again["metadata"]
        assert all(int(i["metadata"]["resourceVersion"]) <= int(version) for i in again["items"])
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed, failed


def exact():
    now = c.get(ONE)
    version = now["metadata"]["resourceVersion"]
    c.patch(ONE + "/e05", {"message": "later"})
    old = c.get(ONE + "?resourceVersionMatch=Exact&resourceVersion=" + version)
    assert old == now, "the list of %s is another one now" % version
    new = c.get(ONE + "?resourceVersionMatch=NotOlderThan&resourceVersion=" + version)
    assert int(new["metadata"]["resourceVersion"]) > int(version), new["metadata"]
    assert c.get(ONE + "?resourceVersion=0")["items"] == c.get(ONE)["items"]


def token(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def refused():
    good = page(ONE, 1)["metadata"]["continue"]
    far = str(10 ** 17)
    rows = [
        ("limit=x", 400, "BadRequest"), ("limit=-1", 400, "BadRequest"),
        ("continue=x", 400, "BadRequest"), ("continue=%2f", 400, "BadRequest"),
        ("continue=" + token("5"), 400, "BadRequest"),
        ("continue=" + token("5/default"), 400, "BadRequest"),
        ("continue=" + token("5/default/"), 400, "BadRequest"),
        ("continue=" + token("5/default/a/b"), 400, "BadRequest"),
        ("continue=" + token("x/default/a"), 400, "BadRequest"),
        ("continue=" + token("-5/default/a"), 400, "BadRequest"),
        ("continue=" + token("0/default/a"), 400, "BadRequest"),
        ("continue=" + token("5/default/a\0b"), 400, "BadRequest"),
        ("continue=" + token("99999999999999999999999/default/a"), 400, "BadRequest"),
        ("continue=" + token("5/na/a"), 400, "BadRequest"),         # of another namespace
        ("continue=" + "A" * 4000, 400, "BadRequest"),
        ("continue=" + token("5/default/a"), 410, "Expired"),
        ("continue=" + token(far + "/default/a"), 410, "Expired"),
        ("resourceVersion=5&continue=" + good, 400, "BadRequest"),
        ("resourceVersionMatch=Exact&continue=" + good, 422, "Invalid"),
        ("resourceVersionMatch=Exact", 422, "Invalid"),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422, "Invalid"),
        ("resourceVersionMatch=Older&resourceVersion=5", 422, "Invalid"),
        ("resourceVersionMatch=Exact&resourceVersion=5", 410, "Expired"),
        ("resourceVersion=x", 400, "BadRequest"),
        ("resourceVersion=" + far, 504, "Timeout"),
    ]
    wrong = []
    for query, code, reason in rows:
        got, _, text = c.raw("GET", ONE + "?" + query)
        status = json.loads(text)
        if (got, status.get("reason")) != (code, reason):
            wrong.append("%s: want %d, got %d %.200r" % (query[:80], code, got, text))
    assert not wrong, "\n".join(wrong)
    assert len(c.get(ONE + "?resourceVersion=0&limit=2&continue=" + good)["items"]) == 2
    try:
        c.get(PODS + "?limit=1&continue=" + token("5/default/a"))
    except Refused as refusal:
        assert "too old to display a consistent list" in refusal.status["message"], refusal


main([plain, selected, by_field, large, one_snapshot, writers, exact, refused])
node.stop()
