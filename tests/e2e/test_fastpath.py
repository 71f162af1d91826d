#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_fastpath.py - two nodes whose kernels carry a UDP tunnel's packets, while podnet-fwd stands by

Room: e2e.  That it is the kernel shows in that podnet-fwd can be stopped (SIGSTOP) meanwhile.
"""
import contextlib
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from etcd import Etcd           # noqa: E402
from node import eventually, main, pings, run       # noqa: E402
from nodes import Cluster, NODES        # noqa: E402
from reach import Connected, asks, everybody, populated  # noqa: E402

CLUSTER = Cluster(2, etcd=Etcd("10.0.0.250"))
ONE, TWO = CLUSTER.members
IPS = {}


def told(member):
    """What all know of a node's fast path."""
    return [one.client.get(NODES + member.name)["metadata"].get("annotations", {}).get("podnet.dev/udp-fastpath")
            for one in CLUSTER.members]


@contextlib.contextmanager
def standing():
    pids = [member.forwarder() for member in CLUSTER.members]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def passes():
    return all(pings("a1.default", address) and pings("a2.default", back)
               for address, back in zip(IPS["a2"], IPS["a1"]))


def by_kernel():
    """Neighbours on the underlay are found by podnet-fwd's socket, and one that stands is given no fast path."""
    eventually("they reach each other", passes)

    def carried():
        with standing():
            return passes()
    eventually("the kernel carries", carried)
    with standing():
        everybody(CLUSTER, IPS)


def sums(member, way):
    text = member.client.raw("GET", "/metrics")[2].decode()
    return sum(int(n) for n in re.findall(r'^podnet_tunnel_packets_total\{.*way="%s"\} (\d+)$' % way, text, re.M))


def carried():
    IPS.update(populated(CLUSTER))
    CLUSTER.backend("udp")
    for member in CLUSTER.members:
        eventually("paths by UDP", lambda m=member: "dev pn-udp4" in m.routes() and "dev pn-udp4" in m.routes(6))
        eventually("it is told", lambda m=member: told(m) == ["IPv4"] * 2)
    by_kernel()
    for way in ("sent", "received"):
        eventually("it is counted", lambda w=way: sums(ONE, w) > 10)


def outlives_netd():
    held = [Connected("b1.default", address) for address in IPS["b2"]]
    ONE.stop()
    with standing():
        assert all(one.alive() for one in held)
        eventually("the kernel carries", passes)
    ONE.start()
    TWO.kill()
    TWO.start()
    by_kernel()
    assert all(one.alive() for one in held)


def made_again():
    """With another podnet-fwd, and on another device that has the address."""
    pid = ONE.forwarder()
    os.kill(pid, signal.SIGKILL)
    eventually("another one", lambda: ONE.forwarder() not in (None, pid))
    eventually("it carries", passes)
    by_kernel()
    for meanwhile in (False, True):
        if meanwhile:
            ONE.stop()
        run("ip link del up1")
        CLUSTER.wire(ONE)
        if meanwhile:
            ONE.start()
        eventually("the new device is taken", passes)
        by_kernel()


def narrow():
    """Who has none is sent datagrams that anybody can take; and takes the other's so."""
    TWO.stop()
    TWO.flags += ["--udp-fastpath", "no"]
    TWO.start()
    eventually("it is told", lambda: told(TWO) == [None] * 2)
    eventually("they reach each other", passes)
    everybody(CLUSTER, IPS)
    with standing():
        assert not pings("a1.default", IPS["a2"][0])
    held = [Connected("b1.default", address) for address in IPS["b2"]]
    assert all(one.alive() for one in held)
    assert asks("a2.default", IPS["a1"][0]) == "a1 " + IPS["a2"][0]


def gone():
    """With the tunnel nothing of it is left on the underlay's device."""
    CLUSTER.backend("direct")
    for member in CLUSTER.members:
        eventually("paths are direct", lambda m=member: "pn-udp" not in m.routes() + m.routes(6))
    everybody(CLUSTER, IPS)
    CLUSTER.stop()


if __name__ == "__main__":
    main([carried, outlives_netd, made_again, narrow, gone])
