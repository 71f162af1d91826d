#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_privileges.py - netd gives up root, and everything works as before

Room: e2e.  The sandbox has a user podnet, so every other suite runs netd dropped as well; here is
what is given up, to whom directories go, and what netd refuses.
"""
import os
import pwd
import shutil
import socket
import ssl
import stat
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

USER = pwd.getpwnam("podnet").pw_uid
STRANGER = 1234
KEPT = sum(1 << n for n in (10, 12, 13, 19, 21))    # BIND_SERVICE ADMIN RAW PTRACE SYS_ADMIN
FILTER = "0" if os.environ.get("PODNET_SANITIZE") else "2"
CAPS = "net_admin,sys_admin,sys_ptrace,net_raw,net_bind_service,net_broadcast"
AS_UNIT = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--groups", "642,643",
           "--no-new-privs",
           "--inh-caps", "-all," + ",".join("+" + c for c in CAPS.split(",")),
           "--ambient-caps", "-all," + ",".join("+" + c for c in CAPS.split(",")),
           "--bounding-set", "-all," + ",".join("+" + c for c in CAPS.split(","))]
NODES = []


def make(*flags, through=()):
    """One at a time: what a test that failed has left ends here."""
    for old in NODES:
        old.kill()
        command(old, "--purge", check=False)
    NODES[:] = [Node(flags=flags, through=through)]
    return NODES[0]


def statuses(pid):
    """/proc/PID/status of every thread, as dictionaries."""
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/status" % (pid, task)) as text:
                yield {k: v.split() for k, v in (line.rstrip("\n").split(":", 1) for line in text)}
        except (FileNotFoundError, ProcessLookupError):
            pass                    # one that was in a namespace, for a moment


def expect_rights(node, uid):
    threads = list(statuses(node.process.pid))
    assert len(threads) >= 3, threads
    for got in threads:
        caps = {k: int(v[0], 16) for k, v in got.items() if k.startswith("Cap")}
        assert caps["CapPrm"] == caps["CapEff"] == KEPT, caps
        assert caps["CapInh"] == caps["CapAmb"] == 0, caps
        assert got["Uid"] == [str(uid)] * 4 and got["NoNewPrivs"] == ["1"], got
        assert got["Seccomp"] == [FILTER], got
    return threads


def owner(path):
    return os.lstat(path).st_uid


def said(node, text):
    with open(node.dir + "/log") as log:
        return text in log.read()


def refuses(node, *words):
    """It does not start, and says why in these words."""
    node.start(ready=False)
    assert node.process.wait(DEADLINE) == 1, node.tail()
    assert all(word in node.tail(1) for word in words), node.tail(1)


def command(node, action, *flags, through=(), check=True):
    return run(*through, node.netd, action, "--config", "/dev/null", "--node-name", "node1",
               "--state-dir", node.dir + "/state", "--run-dir", node.dir, *flags, check=check)


def end(node, *pods):
    for name in pods:
        node.client.delete(PODS + "/" + name)
    node.stop()
    command(node, "--purge")
    shutil.rmtree(node.dir)


def rights_and_owners():
    """What is given up, in every thread; only directories, and what netd made, change hands."""
    run("ip netns add before")
    before = os.lstat("/run/netns/before")
    node = make(through=["setpriv", "--groups", "0,4,27"]).start()
    for got in expect_rights(node, USER):
        assert got["Groups"] == [] and got["CapBnd"] == ["0" * 16], got
    for path in ("", "/state", "/state/lock", "/state/netd.db", "/state/netd.db-wal"):
        assert owner(node.dir + path) == USER, path
    assert owner("/run/netns") == USER and os.lstat("/run/netns/before") == before
    assert stat.S_IMODE(os.stat(node.dir + "/state").st_mode) == 0o700
    for path, group in ((node.socket, 642), (node.dir + "/view.sock", 643)):
        assert os.stat(path).st_gid == group, path
    run("ip netns add later")
    node.client.post(PODS, pod("a"))
    node.await_running("a")
    run("ip netns delete before")
    run("ip netns delete later")
    end(node, "a")
    assert owner("/run/netns") == 0, "a purge gives it back"


def everything_works():
    """What root did without asking: others' processes, sysctls, files that were there."""
    run("sysctl -q net.ipv4.ip_forward=0")
    node = make().start()
    with open("/proc/sys/net/ipv4/ip_forward") as value:
        assert value.read() == "1\n"
    alien = subprocess.Popen(["unshare", "--net", "setpriv", "--reuid", str(STRANGER),
                              "--clear-groups", "sleep", "600"])
    ours = os.stat("/proc/self/ns/net").st_ino
    eventually("apart", lambda: os.stat("/proc/%d/ns/net" % alien.pid).st_ino != ours)
    run("ip netns add given")
    limits = {"kubernetes.io/egress-bandwidth": "10M", "kubernetes.io/ingress-bandwidth": "10M"}
    wishes = {"pid": {"podnet.dev/netns": "pid:%d" % alien.pid},
              "path": {"podnet.dev/netns": "/run/netns/given"}, "limited": limits}
    os.mknod("/run/netns/limited.default", stat.S_IFREG)    # as a kill leaves it before the mount: nobody may open it
    for name, annotations in wishes.items():
        node.client.post(PODS, pod(name, annotations))
        got = node.await_running(name)
        assert pings(None, got["status"]["podIP"], wait=10), name
    assert os.stat("/run/netns/pid.default").st_ino == os.stat("/proc/%d/ns/net" % alien.pid).st_ino
    alien.kill()
    alien.wait()
    end(node, *wishes)
    run("ip netns delete given")
    with open("/proc/sys/net/ipv4/ip_forward") as value:
        assert value.read() == "0\n", "a purge puts back what was"


