# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_limits.py - what one client may have, and that others, or it itself, are served meanwhile"""
import json
import resource
import socket
import tempfile

from node import PODS, Client, Node, Refused, Watch, eventually, main, pod

FILES, HISTORY = 16384, 2000
resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
tempfile.tempdir = "/run"               # in memory: many writes
node = Node(flags=["--history", str(HISTORY)]).start()
VIEW = node.dir + "/view.sock"
CONNECTIONS, WATCHES = 2048, 1024           # of one user: netd/base/limits.h
DEEP = '{"a":' * 70 + "1" + "}" * 70
MERGE, JSON = "application/merge-patch+json", "application/json"
STRATEGIC = "application/strategic-merge-patch+json"


def memory():
    """Private bytes, KiB."""
    with open("/proc/%d/smaps_rollup" % node.process.pid) as text:
        return sum(int(line.split()[1]) for line in text if line.startswith("Private_"))


def is_plain():
    """A sanitizer keeps what is freed for a while, so that its memory says nothing."""
    with open("/proc/%d/maps" % node.process.pid) as maps:
        text = maps.read()
    return "libasan" not in text and "libtsan" not in text


def knock(path=None):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(20)
    sock.connect(path or node.socket)
    return sock


def idle_connections():
    """Five times as many as may be: each newcomer is served, and the oldest are gone."""
    before, client = memory(), Client(node.socket)
    socks = []
    for i in range(5 * CONNECTIONS):
        socks.append(knock(VIEW if i % 2 else None))
        if i % 512 == 0:
            assert client.raw("GET", "/healthz")[0] == 200
            assert Client(node.socket).raw("GET", "/healthz")[0] == 200
    grown = memory() - before
    assert socks[0].recv(1) == b"" and socks[CONNECTIONS].recv(1) == b""
    socks[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert socks[-1].recv(100).startswith(b"HTTP/1.1 200 ")
    node.client = Client(node.socket)       # the old one was the oldest of all
    assert node.metric("podnet_http_connections") <= CONNECTIONS
    print("%d idle connections: %d KiB more" % (len(socks), grown))
    assert grown < 32 * 1024 or not is_plain(), grown
    for sock in socks:
        sock.close()


def watches():
    """So many, by both doors together; one more is 429; every one sees every write."""
    open_ones = [Watch(VIEW if i % 2 else node.socket, PODS + "?resourceVersion=0")
                 for i in range(WATCHES)]
    for path in (node.socket, VIEW):
        try:
            Watch(path, PODS)
            assert False, "one watch more than there may be"
        except Refused as refused:
            status = refused.status
        assert (status["code"], status["reason"]) == (429, "TooManyRequests"), status
        assert status["details"]["retryAfterSeconds"] == 1, status
    code, headers, _ = Client(node.socket).raw("GET", PODS + "?watch=1")
    assert code == 429 and headers["Retry-After"] == "1", headers
    names = ["seen%d" % i for i in range(20)]
    client = Client(node.socket)
    for name in names:
        client.post("/api/v1/namespaces/default/events", {"metadata": {"name": name},
                    "involvedObject": {"kind": "Pod", "namespace": "default"}})
        client.post(PODS, pod(name))
    for watch in open_ones:
        got = [watch.until(lambda e: e["type"] == "ADDED")["object"]["metadata"]["name"]
               for _ in names]
        assert got == names, got
    print("%d watches: %d KiB in all" % (len(open_ones), memory()))
    open_ones.pop().close()
    eventually("a watch instead of the one that went", lambda: client.raw(
        "GET", PODS + "?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=x")[0] == 200)
    for watch in open_ones:
        watch.close()


def slow_reader_skips_nothing():
    """More than the sockets and the ring hold is written before it reads the first byte."""
    client, n = Client(node.socket), 600
    revision = int(client.post(PODS, pod("slow"))["metadata"]["resourceVersion"])
    sock = knock()
    sock.sendall(("GET %s?watch=1&resourceVersion=%d&fieldSelector=metadata.name=slow HTTP/1.0\r\n\r\n"
                  % (PODS, revision)).encode())
    wrote = [int(client.patch(PODS + "/slow", {"metadata": {"annotations": {"x": "%d" % i + "y" * 20000}}})
                 ["metadata"]["resourceVersion"]) for i in range(n)]
    stream = sock.makefile("rb")
    while stream.readline() not in (b"\r\n", b""):
        pass
    seen, count = [], 0
    while not seen or seen[-1] < wrote[-1]:
        line = stream.readline()
        assert line, "the watch ended"
        event = json.loads(line)
        assert event["type"] == "MODIFIED", event["type"]
        seen.append(int(event["object"]["metadata"]["resourceVersion"]))
        count += len(line)
    assert seen == sorted(set(seen)) and set(wrote) <= set(seen), "skipped, doubled or disordered"
    print("%d events, %d KiB, behind at once" % (len(seen), count // 1024))
    sock.close()


def stopped_reader_is_told():
    """One that the history has passed: nothing is skipped before it is told 410, and it may list."""
    client, n = Client(node.socket), 0
    revision = client.post(PODS, pod("stops"))["metadata"]["resourceVersion"]
    url = PODS + "?resourceVersion=%s&fieldSelector=metadata.name=stops"
    stopped = Watch(node.socket, url % revision)
    while True:
        for _ in range(500):
            n += 1
            got = client.patch(PODS + "/stops", {"metadata": {"annotations": {"n": str(n), "x": "y" * 2000}}})
            if n == 300:        # more than what lies in a socket: the history that has passed it has passed the reader
                revision = got["metadata"]["resourceVersion"]
        late = Watch(node.socket, url % revision)
        first = late.next()
        late.close()
        if first["type"] == "ERROR":
            break
    seen = []
    while True:
        event = stopped.next()
        if event["type"] == "ERROR":
            break
        number = event["object"]["metadata"].get("annotations", {}).get("n")
        if number and number not in seen[-1:]:      # the pod's status is written too
            seen.append(number)
    assert event["object"]["code"] == 410 and event["object"]["reason"] == "Expired", event
    assert stopped.next() is None
    assert seen == [str(i + 1) for i in range(len(seen))] and len(seen) < n, (seen[-5:], n)
    assert client.get(PODS + "/stops")["metadata"]["annotations"]["n"] == str(n)
    print("%d of %d events, then 410" % (len(seen), n))


BODIES = [                              # every way by which a body comes in
    ("POST", PODS, JSON), ("PUT", PODS + "/there", JSON), ("PATCH", PODS + "/there", MERGE),
    ("PATCH", PODS + "/there", STRATEGIC), ("PUT", PODS + "/there/status", JSON),
    ("PATCH", PODS + "/there/status", MERGE), ("DELETE", PODS + "/there", JSON),
    ("DELETE", PODS, JSON), ("PUT", "/api/v1/namespaces/default/finalize", JSON),
    ("POST", "/api/v1/namespaces/default/services", "application/vnd.kubernetes.protobuf"),
]


def bodies():
    client = Client(node.socket)
    client.post(PODS, pod("there"))
    for method, url, kind in BODIES:
        code, _, text = client.raw(method, url, b"k8s\0" + b" " * (1 << 20), {"Content-Type": kind})
        assert code == 413 and json.loads(text)["reason"] == "RequestEntityTooLarge", (method, url, text)
        body = DEEP if "json" in kind else b"k8s\0" + b"\x0a\x7f" * 100
        code, _, text = client.raw(method, url, body, {"Content-Type": kind})
        assert code == 400 and json.loads(text)["reason"] == "BadRequest", (method, url, text)
    code, _, text = client.raw("PATCH", PODS + "/there", '[{"op":"add","path":"/x","value":%s}]' % DEEP,
                               {"Content-Type": "application/json-patch+json"})
    assert code == 400, text
    assert client.get(PODS + "/there")["metadata"]["name"] == "there"


def heads():
    """Too long a line or header is refused, and only that connection."""
    for head in (b"GET /api/v1/pods?x=" + b"y" * 20000, b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 20000):
        sock = knock()
        sock.sendall(head)
        assert sock.recv(100).split(b" ")[1] in (b"414", b"431"), head[:30]
        sock.close()
    assert Client(node.socket).raw("GET", "/healthz")[0] == 200


main([idle_connections, watches, slow_reader_skips_nothing, stopped_reader_is_told, bodies, heads, node.stop])
