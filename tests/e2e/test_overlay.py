# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_overlay.py - UDP tunnels: podnet-fwd on this node, real socat and podnet-fwd on others

"far" is another node on the underlay, with an end of socat; "pod" and "farpod" are behind the two, so
what they say is forwarded by both kernels.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import V1, Node, eventually, main, run     # noqa: E402

TUNNELS = V1 + "/tunnels"
PORT = 9000

for command in (
        "ip netns add far", "ip netns add pod", "ip netns add farpod",
        "ip link add uplink type veth peer name eth0 netns far",
        "ip addr add 10.0.0.10/24 dev uplink", "ip link set uplink up",
        "ip addr add fd00:9::10/64 dev uplink nodad",
        "ip -n far addr add 10.0.0.20/24 dev eth0", "ip -n far link set eth0 up",
        "ip -n far addr add fd00:9::20/64 dev eth0 nodad",
        "ip -n far link set lo up", "ip route add default via 10.0.0.99",
        "ip link add p0 type veth peer name eth0 netns pod",
        "ip addr add 172.16.0.1/24 dev p0", "ip addr add fd16:0::1/64 dev p0 nodad", "ip link set p0 up",
        "ip -n pod addr add 172.16.0.2/24 dev eth0", "ip -n pod addr add fd16:0::2/64 dev eth0 nodad",
        "ip -n pod link set eth0 up", "ip -n pod link set lo up",
        "ip -n pod route add default via 172.16.0.1", "ip -n pod route add default via fd16:0::1",
        "ip -n far link add p0 type veth peer name eth0 netns farpod",
        "ip -n far addr add 172.16.1.1/24 dev p0", "ip -n far addr add fd16:1::1/64 dev p0 nodad",
        "ip -n far link set p0 up", "ip -n farpod addr add 172.16.1.2/24 dev eth0",
        "ip -n farpod addr add fd16:1::2/64 dev eth0 nodad", "ip -n farpod link set eth0 up",
        "ip -n farpod route add default via 172.16.1.1", "ip -n farpod route add default via fd16:1::1"):
    run(command)
for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
    run("sysctl", "-qw", "net.%s=1" % key)
    run("ip", "netns", "exec", "far", "sysctl", "-qw", "net.%s=1" % key)
NODE = Node().start()


def tunnel(name="overlay", **spec):
    """To far; what is given goes before."""
    spec = dict({"interface": "tun0", "type": "udp", "local": "10.0.0.10", "port": PORT,
                 "addresses": ["172.16.0.100/32", "fd16::100/128"],
                 "peers": [peer()]}, **spec)
    return {"apiVersion": "podnet.dev/v1", "kind": "Tunnel", "metadata": {"name": name}, "spec": spec}


def peer(**more):
    return dict({"address": "10.0.0.20", "port": PORT, "cidrs": ["172.16.1.0/24", "fd16:1::/64"]}, **more)


@contextlib.contextmanager
def declared(*objects):
    """Ready, and gone behind."""
    try:
        for obj in objects:
            NODE.client.post(TUNNELS, obj)
            NODE.await_ready(TUNNELS + "/" + obj["metadata"]["name"])
        yield
    finally:
        for obj in objects:
            NODE.client.delete(TUNNELS + "/" + obj["metadata"]["name"])
        eventually("the device is gone", lambda: "tun0" not in run("ip link show type tun"))


@contextlib.contextmanager
def socat(framing, local="10.0.0.20", remote="10.0.0.10"):
    """The tutorial's other end."""
    kind = "UDP6" if ":" in local else "UDP"
    at = "[%s]" if ":" in local else "%s"
    options = ",iff-no-pi" if framing == "raw" else ""
    done = subprocess.Popen(
        ["ip", "netns", "exec", "far", "socat", "TUN:172.16.1.100/24,tun-name=t0,iff-up" + options,
         "%s:%s:%d,bind=%s:%d" % (kind, at % remote, PORT, at % local, PORT)])
    try:
        eventually("socat's device", lambda: "t0" in run("ip -n far link show type tun"))
        eventually("it is up", lambda: "UP" in run("ip -n far link show t0"))
        run("ip -n far link set t0 mtu 1400")
        run("ip -n far addr flush dev t0")      # the tutorial's /16 would be around all
        run("ip -n far route add 172.16.0.0/24 dev t0 src 172.16.1.1")
        run("ip -n far -6 route add fd16::/64 dev t0 src fd16:1::1")
        yield done
    finally:
        done.kill()
        done.wait()


