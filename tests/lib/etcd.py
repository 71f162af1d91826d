# SPDX-License-Identifier: LGPL-2.1-or-later
"""etcd.py - the real etcd, for tests of netds that share it

Room: starting, stopping, freezing and emptying it, and asking it by its JSON gateway.
"""
import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import atexit

from node import eventually

HERE = os.path.dirname(os.path.realpath(__file__))


def program():
    for path in (os.environ.get("ETCD", ""), HERE + "/../../build/etcd/usr/bin/etcd", "/usr/bin/etcd"):
        if os.access(path, os.X_OK):
            return path
    raise AssertionError("no etcd: tests/lib/unpack etcd-server etcd build/etcd")


class Etcd:
    def __init__(self, address="127.0.0.1", through=()):
        self.address, self.through = address, list(through)
        self.url = "http://%s:2379" % address
        self.dir = tempfile.mkdtemp(prefix="podnet-etcd-")
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.process = None

    def start(self, *flags):
        self.process = subprocess.Popen(
            self.through + [program(), "--data-dir", self.dir + "/data", "--listen-client-urls", self.url,
                            "--advertise-client-urls", self.url, "--listen-peer-urls",
                            "http://127.0.0.1:2380", "--log-level", "error"] + list(flags),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("etcd answers", self.answers)
        return self

    def answers(self):
        try:
            return self.ask("/v3/maintenance/status", {})["leader"] != "0"
        except (OSError, http.client.HTTPException, KeyError):
            return False

    def ask(self, path, body):
        conn = http.client.HTTPConnection(self.address, 2379, timeout=30)
        try:
            conn.request("POST", path, json.dumps(body))
            return json.loads(conn.getresponse().read())
        finally:
            conn.close()

    def get(self, key, end=None):
        """Keys to values."""
        body = {"key": base64.b64encode(key.encode()).decode()}
        if end:
            body["range_end"] = base64.b64encode(end.encode()).decode()
        return {base64.b64decode(kv["key"]).decode(): base64.b64decode(kv.get("value", "")).decode()
                for kv in self.ask("/v3/kv/range", body).get("kvs", [])}

    def put(self, key, value):
        self.ask("/v3/kv/put", {"key": base64.b64encode(key.encode()).decode(),
                                "value": base64.b64encode(value.encode()).decode()})

    def revision(self):
        return int(self.ask("/v3/kv/range", {"key": "AA=="})["header"]["revision"])

    def compact(self):
        self.ask("/v3/kv/compaction", {"revision": self.revision(), "physical": True})

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        if how == signal.SIGKILL:
            self.process.wait()

    def empty(self):
        """As it is after it was killed and its disk lost."""
        self.kill()
        shutil.rmtree(self.dir + "/data")
