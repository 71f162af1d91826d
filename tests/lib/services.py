# SPDX-License-Identifier: LGPL-2.1-or-later
"""services.py - a world outside of the node, clients in any namespace, servers in pods

Room: what tests of Services share; which Services there are is theirs.
"""
import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading

from node import PODS, Refused, pod, run

HERE = os.path.dirname(os.path.realpath(__file__))
LIBC = ctypes.CDLL(None, use_errno=True)
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
# How far what was counted may be from what was expected.  Of the 13 figures that suites compare,
# chance alone takes one beyond 4 sigma in 1 of 1,200 runs, beyond this in 1 of 2 million; a weight of
# 5, 2 and 1 that is wrong by one takes one of them 8 sigma off or more.
SIGMAS = 5.5


def make_world():
    """A neighbour outside, 10.0.0.99; the node is 10.0.0.10 and has its default route there."""
    for command in ("ip netns add world", "ip link add uplink type veth peer name eth0 netns world",
                    "ip addr add 10.0.0.10/24 dev uplink",
                    "ip addr add fd00:1::10/64 dev uplink nodad", "ip link set uplink up",
                    "ip -n world link set eth0 up", "ip -n world link set lo up",
                    "ip -n world addr add 10.0.0.99/24 dev eth0",
                    "ip -n world addr add fd00:1::99/64 dev eth0 nodad",
                    "ip -n world route add 203.0.113.0/24 via 10.0.0.10",
                    "ip -n world route add 10.96.0.0/16 via 10.0.0.10",
                    "ip -6 route add default via fd00:1::99"):
        run(command)


def in_netns(name, work):
    """work() in a thread of its own that has entered the namespace; None: the node's."""
    result = []

    def body():
        if name:
            with open("/run/netns/" + name) as file:
                if LIBC.setns(file.fileno(), 0x40000000):
                    raise OSError(ctypes.get_errno(), "setns " + name)
        try:
            result.append(work())
        except OSError as err:
            result.append(err)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if not result:
        raise AssertionError("no result in " + str(name))
    return result[0]


def ask(address, port, udp=False, timeout=10, source_port=0):
    """"NAME PEER", or the OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        if source_port:
            sock.bind(("", source_port))
        sock.connect((address, port))
        return exchange(sock, timeout) if udp else sock.recv(100).decode()


def exchange(sock, timeout):
    """A datagram for the answer; one that nobody answers is sent again after 2 s."""
    while True:
        with contextlib.suppress(PermissionError):
            sock.send(b"?")     # refused on its way out of the node; the ICMP error waits to be read
        sock.settimeout(min(timeout, 2))
        try:
            return sock.recv(100).decode()
        except TimeoutError:
            timeout -= 2
            if timeout <= 0:
                raise


def seen(client, address, port, udp=False, timeout=10, source_port=0):
    """What a client in a namespace is answered, or the OSError."""
    return in_netns(client, lambda: ask(address, port, udp, timeout, source_port))


def names(client, address, port, udp=False, times=24):
    """Which endpoints answer a number of connections; or the OSError."""
    return in_netns(client, lambda: sorted({ask(address, port, udp).split()[0] for _ in range(times)}))


def refused(client, address, port, udp=False):
    return isinstance(seen(client, address, port, udp), ConnectionRefusedError)


def dropped(client, address, port):
    return isinstance(seen(client, address, port, timeout=0.3), TimeoutError)


def serve(netns, script, *args):
    """One of the servers beside this file, in a namespace; returns when it listens."""
    server = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable,
                               os.path.join(HERE, script)] + [str(a) for a in args],
                              stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    return server


class Pods:
    """Pods of a test, with a server in each."""

    def __init__(self, node):
        self.node, self.servers = node, {}

    def add(self, name, labels, *args, script="echo.py", **spec):
        """Its addresses."""
        wish = pod(name, **spec)
        wish["metadata"]["labels"] = labels
        self.node.client.post(PODS, wish)
        status = self.node.await_running(name)["status"]
        if script:
            self.servers[name] = serve(name + ".default", script, *(args or (name, 8080)))
        return [ip["ip"] for ip in status.get("podIPs", [])]

    def silence(self, name):
        """Its server ends."""
        server = self.servers.pop(name)
        server.kill()
        server.wait()

    def drop(self, name):
        """At once, also one that is within its grace, or that is gone."""
        if name in self.servers:
            self.silence(name)
        with contextlib.suppress(Refused):
            self.node.client.delete(PODS + "/" + name, {"gracePeriodSeconds": 0})