def ping(netns, address, count=1, size=56, wait=10):
    words = ["ip", "netns", "exec", netns] if netns else []
    words += ["ping", "-c", str(count), "-W", str(wait), "-i", "0.05", "-s", str(size), address]
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return said.returncode == 0


def metrics(name, **labels):
    """Sum of the series of this name and labels, as podnet-fwd told them last."""
    text = NODE.client.raw("GET", "/metrics")[2].decode()
    rows = re.findall(r"^%s\{(.*)\} (\d+)$" % name, text, re.M)
    return sum(int(value) for said, value in rows
               if all('%s="%s"' % item in said for item in labels.items()))


def copy_tcp(size, address="172.16.1.2", into="farpod", out="pod"):
    """So many bytes from one to the other, whole."""
    def inside(netns, make):
        got = []

        def body():
            fd = os.open("/run/netns/" + netns, os.O_RDONLY)
            os.setns(fd, 0) if hasattr(os, "setns") else setns(fd)
            os.close(fd)
            got.append(make())
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return got[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(into, lambda: socket.socket(family)) as listener, \
            inside(out, lambda: socket.socket(family)) as sender:
        listener.bind((address, 0))
        listener.listen()
        sender.settimeout(60)
        sender.connect(listener.getsockname()[:2])
        conn = listener.accept()[0]
        data = os.urandom(1 << 16) * (size >> 16)
        thread = threading.Thread(target=lambda: (sender.sendall(data), sender.shutdown(socket.SHUT_WR)))
        thread.start()
        got = bytearray()
        while True:
            piece = conn.recv(1 << 20)
            if not piece:
                break
            got += piece
        thread.join()
        conn.close()
        assert bytes(got) == data, (len(got), len(data))


def setns(fd):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.setns(fd, 0) == 0, ctypes.get_errno()


def everything(far_to_near=True):
    """All that should pass, both ways, in both families, by packets of all sizes."""
    for netns, address in (("pod", "172.16.1.2"), ("pod", "fd16:1::2"), (None, "172.16.1.2"),
                           ("farpod", "172.16.0.2"), ("farpod", "fd16::2"), ("far", "172.16.0.2")):
        assert ping(netns, address), (netns, address)
    for size in (0, 1, 1000, 1372):
        assert ping("pod", "172.16.1.2", size=size), size
    copy_tcp(4 << 20)
    copy_tcp(1 << 20, "fd16:1::2")
    if far_to_near:
        copy_tcp(4 << 20, "172.16.0.2", "pod", "farpod")
        copy_tcp(1 << 20, "fd16::2", "pod", "farpod")


def socat_raw():
    with declared(tunnel()), socat("raw"):
        everything()
        eventually("bytes are counted", lambda: metrics(
            "podnet_tunnel_bytes_total", peer="10.0.0.20:9000", way="received") > 5 << 20)
        assert metrics("podnet_tunnel_packets_total", peer="10.0.0.20:9000", way="sent") > 3000


def socat_framed():
    with declared(tunnel(peers=[peer(framing="pi")])), socat("pi"):
        everything()


def socat_on_ipv6():
    with declared(tunnel(local="fd00:9::10", peers=[peer(address="fd00:9::20")])), \
            socat("raw", "fd00:9::20", "fd00:9::10"):
        everything()


@contextlib.contextmanager
def far_node():
    """A second netd with a podnet-fwd of its own."""
    there = Node(through=["nsenter", "--net=/run/netns/far"]).start()
    obj = tunnel(local="10.0.0.20", addresses=["172.16.1.100/32"], peers=[
        {"address": "10.0.0.10", "port": PORT, "cidrs": ["172.16.0.0/24", "fd16::/64"]}])
    try:
        there.client.post(TUNNELS, obj)
        there.await_ready(TUNNELS + "/overlay")
        yield there
        there.client.delete(TUNNELS + "/overlay")
        eventually("its device is gone", lambda: "tun0" not in run("ip -n far link show type tun"))
    finally:
        there.stop()


def two_of_ours():
    with declared(tunnel()), far_node():
        everything()


def spoofed():
    """Sources that are not the peer's, from its own socket."""
    with declared(tunnel()), socat("raw"):
        run("ip -n far addr add 172.16.9.9/32 dev lo")
        before = metrics("podnet_tunnel_dropped_total", reason="in_source")
        words = "ip netns exec far ping -c 3 -i 0.05 -W 0.2 -I 172.16.9.9 172.16.0.2".split()
        assert subprocess.run(words, stdout=subprocess.DEVNULL).returncode != 0
        eventually("they are counted",
                   lambda: metrics("podnet_tunnel_dropped_total", reason="in_source") >= before + 3)
        assert ping("pod", "172.16.1.2")
        run("ip -n far addr del 172.16.9.9/32 dev lo")


def changed_live():
    """Another framing, and back; no packet is lost but those of the wrong framing."""
    with declared(tunnel()):
        with socat("raw"):
            assert ping("pod", "172.16.1.2")
        NODE.client.put(TUNNELS + "/overlay", tunnel(peers=[peer(framing="pi")]))
        with socat("pi"):
            eventually("framed", lambda: ping("pod", "172.16.1.2", wait=2))
        NODE.client.put(TUNNELS + "/overlay", tunnel(peers=[peer(framing="pi"), peer(
            address="10.0.0.30", cidrs=["172.16.3.0/24"])]))
        with socat("pi"):
            eventually("with one more", lambda: ping("pod", "172.16.1.2", wait=2))
            eventually("it is there", lambda: "10.0.0.30" in NODE.client.raw("GET", "/metrics")[2].decode())


class Pinging:
    """4 seconds in the background; .lost() waits for their end."""

    def __init__(self):
        self.proc = subprocess.Popen("ip netns exec pod ping -c 400 -i 0.01 -W 20 172.16.1.2".split(),
                                     stdout=subprocess.PIPE, text=True)
        for _ in range(10):
            self.proc.stdout.readline()

    def lost(self):
        sent, got = re.search(r"(\d+) packets transmitted, (\d+) received", self.proc.communicate()[0]).groups()
        return int(sent) - int(got)


def netd_killed():
    """Nothing is lost while netd is away, nor when it comes back; no flood meanwhile that socat drops of."""
    with declared(tunnel()), socat("raw"):
        pings, pid = Pinging(), NODE.forwarder()
        NODE.kill()
        for _ in range(20):
            copy_tcp(1 << 16)
        NODE.start()
        for _ in range(20):
            copy_tcp(1 << 16)
        assert NODE.forwarder() == pid
        assert pings.lost() == 0
        NODE.kill()
        copy_tcp(8 << 20)
        NODE.start()
        NODE.await_ready(TUNNELS + "/overlay")
        eventually("it has gone on counting", lambda: metrics(
            "podnet_tunnel_packets_total", peer="10.0.0.20:9000", way="sent") > 8000)


def queues():
    """Of TUN devices, that podnet-fwd has open."""
    folder, found = "/proc/%d/fd/" % NODE.forwarder(), []
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):    # closed meanwhile
            found += [fd] * os.readlink(folder + fd).startswith("/dev/net/tun")
    return found


