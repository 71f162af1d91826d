# SPDX-License-Identifier: LGPL-2.1-or-later
"""nodes.py - some nodes, each a network namespace with its own netd, and the underlay between them

Room: what tests of more than one node share.  The underlay is a bridge (one L2) or a router (an L2
for each node).  All pin their pods' namespaces in /run/netns, so pods have different names.
"""
import itertools

from node import Node, PODS, pod, run

CIDRS = "10.244.0.0/16,fd55::/48"
NODES = "/api/v1/nodes/"
NETWORK = "/apis/podnet.dev/v1/networks/default"
ASKED = itertools.count()
UNKNOWN = set()         # writes that were 504


class Member(Node):
    """One of them: number 1 and up, in namespace node1 ..."""

    def __init__(self, number, router, flags=()):
        self.number, self.name = number, "node%d" % number
        self.l2 = number if router else 0
        super().__init__(through=["nsenter", "--net=/run/netns/" + self.name],
                         flags=["--cluster-cidr", CIDRS, "--service-cidr", "10.96.0.0/16,fd09::/112"]
                         + list(flags))
        self.v4, self.v6 = "10.0.%d.%d" % (self.l2, number), "fd0e:%d::%d" % (self.l2, number)
        self.has_v4 = self.has_v6 = True
        self.run("ip link set lo up", make=True)

    def run(self, command, make=False, check=True):
        if make:
            run("ip netns add " + self.name)
        return run(command, netns=self.name, check=check)

    def wire(self, switch, gateway):
        """eth0 to the underlay."""
        port = "up%d" % self.number
        run("ip link add %s type veth peer name eth0 netns %s" % (port, self.name))
        run("ip link set %s %s up" % (port, "master " + switch if switch else ""))
        self.address(gateway)
        return port

    def address(self, gateway):
        # what is forwarded asks for neighbours by eth0's link-local address, at once
        for command in ("sysctl -q -w net.ipv6.conf.eth0.accept_dad=0", "ip link set eth0 up"):
            self.run(command)
        if self.has_v6:
            self.run("ip addr add %s/64 dev eth0 nodad" % self.v6)
        if self.has_v4:
            self.run("ip addr add %s/24 dev eth0" % self.v4)
        if gateway and self.has_v4:
            self.run("ip route add default via 10.0.%d.254" % self.l2)
        if gateway and self.has_v6:
            self.run("ip -6 route add default via fd0e:%d::254" % self.l2)

    def begin(self):
        """Its block is the one of its number: others, whose Nodes go again, have those before."""
        mine = self.flags
        for other in range(1, self.number):
            self.flags = mine + ["--node-name", "earlier%d" % other]
            self.start()
            self.stop()
        self.flags = mine + ["--node-name", self.name]
        self.start()
        for other in range(1, self.number):
            self.client.delete(NODES + "earlier%d" % other)

    def node(self):
        return self.client.get(NODES + self.name)

    def await_paths(self, status="True", words=""):
        return self.await_object(NODES + self.name, lambda o: any(
            c["type"] == "podnet.dev/PathsReady" and c["status"] == status and words in c["message"]
            for c in o["status"]["conditions"]))

    def routes(self, family=4):
        return self.run("ip -%d route show proto 142" % family)


def write_to(member):
    """(code, headers) of a write to what all share; may be asked again where it has arrived unanswered."""
    label = {"metadata": {"labels": {"asked": str(next(ASKED))}}}
    return member.client.raw("PATCH", "/api/v1/namespaces/default", label, {
        "Content-Type": "application/merge-patch+json"})[:2]


def takes(member, name):
    """Whether a Service is made; of one that was 504 nobody knew, and it may be there already."""
    code = member.client.raw("POST", "/api/v1/namespaces/default/services", {
        "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})[0]
    if code == 504:
        UNKNOWN.add((member, name))
    if code == 201 or (code == 409 and (member, name) in UNKNOWN):
        UNKNOWN.discard((member, name))
        return True
    return False


def tell(to, node):
    """What a common store would bring: another's Node, as it says it."""
    meta = {"name": node["metadata"]["name"], "annotations": node["metadata"].get("annotations", {})}
    body = {"metadata": meta, "spec": {"podCIDRs": node["spec"]["podCIDRs"]}}
    to.client.post("/api/v1/nodes", body)
    to.client.patch(NODES + meta["name"] + "/status", {"status": {
        "addresses": node["status"]["addresses"]}})


class Cluster:
    """By itself each node has a store of its own; with etcd they share it."""

    def __init__(self, count, router=False, flags=(), v4=True, v6=True, etcd=None):
        self.router, self.etcd = router, etcd
        self.members = [Member(n + 1, router, flags) for n in range(count)]
        for member in self.members:
            member.has_v4, member.has_v6 = v4, v6
        if router:
            run("ip netns add router")
            run("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", netns="router")
        else:
            run("ip link add ul type bridge mcast_snooping 0")
            run("ip link set ul up")
        for member in self.members:
            self.wire(member)
        if etcd:
            self.share()

    def share(self):
        """etcd is in this namespace, on the underlay."""
        run("ip addr add %s/24 dev ul" % self.etcd.address)
        self.etcd.start()
        for member in self.members:
            member.flags += ["--etcd", self.etcd.url, "--node-name", member.name]

    def wire(self, member):
        port = member.wire(None if self.router else "ul", self.router)
        if not self.router:
            return
        run("ip link set %s netns router" % port)
        for command in ("sysctl -q -w net.ipv6.conf.%s.accept_dad=0" % port, "ip link set %s up" % port,
                        "ip addr add 10.0.%d.254/24 dev %s" % (member.l2, port),
                        "ip addr add fd0e:%d::254/64 dev %s nodad" % (member.l2, port)):
            run(command, netns="router")

    def begin(self):
        """With etcd all at once: one of them fills it, whichever."""
        if self.etcd:
            for member in self.members:
                member.start(ready=False)
            for member in self.members:
                member.wait_ready()
            return self
        for member in self.members:
            member.begin()
        for one in self.members:
            for other in self.members:
                if one is not other:
                    tell(one, other.node())
        return self

    def pods(self, names="ab"):
        """On each node the pods a<n>, b<n>; their addresses by name."""
        ips = {}
        for member in self.members:
            for name in names:
                member.client.post(PODS, pod("%s%d" % (name, member.number)))
            for name in names:
                name = "%s%d" % (name, member.number)
                status = member.await_running(name)["status"]
                ips[name] = [ip["ip"] for ip in status["podIPs"]]
        return ips

    def backend(self, name):
        """Of Network default, everywhere."""
        for member in self.members:
            member.client.patch(NETWORK, {"spec": {"backend": name}})

    def stop(self):
        for member in self.members:
            member.stop()

