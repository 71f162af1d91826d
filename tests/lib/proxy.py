# SPDX-License-Identifier: LGPL-2.1-or-later
"""proxy.py - netd's Unix socket as a TCP port, for clients that know no Unix sockets

Room: one socat for as long as the test needs it.
"""
import socket
import subprocess
import time

from node import DEADLINE


class Proxy:
    def __init__(self, node, port=8001):
        self.url = "http://127.0.0.1:%d" % port
        self.process = subprocess.Popen(
            ["socat", "TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork" % port,
             "UNIX-CONNECT:" + node.socket], stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.01)
        raise AssertionError("socat does not listen")

    def close(self):
        self.process.terminate()
        self.process.wait()
