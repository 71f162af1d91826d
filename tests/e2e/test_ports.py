# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_ports.py - published ports: packets from everywhere, conflicts, and podnet-fwd, which holds them

Names in brackets are lines of the case list that each test shows.  Clients are a pod, the node and
"world", a neighbour outside.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import nftables                 # noqa: E402
from node import PODS, Node, eventually, main, pod, run     # noqa: E402
from services import SERVICES, ask, in_netns, make_world, serve      # noqa: E402

LOOPBACKS = ("127.0.0.1", "::1")
NODE_IPS = ("10.0.0.10", "192.0.2.10", "fd00:1::10")
CONDITION = "podnet.dev/PortsPublished"

make_world()
for command in ("ip addr add 192.0.2.10/24 dev uplink", "ip -n world addr add 192.0.2.99/24 dev eth0",
                "ip route add default via 10.0.0.99"):
    run(command)
NODE = Node().start()
SERVERS = {}


def api():
    return NODE.client


def seen(client, address, port, udp=False):
    return in_netns(client, lambda: ask(address, port, udp))


def refused(client, address, port):
    return isinstance(seen(client, address, port), ConnectionRefusedError)


def publish(*ports):
    return [{"name": "c", "image": "i", "ports": [dict({"protocol": "TCP"}, **p) for p in ports]}]


def make_pod(name, ports=(), annotation=None, listen=(8080,)):
    """Its addresses; a server answers NAME and who asked, TCP and UDP."""
    notes = {"podnet.dev/ports": annotation} if annotation else None
    api().post(PODS, pod(name, notes, containers=publish(*ports)))
    status = NODE.await_running(name)["status"]
    SERVERS[name] = serve(name + ".default", "echo.py", name, *listen)
    return [ip["ip"] for ip in status["podIPs"]]


def drop_pod(name):
    SERVERS.pop(name).kill()
    api().delete(PODS + "/" + name)


def condition(name):
    """(status, reason, message) of what its condition says."""
    for c in api().get(PODS + "/" + name)["status"]["conditions"]:
        if c["type"] == CONDITION:
            return c["status"], c.get("reason"), c.get("message", "")
    return None


def await_condition(name, status, reason):
    NODE.await_object(PODS + "/" + name, lambda o: any(
        c["type"] == CONDITION and (c["status"], c["reason"]) == (status, reason)
        for c in o["status"].get("conditions", [])))
    return condition(name)[2]


def events(name, reason):
    return [e["message"] for e in api().get("/api/v1/events")["items"]
            if e["involvedObject"]["name"] == name and e["reason"] == reason]


def answers(client, address, port, udp=False):
    got = seen(client, address, port, udp)
    return "" if isinstance(got, OSError) else got


def served(name, client, address, port, udp=False):
    eventually("%s answers %s at %s:%d" % (name, client, address, port),
               lambda: answers(client, address, port, udp).split(" ")[0] == name)
    return answers(client, address, port, udp)


def gone(client, address, port, udp=False):
    eventually("nobody at %s:%d" % (address, port), lambda: not answers(client, address, port, udp))


def held(*ports):
    """podnet-fwd listens there: it does so when it is told, and a port is programmed meanwhile."""
    for port in ports:
        eventually("%d is held" % port, lambda p=port: run("ss", "-tlnH", "src", "127.0.0.1:%d" % p))


def first_of_all():
    """Before there is a podnet-fwd: what another process has is not taken for a moment."""
    assert NODE.forwarder() is None
    watch = NODE.watch(PODS)
    with socket.create_server(("10.0.0.10", 79)):
        make_pod("a", [{"containerPort": 8080, "hostPort": 79}])
        assert told(watch.until(lambda e: told(e["object"]))["object"]) == "False", "at once"
        assert condition("a")[1] == "HostPortInUse"
    assert told(watch.until(lambda e: told(e["object"]) != "False")["object"]) == "True"
    watch.close()
    held(79)
    served("a", "world", "10.0.0.10", 79)
    drop_pod("a")


def told(obj):
    """Status of its condition, if it has it."""
    return next((c["status"] for c in obj.get("status", {}).get("conditions", [])
                 if c["type"] == CONDITION), None)


