# SPDX-License-Identifier: LGPL-2.1-or-later
"""reach.py - who reaches whom across nodes, and as whom

Room: what tests of paths share.  Each pod of nodes.py answers at port 80 with its name and its peer.
"""
import os
import re
import socket
import subprocess
import tempfile

from node import eventually, pings
from services import ask, in_netns, serve


def asks(client, address):
    return in_netns(client, lambda: ask(address, 80))


def populated(cluster, names="ab"):
    """Of nodes that run: pods that answer, and hold connections at port 81.  Their addresses by name."""
    ips = cluster.begin().pods(names)
    serve_all(ips)
    return ips


def serve_all(ips):
    for name in ips:
        serve(name + ".default", "echo.py", name, 80)
        serve(name + ".default", "back.py", 81)


def everybody(cluster, ips):
    """Every pod every other, at its own address, and sees the sender's own; nodes pods, and pods nodes."""
    for client, own in ips.items():
        for server, addresses in ips.items():
            for source, address in zip(own, addresses):
                got = asks(client + ".default", address)
                assert got == "%s %s" % (server, source), (client, server, address, got)
        assert all(pings(client + ".default", ip, wait=10) for of in ips.values() for ip in of), client
        for member in cluster.members:
            assert not member.has_v4 or pings(client + ".default", member.v4, wait=10), (client, member.name)
            assert not member.has_v6 or pings(client + ".default", member.v6, wait=10), (client, member.name)
    for member in cluster.members:
        for server, addresses in ips.items():
            for address in addresses:
                got = asks(member.name, address)
                assert isinstance(got, str) and got.split()[0] == server, (member.name, server, got)


class Pinging:
    """A ping that goes on, 50 a second; stop() tells how many were lost.

    What is under way when it is stopped was not: those count that others came after.
    """

    def __init__(self, netns, address):
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(["ip", "netns", "exec", netns, "ping", "-n", "-i", "0.02", address],
                                        stdout=self.said)

    def stop(self):
        eventually("it is answered", lambda: len(self.answered()) > 10)
        self.process.send_signal(2)
        self.process.wait()
        seen = self.answered()
        self.said.close()
        return max(seen) - len(seen)

    def answered(self):
        """Their numbers; pread, for ping writes where the file is at."""
        text = os.pread(self.said.fileno(), 1 << 24, 0).decode()
        return {int(n) for n in re.findall(r"icmp_seq=(\d+) ttl=", text)}


class Connected:
    """One connection that goes on; alive() asks something by it and hears the answer."""

    def __init__(self, netns, address, port=81):
        self.sock = in_netns(netns, lambda: connect(address, port))
        assert not isinstance(self.sock, OSError), self.sock

    def alive(self):
        self.sock.sendall(b"x")
        return self.sock.recv(1) == b"x"


def connect(address, port):
    return socket.create_connection((address, port), timeout=20)
