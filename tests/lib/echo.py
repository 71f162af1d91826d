# SPDX-License-Identifier: LGPL-2.1-or-later
"""echo.py NAME PORT... - answers each connection and each datagram with "NAME PEER"

Room: what runs inside a pod while a test talks to it.  Prints "ready" when it listens.
"""
import selectors
import socket
import sys


def listen(port, kind):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(512)
    return sock


def answer(sock, name):
    if sock.type == socket.SOCK_DGRAM:
        data, peer = sock.recvfrom(2048)
    else:
        conn, peer = sock.accept()
    text = ("%s %s" % (name, peer[0].replace("::ffff:", ""))).encode()
    if sock.type == socket.SOCK_DGRAM:
        sock.sendto(text, peer)
        return
    with conn:
        conn.sendall(text)


def main():
    name, wait = sys.argv[1], selectors.DefaultSelector()
    for port in sys.argv[2:]:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            wait.register(listen(int(port), kind), selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in wait.select():
            answer(key.fileobj, name)


main()