def events_of_pods_are_heard():
    """By a socket that was opened with a capability that is gone: else only a resync would tell."""
    node = make("--resync", "0").start()
    node.client.post(PODS, pod("a"))
    node.await_running("a")
    run("ip link set eth0 down", netns="a.default")
    eventually("repaired", lambda: "state UP" in run("ip link show eth0", netns="a.default"))
    end(node, "a")


def root_by_wish_or_for_want_of_another():
    """uid 0 with the same few capabilities; it says so unless it was asked to."""
    node = make("--user", "root").start()
    expect_rights(node, 0)
    assert owner(node.dir) == owner(node.dir + "/state/netd.db") == owner("/run/netns") == 0
    assert not said(node, "root_kept")
    end(node)
    with open("/etc/passwd") as text:
        lines = text.readlines()
    try:
        with open("/etc/passwd", "w") as text:
            text.writelines(line for line in lines if not line.startswith("podnet:"))
        node = make().start()
        expect_rights(node, 0)
        assert said(node, 'event=root_kept user=podnet err="podnet: there is no such user')
        node.client.post(PODS, pod("a"))
        node.await_running("a")
        end(node, "a")
    finally:
        with open("/etc/passwd", "w") as text:
            text.writelines(lines)
    refuses(make("--user", "nobody-here"), "what=user", "nobody-here: there is no such user")


def from_root_to_podnet_and_back():
    """A state that root made is taken over once, with pods running, and nothing is done again."""
    run("sysctl -q net.ipv4.ip_forward=0")
    node = make("--user", "root").start()
    node.client.post(PODS, pod("a"))
    ip = node.await_running("a")["status"]["podIP"]
    for user, uid in (("podnet", USER), ("root", 0), ("podnet", USER)):
        node.kill()
        node.flags = ["--user", user]
        node.start()
        expect_rights(node, uid)
        assert node.metric("podnet_kernel_operations_total") == 0, user
        assert node.client.get(PODS + "/a")["status"]["podIP"] == ip and pings(None, ip, wait=10)
        files = [os.path.join(node.dir, "state", f) for f in os.listdir(node.dir + "/state")]
        files += [os.path.join(node.dir, "sysctl", f) for f in os.listdir(node.dir + "/sysctl")]
        assert len(files) > 4 and {owner(f) for f in files} == {uid}, files
    end(node, "a")