def everywhere():
    """[A13 D11 D12] TCP and UDP, both families, from a pod, the node, outside, and the loopback."""
    ips = make_pod("a", [{"containerPort": 8080, "hostPort": 80},
                         {"containerPort": 8080, "hostPort": 80, "protocol": "UDP"}])
    make_pod("b")
    for udp in (False, True):
        for address in NODE_IPS:
            served("a", "world", address, 80, udp)
            peer = answers("world", address, 80, udp).split(" ")[1]
            assert peer in ("10.0.0.99", "192.0.2.99", "fd00:1::99"), peer     # as itself
            assert answers("b.default", address, 80, udp).startswith("a "), address
            assert answers(None, address, 80, udp).startswith("a "), address
            assert answers("a.default", address, 80, udp).startswith("a "), address     # hairpin
        for address in LOOPBACKS:
            served("a", None, address, 80, udp)
    assert answers("b.default", "10.0.0.10", 80).split(" ")[1] not in ips + ["10.0.0.10"]
    assert await_condition("a", "True", "Published") == ""
    drop_pod("a")
    for address in NODE_IPS + LOOPBACKS:
        gone(None, address, 80)
    gone("world", "10.0.0.10", 80)
    drop_pod("b")


def addresses_differ():
    """[D12] one number on two addresses and the loopback, and TCP beside UDP: no conflict."""
    for name, port in (("a", {"hostIP": "10.0.0.10"}), ("b", {"hostIP": "192.0.2.10"}),
                       ("c", {"hostIP": "127.0.0.1"}), ("d", {"protocol": "UDP"})):
        make_pod(name, [dict({"containerPort": 8080, "hostPort": 81}, **port)])
        await_condition(name, "True", "Published")
    served("a", "world", "10.0.0.10", 81)
    served("b", "world", "192.0.2.10", 81)
    served("c", None, "127.0.0.1", 81)
    served("d", "world", "10.0.0.10", 81, udp=True)
    assert refused("world", "fd00:1::10", 81)
    make_pod("e", [{"containerPort": 8080, "hostPort": 82, "hostIP": "198.51.100.1"}])
    why = await_condition("e", "False", "HostAddressMissing")
    assert why == "port 82/TCP of 198.51.100.1: it is no address of this node", why
    run("ip addr add 198.51.100.1/32 dev uplink")          # [D9]
    await_condition("e", "True", "Published")
    served("e", None, "198.51.100.1", 82)
    run("ip addr del 198.51.100.1/32 dev uplink")
    await_condition("e", "False", "HostAddressMissing")
    for name in "abcde":
        drop_pod(name)


def bridged():
    """A pod of a bridge network, from beside it on the bridge as well.

    With br_netfilter on, the bridge itself would pass on what was sent to the node, from one isolated
    port to another, and so drop it.
    """
    run("sysctl -qw net.bridge.bridge-nf-call-iptables=0", check=False)
    api().post("/apis/podnet.dev/v1/networks", {"metadata": {"name": "lan"}, "spec": {
        "type": "bridge", "cidrs": ["10.60.0.0/16"]}})
    for name, ports in (("a", [{"containerPort": 8080, "hostPort": 88}]), ("b", [])):
        api().post(PODS, pod(name, {"podnet.dev/networks": "lan"}, containers=publish(*ports)))
        NODE.await_running(name)
        SERVERS[name] = serve(name + ".default", "echo.py", name, 8080)
    for client in ("world", "b.default", "a.default", None):
        served("a", client, "10.0.0.10", 88)
    served("a", None, "127.0.0.1", 88)
    assert answers("world", "10.0.0.10", 88) == "a 10.0.0.99"
    drop_pod("a")
    drop_pod("b")
    api().delete("/apis/podnet.dev/v1/networks/lan")