def deleted_meanwhile():
    """A tunnel that was deleted is not carried on by whoever held it."""
    with declared(tunnel()):
        with socat("raw"):
            assert ping("pod", "172.16.1.2")
    eventually("its queues are closed", lambda: not queues())


def fwd_killed():
    """Another one has the tunnel, and a connection goes on.  Not with socat: a closed port ends it."""
    with declared(tunnel()), far_node():
        assert ping("pod", "172.16.1.2")
        pid = NODE.forwarder()
        worker = threading.Thread(target=copy_tcp, args=(64 << 20,))
        worker.start()
        os.kill(pid, signal.SIGKILL)
        eventually("another one", lambda: NODE.forwarder() not in (None, pid))
        eventually("packets again", lambda: ping("pod", "172.16.1.2", wait=2))
        worker.join()
        eventually("it counts", lambda: metrics("podnet_tunnel_packets_total", way="received") > 100)


def device_deleted():
    """By somebody else: it is made again, carried, and told of; netd's own taking it away is nothing to tell of."""
    def said(words):
        NODE.log.flush()
        return open(NODE.dir + "/log", errors="replace").read().count(words)
    before = said("tunnel_lost")
    with declared(tunnel()), far_node():
        assert ping("pod", "172.16.1.2")
        run("ip link del tun0")
        eventually("again", lambda: ping("pod", "172.16.1.2", wait=2))
        eventually("it is told of", lambda: said('why="its device is gone"'))
    for _ in range(5):
        with declared(tunnel()):
            eventually("carried", queues)
    assert said("tunnel_lost") == before + 1, NODE.tail()
    assert not said("bad state"), NODE.tail()


