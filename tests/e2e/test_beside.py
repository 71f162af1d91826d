# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_beside.py - Debian's firewalld and dockerd beside netd: Services answer, and who drops is named

Both are unpacked (tests/lib/unpack) and laid over /usr and /etc in this sandbox, where they have a
system bus and control groups of their own; on the machine nothing is installed or started.
"""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Node, eventually, main, run                # noqa: E402
from services import SERVICES, Pods, make_world, names, seen      # noqa: E402

TREE = os.environ["PODNET_BESIDE"]      # of ctest's fetch_beside
NODE1 = "/api/v1/nodes/node1"


def lay_over():
    """The packages' files, beside those of the machine."""
    run("mount -t overlay overlay -o lowerdir=%s/usr:/usr /usr" % os.path.realpath(TREE))
    with tempfile.TemporaryDirectory() as place:
        run("mount -t tmpfs tmpfs " + place)
        run("cp -a /etc/. %s/etc/. %s" % (TREE, place))
        run("mount --move %s /etc" % place)
    run("mount -t cgroup2 none /sys/fs/cgroup")
    os.makedirs("/run/dbus")
    run("dbus-daemon --system --nopidfile --fork")


lay_over()
make_world()
run("ip route add default via 10.0.0.99")
NODE = Node().start()
SERVED = Pods(NODE)
IPS = {n: SERVED.add(n, {"app": "web"}) for n in ("a", "b")}
SERVED.add("cli", {"app": "client"})
SPEC = NODE.client.post(SERVICES, {"metadata": {"name": "web"}, "spec": {
    "type": "NodePort", "selector": {"app": "web"}, "ipFamilyPolicy": "RequireDualStack",
    "ports": [{"port": 80, "targetPort": 8080}]}})["spec"]


@contextlib.contextmanager
def running(*words):
    with open(NODE.dir + "/" + words[0] + ".log", "ab") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ways():
    port = SPEC["ports"][0]["nodePort"]
    return [(client, ip, 80) for client in ("cli.default", None) for ip in SPEC["clusterIPs"]] + \
        [(client, "10.0.0.10", port) for client in ("cli.default", None, "world")]


def services_answer():
    for way in ways():
        eventually("both answer at %s:%s:%d" % way, lambda: names(*way) == ["a", "b"])  # pylint: disable=cell-var-from-loop


def told(status, words=""):
    """The Node says so."""
    NODE.await_object(NODE1, lambda o: any(
        c["type"] == "podnet.dev/ForwardingOpen" and c["status"] == status and words in c.get("message", "")
        for c in o["status"]["conditions"]))


def reached():
    """A pod by its own address, from another one."""
    return str(seen("cli.default", IPS["a"][0], 8080)).startswith("a ")


@contextlib.contextmanager
def firewall():
    """Until it answers it dies of a signal, and leaves its table."""
    with running("firewalld", "--nofork", "--nopid") as process:
        eventually("it answers", lambda: subprocess.run(
            ["dbus-send", "--system", "--print-reply", "--dest=org.fedoraproject.FirewallD1", "/",
             "org.freedesktop.DBus.Peer.Ping"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False).returncode == 0)
        yield process


def firewalld():
    """[J14] Its last rule refuses what is forwarded, but not what was translated; a trusted network is not asked."""
    services_answer()
    assert reached()
    with firewall():
        told("False", "inet firewalld filter_FORWARD")
        services_answer()
        assert not reached()
    told("True")
    run("firewall-offline-cmd --zone=trusted --add-source=10.244.0.0/16")
    with firewall() as process:
        eventually("trusted", lambda: "10.244.0.0/16" in run("nft list table inet firewalld", check=False))
        services_answer()
        eventually("pods reach pods", reached)
        before = run("nft list table inet podnet").count("\n")
        process.send_signal(signal.SIGHUP)
        services_answer()
        eventually("our table is as it was", lambda: run(
            "nft list table inet podnet", check=False).count("\n") == before)
    told("True")


def docker():
    return running("dockerd", "--data-root", "/run/docker-data", "--exec-root", "/run/docker", "--pidfile",
                   "/run/docker.pid", "-H", "unix:///run/docker.sock", "--storage-driver", "vfs")


def rules(words):
    return lambda: words in run("nft list chain ip filter FORWARD", check=False)


def dockerd():
    """[J14] Started when the node forwards already it drops nothing."""
    with docker():
        eventually("its rules", rules("DOCKER-USER"))
        eventually("it serves", lambda: os.path.exists("/run/docker.sock"))
        services_answer()
        assert reached()


def dockerd_first():
    """[J14] Where it was there before netd, and turned forwarding on, it drops; its chain for that lets pods pass."""
    NODE.stop()
    for table in ("filter", "nat"):     # of the one before, if there was one
        run("nft delete table ip " + table, check=False)
    run("sysctl -qw net.ipv4.ip_forward=0")
    with docker():
        eventually("it drops", rules("policy drop"))
        eventually("its rules", rules("DOCKER-USER"))
        NODE.start()
        told("False", "ip filter FORWARD")
        for way in ("-s", "-d"):
            run("iptables -I DOCKER-USER %s 10.244.0.0/16 -j ACCEPT" % way)
        services_answer()
        eventually("pods reach pods", reached)


if __name__ == "__main__":
    main([firewalld, dockerd, dockerd_first])