def conflicts():
    """Two pods, a pod and a node port, a pod and another process: told, and mended by itself."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 83}])
    await_condition("a", "True", "Published")
    make_pod("b", [{"containerPort": 8080, "hostPort": 83}, {"containerPort": 8080, "hostPort": 84}])
    why = await_condition("b", "False", "HostPortConflict")
    assert why == "port 83/TCP of 10.0.0.10 is published by pod default/a already", why
    eventually("an Event", lambda: events("b", "HostPortConflict") == [why])
    served("b", "world", "10.0.0.10", 84)
    served("a", "world", "10.0.0.10", 83)
    NODE.stop()
    NODE.start()                        # who had it has it
    assert NODE.metric("podnet_kernel_operations_total") == 0
    assert answers("world", "10.0.0.10", 83).startswith("a ")
    assert condition("b")[0] == "False"
    drop_pod("a")
    await_condition("b", "True", "Published")
    served("b", "world", "10.0.0.10", 83)
    drop_pod("b")

    api().post(SERVICES, {"metadata": {"name": "np"}, "spec": {
        "type": "NodePort", "ports": [{"port": 80, "nodePort": 30083}]}})
    eventually("held", lambda: in_use(None, "10.0.0.10", 30083))
    make_pod("c", [{"containerPort": 8080, "hostPort": 30083}])
    why = await_condition("c", "False", "HostPortConflict")
    assert "Service default/np" in why, why
    api().delete(SERVICES + "/np")
    await_condition("c", "True", "Published")
    drop_pod("c")


def in_use(netns, address, port, udp=False):
    def try_it():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as sock:
            if not udp:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            if not udp:
                sock.listen(1)
        return None
    got = in_netns(netns, try_it)
    return isinstance(got, OSError) and got.errno == 98


def reserved():
    """[D10] others get EADDRINUSE, and what another process has is not taken from it."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 85},
                   {"containerPort": 8080, "hostPort": 85, "protocol": "UDP"}])
    await_condition("a", "True", "Published")
    for address in ("0.0.0.0", "::", "10.0.0.10", "fd00:1::10", "127.0.0.1", "::1"):
        for udp in (False, True):
            eventually("%s is held" % address, lambda a=address, u=udp: in_use(None, a, 85, u))
    drop_pod("a")
    eventually("free again", lambda: not in_use(None, "0.0.0.0", 85))
    with socket.create_server(("10.0.0.10", 86)) as mine:
        make_pod("b", [{"containerPort": 8080, "hostPort": 86}])
        why = await_condition("b", "False", "HostPortInUse")
        assert why == "port 86/TCP of 10.0.0.10 is in use by another process", why
        eventually("an Event", lambda: events("b", "HostPortInUse") == [why])
        def ask_it():                   # who closes first has the connection for a minute more
            with socket.create_connection(("10.0.0.10", 86), 20) as conn:
                mine.accept()[0].close()
                assert conn.recv(1) == b""
        in_netns("world", ask_it)
    freed = time.monotonic()
    await_condition("b", "True", "Published")
    assert time.monotonic() - freed < 30, "as long as a connection takes to die"
    served("b", "world", "10.0.0.10", 86)
    drop_pod("b")
    with socket.create_server(("10.0.0.10", 30087)):
        api().post(SERVICES, {"metadata": {"name": "np"}, "spec": {
            "type": "NodePort", "ports": [{"port": 80, "nodePort": 30087}]}})
        eventually("a warning", lambda: any("10.0.0.10: another process listens" in m
                                            for m in events("np", "NodePortInUse")))
    api().delete(SERVICES + "/np")


def not_said_before():
    """A port is Published when the kernel has it: not while the table is another's, who lets us write nothing."""
    other = nftables.Nftables()
    other.own("podnet")
    try:
        before = NODE.metric("podnet_reconcile_failures_total")
        make_pod("a", [{"containerPort": 8080, "hostPort": 99}])
        eventually("it failed", lambda: "event=services_failed" in NODE.tail(1000) and
                   NODE.metric("podnet_reconcile_failures_total") > before)
        assert condition("a") is None, condition("a")
    finally:
        other.close()               # and its table goes with it
    await_condition("a", "True", "Published")
    served("a", "world", "10.0.0.10", 99)
    drop_pod("a")


