# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_balancer.py - LoadBalancer Services with addresses of the pool, from the node's own neighbours

Names in brackets are lines of the case list that each test shows.  "world" is a neighbour on the node's
uplink: the pool lies in the network that both are on, so it finds an address by ARP and NDP alone.
"""
import contextlib
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import DEADLINE, PODS, Node, eventually, ip_json, main, pod, run     # noqa: E402
from services import (SERVICES, SLICES, Pods, ask, dropped, in_netns, make_world, names,     # noqa: E402
                      refused, seen, serve)

POOL4, POOL6 = "10.0.0.200/29", "fd00:1::c8/125"
IP4, IP6 = "10.0.0.200", "fd00:1::c8"
STALE = "02:00:00:00:00:99"

make_world()
MAC = ip_json("link show uplink")[0]["address"]
NODE = Node(flags=["--load-balancer-cidr", POOL4 + "," + POOL6]).start()
API = NODE.client
SERVED = Pods(NODE)
add_pod, drop_pod = SERVED.add, SERVED.drop


def balanced(name, app="web", ports=None, **spec):
    ports = ports or [{"port": 80, "targetPort": 8080}]
    return API.post(SERVICES, {"metadata": {"name": name}, "spec": dict(
        {"type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "selector": {"app": app},
         "ports": ports}, **spec)})


def announced_twice(name):
    """A Service whose announcements are over: what is heard afterwards has another reason."""
    with listening() as heard:
        assert ingress(balanced(name)) == [IP4, IP6]
        heard(IP4, IP6, times=2)


def ingress(service):
    return [i["ip"] for i in service["status"]["loadBalancer"].get("ingress", [])]


def programmed(work):
    """Programming follows the answer of a write; what packets see is the event waited for."""
    eventually("programmed", work)


def addresses():
    """What of the pool is on a link of the node: (link, address)."""
    return sorted((l["ifname"], a["local"]) for l in ip_json("addr show") for a in l["addr_info"]
                  if a["local"].startswith(("10.0.0.20", "fd00:1::c", "fd00:1::d")))


def gone(*ips):
    programmed(lambda: not any(ip in ips for _, ip in addresses()))


def neighbour(ip):
    """The MAC that world has for an address."""
    found = [n.get("lladdr") for n in ip_json("neigh show dev eth0", netns="world") if n["dst"] == ip]
    return found[0] if found else None


@contextlib.contextmanager
def listening(netns="world", link="eth0"):
    """A function that waits for announcements of each address, in the frames from now on."""
    def start():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind((link, 3))
        sock.settimeout(DEADLINE)
        return sock
    sock = in_netns(netns, start)

    def heard(*ips, times=1):
        waited = list(ips) * times
        while waited:
            ip = announced(sock.recv(2048))
            if ip in waited:
                waited.remove(ip)
    with sock:
        yield heard


def announced(frame):
    """The address that a frame announces, or None; RFC 5227, 2.3, and RFC 4861, 7.2.6."""
    head, rest = frame[:14], frame[14:]
    if head[12:] == b"\x08\x06":
        sender, target = rest[14:18], rest[24:28]
        if head[:6] != b"\xff" * 6 or rest[6:8] != b"\x00\x01" or sender != target:
            return None
        return socket.inet_ntop(socket.AF_INET, sender)
    if head[12:] != b"\x86\xdd" or rest[6] != 58 or rest[40] != 136 or \
            rest[24:40] != socket.inet_pton(socket.AF_INET6, "ff02::1"):
        return None             # another packet, or the answer to who asked
    flags, target, option = rest[44], rest[48:64], rest[64:72]
    assert rest[7] == 255 and flags & 0x60 == 0x20, "Override, and not Solicited"
    assert option[:2] == b"\x02\x01" and option[2:] == head[6:12]
    return socket.inet_ntop(socket.AF_INET6, target)


IPS = {n: add_pod(n, {"app": "web"}) for n in ("a", "b")}


def answered():
    """[H1 H6 I7 D7 A14] both families and protocols, from outside, pods and the node; nothing else of it."""
    with listening() as heard:
        svc = balanced("web", ports=[
            {"name": "t", "port": 80, "targetPort": 8080, "protocol": "TCP"},
            {"name": "u", "port": 80, "targetPort": 8080, "protocol": "UDP"}])
        assert ingress(svc) == [IP4, IP6], svc["status"]
        heard(IP4, IP6)
    for ip in (IP4, IP6):
        for udp in (False, True):
            programmed(lambda: names("world", ip, 80, udp) == ["a", "b"])
            for client in ("a.default", None):
                assert names(client, ip, 80, udp) == ["a", "b"], (client, ip, udp)
        assert neighbour(ip) == MAC, ip
    peers = {seen("world", ip, 80, udp).split()[1] for ip in (IP4, IP6) for udp in (False, True)}
    assert peers == {"10.0.0.99", "fd00:1::99"}, peers
    peers = {seen(None, ip, 80, udp).split()[1] for ip in (IP4, IP6) for udp in (False, True)}
    straight = {seen(None, ip, 8080).split()[1] for ip in IPS["a"]}
    assert peers == straight and not peers & {IP4, IP6}, (peers, straight)
    node_port = svc["spec"]["ports"][0]["nodePort"]
    programmed(lambda: names("world", "10.0.0.10", node_port) == ["a", "b"])
    listener = serve_on_node(2222)
    assert seen("world", "10.0.0.10", 2222).split()[0] == "node"
    for ip in (IP4, IP6):
        for client in ("world", "a.default", None):
            assert refused(client, ip, 2222), "what listens on the node is not the Service's"
            assert refused(client, ip, node_port) and refused(client, ip, 81)
    listener.kill()
    own = [a["address"] for a in API.get("/api/v1/nodes/node1")["status"]["addresses"]]
    assert not {IP4, IP6} & set(own), own
    assert {IP4, IP6}.isdisjoint(run("ip route get 10.0.0.99").split() +
                                 run("ip route get fd00:1::99").split())
    API.delete(SERVICES + "/web")
    gone(IP4, IP6)
    for ip in (IP4, IP6):       # nobody answers: the kernel of world gives up asking after 3 s
        run("ip -n world neigh del %s dev eth0" % ip, check=False)
        assert isinstance(seen("world", ip, 80, timeout=1), OSError)
        assert neighbour(ip) is None


def serve_on_node(port):
    """It listens on all addresses that the node has."""
    server = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "..", "lib", "echo.py"),
                               "node", str(port)], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    return server


def neighbours_follow():
    """Who sent to another one until now is told at once, and again when the link comes back."""
    for ip in (IP4, IP6):
        run("ip -n world neigh replace %s dev eth0 lladdr %s nud reachable" % (ip, STALE))
    assert neighbour(IP4) == STALE == neighbour(IP6)
    announced_twice("moved")
    for ip in (IP4, IP6):
        programmed(lambda: neighbour(ip) == MAC)
    with listening() as heard:
        run("ip -n world link set eth0 down")
        programmed(lambda: "LOWER_UP" not in ip_json("link show uplink")[0]["flags"])
        run("ip -n world link set eth0 up")
        run("ip -n world addr add fd00:1::99/64 dev eth0 nodad", check=False)
        heard_after_down(heard, IP4, IP6)
    programmed(lambda: names("world", IP4, 80) == ["a", "b"])
    programmed(lambda: names("world", IP6, 80) == ["a", "b"])
    API.delete(SERVICES + "/moved")
    gone(IP4, IP6)


def heard_after_down(heard, *ips):
    """A packet socket says once that its link went down; what comes later is read all the same."""
    try:
        heard(*ips)
    except OSError:
        heard(*ips)


def source_ranges():
    """[H2 H3 H4] who is in a range comes through, the node too where its address is; node ports are free."""
    svc = balanced("ranged", loadBalancerSourceRanges=["192.0.2.0/24"])
    port = svc["spec"]["ports"][0]["nodePort"]
    programmed(lambda: names("world", "10.0.0.10", port) == ["a", "b"])
    for client, ip in (("world", IP4), ("world", IP6), (None, IP4), ("a.default", IP4)):
        programmed(lambda: dropped(client, ip, 80))
    API.patch(SERVICES + "/ranged", {"spec": {"loadBalancerSourceRanges": [" 10.0.0.99/32 ", "fd00:1::99/128"]}})
    for ip in (IP4, IP6):
        programmed(lambda: names("world", ip, 80) == ["a", "b"])
    assert dropped(None, IP4, 80) and dropped(None, IP6, 80)
    API.patch(SERVICES + "/ranged", {"spec": {"loadBalancerSourceRanges": ["10.0.0.10/32", "fd00:1::10/128"]}})
    for ip in (IP4, IP6):
        programmed(lambda: names(None, ip, 80) == ["a", "b"])
        assert dropped("world", ip, 80)
    API.patch(SERVICES + "/ranged", {"spec": {"loadBalancerSourceRanges": None}})
    programmed(lambda: names("world", IP4, 80) == ["a", "b"])
    API.delete(SERVICES + "/ranged")
    gone(IP4, IP6)


def ports_change():
    """[H5] ports and protocols come and go; the address stays."""
    balanced("ports")
    programmed(lambda: names("world", IP4, 80) == ["a", "b"])
    for ports in ([{"name": "t", "port": 81, "targetPort": 8080}],
                  [{"name": "u", "port": 81, "targetPort": 8080, "protocol": "UDP"}]):
        udp = ports[0].get("protocol") == "UDP"
        answer = API.patch(SERVICES + "/ports", {"spec": {"ports": ports}})
        assert ingress(answer) == [IP4, IP6]
        programmed(lambda: names("world", IP4, 81, udp) == ["a", "b"])
        programmed(lambda: names("world", IP6, 81, udp) == ["a", "b"])
        assert refused("world", IP4, 80) and refused("world", IP6, 80)
    assert refused("world", IP4, 81)
    API.delete(SERVICES + "/ports")
    gone(IP4, IP6)


def shared_address():
    """[H5] two Services on one address, which their user wrote into their status, by different ports."""
    run("ip -n world route replace 203.0.113.0/24 via 10.0.0.10")
    for name, port in (("first", 80), ("second", 81)):
        svc = balanced(name, loadBalancerClass="example.org/by-hand", ipFamilyPolicy="SingleStack",
                       ports=[{"port": port, "targetPort": 8080}])
        assert ingress(svc) == []
        svc["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
        API.put(SERVICES + "/" + name + "/status", svc)
        programmed(lambda: names("world", "203.0.113.7", port) == ["a", "b"])
    assert addresses() == [], "it is not ours to answer"
    API.delete(SERVICES + "/first")
    programmed(lambda: not isinstance(names("world", "203.0.113.7", 80, times=1), list))
    assert names("world", "203.0.113.7", 81) == ["a", "b"]
    API.delete(SERVICES + "/second")


def affinity_and_policy():
    """[F5 G4 G6 B5] affinity by either policy; Local without a local endpoint drops who comes from outside."""
    balanced("sticky", sessionAffinity="ClientIP")
    for policy in ("Cluster", "Local", "Cluster"):
        API.patch(SERVICES + "/sticky", {"spec": {"externalTrafficPolicy": policy}})
        for ip in (IP4, IP6):
            programmed(lambda: isinstance(names("world", ip, 80), list))
            assert len(names("world", ip, 80)) == 1, (policy, ip)
        assert {seen("world", IP4, 80).split()[1] for _ in range(8)} == {"10.0.0.99"}
    API.delete(SERVICES + "/sticky")
    gone(IP4, IP6)
    balanced("far", app="nobody", externalTrafficPolicy="Local", ipFamilyPolicy="SingleStack")
    API.post(SLICES, {"metadata": {"name": "far-1", "labels": {"kubernetes.io/service-name": "far"}},
                      "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                      "endpoints": [{"addresses": [IPS["b"][0]], "nodeName": "node2"}]})
    programmed(lambda: names("a.default", IP4, 80) == ["b"])
    programmed(lambda: names(None, IP4, 80) == ["b"])
    assert dropped("world", IP4, 80)
    API.delete(SLICES + "/far-1")
    API.delete(SERVICES + "/far")
    gone(IP4)


def node_as_itself():
    """The node itself has its own address, whatever the policy, also when another host answers."""
    far = serve("world", "echo.py", "far", 8080)
    balanced("far", app=None, selector=None)
    for i, (family, ip) in enumerate((("IPv4", "10.0.0.99"), ("IPv6", "fd00:1::99"))):
        API.post(SLICES, {"metadata": {"name": "far-%d" % i, "labels": {"kubernetes.io/service-name": "far"}},
                          "addressType": family, "endpoints": [{"addresses": [ip]}],
                          "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]})
    for policy in ("Cluster", "Local"):
        API.patch(SERVICES + "/far", {"spec": {"externalTrafficPolicy": policy}})
        programmed(lambda: seen(None, IP4, 80) == "far 10.0.0.10")
        programmed(lambda: seen(None, IP6, 80) == "far fd00:1::10")
    far.kill()
    API.delete(SERVICES + "/far")
    for i in range(2):
        API.delete(SLICES + "/far-%d" % i)
    gone(IP4, IP6)


def endpoint_replaced():
    """[I7] a UDP client with one port of its own goes on when the endpoint is another one."""
    ports = [{"port": 53, "targetPort": 8080, "protocol": "UDP"}]
    balanced("dns", app="dns", ports=ports)
    add_pod("c", {"app": "dns"})
    programmed(lambda: str(seen("world", IP4, 53, True, 0.3, 40000)).startswith("c "))
    add_pod("d", {"app": "dns"})
    drop_pod("c")
    programmed(lambda: str(seen("world", IP4, 53, True, 0.3, 40000)).startswith("d "))
    drop_pod("d")
    API.delete(SERVICES + "/dns")
    gone(IP4, IP6)


def node_has_it_too():
    """[H7] an address of the pool that an administrator gives to the node: answers and routes stay right."""
    balanced("both", ipFamilyPolicy="SingleStack")
    programmed(lambda: names("world", IP4, 80) == ["a", "b"])
    run("ip addr add %s/24 dev uplink" % IP4)
    programmed(lambda: ("lo", IP4) not in addresses())
    listener = serve_on_node(2222)
    programmed(lambda: str(seen("world", IP4, 2222)).startswith("node "))
    listener.kill()
    for client in ("world", "a.default", None):
        assert names(client, IP4, 80) == ["a", "b"], client
    assert ingress(balanced("next", ipFamilyPolicy="SingleStack")) == ["10.0.0.201"]
    API.delete(SERVICES + "/next")
    run("ip addr del %s/24 dev uplink" % IP4)
    programmed(lambda: ("lo", IP4) in addresses())
    programmed(lambda: names("world", IP4, 80) == ["a", "b"])
    assert refused("world", IP4, 2222)
    API.delete(SERVICES + "/both")
    gone(IP4)
    taken = balanced_refused(loadBalancerIP="10.0.0.10")
    assert "no such address" in taken, taken


def balanced_asked(**spec):
    """What the answer would be."""
    code, _, text = API.raw("POST", SERVICES + "?dryRun=All", {"metadata": {"name": "no"}, "spec": dict(
        {"type": "LoadBalancer", "ports": [{"port": 80}]}, **spec)})
    return code, text.decode()


def balanced_refused(**spec):
    code, text = balanced_asked(**spec)
    assert code == 422, text
    return text


def restart_with(*flags):
    NODE.stop()
    NODE.flags = list(flags)
    globals()["API"] = NODE.start().client


def subnet():
    """Of a pool that is the node's own subnet: what is a gateway, or stands for the subnet, is nobody's."""
    flags = NODE.flags
    run("ip route add 198.18.0.0/15 via 10.0.0.1")
    run("ip addr add 10.0.0.133/25 dev uplink")
    restart_with("--load-balancer-cidr", "10.0.0.0/24,fd00:1::/120")
    try:
        assert ingress(balanced("first")) == ["10.0.0.2", "fd00:1::1"], "after the gateway, and after anycast"
        for ip in ("10.0.0.0", "10.0.0.1", "10.0.0.10", "10.0.0.128", "10.0.0.133", "10.0.0.255",
                   "fd00:1::", "fd00:1::10", "fd00:1::99"):
            told = balanced_refused(loadBalancerIP=ip, ipFamilies=["IPv6" if ":" in ip else "IPv4"])
            assert "already allocated" in told, (ip, told)
        run("ip route add 198.20.0.0/15 via 10.0.0.5")
        programmed(lambda: balanced_asked(loadBalancerIP="10.0.0.5")[0] == 422)
        API.delete(SERVICES + "/first")
    finally:
        for command in ("ip route del 198.18.0.0/15", "ip route del 198.20.0.0/15",
                        "ip addr del 10.0.0.133/25 dev uplink"):
            run(command, check=False)
        restart_with(*flags)


def kept():
    """[J1 J3 J4] taken away by hand, a restart, a kill: the same addresses, and connections all the while."""
    announced_twice("kept")
    for ip in (IP4, IP6):
        programmed(lambda: names("world", ip, 80) == ["a", "b"])
    with listening() as heard:
        run("ip addr del %s/32 dev lo" % IP4)
        run("ip addr del %s/128 dev uplink" % IP6)
        heard(IP4, IP6)
    programmed(lambda: addresses() == [("lo", IP4), ("uplink", IP6)])
    for how in (NODE.stop, NODE.kill):
        how()
        assert names("world", IP4, 80) == ["a", "b"] == names("world", IP6, 80)
        with listening() as heard:
            NODE.start()
            heard(IP4, IP6)
        globals()["API"] = NODE.client
        assert NODE.metric("podnet_kernel_operations_total") == 0
        assert addresses() == [("lo", IP4), ("uplink", IP6)]
        assert ingress(API.get(SERVICES + "/kept")) == [IP4, IP6]
    NODE.stop()
    run(NODE.netd, "--purge", "--config", "/dev/null", "--state-dir", NODE.dir + "/state",
        "--run-dir", NODE.dir)
    assert addresses() == []
    NODE.start()
    globals()["API"] = NODE.client
    programmed(lambda: addresses() == [("lo", IP4), ("uplink", IP6)])


def uplink_moves():
    """Another link is the one to the neighbours: the IPv6 address moves there, and is announced there."""
    run("ip link add other type veth peer name eth1 netns world")
    run("ip -n world link set eth1 up")
    with listening(link="eth1") as heard:
        run("ip addr add 10.0.9.10/24 dev other")
        run("ip addr add fd00:9::10/64 dev other nodad")
        run("ip link set other up")
        run("ip link set uplink down")
        run("ip addr del 10.0.0.10/24 dev uplink")
        heard(IP4, IP6)
    programmed(lambda: addresses() == [("lo", IP4), ("other", IP6)])
    API.delete(SERVICES + "/kept")
    gone(IP4, IP6)


if __name__ == "__main__":
    main([answered, neighbours_follow, source_ranges, ports_change, shared_address, affinity_and_policy,
          node_as_itself, endpoint_replaced, node_has_it_too, subnet, kept, uplink_moves])
