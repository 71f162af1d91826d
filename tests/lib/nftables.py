# SPDX-License-Identifier: LGPL-2.1-or-later
"""nftables.py - nf_tables spoken to directly: commits of others, the generation, elements as they are

Room: NETLINK_NETFILTER of this process's namespace.  A commit by nft(8) takes tens of milliseconds,
most of them until its socket is closed; one that is kept open takes microseconds.
"""
import socket
import struct

NETFILTER, NFTABLES = 12, 10
BEGIN, END = 16, 17
NEWTABLE, DELTABLE, GETSETELEM, GETGEN = 0, 2, 13, 16
INET = 1


def attribute(kind, data):
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + bytes(-length % 4)


def message(kind, family, resource=0, body=b"", flags=0):
    return struct.pack("=IHHII", 20 + len(body), kind, 1 | flags, 1, 0) + \
        struct.pack("=BB", family, 0) + struct.pack(">H", resource) + body


class Nftables:
    """One socket, kept open."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        self.sock.bind((0, 0))

    def batch(self, *messages):
        self.sock.send(message(BEGIN, 0, NFTABLES) + b"".join(messages) + message(END, 0, NFTABLES))

    def commit(self, name="others"):
        """A table made and deleted: the next generation, and nothing that stays."""
        body = attribute(1, name.encode() + b"\0")
        self.batch(message(NFTABLES << 8 | NEWTABLE, INET, body=body, flags=0x400),
                   message(NFTABLES << 8 | DELTABLE, INET, body=body))

    def own(self, name):
        """The table is made anew, empty, and nobody else's until this is closed (Linux 5.12)."""
        body = attribute(1, name.encode() + b"\0")
        self.batch(message(NFTABLES << 8 | DELTABLE, INET, body=body),
                   message(NFTABLES << 8 | NEWTABLE, INET, body=body + attribute(2, struct.pack(">I", 2)),
                           flags=0x400))

    def flush(self):
        """Every table, as `nft flush ruleset`."""
        self.batch(message(NFTABLES << 8 | DELTABLE, 0))

    def generation(self):
        self.sock.send(message(NFTABLES << 8 | GETGEN, 0, flags=4))
        while True:
            data = self.sock.recv(65536)
            kind = struct.unpack_from("=IH", data)[1]
            if kind == NFTABLES << 8 | 15:          # NEWGEN; its first attribute is the id
                return struct.unpack_from(">I", data, 24)[0]

    def close(self):
        self.sock.close()


def attributes(data):
    """(type, value) of each."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3fff, data[at + 4:at + length]
        at += (length + 3) & ~3


def first(data, *path):
    """The value at a path of nested types, or b""."""
    for kind in path:
        data = next((v for k, v in attributes(data) if k == kind), b"")
    return data


def replies(sock):
    """The bodies of a dump's messages."""
    while True:
        data = sock.recv(1 << 20)
        at = 0
        while at < len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == 3:                           # NLMSG_DONE
                return
            if kind == 2:                           # NLMSG_ERROR
                raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "dump")
            yield data[at + 20:at + length]
            at += (length + 3) & ~3


def elements(name, table="podnet"):
    """Of a set or map of family inet, as bytes: key to data (b"" in a set).  None: it is not there."""
    nft = Nftables()
    body = attribute(1, table.encode() + b"\0") + attribute(2, name.encode() + b"\0")
    nft.sock.send(message(NFTABLES << 8 | GETSETELEM, INET, body=body, flags=0x300))
    found = {}
    try:
        for reply in replies(nft.sock):
            for _, elem in attributes(first(reply, 3)):
                found[first(elem, 1, 1)] = first(elem, 2, 1)
    except FileNotFoundError:
        return None
    finally:
        nft.close()
    return found


def slots(ip, port=80, name="tcp-backends4"):
    """Slot to (address, port) of an IPv4 frontend, from a map of endpoints."""
    prefix = socket.inet_aton(ip) + struct.pack(">HH", port, 0)
    return {struct.unpack("=I", key[8:12])[0]:
            (socket.inet_ntoa(to[:4]), struct.unpack(">H", to[4:6])[0])
            for key, to in (elements(name) or {}).items() if key.startswith(prefix)}


def frontend(ip, port=80, protocol=6):
    """The key of an IPv4 frontend in the sets and maps of Services."""
    return socket.inet_aton(ip) + struct.pack("=B3x", protocol) + struct.pack(">HH", port, 0)