def ranges():
    """A range is one element of a map; one that is moved is an element a port."""
    make_pod("a", annotation="7000-7003/udp, 7000-7003, 7100-7103:7000-7003/tcp, "
             "192.0.2.10:7200-7201:7000-7001, 20000-60000/udp", listen=(7000, 7001, 7002, 7003, 50000))
    await_condition("a", "True", "Published")
    for port in range(7000, 7004):
        for udp in (False, True):
            served("a", "world", "10.0.0.10", port, udp)
            assert answers(None, "fd00:1::10", port, udp).startswith("a "), port
            served("a", None, "127.0.0.1", port, udp)
        served("a", "world", "10.0.0.10", port + 100)
        served("a", None, "::1", port + 100)
    served("a", "world", "192.0.2.10", 7200)
    served("a", "world", "10.0.0.10", 50000, udp=True)
    assert refused("world", "10.0.0.10", 7200)
    table = run("nft list map inet podnet port-ranges4")
    assert table.count(" . 7000-7003 : ") == 4, table       # two addresses, two protocols
    assert table.count(" . 20000-60000 : ") == 2, table
    assert not in_use(None, "0.0.0.0", 50000, udp=True)     # too many to be kept
    make_pod("b", annotation="7003:8080")
    assert "pod default/a" in await_condition("b", "False", "HostPortConflict")
    make_pod("c", annotation="50000:8080/udp")
    assert "pod default/a" in await_condition("c", "False", "HostPortConflict")
    for name in "abc":
        drop_pod(name)


def connected(address, port, udp):
    """What connect() says, or of UDP the first datagram."""
    if udp:
        return ask(address, port, True, 2)
    return socket.create_connection((address, port), 20).close()


def node_port():
    """[D8] a node port at 127.0.0.1 and ::1, relayed."""
    ips = make_pod("a")
    api().post(SERVICES, {"metadata": {"name": "np"}, "spec": {
        "type": "NodePort", "ports": [
            {"name": "t", "port": 80, "nodePort": 30090},
            {"name": "u", "port": 80, "nodePort": 30090, "protocol": "UDP"}]}})
    api().post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
        "metadata": {"name": "np-1", "labels": {"kubernetes.io/service-name": "np"}},
        "addressType": "IPv4", "ports": [{"name": "t", "port": 8080, "protocol": "TCP"},
                                         {"name": "u", "port": 8080, "protocol": "UDP"}],
        "endpoints": [{"addresses": [ips[0]], "nodeName": "node1"}]})
    for udp in (False, True):
        for address in LOOPBACKS:
            served("a", None, address, 30090, udp)
    assert run("sysctl -n net.ipv4.conf.all.route_localnet").strip() == "0"
    api().delete("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/np-1")
    for udp in (False, True):           # and at once refused, not accepted and reset
        for address in LOOPBACKS:
            eventually("refused at %s" % address,
                       lambda: isinstance(in_netns(None, lambda: connected(address, 30090, udp)),
                                          ConnectionRefusedError))
    assert in_use(None, "127.0.0.1", 30090), "held all the same"
    api().delete(SERVICES + "/np")
    drop_pod("a")


class Sink:
    """A server in a pod for one connection, which its function has."""

    def __init__(self, netns, port, work):
        def listen():
            sock = socket.create_server(("", port))
            return sock
        self.sock = in_netns(netns, listen)
        self.result = None

        def body():
            conn = self.sock.accept()[0]
            conn.settimeout(60)
            with conn:
                self.result = work(conn)
        self.thread = threading.Thread(target=body, daemon=True)
        self.thread.start()

    def wait(self):
        self.thread.join(60)
        self.sock.close()
        return self.result


def was_reset(port):
    """A connection that is refused behind the relay may be over before connect() has returned."""
    try:
        with socket.create_connection(("127.0.0.1", port), 60) as conn:
            conn.recv(1)
        return False
    except ConnectionError:
        return True


