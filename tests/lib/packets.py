# SPDX-License-Identifier: LGPL-2.1-or-later
"""packets.py - who answers a connection or a datagram, asked from a namespace

Room: sockets of this process in others' namespaces.  The servers are tests/lib/echo.py.
"""
import ctypes
import socket
import threading

LIBC = ctypes.CDLL(None, use_errno=True)


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


def ask(address, port, udp=False, timeout=2, source_port=0):
    """"NAME PEER", or the OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        if source_port:
            sock.bind(("", source_port))
        sock.connect((address, port))
        if udp:
            try:
                sock.send(b"?")
            except PermissionError:
                pass            # refused on its way out of the node; the ICMP error waits to be read
        return sock.recv(100).decode()


def seen(client, address, port, udp=False, timeout=2):
    return in_netns(client, lambda: ask(address, port, udp, timeout))


def refused(client, address, port, udp=False):
    return isinstance(seen(client, address, port, udp), ConnectionRefusedError)


def dropped(client, address, port):
    return isinstance(seen(client, address, port, timeout=0.3), (socket.timeout, TimeoutError))
