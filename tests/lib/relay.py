# SPDX-License-Identifier: LGPL-2.1-or-later
"""relay.py - from a foreign client on to netd, with or without TLS

Room: each request goes on by a connection of node.py's, so what a foreign client does is held against
api/openapi.yaml as what the tests do themselves.
"""
import http.server
import threading

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1       # head and body in one piece
    netd = None

    def setup(self):
        if self.server.context:
            self.request.do_handshake()
        super().setup()
        self.netd = self.server.connect()

    def finish(self):
        self.netd.close()
        super().finish()

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            length = int(self.headers.get("Content-Length", 0))
            return self.rfile.read(length) if length else None
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()       # behind a chunk; behind the last one, the end: there are no trailers
            if not size:
                return body

    def relay(self):
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        self.netd.request(self.command, self.path, self.body(), headers)
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

    def __init__(self, port, connect, context=None):
        """@connect: makes a connection to netd, a Checked one; @context: the TLS of clients"""
        self.connect, self.context = connect, context
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def get_request(self):
        sock, address = super().get_request()
        if not self.context:
            return sock, address
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        """A client that is gone; what netd did wrong, the client's own test sees."""

    def close(self):
        self.shutdown()
        self.server_close()
