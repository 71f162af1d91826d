# SPDX-License-Identifier: LGPL-2.1-or-later
"""kubectl.py - Debian's kubectl against a netd, and sessions that were written down

Room: a session is a file of "$ kubectl ..." lines, each followed by what it prints.  What differs from
one run to the next (ages, times, versions, uids) is masked on both sides; the rest must be the same.
"""
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

from node import DEADLINE, run
from relay import Relay
from tls import PORT, Door

GOLDEN = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../golden/kubectl")

MASKS = [
    (r"\bfd[0-9a-f]{2}:[0-9a-f:]+", "<ip6>"),      # before ages: 7d is one, too
    (r"(?m)^I\d{4} \S+ +\d+ loader\.go.*\n", ""),
    (r"(?m)^I\d{4} \S+ +\d+ \w+\.go:\d+\] ", ""),
    (r"in \d+ milliseconds", "in <time>"),
    (r"https?://127\.0\.0\.1:\d+", "<server>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", "<time>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "<time>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"(?<![\w.-])(\d+[smhdy]){1,2}(?![\w.-])", "<age>"),
    (r'((?:resource|Resource ?)[vV]ersion"?: *"?)\d+', r"\1<version>"),
    (r"(resourceVersion=)[1-9]\d*", r"\1<version>"),
    (r"\b(amd64|arm64)\b", "<arch>"),
    (r"(Inode: +)\d+", r"\1<inode>"),
    (r"(Kernel Version: +)\S+", r"\1<kernel>"),
    (r"(Debian GNU/Linux 12 \(bookworm\) +)\S+", r"\1<kernel>"),
    (r"[\w/.-]+/(LIVE|MERGED)-\d+", r"<tmp>/\1"),
    (r"[\w/.-]+/kubectl-edit-\w+", "<tmp>/kubectl-edit"),
    (r"\t\d{4}-\d\d-\d\d .*", ""),
    (r"(?m) +$", ""),
    (r"(?<=\S) {2,}", "   "),
]


def make_uplink():
    """An address outside, which the node has in the sessions; before it starts."""
    for line in ("link add up0 type veth peer name wire0", "link set wire0 up", "link set up0 up",
                 "address add 198.51.100.1/24 dev up0", "route add default via 198.51.100.254 dev up0"):
        run("ip " + line)


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
        self.env = dict(os.environ, HOME=node.dir + "/home", TMPDIR=node.dir + "/home")
        os.makedirs(self.env["HOME"], exist_ok=True)
        self.relay = None
        if not straight:
            with open(door.kubeconfig) as file:
                admin = door.context(file.read())
            self.relay = Relay(port, lambda: door.client(admin), door.server_context())
            self.args += ["-s", "https://127.0.0.1:%d" % port]

    def start(self, line):
        """A command line, which may use the shell; its output is to be read from .stdout."""
        shell = "kubectl() { %s %s \"$@\"; }\n%s" % (self.binary, " ".join(self.args), line)
        return subprocess.Popen(["sh", "-c", shell], stdin=subprocess.DEVNULL, cwd=GOLDEN,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.env, start_new_session=True)

    def run(self, line):
        """(exit status, output) of it."""
        job = self.start(line)
        end = threading.Timer(DEADLINE, os.killpg, (job.pid, signal.SIGKILL))
        end.start()
        output = job.communicate()[0]
        end.cancel()
        return job.returncode, output

    def close(self):
        if self.relay:
            self.relay.close()


def sessions():
    return sorted(name for name in os.listdir(GOLDEN)
                  if "." not in name and name != "README" and os.path.isfile(GOLDEN + "/" + name))


def command_lines(name):
    with open(GOLDEN + "/" + name) as file:
        return [line for line in file.read().splitlines() if line.startswith("$ ")]


def table():
    """The rows of README's table: commands, session, words."""
    with open(GOLDEN + "/README") as file:
        rows = [line.strip("| \n").split(" | ") for line in file if line.startswith("| ")]
    return rows[1:]


def mask(text):
    for pattern, put in MASKS:
        text = re.sub(pattern, put, text)
    return text


class Session:
    """Runs the command lines of GOLDEN/name and keeps what they print."""

    def __init__(self, kubectl):
        self.kubectl = kubectl
        self.seen = ""
        self.background = None

    def add(self, line, output, code=0):
        self.seen += line + "\n" + mask(output)
        if self.seen[-1] != "\n":
            self.seen += "\n"
        if code:
            self.seen += "exit status %d\n" % code

    def lines(self, n):
        """The next lines of the command in the background; fewer when it ends, or has no more."""
        seen = []
        end = threading.Timer(DEADLINE, os.killpg, (self.background.pid, signal.SIGKILL))
        end.start()
        while len(seen) < n:
            line = self.background.stdout.readline()
            if mask(line) or not line:
                seen.append(line)
        if not end.is_alive():
            seen.append("no such lines in %g s\n" % DEADLINE)
        end.cancel()
        return "".join(seen)

    def stop(self):
        if self.background:
            os.killpg(self.background.pid, signal.SIGKILL)
            self.background.communicate()
        self.background = None

    def run(self, line):
        """"$ COMMAND"; "$ COMMAND & N": in the background, its first N lines; "$ more N" of them."""
        background = re.fullmatch(r"\$ (.*) & (\d+)", line)
        more = re.fullmatch(r"\$ more (\d+)", line)
        if background:
            self.stop()
            self.background = self.kubectl.start(background[1])
            self.add(line, self.lines(int(background[2])))
        elif more:
            self.add(line, self.lines(int(more[1])))
        elif line.startswith("$ "):
            code, output = self.kubectl.run(line[2:])
            self.add(line, output, code)
        elif line.startswith("#"):
            self.seen += line + "\n"


def session(kubectl, name):
    """Runs GOLDEN/name; PODNET_GOLDEN=write writes down what was seen, to be reviewed."""
    path = GOLDEN + "/" + name
    with open(path) as file:
        want = file.read()
    this = Session(kubectl)
    for line in want.splitlines():
        this.run(line)
    this.stop()
    seen = this.seen
    if os.environ.get("PODNET_GOLDEN") == "write":
        with open(path, "w") as file:
            file.write(seen)
        return
    if seen == want:
        return
    diff = difflib.unified_diff(want.splitlines(), seen.splitlines(), path, "seen", lineterm="")
    raise AssertionError("another output than was written down:\n" + "\n".join(diff))
