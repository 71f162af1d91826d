# SPDX-License-Identifier: LGPL-2.1-or-later
"""feed.py PORT - sends as many bytes as a line on the connection asks for, line after line

Room: what runs inside a pod while a test keeps a connection to it.  Prints "ready" when it listens.
"""
import socket
import sys
import threading


def feed(conn):
    with conn, conn.makefile("rb") as lines:
        for line in lines:
            left = int(line)
            while left:
                n = min(left, 65536)
                conn.sendall(b"x" * n)
                left -= n


def main():
    listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        threading.Thread(target=feed, args=(listener.accept()[0],), daemon=True).start()


main()
