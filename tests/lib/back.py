# SPDX-License-Identifier: LGPL-2.1-or-later
"""back.py PORT - says back what it hears, to everybody who connects

Room: what runs inside a pod while a test keeps a connection.  Prints "ready" when it listens.
"""
import selectors
import socket
import sys


def main():
    wait = selectors.DefaultSelector()
    door = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
    wait.register(door, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in wait.select():
            if key.fileobj is door:
                wait.register(door.accept()[0], selectors.EVENT_READ)
                continue
            data = key.fileobj.recv(65536)
            if data:
                key.fileobj.sendall(data)
            else:
                wait.unregister(key.fileobj)
                key.fileobj.close()


main()