def as_a_unit_starts_it():
    """With capabilities and no root, as in the unit: --prepare, --check, then READY=1."""
    node = make(through=AS_UNIT)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.settimeout(DEADLINE)
    notified.bind(node.dir + "/notify")
    os.chmod(node.dir + "/notify", 0o777)
    refuses(node, "what=directories", "Permission denied")
    command(node, "--prepare", "--user", "podnet")
    assert owner(node.dir) == owner(node.dir + "/state") == owner("/run/netns") == USER
    assert "configuration: ok" in command(node, "--check", through=AS_UNIT)
    node.start({"NOTIFY_SOCKET": node.dir + "/notify"})
    expect_rights(node, USER)
    assert notified.recv(100) == b"READY=1"
    assert os.stat(node.dir + "/view.sock").st_gid == 643
    node.client.post(PODS, pod("a"))
    assert pings(None, node.await_running("a")["status"]["podIP"], wait=10)
    run("ip link set eth0 down", netns="a.default")
    eventually("repaired", lambda: "state UP" in run("ip link show eth0", netns="a.default"))
    for through in ((), AS_UNIT):
        said = command(node, "--check", through=through)
        assert "netd.db: " in said and said.rstrip().endswith(": ok"), said
    assert "only root" in command(node, "--prepare", through=AS_UNIT, check=False)
    assert "another netd is running" in command(node, "--prepare", check=False)
    node.stop()
    assert notified.recv(100) == b"STOPPING=1"
    command(node, "--purge", through=AS_UNIT)       # as root or as podnet
    assert not namespaces()
    os.unlink(node.dir + "/state/lock")
    command(node, "--purge")            # root's lock does not lock podnet out
    command(node, "--prepare")
    node.start()
    end(node)


def keys_change_hands():
    """What netd must read and renew is its user's; the directory of netd.conf stays root's."""
    etc = "/run/sandbox/etc"
    os.mkdir(etc)
    flags = ["--listen", "127.0.0.1:16443", "--pki-dir", etc + "/pki", "--kubeconfig",
             etc + "/admin.kubeconfig", "--token-file", etc + "/tokens"]
    node = make(*flags)
    token = command(node, "--new-token=view:someone", *flags).strip()
    assert owner(etc + "/tokens") == 0
    given = [etc + "/tokens", etc + "/admin.kubeconfig", etc + "/pki"]
    given += [etc + "/pki/" + f for f in ("ca.key", "ca.crt", "server.key", "server.crt")]

    def served():
        context = ssl.create_default_context(cafile=etc + "/pki/ca.crt")
        with urllib.request.urlopen(urllib.request.Request(
                "https://127.0.0.1:16443" + PODS, headers={"Authorization": "Bearer " + token}),
                                    context=context, timeout=DEADLINE) as answer:
            assert json.load(answer)["kind"] == "PodList"

    node.start()
    expect_rights(node, USER)
    assert {owner(f) for f in given} == {USER} and owner(etc) == 0, given
    served()
    end(node)
    # as in the unit: root only makes what is missing
    shutil.rmtree(etc + "/pki")
    os.unlink(etc + "/admin.kubeconfig")
    os.chown(etc + "/tokens", 0, 0)
    node = make(*flags, through=AS_UNIT)
    command(node, "--prepare", "--user", "podnet", *flags)
    assert {owner(f) for f in given} == {USER} and owner(etc) == 0, given
    node.start()
    served()
    end(node)


def readiness_is_told_after_the_drop():
    node = make()
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.settimeout(DEADLINE)
    notified.bind("\0podnet-test-notify")
    node.start({"NOTIFY_SOCKET": "@podnet-test-notify"})
    assert notified.recv(100) == b"READY=1"
    expect_rights(node, USER)
    end(node)


def links_lead_nowhere():
    """netd's user may have put links where root works at the next start."""
    node = make().start()
    node.stop()
    victim = "/run/sandbox/victim"
    os.mkdir(victim)
    with open(victim + "/netd.db", "w") as text:
        text.write("x")
    os.rename(node.dir + "/state", node.dir + "/moved")
    os.symlink(victim, node.dir + "/state")
    refuses(node, "what=directories", "Too many levels of symbolic links")
    assert owner(victim) == owner(victim + "/netd.db") == 0
    os.unlink(node.dir + "/state")
    # one that only root can have made is followed; a file with another name stays whose it is
    os.mkdir(victim + "/state")
    os.link(victim + "/netd.db", victim + "/state/netd.db-journal")
    os.symlink(victim, victim + "/state/netd.db-wal")
    os.symlink(victim, "/run/sandbox/to")
    make("--state-dir", "/run/sandbox/to/state").start().stop()
    assert owner(victim) == owner(victim + "/netd.db") == 0 and owner(victim + "/state") == USER
    os.unlink("/run/sandbox/to")
    shutil.rmtree(victim)
    refuses(make("--state-dir", "/tmp"), "cannot be netd's own")
    command(node, "--purge")


