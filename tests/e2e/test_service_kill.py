# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_service_kill.py - netd dies between two steps of a change of a Service

Names in brackets are lines of the case list.  Endpoints of one Service are replaced, all of them at
once, and netd is killed at each point on the way and at random moments.  What the kernel has then is
the old list or the new one; after the next start it is what the store has; and a connection through
another Service goes on through all of it.
"""
import http.client
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from nftables import elements, frontend, slots     # noqa: E402
from node import PODS, Client, Node, eventually, main, pod, run     # noqa: E402
from services import SERVICES, SLICES, in_netns, make_world, serve     # noqa: E402

LISTS = (["10.253.0.1", "10.253.0.2"], ["10.253.0.3", "10.253.0.4", "10.253.0.5"])
CLASSES = ("tcp4-random-2", "tcp4-random-4")

make_world()
NODE = Node(flags=["--log-level", "error", "--pool", "0"]).start()
for name in ("client", "server"):
    NODE.client.post(PODS, pod(name))
SERVER_IP = [NODE.await_running(n)["status"]["podIP"] for n in ("client", "server")][1]
FEED = serve("server.default", "feed.py", "9000")


def wish(service, addresses, port=80):
    return {"metadata": {"name": service + "-1",
                         "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": [{"name": "", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "nodeName": "node1"} for a in addresses]}


def add_service(service, addresses, port=80):
    ip = NODE.client.post(SERVICES, {"metadata": {"name": service},
                                     "spec": {"ports": [{"port": 80}]}})["spec"]["clusterIP"]
    NODE.client.post(SLICES, wish(service, addresses, port))
    eventually("programmed", lambda: addresses_of(ip) == addresses)
    return ip


def addresses_of(ip):
    return sorted(to[0] for to in slots(ip).values())


VICTIM = add_service("victim", LISTS[0])
KEPT = add_service("kept", [SERVER_IP], 9000)


KEEPING = in_netns("client.default", lambda: socket.create_connection((KEPT, 80), timeout=60))


def still_connected():
    KEEPING.sendall(b"100000\n")
    left = 100000
    while left:
        got = len(KEEPING.recv(left))
        assert got, "the connection was closed"
        left -= got


def whole():
    """Which of the lists the kernel has: all of it, its slots, and the class that goes with it."""
    have = slots(VICTIM)
    found = sorted(to[0] for to in have.values())
    assert found in LISTS, "mixed: %s" % found
    assert sorted(have) == list(range(len(found))), have
    which = LISTS.index(found)
    members = [frontend(VICTIM) in (elements(name) or {}) for name in CLASSES]
    assert members == [which == 0, which == 1], (found, members)
    return which


def change(n):
    """Put the other list; no answer when netd died."""
    client = Client(NODE.socket)
    try:
        assert client.raw("PUT", SLICES + "/victim-1", wish("victim", LISTS[n % 2]))[0] == 200
    except (OSError, http.client.HTTPException):
        pass
    finally:
        client.close()


def settled():
    """After the next start the kernel has what the store has, and nothing was torn down for it."""
    NODE.start()
    stored = [e["addresses"][0] for e in NODE.client.get(SLICES + "/victim-1")["endpoints"]]
    eventually("as stored", lambda: addresses_of(VICTIM) == stored)
    whole()
    still_connected()


def dies_at(point, passage, n):
    """Whether netd started, and died at that passage of the point, which the change leads to."""
    NODE.stop()
    NODE.start(env={"PODNET_FAULT": "%s:%d" % (point, passage)}, ready=False)
    try:
        NODE.wait_ready()
    except AssertionError:
        assert not NODE.alive()
        return False            # a start passes it too
    whole()
    change(n)
    eventually("netd is dead", lambda: not NODE.alive())
    return True


def points():
    """[J9 J1] at each fault point that a change of endpoints passes."""
    chosen = [p for p in run(NODE.netd, "--fault-points").split()
              if p.startswith("services-")] + ["commit-published", "store-after-commit"]
    assert len(chosen) >= 5, chosen
    for n, point in enumerate(chosen):
        passage = 1
        while not dies_at(point, passage, n + 1):
            NODE.kill()
            NODE.start()
            passage += 1
            assert passage < 20, point
        print("     %s, passage %d: the %s list" % (point, passage, ("old", "new")[whole() == (n + 1) % 2]))
        still_connected()       # with no netd about
        settled()


def moments():
    """[J9] kill -9 at 12 random moments of changes without a pause."""
    rng = random.Random(7)
    for _ in range(12):
        stop = threading.Event()

        def work():
            n = 0
            while not stop.is_set() and NODE.alive():
                change(n)
                n += 1
        writer = threading.Thread(target=work)
        writer.start()
        time.sleep(rng.uniform(0, 0.05))        # the moment of death is what the test varies
        NODE.kill()
        stop.set()
        writer.join()
        whole()
        still_connected()
        settled()


if __name__ == "__main__":
    main([points, moments])
