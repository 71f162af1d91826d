# SPDX-License-Identifier: LGPL-2.1-or-later
"""node.py - a netd in a node of its own, for tests that talk HTTP and send packets

Room: starting, stopping and killing netd, speaking to it, and looking at the kernel beside it.
A test is run by tests/lib/sandbox, which gives it network, mount and PID namespaces of its own, so
whatever it leaves behind, also when it is killed, goes with it.
"""
import atexit
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import openapi
import ruleset
from leftovers import Before

DEADLINE = float(os.environ.get("PODNET_TEST_DEADLINE", "60"))
IDLE = 30           # seconds that a connection is used after; netd lets go of one that idles for 60


class Refused(Exception):
    """An answer of 400 and above: .code and .status, the decoded body."""

    def __init__(self, code, status):
        super().__init__("%d %s" % (code, status))
        self.code, self.status = code, status


class Answer(http.client.HTTPResponse):
    """Tells openapi.py what is read of it."""
    exchange = None

    def read(self, amt=None):
        text = super().read(amt)
        if self.exchange and amt is None:
            self.exchange.read(text)
        return text

    def readline(self, limit=-1):
        text = super().readline(limit)
        if self.exchange:
            self.exchange.line(text)
        return text


class Checked:
    """Of any http.client connection, with this class first: openapi.py hears what is sent and answered."""
    response_class = Answer
    said = None
    checked = True

    def request(self, method, url, body=None, headers=None, **more):
        self.said = (method, url, body, headers)
        super().request(method, url, body, headers or {}, **more)

    def getresponse(self):
        answer = super().getresponse()
        if openapi.book and self.checked:
            answer.exchange = openapi.Exchange(openapi.book, *self.said, answer)
        return answer


class UnixConnection(Checked, http.client.HTTPConnection):
    def __init__(self, path, timeout=DEADLINE):
        super().__init__("podnet", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One keep-alive connection; another one where netd may have let it go meanwhile."""

    def __init__(self, path):
        self.conn = UnixConnection(path)
        self.path = path
        self.used = time.monotonic()

    def raw(self, method, url, body=None, headers=None):
        """(code, headers, bytes) of one request."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if time.monotonic() - self.used > IDLE:
            self.conn.close()
        self.conn.request(method, url, body, headers or {})
        answer = self.conn.getresponse()
        text = answer.read()
        self.used = time.monotonic()
        return answer.status, answer.headers, text

    def call(self, method, url, body=None, headers=None):
        """The decoded answer, or Refused."""
        code, _, text = self.raw(method, url, body, headers)
        answer = json.loads(text)
        if code >= 400:
            raise Refused(code, answer)
        return answer

    def get(self, url):
        return self.call("GET", url)

    def post(self, url, body):
        return self.call("POST", url, body)

    def put(self, url, body):
        return self.call("PUT", url, body)

    def patch(self, url, body):
        return self.call("PATCH", url, body, {"Content-Type": "application/merge-patch+json"})

    def delete(self, url, body=None):
        return self.call("DELETE", url, body)

    def close(self):
        self.conn.close()


class Watch:
    """A watch stream; next() gives one event, waiting for it."""

    def __init__(self, path, url):
        self.conn = UnixConnection(path)
        self.conn.request("GET", url + ("&" if "?" in url else "?") + "watch=1")
        self.answer = self.conn.getresponse()
        if self.answer.status != 200:
            raise Refused(self.answer.status, json.loads(self.answer.read()))

    def next(self):
        line = self.answer.readline()
        return json.loads(line) if line else None

    def until(self, wanted):
        """The first event for which wanted(event) is true."""
        while True:
            event = self.next()
            if event is None:
                raise AssertionError("the watch ended before what was waited for")
            if wanted(event):
                return event

    def close(self):
        self.answer.close()         # it has the socket too
        self.conn.close()


PODS = "/api/v1/namespaces/default/pods"
V1 = "/apis/podnet.dev/v1"


def pod(name, annotations=None, **spec):
    meta = {"name": name}
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta,
            "spec": dict({"containers": []}, **spec)}