def streams():
    """Half-closed both ways, a reader that waits, many at a time, a reset that is passed on."""
    make_pod("a", [{"containerPort": 9000, "hostPort": 90}, {"containerPort": 8080, "hostPort": 91},
                   {"containerPort": 9001, "hostPort": 92}])
    await_condition("a", "True", "Published")
    held(90, 91, 92)

    def count_then_tell(conn):
        total = 0
        while True:
            part = conn.recv(65536)
            if not part:
                break
            total += len(part)
        conn.sendall(b"%d" % total + b"x" * 1000000)
        return total

    size = 20 * 1000 * 1000
    sink = Sink("a.default", 9000, count_then_tell)
    with socket.create_connection(("127.0.0.1", 90), 60) as conn:
        conn.sendall(b"y" * size)
        conn.shutdown(socket.SHUT_WR)   # the other direction goes on
        got = b""
        while True:
            part = conn.recv(65536)
            if not part:
                break
            got += part
    assert sink.wait() == size and got == b"%d" % size + b"x" * 1000000

    release = threading.Event()
    sink = Sink("a.default", 9000, lambda conn: release.wait(60) and len(recv_all(conn)))
    with socket.create_connection(("127.0.0.1", 90), 60) as conn:
        conn.setblocking(False)
        sent, idle = 0, 0
        while idle < 20:                # until nothing more fits anywhere
            try:
                sent += conn.send(b"z" * 65536)
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.01)
        assert sent < 64 << 20
        rss = int(open("/proc/%d/statm" % NODE.forwarder()).read().split()[1]) * 4
        assert rss < 8192 or os.environ.get("PODNET_SANITIZE"), rss
        assert ask("127.0.0.1", 91).startswith("a ")    # others are served meanwhile
        release.set()
        conn.setblocking(True)
        conn.shutdown(socket.SHUT_WR)
        assert sink.wait() == sent

    conns = [socket.create_connection(("127.0.0.1", 91), 60) for _ in range(500)]
    for conn in conns:
        assert conn.recv(100).startswith(b"a ")
        conn.close()

    reset = Sink("a.default", 9001, lambda conn: conn.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"))
    assert was_reset(92)
    reset.wait()
    assert was_reset(92)                # nobody listens in the pod any more
    drop_pod("a")


def recv_all(conn):
    parts = []
    while True:
        part = conn.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def netd_killed():
    """What podnet-fwd holds and relays goes on while netd is away, and a start changes nothing."""
    make_pod("a", [{"containerPort": 9000, "hostPort": 93}, {"containerPort": 8080, "hostPort": 94}])
    await_condition("a", "True", "Published")
    served("a", None, "127.0.0.1", 94)
    held(93)
    pid = NODE.forwarder()
    sink = Sink("a.default", 9000, lambda conn: len(recv_all(conn)))
    with socket.create_connection(("127.0.0.1", 93), 60) as conn:
        conn.sendall(b"1" * 1000)
        NODE.kill(signal.SIGKILL)
        conn.sendall(b"2" * 1000)
        assert in_use(None, "0.0.0.0", 94) and NODE.forwarder() == pid
        assert answers(None, "127.0.0.1", 94).startswith("a ")
        NODE.start()
        assert NODE.forwarder() == pid
        assert NODE.metric("podnet_kernel_operations_total") == 0
        conn.sendall(b"3" * 1000)
    assert sink.wait() == 3000
    eventually("connections end", lambda: len(held_ports(pid)) == 11)   # and the one it spares
    before = held_ports(pid)            # two ports, three addresses and two loopbacks
    NODE.stop()
    NODE.start()
    eventually("they are the same", lambda: held_ports(pid) == before)
    drop_pod("a")
    eventually("let go", lambda: len(held_ports(pid)) == 1)


def targets(folder):
    """Of the links in it; a descriptor may be closed between listing and reading."""
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(folder + name)


def held_ports(pid):
    """Inodes of the sockets that it holds: the same again when nothing was made anew."""
    unix = run("ss", "-xanH")
    listed = " ".join(targets("/proc/%d/fd/" % pid))
    unix += run("ss", "-xanH")          # one may end, and another begin, meanwhile
    return sorted(ino for ino in re.findall(r"socket:\[(\d+)\]", listed) if " %s " % ino not in unix)


def fwd_killed():
    """netd starts it again and gives it all that it had."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 95}])
    await_condition("a", "True", "Published")
    served("a", None, "127.0.0.1", 95)
    for _ in range(2):
        pid, killed = NODE.forwarder(), time.monotonic()
        os.kill(pid, signal.SIGKILL)
        eventually("another one", lambda: NODE.forwarder() not in (None, pid))
        runs = time.monotonic() - killed
        served("a", None, "127.0.0.1", 95)
        print("     killed, it runs again after %.0f ms, and serves after %.0f" % (
            runs * 1000, (time.monotonic() - killed) * 1000))
        served("a", None, "::1", 95)
        eventually("held", lambda: in_use(None, "10.0.0.10", 95))
    served("a", "world", "10.0.0.10", 95)
    second = subprocess.run([os.path.dirname(NODE.netd) + "/podnet-fwd", "--socket",
                             NODE.dir + "/fwd.sock"], stderr=subprocess.PIPE, text=True, check=False)
    assert second.returncode == 1 and "another podnet-fwd" in second.stderr, second.stderr
    served("a", None, "127.0.0.1", 95)
    drop_pod("a")


def repaired():
    """[J3 J10] a flush, an element deleted."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 96}], annotation="7300-7301", listen=(8080, 7300))
    await_condition("a", "True", "Published")
    for command in ("nft flush ruleset", "nft delete table inet podnet",
                    "nft flush map inet podnet port-ranges4",
                    "nft delete element inet podnet tcp4-random-1 { 10.0.0.10 . tcp . 96 }"):
        run(command)
        served("a", "world", "10.0.0.10", 96)
        served("a", "world", "10.0.0.10", 7300)
    drop_pod("a")


def set_descriptors(pid, soft):
    """As its own user, who may do that without a capability."""
    owner = os.stat("/proc/%d" % pid)
    hard = open("/proc/%d/limits" % pid).read().split("Max open files")[1].split()[1]
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%s:%s" % (soft or hard, hard)],
                   user=owner.st_uid, group=owner.st_gid, extra_groups=[], check=True)


