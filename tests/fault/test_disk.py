# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_disk.py - the disk is full, takes no writes, or fails: nothing is acknowledged that is not
there, what stands goes on, and when the disk is well again so is netd, without a restart"""
import select
import socket

from store import *             # noqa: F403  pylint: disable=wildcard-import

STANDING = {"a", "b", "first"}
ON_SMALL = {"podnet.dev/networks": "small"}
LARGE = {"filler": "x" * 200000}
SMALL = {"metadata": {"name": "small"},
         "spec": {"type": "routed", "cidrs": ["10.77.0.0/28"], "blockSizes": [28]}}
ROUTE = {"metadata": {"name": "r"}, "spec": {"destination": "198.51.100.0/24",
                                             "gateway": "192.0.2.1"}}


def fill_up(node, name="large"):
    """Full to the last write: also what the log has of its own, which is emptied now and then."""
    node.fill()
    refusals = 0
    for i in range(1000):
        try:
            node.client.post(PODS, pod("%s%d" % (name, i), LARGE, hostNetwork=True))
            refusals = 0
        except Refused as err:
            assert err.code == 507, err
            refusals += 1
        if refusals == 5:
            return
    raise AssertionError("never full")


def await_failing(node, code):
    """A write is refused and netd says so; a second after a refusal it may find that a small one is taken."""
    def both():
        refused(code, lambda: node.client.post(PODS, pod("a-failing", LARGE, hostNetwork=True)))
        ready, text = node.ready()
        return ready == 503 and node.state in text and node.metric("podnet_store_failing") == 1
    eventually("refused, and not ready", both)


def changes(node):
    """How often the log says that the store fails, and that it has mended."""
    log = node.tail(1 << 30)
    return log.count("event=store_failing "), log.count("event=store_mended ")


def mended_as_often(node):
    failing, mended = changes(node)
    return failing == mended


def burst(node, names):
    """A POST on a connection each, all sent before an answer is read: name -> code."""
    socks, codes = {}, {}
    for name in names:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(node.socket)
        socks[sock] = name
    for sock, name in socks.items():
        body = json.dumps(pod(name))
        sock.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                      % (PODS, len(body), body)).encode())
    texts = {sock: b"" for sock in socks}
    while texts:
        for sock in select.select(list(texts), [], [], DEADLINE)[0]:
            part = sock.recv(65536)
            texts[sock] += part
            if not part:
                codes[socks[sock]] = int(texts.pop(sock).split()[1])
                sock.close()
    return codes


def in_kernel(node):
    """The pods that have a namespace."""
    return sorted(n.split(".")[0] for n in namespaces())


@alone
def full():
    """A full disk, from the first refusal to the first write after it."""
    node = Disk().start()
    client = node.client
    client.post(PODS, pod("a"))
    client.post(PODS, pod("b"))
    client.post(V1 + "/routes", ROUTE)
    client.post(V1 + "/networks", SMALL)
    client.post(PODS, pod("first", ON_SMALL))
    node.await_running("a")
    node.await_running("b")
    node.await_ready(V1 + "/routes/r", "False")
    watch = node.watch(PODS + "?resourceVersion=" +
                       client.get(PODS)["metadata"]["resourceVersion"])
    fill_up(node)
    start = time.monotonic()

    message = refused(507, lambda: client.post(PODS, pod("c", LARGE)))
    assert node.state in message and "full" in message, message
    message = refused(507, lambda: client.patch(PODS + "/a", {"metadata": {"annotations": LARGE}}))
    for i in range(30):         # more than there are addresses: none is kept for who was refused
        refused(507, lambda: client.post(PODS, pod("s", dict(LARGE, **ON_SMALL))))
    await_failing(node, 507)
    assert client.raw("GET", "/livez")[0] == 200

    size = os.path.getsize(node.state + "/filler")      # room for some of them
    os.truncate(node.state + "/filler", size - 500000)
    codes = burst(node, ["p%d" % i for i in range(700)])
    assert set(codes.values()) <= {201, 507}, set(codes.values())
    for i in range(5):          # several thousand in all
        refusals = burst(node, ["q%d-%d" % (i, k) for k in range(500)])
        codes.update(refusals)
    there = {n for n, code in codes.items() if code == 201}
    assert 10 < len(there) < 690, len(there)
    listed = {p["metadata"]["name"] for p in client.get(PODS)["items"]
              if not p["spec"].get("hostNetwork")}
    assert listed == there | STANDING, listed ^ (there | STANDING)
    print("     %d refused, %d not" % (len(codes) - len(there), len(there)))

    run("ip link del " + host_link("a.default"))        # what stands is kept
    eventually("a is reachable", lambda: pings("b.default", client.get(PODS + "/a")["status"]["podIP"]))
    run("ip link add uplink type veth peer name other") # and what comes true is, though not told
    run("ip addr add 192.0.2.2/24 dev uplink")
    run("ip link set uplink up")
    eventually("the route", lambda: "192.0.2.1" in run("ip route show 198.51.100.0/24"))
    eventually("namespaces as declared", lambda: in_kernel(node) == sorted(listed))
    failing, mended = changes(node)         # again after a second in which a small write succeeded
    assert mended <= failing <= mended + 1, node.tail()
    assert 1 <= failing <= 3 + time.monotonic() - start, node.tail()

    node.free()
    node.await_mended()
    eventually("mended as often as it failed", lambda: mended_as_often(node))
    assert node.metric("podnet_store_failing") == 0
    client.post(PODS, pod("c", LARGE))
    for i in range(12):
        client.post(PODS, pod("s%d" % i, ON_SMALL))
    for name in sorted(listed | {"c"}):
        node.await_running(name)
    node.await_ready(V1 + "/routes/r")
    seen = set(STANDING)
    while "s11" not in seen:
        seen.add(watch.next()["object"]["metadata"]["name"])
    refused_and_seen = seen - {p["metadata"]["name"] for p in client.get(PODS)["items"]}
    assert not refused_and_seen and seen >= listed, refused_and_seen
    node.stop()
    ips = [row[0] for row in node.rows("SELECT key FROM claim WHERE kind = 'ip' "
                                       "AND key LIKE 'default/%'")]
    assert len(ips) == 2 * len((listed | {"c"}) - {"first"}), (len(ips), len(listed))
    code, text = node.netd_says("--check")
    assert code == 0, text


@alone
def restart_while_full():
    """Killed on a full disk it starts again, reads, and keeps what stands."""
    node = Disk().start()
    node.client.post(PODS, pod("a"))
    node.await_running("a")
    fill_up(node)
    node.kill()
    node.fill()
    node.start(ready=False)
    node.await_answers()
    assert node.client.get(PODS + "/a")["status"]["podIP"]
    run("ip link del " + host_link("a.default"))
    eventually("a is reachable", lambda: pings(None, node.client.get(PODS + "/a")["status"]["podIP"]))
    fill_up(node, "again")
    refused(507, lambda: node.client.post(PODS, pod("c", LARGE)))
    node.free()
    node.await_mended()
    node.client.post(PODS, pod("c", LARGE))
    node.await_running("c")
    node.stop()


# what is done to the disk, and undone; what writes answer; of the message
FAILURES = [
    ("read-only", {"write": errno.EROFS, "sync": errno.EROFS}, 503, "Read-only file system"),
    ("not allowed", {"write": errno.EPERM}, 503, "Permission denied"),
    ("over quota", {"write": errno.EDQUOT}, 507, "No space left"),
    ("an error of the disk", {"write": errno.EIO}, 503, "Input/output error"),
    ("an error of fsync", {"sync": errno.EIO}, 503, "Input/output error"),
]


@alone
def failing_calls():
    """Each way to fail, just when much is gone that nobody has written down yet: again, if too much was."""
    node, untold, rounds = FailingDisk().start(), 0, 0
    while untold <= 20 and rounds < 5:
        rounds += 1
        for failure in FAILURES:
            untold += failing_call(node, *failure)
    assert untold > 20, untold
    eventually("mended as often as it failed", lambda: mended_as_often(node))
    assert changes(node)[0] >= rounds * len(FAILURES), node.tail()
    node.stop()


def failing_call(node, says, wish, code, words):
    """How much nobody had written down."""
    client = node.client
    for i in range(20):
        client.post(PODS, pod("p%d" % i))
    for i in range(20):
        node.await_running("p%d" % i)
    client.delete(PODS)
    node.fail(**wish)
    message = refused(code, lambda: client.post(PODS, pod("a")))
    assert words in message and node.db in message, (says, message)
    await_failing(node, code)
    eventually("no namespace", lambda: namespaces() == [])
    untold = tombstones(node)
    node.fail()
    node.await_mended()
    eventually("what went is written down", lambda: tombstones(node) == 0)
    client.post(PODS, pod("a"))
    node.await_running("a")
    client.delete(PODS + "/a")
    print("     %s" % says)
    return untold


def tombstones(node):
    return node.rows("SELECT count(*) FROM object WHERE kind = '~teardown'")[0][0]


@alone
def immutable():
    """chattr +i on a file system that looks at it for each write: the real thing."""
    node = Stored().start()
    files = [node.db, node.db + "-wal"]
    node.client.post(PODS, pod("a"))
    run("chattr +i " + " ".join(files))
    try:
        if takes_writes(node):
            print("     this file system does not look: skipped")
            return
        message = refused(503, lambda: node.client.post(PODS, pod("b")))
        assert files[0] in message, message
    finally:
        run("chattr -i " + " ".join(files))
    node.await_mended()
    node.client.post(PODS, pod("b"))
    node.stop()


def takes_writes(node):
    try:
        node.client.post(PODS, pod("trial"))
        return True
    except Refused:
        return False


if __name__ == "__main__":
    main([full, restart_while_full, failing_calls, immutable])