def closed_above():
    """A directory that root's netd could reach and podnet cannot."""
    node = make()
    os.makedirs(node.dir + "/closed/state")
    os.chmod(node.dir + "/closed", 0o700)
    node.flags = ["--state-dir", node.dir + "/closed/state"]
    refuses(node, "what=directories", "closed to uid %d" % USER)
    command(node, "--purge")


# how netd is started, and whether what it pins would be seen by who started it
MOUNTS = [
    (["unshare", "--mount", "--propagation", "slave"], False),
    (["unshare", "--mount", "--propagation", "private"], False),
    (["unshare", "--mount", "--propagation", "unchanged"], True),
    # as systemd leaves it: first a slave, then shared with who comes later
    (["unshare", "--mount", "--propagation", "slave", "sh", "-c",
      'mount --make-shared /run/netns; exec "$@"', "sh"], False),
    # where nothing was ever shared, in the mount namespace of process 1
    (["sh", "-c", 'mount --make-private /run/netns; exec "$@"', "sh"], True),
    # a lab: names of its own beside a network of its own
    (["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
      'mount -t tmpfs tmpfs /run/netns; mount --make-shared /run/netns; exec "$@"', "sh"], True),
    (["unshare", "--net", "--mount", "--propagation", "private"], True),
]


def told_by_check():
    """What the start would refuse of the user, --check does too."""
    etc = "/run/sandbox/told"
    os.makedirs(etc + "/closed", 0o700)
    os.chmod(etc, 0o755)
    node = make()
    flags = ["--listen", "127.0.0.1:16443", "--pki-dir", etc + "/pki", "--kubeconfig", etc + "/kubeconfig"]
    assert "configuration: ok" in command(node, "--check", *flags)
    assert "nobodyx: there is no such user" in command(node, "--check", "--user", "nobodyx", check=False)
    for path, whose in ((etc + "/theirs", STRANGER), (etc + "/closed/tokens", 0)):
        with open(path, "w", encoding="ascii"):
            os.chmod(path, 0o600)
        os.chown(path, whose, whose)
        text = command(node, "--check", "--token-file", path, *flags, check=False)
        assert path + ": user podnet cannot read it" in text, text
        os.chown(path, USER, USER)
        os.chmod(etc + "/closed", 0o755)
        assert "configuration: ok" in command(node, "--check", "--token-file", path, *flags)
        os.chmod(etc + "/closed", 0o700)
    shutil.rmtree(etc)


def seen(name):
    """Is it a namespace here, too?"""
    try:
        return os.stat("/run/netns/" + name).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def mount_namespaces():
    for through, good in MOUNTS:
        node = make(through=through)
        if not good:
            refuses(node, "what=mounts", "/run/netns: a mount namespace of its own", "ProtectSystem")
            assert not os.path.exists(node.dir + "/state/netd.db")
            continue
        node.start()
        node.client.post(PODS, pod("a"))
        node.await_running("a")
        assert seen("a.default") == ("--net" not in through), through
        node.client.delete(PODS + "/a")
        node.stop()
        run(*through, node.netd, "--purge", "--config", "/dev/null", "--state-dir",
            node.dir + "/state", "--run-dir", node.dir)


def from_a_closed_place():
    """netd lies where only root can come to, as a clone in /root does: podnet-fwd is started all the same."""
    old = NODES.pop()
    old.kill()
    command(old, "--purge", check=False)
    closed = tempfile.mkdtemp()
    for program in (old.netd, os.path.join(os.path.dirname(old.netd), "podnet-fwd")):
        shutil.copy(program, closed)
    NODES.append(Node(netd=closed + "/netd"))
    node = NODES[0].start()
    node.client.post(PODS, pod("p", containers=[{"name": "c", "image": "x", "ports": [
        {"containerPort": 80, "hostPort": 8099}]}]))
    eventually("relayed", lambda: run("ss", "-tlnH", "src", "127.0.0.1:8099"))
    end(node, "p")
    NODES.clear()
    shutil.rmtree(closed)


main([rights_and_owners, everything_works, events_of_pods_are_heard,
      root_by_wish_or_for_want_of_another, from_root_to_podnet_and_back, as_a_unit_starts_it,
      keys_change_hands,
      readiness_is_told_after_the_drop, links_lead_nowhere, closed_above, told_by_check, from_a_closed_place,
      mount_namespaces])
