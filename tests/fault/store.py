# SPDX-License-Identifier: LGPL-2.1-or-later
"""store.py - a netd whose database is on a disk of the test's own

Room: tests/fault.  The disk is a tmpfs in the sandbox's mount namespace: it can be filled, and goes
with the sandbox.
"""
import errno
import mmap
import os
import sqlite3
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import


if os.getpid() != 1:            # mounts, and a netd: never in the host's own namespaces
    sys.exit("to be run by tests/lib/sandbox")

NODES = []


class Stored(Node):
    """A Node that knows where its database is."""

    def __init__(self, flags=()):
        super().__init__(flags=list(flags))
        self.state = self.dir + "/state"
        self.db = self.state + "/netd.db"
        NODES.append(self)

    def ready(self):
        """The code and the text of /readyz."""
        code, _, text = self.client.raw("GET", "/readyz")
        return code, text.decode()

    def said(self, event):
        """How often the log has the event."""
        return self.tail(1 << 30).count("event=%s " % event)

    def rows(self, sql):
        """What a query of the database gives, also while netd runs."""
        db = sqlite3.connect("file:%s?mode=ro" % self.db, uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def await_answers(self):
        """Until it can be spoken to, ready or not."""
        eventually("netd answers", self.answers)

    def answers(self):
        try:
            self.client = Client(self.socket)
            return self.client.raw("GET", "/livez")[0] == 200
        except OSError:
            return False

    def await_mended(self):
        eventually("writes succeed again", lambda: self.ready()[0] == 200)

    def netd_says(self, *flags, env=None):
        """Exit status and output of another netd with our directories."""
        done = subprocess.run([self.netd, "--config", "/dev/null", "--node-name", "node1",
                               "--state-dir", self.state, "--run-dir", self.dir] + list(flags), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, env=dict(os.environ, **(env or {})))
        return done.returncode, done.stdout


class Disk(Stored):
    """With its state directory on a tmpfs of @size."""

    def __init__(self, size="32m", flags=()):
        super().__init__(flags)
        os.mkdir(self.state)
        run("mount -t tmpfs -o size=%s disk %s" % (size, self.state))

    def fill(self):
        """Nothing is left."""
        filler = os.open(self.state + "/filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(filler, bytes(65536))
        except OSError as err:
            assert err.errno == errno.ENOSPC, err
        finally:
            os.close(filler)

    def free(self):
        os.unlink(self.state + "/filler")


class FailingDisk(Disk):
    """And calls that fail with an errno of choice."""

    def __init__(self, **more):
        super().__init__(**more)
        self.wish = self.dir + "/wish"
        with open(self.wish, "wb") as file:
            file.write(bytes(8))
        os.chmod(self.wish, 0o666)      # netd is another user
        with open(self.wish, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 8)

    def start(self, env=None, ready=True):
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return super().start(dict(env or {}, LD_PRELOAD=os.environ["FAILIO"],
                                  PODNET_FAILIO=self.wish, ASAN_OPTIONS=options), ready)

    def fail(self, write=0, sync=0):
        self.map[:8] = struct.pack("ii", write, sync)


def refused(code, call):
    """What @call is refused with: the message of the Status, after the usual looks."""
    try:
        call()
    except Refused as err:
        assert err.code == code == err.status["code"], err
        assert err.status["kind"] == "Status" and err.status["status"] == "Failure", err
        assert err.status["reason"] == {507: "InsufficientStorage",
                                        503: "ServiceUnavailable"}[code], err
        return err.status["message"]
    raise AssertionError("not refused")


def alone(test):
    """Whatever the test leaves, also when it fails, is no matter to the next one."""
    def wrapped():
        try:
            test()
        finally:
            while NODES:
                node = NODES.pop()
                node.kill()
                node.netd_says("--purge")
    wrapped.__name__ = test.__name__
    return wrapped