def no_rights():
    """podnet-fwd has no capability, and a filter."""
    with declared(tunnel()):
        for task in os.listdir("/proc/%d/task" % NODE.forwarder()):
            status = open("/proc/%d/task/%s/status" % (NODE.forwarder(), task)).read()
            for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert re.search(r"%s:\t0+$" % line, status, re.M), status
            assert "NoNewPrivs:\t1" in status
            if not os.environ.get("PODNET_SANITIZE"):
                assert "Seccomp:\t2" in status


def idle():
    """Without packets no thread of it runs."""
    with declared(tunnel()), socat("raw"):
        assert ping("pod", "172.16.1.2")

        def spent():
            return sum(int(open("/proc/%d/task/%s/schedstat" % (NODE.forwarder(), t)).read().split()[0])
                       for t in os.listdir("/proc/%d/task" % NODE.forwarder()))
        eventually("nothing in a while", lambda: spent() == (spent(), ping(None, "10.0.0.20", 20))[0])


def nobody_carries():
    """Without podnet-fwd: the Tunnel, and the Node whose paths need one, say so; when it is there all is well."""
    run("ip netns add third")
    run("ip link add third0 type veth peer name eth0 netns third")
    for command in ("ip link set lo up", "ip addr add 10.0.3.1/24 dev eth0", "ip link set eth0 up",
                    "ip route add default via 10.0.3.254"):
        run(command, netns="third")
    there = Node(through=["nsenter", "--net=/run/netns/third"], flags=["--fwd", "wait"]).start()
    there.client.post("/api/v1/nodes", {"metadata": {"name": "other"}, "spec": {"podCIDRs": ["10.244.64.0/24"]}})
    there.client.patch("/api/v1/nodes/other/status", {"status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.4.1"}]}})
    there.client.patch(V1 + "/networks/default", {"spec": {"backend": "udp"}})
    there.client.post(TUNNELS, tunnel(local="10.0.3.1"))

    def paths(status, words):
        return there.await_object("/api/v1/nodes/node1", lambda o: any(
            c["type"] == "podnet.dev/PathsReady" and c["status"] == status and words in c["message"]
            for c in o["status"]["conditions"]))
    paths("False", "pn-udp4: podnet-fwd, which is to carry its packets, is not running")
    failed = there.await_ready(TUNNELS + "/overlay", "False")["status"]["conditions"]
    assert "podnet-fwd, which is to carry its packets, is not running" in failed[0]["message"], failed
    eventually("it is told", lambda: any(e["reason"] == "TunnelNotCarried" and e["involvedObject"]["name"] == "node1"
                                         for e in there.client.get("/api/v1/events")["items"]))
    fwd = subprocess.Popen(there.through + [os.path.join(os.path.dirname(there.netd), "podnet-fwd"), "--socket",
                                            there.dir + "/fwd.sock"])
    paths("True", "")
    there.await_ready(TUNNELS + "/overlay")
    there.stop()
    fwd.kill()
    fwd.wait()
    there.flags = ["--fwd", "no"]
    there.start()
    paths("False", "it takes podnet-fwd, and netd was started with --fwd no")
    there.stop()
    run("ip netns del third")


if not shutil.which("socat"):
    sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)
main([socat_raw, socat_framed, socat_on_ipv6, two_of_ours, spoofed, changed_live, netd_killed,
      deleted_meanwhile, fwd_killed, device_deleted, no_rights, idle, nobody_carries])
