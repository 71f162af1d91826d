# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_probes.py - readiness probes: who is asked, how, when it counts, and what follows

The servers are sockets of this process that were opened inside of a pod's namespace, so a test says
what each request is answered and sees what was asked.
"""
import contextlib
import ctypes
import os
import socket
import sys
import threading
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import
from node import Client         # noqa: E402

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
EVENTS = "/api/v1/namespaces/default/events"
LIBC = ctypes.CDLL(None, use_errno=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
NODE = Node()
LOCAL = threading.local()


def api():
    """A client of this thread's."""
    if getattr(LOCAL, "node", None) is not NODE.process:
        LOCAL.client, LOCAL.node = Client(NODE.socket), NODE.process
    return LOCAL.client


def in_netns(name, work):
    result = []

    def body():
        if name:
            with open("/run/netns/" + name) as file:
                assert LIBC.setns(file.fileno(), 0x40000000) == 0, ctypes.get_errno()
        result.append(work())
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return result[0]


class Server:
    """answer(nth, request) is sent for the nth request; None: nothing, and the connection stays."""

    def __init__(self, name, answer, port=80, address="::"):
        self.answer, self.requests, self.open = answer, [], []
        self.seen = threading.Condition()
        self.sock = in_netns(name and name + ".default", lambda: socket.create_server(
            (address, port), family=socket.AF_INET6, dualstack_ipv6=address == "::"))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            conn.settimeout(60)
            request = b""
            with contextlib.suppress(OSError):      # who asks may not wait any more
                while b"\r\n\r\n" not in request:
                    more = conn.recv(65536)
                    if not more:
                        break
                    request += more
            with self.seen:
                answer = self.answer(len(self.requests), request.decode())
                self.requests.append((time.monotonic(), request.decode()))
                self.seen.notify_all()
            self.open.append(conn)
            if answer is not None:
                with contextlib.suppress(OSError):
                    conn.sendall(answer)
                self.open.pop().close()

    def await_requests(self, n):
        with self.seen:
            assert self.seen.wait_for(lambda: len(self.requests) >= n, DEADLINE), self.requests

    def drained(self, netns):
        """How many there were, when those that wait to be taken are among them."""
        port = self.sock.getsockname()[1]

        def mark():
            with socket.create_connection(("::1", port), 60) as conn:
                conn.sendall(b"GET /mark HTTP/1.1\r\n\r\n")
        in_netns(netns, mark)
        with self.seen:
            assert self.seen.wait_for(lambda: any("/mark" in r for _, r in self.requests), DEADLINE)
            return len(self.requests)

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join()
        for conn in self.open:
            conn.close()


