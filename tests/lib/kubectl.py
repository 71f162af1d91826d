# SPDX-License-Identifier: LGPL-2.1-or-later
"""kubectl.py - Debian's kubectl against a netd, and sessions that were written down

Room: a session is a file of "$ kubectl ..." lines, each followed by what it prints.  What differs from
one run to the next (ages, times, versions, uids) is masked on both sides; the rest must be the same.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys

from node import DEADLINE
from relay import Relay
from tls import PORT, Door

GOLDEN = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../golden/kubectl")

MASKS = [
    (r"\bfd[0-9a-f]{2}:[0-9a-f:]+", "<ip6>"),      # before ages: 7d is one, too
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", "<time>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"(?<![\w.-])(\d+[smhdy]){1,2}(?![\w.-])", "<age>"),
    (r'((?:resource|Resource ?)[vV]ersion"?: +"?)\d+', r"\1<version>"),
    (r"\b(amd64|arm64)\b", "<arch>"),
    (r"(Kernel Version: +)\S+", r"\1<kernel>"),
    (r"(Debian GNU/Linux 12 \(bookworm\) +)\S+", r"\1<kernel>"),
    (r"/tmp/(LIVE|MERGED)-\d+", r"/tmp/\1"),
    (r"\t\d{4}-\d\d-\d\d .*", ""),
    (r"(?m) +$", ""),
    (r"(?<=\S) {2,}", "   "),
]


class Kubectl:
    """kubectl with a home of its own, as the administrator of a node that was just started.

    It knows no Unix sockets, so the node begins once more, from nothing, with a TLS door, and
    kubectl is given the kubeconfig that netd made.  It comes in straight, or by a relay that shows
    what it says to openapi.py; both halves of that way are TLS with the same certificates.
    """

    def __init__(self, node, port=8001, straight=False):
        self.binary = os.environ.get("KUBECTL", "")
        if not os.access(self.binary, os.X_OK):
            print("no kubectl: tests/lib/unpack kubernetes-client kubectl build/kubectl")
            sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)
        node.stop()
        door = Door(node, "127.0.0.1:%d" % PORT)
        assert door.netd("--purge")[0] == 0
        shutil.rmtree(node.dir + "/state")
        node.start()
        self.args = ["--kubeconfig", door.kubeconfig]
        self.env = dict(os.environ, HOME=node.dir + "/home")
        self.relay = None
        if not straight:
            with open(door.kubeconfig) as file:
                admin = door.context(file.read())
            self.relay = Relay(port, lambda: door.client(admin), door.server_context())
            self.args += ["-s", "https://127.0.0.1:%d" % port]

    def run(self, line):
        """(exit status, output) of a command line, which may use the shell."""
        shell = "kubectl() { %s %s \"$@\"; }\n%s" % (self.binary, " ".join(self.args), line)
        done = subprocess.run(["sh", "-c", shell], stdin=subprocess.DEVNULL, cwd=GOLDEN,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=self.env, timeout=DEADLINE)
        return done.returncode, done.stdout

    def close(self):
        if self.relay:
            self.relay.close()


def mask(text):
    for pattern, put in MASKS:
        text = re.sub(pattern, put, text)
    return text


def session(kubectl, name):
    """Runs GOLDEN/name; PODNET_GOLDEN=write writes down what was seen, to be reviewed."""
    path = GOLDEN + "/" + name
    with open(path) as file:
        want = file.read()
    seen = ""
    for line in want.splitlines():
        if line.startswith("#"):
            seen += line + "\n"
        if not line.startswith("$ "):
            continue
        code, output = kubectl.run(line[2:])
        seen += line + "\n" + mask(output)
        if seen[-1] != "\n":
            seen += "\n"
        if code:
            seen += "exit status %d\n" % code
    if os.environ.get("PODNET_GOLDEN") == "write":
        with open(path, "w") as file:
            file.write(seen)
        return
    if seen == want:
        return
    diff = difflib.unified_diff(want.splitlines(), seen.splitlines(), path, "seen", lineterm="")
    raise AssertionError("another output than was written down:\n" + "\n".join(diff))