def is_reset(conn):
    conn.setblocking(False)
    try:
        return conn.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def no_descriptors():
    """When it has no descriptor left it refuses, and goes on when it has."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 97}, {"containerPort": 9000, "hostPort": 99}])
    await_condition("a", "True", "Published")
    served("a", None, "127.0.0.1", 97)
    idle = in_netns("a.default", lambda: socket.create_server(("", 9000), backlog=100))
    pid = NODE.forwarder()
    set_descriptors(pid, len(os.listdir("/proc/%d/fd" % pid)) + 20)
    conns = []
    for _ in range(20):
        try:
            conns.append(socket.create_connection(("127.0.0.1", 99), 20))
        except ConnectionError:
            pass
    eventually("about half of them are refused",
               lambda: 8 <= sum(not is_reset(c) for c in conns) <= 14)
    eventually("it is told", lambda: "event=no_descriptors" in NODE.tail(1000))
    assert not answers(None, "127.0.0.1", 97)
    for conn in conns:
        conn.close()
    idle.close()
    served("a", None, "127.0.0.1", 97)
    set_descriptors(pid, None)
    drop_pod("a")


def purged():
    """netd --purge ends it."""
    make_pod("a", [{"containerPort": 8080, "hostPort": 98}])
    served("a", None, "127.0.0.1", 98)
    assert NODE.forwarder()
    NODE.stop()
    out = run(NODE.netd, "--config", "/dev/null", "--purge", "--state-dir", NODE.dir + "/state",
              "--run-dir", NODE.dir)
    assert "process end podnet-fwd" in out, out
    eventually("it is gone", lambda: NODE.forwarder() is None and not in_use(None, "0.0.0.0", 98))
    assert "Sanitizer" not in NODE.tail(10000), NODE.tail(100)      # of podnet-fwd, at its end, as well
    SERVERS.pop("a").kill()


if __name__ == "__main__":
    main([first_of_all, everywhere, addresses_differ, bridged, conflicts, reserved, not_said_before, ranges, node_port, streams, netd_killed,
          fwd_killed, repaired, no_descriptors, purged])
