# SPDX-License-Identifier: LGPL-2.1-or-later
"""informer.py - a cache of one collection, kept by list and watch as client-go's reflector keeps it

Room: LIST limit=500&resourceVersion=0 and its pages, or one watch with sendInitialEvents; WATCH from
there with bookmarks and short time-outs, again and again from the last version that was heard of;
LIST anew when that is too old (410).  What no client may ever see is checked on the way: a version
that does not grow, an event that does not fit what is cached.  Knows no object beyond its metadata.
"""
import http.client
import json
import random
import socket
import time

from node import DEADLINE, Client, Refused

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,"
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")


class Stream:
    """The answer to a watch, line by line; the standard library takes its time for each."""

    def __init__(self, path, url, accept):
        self.buf = b""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        try:
            self.sock.connect(path)
            self.sock.sendall(("GET %s HTTP/1.1\r\nHost: podnet\r\nAccept: %s\r\n\r\n"
                               % (url, accept)).encode())
            self.head()
        except BaseException:
            self.sock.close()
            raise

    def head(self):
        while (end := self.buf.find(b"\r\n\r\n")) < 0:
            self.read()
        code, self.buf = int(self.buf[9:12]), self.buf[end + 4:]
        if code == 200:
            return
        while True:
            try:
                raise Refused(code, json.loads(self.buf))
            except ValueError:
                self.read()

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the stream broke off")
        self.buf += data

    def chunk(self):
        while (end := self.buf.find(b"\r\n")) < 0:
            self.read()
        size = int(self.buf[:end], 16)
        begin, end = end + 2, end + 2 + size
        while len(self.buf) < end + 2:
            self.read()
        data, self.buf = self.buf[begin:end], self.buf[end + 2:]
        return data

    def lines(self):
        """Until the server ends the stream, with its last chunk."""
        rest = b""
        while chunk := self.chunk():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        assert not rest, "a watch ended in the middle of a line: %r" % rest

    def close(self):
        self.sock.close()


class Informer:
    """The cache; what is behind listed(), heard() and lost() may be made richer."""

    def __init__(self, path, url, accept="application/json", initial=False, seed=0):
        self.path, self.url, self.accept, self.initial = path, url, accept, initial
        self.random = random.Random(seed)
        self.cache = {}             # (namespace, name) -> metadata
        self.version = None         # the cache is of this one
        self.too_old = False        # and the server does not know it any more
        self.lists = self.watches = self.events = self.broken = 0
        self.arriving = None        # of a watch with sendInitialEvents, before its mark

    # for who looks on
    def listed(self, version, items):
        """All of it anew."""

    def heard(self, kind, meta):
        """One event."""

    def lost(self):
        """The version that it had got to is gone from the server."""

    def get(self, query):
        client = Client(self.path)
        try:
            return client.call("GET", "%s%s%s" % (self.url, "&" if "?" in self.url else "?", query),
                               headers={"Accept": self.accept})
        finally:
            client.close()

    @staticmethod
    def metas(answer):
        """Of a list, an object, or either as a Table."""
        if answer["kind"] == "Table":
            return [row["object"]["metadata"] for row in answer["rows"]]
        if "items" in answer:
            return [item["metadata"] for item in answer["items"]]
        return [answer["metadata"]]

    @staticmethod
    def key(meta):
        return meta.get("namespace", ""), meta["name"]

    def pages(self, version):
        """One snapshot, in pages of 500; when it expires between them, in one."""
        answer = self.get("limit=500&resourceVersion=" + version)
        metas = self.metas(answer)
        while "continue" in answer["metadata"]:
            at = answer["metadata"]["resourceVersion"]
            try:
                answer = self.get("limit=500&continue=" + answer["metadata"]["continue"])
            except Refused as err:
                assert err.code == 410, err
                answer = self.get("")
                return answer, self.metas(answer)
            assert answer["metadata"]["resourceVersion"] == at, "two pages of two snapshots"
            metas += self.metas(answer)
        return answer, metas

    def list(self):
        """After a 410 from the last version on, and if the server is behind that, whatever it has."""
        try:
            answer, metas = self.pages("0" if self.version is None else str(self.version))
        except Refused as err:
            if err.code not in (410, 504):
                raise
            answer, metas = self.pages("")
        assert [self.key(m) for m in metas] == sorted(self.key(m) for m in metas), "not in order"
        self.lists += 1
        self.replace(int(answer["metadata"]["resourceVersion"]), metas)

    def replace(self, version, metas):
        assert self.version is None or version >= self.version, \
            "a list of %d after %d" % (version, self.version)
        new = {self.key(m): m for m in metas}
        assert len(new) == len(metas), "an object twice in a list"
        for key, meta in new.items():
            at = int(meta["resourceVersion"])
            assert at <= version, "in a list of %d: %s" % (version, meta)
            assert key not in self.cache or at >= int(self.cache[key]["resourceVersion"]), \
                "%s went back to %d" % (key, at)
        self.cache, self.version, self.too_old = new, version, False
        self.listed(version, metas)

    def watch(self, initial):
        query = "watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&" % self.random.randint(1, 3)
        if initial:
            query += "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            self.arriving = []
        else:
            query += "resourceVersion=%d" % self.version
        stream = Stream(self.path, self.url + ("&" if "?" in self.url else "?") + query, self.accept)
        self.watches += 1
        try:
            for line in stream.lines():
                self.take(json.loads(line))
        finally:
            self.arriving = None
            stream.close()

    def take(self, event):
        kind, answer = event["type"], event["object"]
        if kind == "ERROR":
            raise Refused(answer["code"], answer)
        if kind == "BOOKMARK":
            self.mark(answer["metadata"])
            return
        meta, = self.metas(answer)
        if self.arriving is not None:
            assert kind == "ADDED", event
            self.arriving.append(meta)
            return
        version, key = int(meta["resourceVersion"]), self.key(meta)
        assert version > self.version, "%s %s after %d" % (kind, meta, self.version)
        assert (kind != "ADDED") == (key in self.cache), "%s of %s, which is %s" % (
            kind, meta, self.cache.get(key, "not there"))
        if kind == "DELETED":
            del self.cache[key]
        else:
            self.cache[key] = meta
        self.version = version
        self.events += 1
        self.heard(kind, meta)

    def mark(self, meta):
        version = int(meta["resourceVersion"])
        if self.arriving is None:
            assert version >= self.version, "a bookmark of %d after %d" % (version, self.version)
            self.version = version
            return
        assert meta["annotations"]["k8s.io/initial-events-end"] == "true", meta
        self.lists += 1
        self.replace(version, self.arriving)
        self.arriving = None

    def turn(self):
        """One watch, after a list where there is need of one."""
        stale = self.version is None or self.too_old
        if stale and not self.initial:
            self.list()
        self.watch(stale and self.initial)

    def run(self, finished):
        """Until finished(), which is asked whenever a watch has ended."""
        while not finished():
            try:
                self.turn()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                time.sleep(0.02)        # of a server that is not there nothing can be waited for
            except Refused as err:
                if err.code == 410:
                    self.too_old = True
                    self.lost()
                elif err.code in (429, 503):
                    time.sleep(0.02)
                else:
                    raise
