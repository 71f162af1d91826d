# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_churn.py - endpoints that change all the time, and others who commit to nf_tables meanwhile

    tests/lib/sandbox tests/e2e/test_churn.py [--seconds N] [TEST...]

Names in brackets are lines of the case list.  Every endpoint that is ever declared has a server, so a
connection that fails has met a state that nobody declared.  What takes how long is printed.
"""
import argparse
import itertools
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from nftables import Nftables, elements, slots     # noqa: E402
from node import DEADLINE, PODS, Client, Node, eventually, main, pod     # noqa: E402
from services import SERVICES, SLICES, ask, in_netns, make_world, serve     # noqa: E402

WRITERS, CHANGES, CONNECTIONS = 4, 1000, 200       # a second, of all
SLICE = 5                                          # endpoints that a writer has to play with

make_world()
NODE = Node(flags=["--log-level", "warning"]).start()
API = NODE.client
for name in ("client", "server"):
    API.post(PODS, pod(name))
CLIENT_IP, SERVER_IP = (NODE.await_running(n)["status"]["podIP"] for n in ("client", "server"))
SERVER = serve("server.default", "echo.py", "s", *range(9000, 9000 + WRITERS * SLICE))


def wish(service, i, up, ports=None):
    """One slice a port, for a slice's ports are all of its endpoints'."""
    return {"metadata": {"name": "%s-%d" % (service, i),
                         "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": ports or 9000 + i, "protocol": "TCP"}],
            "endpoints": [{"addresses": [SERVER_IP], "nodeName": "node1"}] if up else []}


def make_service(service, slices, up=lambda i: True):
    ip = API.post(SERVICES, {"metadata": {"name": service},
                             "spec": {"ports": [{"port": 80}]}})["spec"]["clusterIP"]
    for i in slices:
        API.post(SLICES, wish(service, i, up(i)))
    wanted = sorted((SERVER_IP, 9000 + i) for i in slices if up(i))
    eventually("programmed", lambda: sorted(slots(ip).values()) == wanted)
    return ip


class Writer(threading.Thread):
    """Takes endpoints of its own in and out, so many a second; the first one stays."""

    def __init__(self, service, mine, rate, ended):
        super().__init__()
        self.service, self.mine, self.rate, self.ended = service, mine, rate, ended
        self.up, self.done, self.error = dict.fromkeys(mine, True), 0, None

    def run(self):
        client, rng, start = Client(NODE.socket), random.Random(self.mine[0]), time.monotonic()
        try:
            while not self.ended.is_set():
                pause = start + self.done / self.rate - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                i = rng.choice(self.mine[1:])
                self.up[i] = not self.up[i]
                code = client.raw("PUT", SLICES + "/%s-%d" % (self.service, i),
                                  wish(self.service, i, self.up[i]))[0]
                assert code == 200, code
                self.done += 1
        except Exception as err:        # pylint: disable=broad-except
            self.error = err
        client.close()


def connect_all(ip, goes_on, failures):
    """CONNECTIONS a second; how many there were."""
    n, start = 0, time.monotonic()
    while goes_on(n):
        pause = start + n / CONNECTIONS - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            ask(ip, 80, timeout=20)
        except OSError as err:
            failures.append(err)
        n += 1
    return n


def told():
    return {name: NODE.metric("podnet_%s_total" % name)
            for name in ("kernel_event_overruns", "drift_repaired", "reconcile_failures")}


def churn():
    """[J8 C10] 1,000 endpoint changes a second, 200 connections a second: none fails."""
    ip = make_service("churn", range(WRITERS * SLICE))
    before, failures, ended, begun = told(), [], threading.Event(), time.monotonic()
    writers = [Writer("churn", range(w * SLICE, (w + 1) * SLICE), CHANGES / WRITERS, ended)
               for w in range(WRITERS)]

    def enough(n):
        return n > CONNECTIONS * SECONDS / 4 and sum(w.done for w in writers) > CHANGES * SECONDS / 4

    def goes_on(n):
        """So long, and on a slow machine until there was enough of both."""
        took = time.monotonic() - begun
        return took < SECONDS or (took < SECONDS + DEADLINE and not enough(n))
    for writer in writers:
        writer.start()
    connections = in_netns("client.default", lambda: connect_all(ip, goes_on, failures))
    ended.set()
    for writer in writers:
        writer.join()
    answered = time.monotonic()
    took = answered - begun
    wanted = sorted((SERVER_IP, 9000 + i) for w in writers for i, up in w.up.items() if up)
    eventually("all of it programmed", lambda: sorted(slots(ip).values()) == wanted)
    lag = time.monotonic() - answered
    changes = sum(w.done for w in writers)
    print("     %d changes and %d connections in %g s, %d failed; the last change was in the kernel "
          "%.0f ms after its answer" % (changes, connections, took, len(failures), lag * 1000))
    assert not [w.error for w in writers if w.error], [w.error for w in writers]
    assert not failures, failures[:5]
    assert enough(connections), (changes, connections)      # it did not stand still
    assert lag < 10, lag                # no backlog that grows for as long as it goes on
    assert told() == before, (before, told())       # no event was lost, nothing was read anew


class Busybody(threading.Thread):
    """Somebody else who does something again and again."""

    def __init__(self, work, pause):
        super().__init__()
        self.work, self.pause, self.n, self.stopped = work, pause, 0, threading.Event()
        self.start()

    def run(self):
        while not self.stopped.wait(self.pause):
            self.work()
            self.n += 1

    def stop(self):
        self.stopped.set()
        self.join()
        return self.n


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def spread(what, times):
    print("     %s: p50 %.1f ms, p99 %.1f ms, n=%d" % (
        what, 1e3 * quantile(times, 0.5), 1e3 * quantile(times, 0.99), len(times)))


def wait_for(ip, wanted):
    """Seconds until the kernel has these endpoints."""
    start = time.monotonic()
    eventually("programmed", lambda: sorted(slots(ip).values()) == wanted)
    return time.monotonic() - start


def others_commit():
    """[J11] another program commits every millisecond: changes and repairs get through all the same."""
    ip = make_service("beside", range(2))
    nft, times = Nftables(), []
    both, one = [(SERVER_IP, 9000), (SERVER_IP, 9001)], [(SERVER_IP, 9000)]
    busy = Busybody(nft.commit, 0.001)
    for i in itertools.count():
        API.put(SLICES + "/beside-1", wish("beside", 1, i % 2))
        times.append(wait_for(ip, both if i % 2 else one))
        if i % 2 and i >= 49 and busy.n > 100:
            break
    spread("a change, others commit every ms, from its answer", times)
    times = []
    flusher = Nftables()
    for _ in range(20):
        flusher.flush()
        times.append(wait_for(ip, both))
    busy.stop()
    spread("a flush repaired, others commit every ms", times)
    assert in_netns("client.default", lambda: ask(ip, 80)).startswith("s ")


def flushed():
    """[J3] a flush, and our table deleted, with nobody else about: repaired, with the time it took."""
    ip = make_service("flushed", range(2))
    both = [(SERVER_IP, 9000), (SERVER_IP, 9001)]
    nft, times = Nftables(), []
    for _ in range(30):
        nft.flush()
        times.append(wait_for(ip, both))
    spread("a flush repaired", times)
    assert in_netns("client.default", lambda: ask(ip, 80)).startswith("s ")


def flushed_in_the_middle():
    """[J3 J9] flushes at any moment of 200 changes, or more: what is declared last is there in the end."""
    ip = make_service("torn", range(3))
    nft = Nftables()
    busy = Busybody(nft.flush, 0.007)
    for i in itertools.count():
        API.put(SLICES + "/torn-%d" % (1 + i % 2), wish("torn", 1 + i % 2, i // 2 % 2))
        if i % 4 == 3 and i >= 199 and busy.n > 5:
            break
    busy.stop()
    wanted = sorted((SERVER_IP, 9000 + k) for k in (0, 1, 2))
    lag = wait_for(ip, wanted)
    print("     right %.1f ms after the last change and the last flush" % (1e3 * lag))
    assert elements("cluster-ips4"), "the set of cluster IPs is empty"
    assert in_netns("client.default", lambda: ask(ip, 80)).startswith("s ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("tests", nargs="*")
    args = parser.parse_args()
    SECONDS = args.seconds
    sys.argv[1:] = args.tests
    main([churn, others_commit, flushed, flushed_in_the_middle])