def make(name, probe, labels=None, **spec):
    """Of probe: what it is, and periodSeconds 1 unless it says so; it fails at the first failure.

    An answer may be late, for the servers are this process.
    """
    probe = dict({"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30}, **probe)
    wish = pod(name, containers=[{"name": "app", "image": "none", "readinessProbe": probe,
                                  "ports": [{"containerPort": 80, "name": "web"}]}], **spec)
    wish["metadata"]["labels"] = labels or {}
    api().post(PODS, wish)
    return NODE.await_running(name)


def condition(obj, kind="Ready"):
    return next(c for c in obj["status"]["conditions"] if c["type"] == kind)


def await_ready(name, status="True"):
    return NODE.await_ready(PODS + "/" + name, status)


def await_event(name, reason, text):
    """The Event's message, when it holds the text."""
    watch = NODE.watch(EVENTS + "?fieldSelector=reason=%s,involvedObject.name=%s" % (reason, name))
    try:
        return watch.until(lambda e: text in e["object"]["message"])["object"]
    finally:
        watch.close()


def drop(name, *servers):
    api().delete(PODS + "/" + name)
    for server in servers:
        server.stop()


def starts():
    NODE.start()


def by_tcp():
    """[C1] nobody listens, somebody does, nobody does again; and what follows in the slices."""
    api().post(SERVICES, {"metadata": {"name": "t"}, "spec": {
        "selector": {"app": "t"}, "ports": [{"port": 80}]}})
    slices = NODE.watch(SLICES + "?labelSelector=kubernetes.io/service-name=t")

    def await_slice(ready):
        slices.until(lambda e: [x["conditions"]["ready"] for x in e["object"].get("endpoints") or []] == [ready])
    got = make("t", {"tcpSocket": {"port": "web"}}, {"app": "t"})
    assert condition(got)["status"] == "False", got
    assert condition(got, "ContainersReady")["message"] == "containers with unready status: [app]"
    assert got["status"]["containerStatuses"][0]["ready"] is False
    await_slice(False)
    event = await_event("t", "Unhealthy", "Readiness probe failed: dial tcp %s:80: connect: "
                        "connection refused" % got["status"]["podIP"])
    assert event["type"] == "Warning", event
    server = Server("t", lambda n, request: None)
    got = await_ready("t")
    assert condition(got, "ContainersReady")["status"] == "True"
    assert got["status"]["containerStatuses"][0]["ready"] is True
    await_slice(True)
    server.stop()
    await_ready("t", "False")
    await_slice(False)
    slices.close()
    drop("t")
    api().delete(SERVICES + "/t")


def by_http():
    """What is sent."""
    make("h", {"httpGet": {"path": "a b?c=d", "port": 80, "httpHeaders": [
        {"name": "Host", "value": "example.org"}, {"name": "X-Mine", "value": "1"}]}})
    server = Server("h", lambda n, request: OK)
    await_ready("h")
    lines = server.requests[0][1].split("\r\n")
    assert lines[0] == "GET /a%20b?c=d HTTP/1.1", lines
    assert lines[1:] == ["Host: example.org", "User-Agent: kube-probe/1.30", "Accept: */*",
                         "X-Mine: 1", "Connection: close", "", ""], lines
    drop("h", server)


def answers():
    """Which answers are a success, and what is said of others; one pod each, all at once."""
    rows = (
        (BAD, "False", "HTTP probe failed with statuscode: 503"),
        (b"HTTP/1.0 200\r\n\r\nuntil the end", "True", None),
        (b"HTTP/1.1 400 \r\n\r\n", "False", "HTTP probe failed with statuscode: 400"),
        (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 204 No\nX: y\n\n", "True", None),
        (b"SSH-2.0-x\r\n", "False", "malformed HTTP response"),
        (b"HTTP/1.1 399 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "True", None),
        (b"", "False", ": EOF"),
        (b"HTTP/1.1 302 \r\nLocation: http://elsewhere/\r\n\r\n", "True",
         "Readiness probe warning: Probe terminated redirects"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "False", "unexpected EOF"),
        (None, "False", "Client.Timeout exceeded"))
    servers = []
    for i, (answer, ready, _) in enumerate(rows):       # each is the other way before
        limit = {} if answer is not None else {"timeoutSeconds": 1}
        make("h%d" % i, dict(limit, httpGet={"port": 80}))
        servers.append(Server("h%d" % i, lambda n, r, ready=ready: OK if ready == "False" else BAD))
    for i, (answer, ready, _) in enumerate(rows):
        await_ready("h%d" % i, "True" if ready == "False" else "False")
        servers[i].answer = lambda n, request, answer=answer: answer
    for i, (_, ready, words) in enumerate(rows):
        await_ready("h%d" % i, ready)
        if words:
            await_event("h%d" % i, "Unhealthy" if ready == "False" else "ProbeWarning", words)
        drop("h%d" % i, servers[i])


def redirects():
    """Followed to the same host, ten times at most, and with the user's Host where that is meant."""
    to = {"/": "/one", "/one": "two?x", "/two?x": "//%s/three#f", "/three": "http://%s:80/end"}
    got = make("r", {"httpGet": {"path": "/", "port": 80, "httpHeaders": [
        {"name": "Host", "value": "mine"}]}})
    ip = got["status"]["podIP"]

    def answer(n, request):
        path = request.split()[1]
        if path not in to:
            return OK if path == "/end" else BAD
        where = to[path] % ip if "%" in to[path] else to[path]
        return ("HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % where).encode()
    server = Server("r", answer)
    await_ready("r")
    seen = [[r.split()[1], r.split()[4]] for _, r in server.requests[:5]]
    assert seen == [["/", "mine"], ["/one", "mine"], ["/two?x", "mine"], ["/three", ip],
                    ["/end", ip]], seen
    server.answer = lambda n, request: b"HTTP/1.1 301 \r\nLocation: /again\r\n\r\n"
    await_ready("r", "False")
    await_event("r", "Unhealthy", "stopped after 10 redirects")
    drop("r", server)


def thresholds():
    """Twice well in a row, three times not well in a row: neither comes about in another way."""
    make("n", {"httpGet": {"port": 80}, "successThreshold": 2, "failureThreshold": 3})
    watch = NODE.watch(PODS + "?fieldSelector=metadata.name=n")
    script = [OK, BAD, OK, OK, BAD, BAD, OK, BAD, BAD, BAD]
    at = {}                     # or later, where it takes long until it is written
    server = Server("n", lambda n, request: script[n] if n < len(script) else OK)
    for status in ("True", "False"):
        watch.until(lambda e: condition(e["object"])["status"] == status)
        at[status] = len(server.requests)
    assert 4 <= at["True"] < 10 <= at["False"], at
    watch.close()
    drop("n", server)


def delay_and_period():
    """The first try initialDelaySeconds after the start, then one each period."""
    begun = time.monotonic()
    make("d", {"httpGet": {"port": 80}, "initialDelaySeconds": 3, "periodSeconds": 2})
    server = Server("d", lambda n, request: OK)
    server.await_requests(3)
    first, second, third = (when for when, _ in server.requests[:3])
    assert first - begun > 1.9, "startedAt is cut to seconds"
    # what is seen late was asked earlier, so not from one to the next
    assert third - begun > 5.9 and second - first < 20, (begun, first, second, third)
    drop("d", server)


def other_addresses():
    """The host that a probe names; IPv6."""
    server = Server(None, lambda n, request: OK, port=8099, address="::1")
    make("six", {"httpGet": {"port": 8099, "host": "::1"}}, hostNetwork=True)
    await_ready("six")
    assert "Host: [::1]:8099" in server.requests[0][1]
    drop("six", server)
    make("odd", {"tcpSocket": {"port": "none", "host": "example.org"}})
    await_event("odd", "Unhealthy", "resulted in unknown state: the container has no port of that name")
    assert condition(api().get(PODS + "/odd"))["status"] == "False"
    drop("odd")


def no_write_for_a_probe():
    """Only what changes is written: not the probes that say the same again, well or not."""
    make("w", {"httpGet": {"port": 80}})
    server = Server("w", lambda n, request: OK)
    await_ready("w")
    make("f", {"tcpSocket": {"port": 80}})
    await_event("f", "Unhealthy", "connection refused")

    def unwritten():
        """Others may have something to write about what has been before."""
        writes, probes = NODE.metric("podnet_store_writes_total"), NODE.metric("podnet_probes_total")
        server.await_requests(len(server.requests) + 3)
        eventually("they go on", lambda: NODE.metric("podnet_probes_total") >= probes + 5)
        return NODE.metric("podnet_store_writes_total") == writes
    eventually("nothing is written", unwritten)
    drop("w", server)
    drop("f")


def probes_decide():
    """A PATCH of Ready does not outlive probes; without probes it does; gates come on top."""
    def patch(name, kind, status):
        return api().patch(PODS + "/%s/status" % name, {"status": {"conditions": [
            {"type": kind, "status": status}]}})
    make("p", {"tcpSocket": {"port": 80}}, readinessGates=[{"conditionType": "a.b/c"}])
    assert condition(patch("p", "Ready", "True"))["status"] == "False"
    lie = api().get(PODS + "/p")["status"]
    lie["containerStatuses"][0]["ready"] = True
    assert condition(api().patch(PODS + "/p/status", {"status": lie}))["status"] == "False"
    server = Server("p", lambda n, request: None)
    watch = NODE.watch(PODS + "?fieldSelector=metadata.name=p")
    got = watch.until(lambda e: condition(e["object"], "ContainersReady")["status"] == "True")
    assert condition(got["object"])["reason"] == "ReadinessGatesNotReady", got
    watch.close()
    assert condition(patch("p", "a.b/c", "True"))["status"] == "True"
    assert condition(patch("p", "Ready", "False"))["status"] == "True"
    drop("p", server)
    api().post(PODS, pod("q"))
    await_ready("q")
    assert condition(patch("q", "Ready", "False"))["status"] == "False"
    drop("q")


def restart():
    """What was ready stays so until its probe fails; and first tries are spread."""
    each = [{"name": "c%d" % i, "image": "none",
             "readinessProbe": {"tcpSocket": {"port": 8100}, "periodSeconds": 2}} for i in range(40)]
    many = Server(None, lambda n, request: None, port=8100, address="::1")
    for container in each:
        container["readinessProbe"]["tcpSocket"]["host"] = "::1"
    api().post(PODS, pod("many", containers=each, hostNetwork=True))
    make("s", {"httpGet": {"port": 80}, "failureThreshold": 3})
    server = Server("s", lambda n, request: OK)
    await_ready("s")
    await_ready("many")
    version = api().get(PODS)["metadata"]["resourceVersion"]
    NODE.stop()
    server.answer = lambda n, request: BAD
    before, first = server.drained("s.default"), many.drained(None)
    begun = time.monotonic()
    NODE.start()
    # from before the stop: it is not said to be otherwise until there were so many
    watch = NODE.watch(PODS + "?fieldSelector=metadata.name=s&resourceVersion=" + version)
    watch.until(lambda e: condition(e["object"])["status"] != "True")
    assert len(server.requests) >= before + 3, server.requests
    watch.close()
    many.await_requests(first + 40)
    times = [when - begun for when, _ in many.requests[first:first + 40]]
    # all but the first and the last, which may stand alone; unless so slow a start had all of them wait
    assert times[35] - times[4] > 0.3 or times[4] > 1, times
    drop("s", server)
    drop("many", many)


def beside_each_other():
    """They wait for seconds to pass, each for pods of its own."""
    failed = []

    def run_one(test):
        try:
            test()
        except BaseException as err:        # pylint: disable=broad-except
            traceback.print_exc()
            failed.append("%s: %s" % (test.__name__, err))
    threads = [threading.Thread(target=run_one, args=(test,)) for test in (
        by_tcp, by_http, answers, redirects, thresholds, delay_and_period, other_addresses,
        probes_decide)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


if __name__ == "__main__":
    main([starts, beside_each_other, no_write_for_a_probe, restart])
