# SPDX-License-Identifier: LGPL-2.1-or-later
"""relay.py - TCP to netd's Unix socket, for clients that know no such thing

Room: each request goes on by node.py's connection, so what a foreign client does is held against
api/openapi.yaml as what the tests do themselves.
"""
import http.server
import threading

from node import UnixConnection

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1       # head and body in one piece
    netd = None

    def setup(self):
        super().setup()
        self.netd = UnixConnection(self.server.path)

    def finish(self):
        self.netd.close()
        super().finish()

    def relay(self):
        length = int(self.headers.get("Content-Length", 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        self.netd.request(self.command, self.path, self.rfile.read(length) if length else None, headers)
        answer = self.netd.getresponse()
        stream = answer.getheader("Transfer-Encoding") == "chunked"
        body = b"" if stream else answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if stream else ("Content-Length", str(len(body)))))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if stream:
            self.lines(answer)

    def lines(self, answer):
        """A watch, line by line, until either side ends it."""
        line = answer.readline()
        while line:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            line = answer.readline()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay

    def log_message(self, *args):
        pass


class Relay(http.server.ThreadingHTTPServer):
    """Listens from here on; close() ends it."""
    daemon_threads = True

    def __init__(self, port, path):
        self.path = path
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that is gone; what netd did wrong, the client's own test sees."""

    def close(self):
        self.shutdown()
        self.server_close()