class Node:
    """A netd and its directories; the kernel around it is the test's own namespace."""
    Refused = Refused
    name = "node1"
    every = []

    def __init__(self, netd=None, flags=(), through=()):
        self.netd = netd or os.environ["NETD"]
        self.through = list(through)        # a command that executes netd
        self.dir = tempfile.mkdtemp(prefix="podnet-test-")
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.socket = self.dir + "/netd.sock"
        self.flags = list(flags)
        self.log = open(self.dir + "/log", "ab")
        self.process = None
        self.client = None
        self.every.append(self)

    def start(self, env=None, ready=True):
        args = self.through + [self.netd, "--config", "/dev/null", "--node-name", "node1",
                "--state-dir", self.dir + "/state", "--run-dir", self.dir,
                "--socket", self.socket] + self.flags
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=dict(os.environ, **(env or {})))
        if ready:
            self.wait_ready()
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def forwarder(self):
        """Pid of its podnet-fwd, by the socket that it listens at; None while there is none."""
        for line in run(*self.through, "ss", "-xlpnH").splitlines():
            pid = re.search(r"pid=(\d+)", line)
            if self.dir + "/fwd.sock" in line and pid:
                return int(pid[1])
        return None

    def wait_ready(self):
        """Until /readyz says ok; netd makes its socket at start, so there is no event to wait for."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.alive():
            try:
                client = Client(self.socket)
                if client.raw("GET", "/readyz")[0] == 200:
                    self.client = client
                    return
                client.close()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.01)
        raise AssertionError("netd is not ready:\n" + self.tail())

    def tail(self, lines=30):
        self.log.flush()
        with open(self.dir + "/log", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def kill(self, how=signal.SIGKILL):
        if self.alive():
            self.process.send_signal(how)
        if self.process:
            self.process.wait()
        if self.client:
            self.client.close()
        return self.process.returncode if self.process else None

    def stop(self):
        """A clean stop; anything but exit status 0 is a failure (a sanitizer's report, say)."""
        code = self.kill(signal.SIGTERM)
        assert code in (0, None), "netd ended with %s:\n%s" % (code, self.tail(80))

    @contextlib.contextmanager
    def session(self):
        """A client for what is no part of the test: openapi.py does not hear of it."""
        client = Client(self.socket)
        client.conn.checked = False
        try:
            yield client
        finally:
            client.close()

    def watch(self, url):
        return Watch(self.socket, url)

    def await_object(self, url, wanted):
        """Follow one object by a watch until wanted(object); returns it."""
        collection, name = url.rsplit("/", 1)
        watch = self.watch("%s?fieldSelector=metadata.name=%s" % (collection, name))
        try:
            return watch.until(lambda e: e["type"] in ("ADDED", "MODIFIED")
                               and wanted(e["object"]))["object"]
        finally:
            watch.close()

    def await_running(self, name, collection=PODS):
        return self.await_object(collection + "/" + name,
                                 lambda o: o.get("status", {}).get("phase") == "Running")

    def await_ready(self, url, status="True"):
        return self.await_object(url, lambda o: any(
            c["type"] == "Ready" and c["status"] == status
            for c in o.get("status", {}).get("conditions", [])))

    def metric(self, name):
        text = self.client.raw("GET", "/metrics")[2].decode()
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError("no metric " + name)


def run(*args, check=True, netns=None):
    """A command, words or one string; its output."""
    words = args[0].split() if len(args) == 1 else list(args)
    if netns:
        words = ["ip", "netns", "exec", netns] + words
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if check and done.returncode:
        raise AssertionError("%s: exit %d\n%s" % (" ".join(words), done.returncode, done.stdout))
    return done.stdout


def ip_json(args, netns=None):
    words = ["ip", "-json"] + (["-n", netns] if netns else []) + args.split()
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout or b"[]")


def pings(netns, address, count=1, wait=2):
    """@wait: seconds for the last answer."""
    words = ["ping", "-c", str(count), "-W", str(wait), "-i", "0.2", address]
    if netns:
        words = ["ip", "netns", "exec", netns] + words
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def reaches(netns, address):
    """The first packet and its answer pass, however long a busy machine takes."""
    return pings(netns, address, wait=20)


def namespaces():
    return sorted(os.listdir("/run/netns"))


def marked_links():
    """With those that wait in a pool."""
    return [l for l in ip_json("link show") if l.get("ifalias", "").startswith("podnet:netd:")]


def our_links():
    """Name to scope; of a pair from the pool, taken, the scope is the name of its namespace.

    Only ip's text says that name with the link.  The kernel's own list of namespace ids lacks one now
    and then, where one message ends and the next begins, so it cannot be joined here.
    """
    links = {}
    for line in run("ip", "-o", "-d", "link", "show").splitlines():
        name, alias = re.match(r"\d+: ([^:@]+)", line), re.search(r"alias podnet:netd:(\S+)", line)
        netns = re.search(r"link-netns (\S+)", line)
        if alias and (alias[1] != "pool" or netns):
            links[name[1]] = netns[1] if alias[1] == "pool" else alias[1]
    return links


def host_link(pod):
    """The node's end of eth0 of <pod>.<namespace>, by its index."""
    index = ip_json("link show eth0", netns=pod)[0]["link_index"]
    return next(l["ifname"] for l in ip_json("link show") if l["ifindex"] == index)


def eventually(what, condition):
    """For what the kernel does by itself and does not announce, such as destroying a namespace."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("never: " + what)


def check_ruleset():
    """Again, where netd changes it between what nft prints and what nft checks."""
    for _ in range(10):
        refused = ruleset.refusal()
        if not refused:
            return
    raise AssertionError(refused)


def run_test(test):
    """It fails also by an exchange that api/openapi.yaml does not document, and by what nft cannot load."""
    test()
    undocumented = openapi.book.take() if openapi.book else []
    if undocumented:
        raise AssertionError("api/openapi.yaml does not say so:\n   " + "\n   ".join(undocumented))
    check_ruleset()


def stopped():
    """What stays in the kernel when netd has ended."""
    for node in Node.every:
        if node.alive():
            node.stop()
    check_ruleset()


def passes(test):
    """Whether it does; after one that does not, the next finds what it would have found."""
    before = Before(Node.every)
    try:
        run_test(test)
        print("ok   %s" % test.__name__, flush=True)
        return True
    except Exception as err:            # pylint: disable=broad-except
        traceback.print_exc()
        print("FAIL %s: %s" % (test.__name__, err), flush=True)
    for node in Node.every:
        print("%s said last:\n%s" % (node.name, node.tail(40)), flush=True)
        if node.client:                 # it may stand between a question and its answer
            node.client.close()
    try:
        before.put_back(eventually)
    except Exception:                   # pylint: disable=broad-except
        traceback.print_exc()
    if openapi.book:
        openapi.book.take()
    return False


def main(tests):
    """Run the functions given on the command line, or all; one line each, ctest's plain ending."""
    chosen = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    failed = sum(not passes(test) for test in chosen + [stopped])
    print("%d passed, %d failed" % (len(chosen) + 1 - failed, failed))
    sys.exit(failed > 0)
