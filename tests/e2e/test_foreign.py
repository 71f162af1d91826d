# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_foreign.py - what is not ours is never changed or deleted, also when it looks alike"""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node()


def snapshot():
    """What the foreign things look like, in one text."""
    return (run("ip -o link show pnaaaaaaaaaaaaa") + run("ip -o -4 addr show pnaaaaaaaaaaaaa")
            + run("ip -o link show alike") + run("ip route show table all 198.51.100.0/24")
            + run("ip route show table all 198.51.101.0/24") + run("nft list table inet podnet-x")
            + run("ip -n x.default -o link show lo") + run("ip rule list pref 142"))


def setup():
    run("ip link add pnaaaaaaaaaaaaa type veth peer name alike")
    run("ip link set alike alias podnet:nets:0000")
    run("ip addr add 192.0.2.1/24 dev pnaaaaaaaaaaaaa")
    run("ip link set pnaaaaaaaaaaaaa up")
    run("ip link set alike up")
    run("ip route add 198.51.100.0/24 dev pnaaaaaaaaaaaaa")
    run("ip route add 198.51.101.0/24 via 192.0.2.9 proto 80")
    run("ip rule add pref 142 to 198.51.100.0/24 table 142")
    run("ip netns add x.default")
    run("ip netns add alien")
    run("nft add table inet podnet-x")
    for link in ("pnaaaaaaaaaaaaa", "alike"):
        eventually("it is up", lambda: "state UP" in run("ip -o link show " + link))
    NODE.start()


def foreign_things_stay():
    before = snapshot()
    NODE.client.post(PODS, pod("mine"))
    NODE.await_running("mine")
    run("ip link del eth0", netns="mine.default")
    eventually("repaired", lambda: pings(None, NODE.client.get(PODS + "/mine")["status"]["podIP"]))
    NODE.client.delete(PODS + "/mine")
    eventually("gone", lambda: "mine.default" not in namespaces())
    NODE.stop()
    NODE.start()
    assert snapshot() == before


def a_pod_whose_namespace_is_taken_says_so():
    NODE.client.post(PODS, pod("x"))
    got = NODE.await_object(PODS + "/x", lambda o: any(
        c["status"] == "False" and "x.default" in c.get("message", "")
        for c in o["status"].get("conditions", [])))
    assert got["status"]["phase"] == "Pending", got
    inode = os.stat("/run/netns/x.default").st_ino
    NODE.client.delete(PODS + "/x")
    eventually("deleted", lambda: not NODE.client.get(PODS)["items"])
    NODE.stop()
    NODE.start()
    assert os.stat("/run/netns/x.default").st_ino == inode


def a_bridge_whose_name_is_taken_says_so():
    NODE.client.post(V1 + "/bridges", {"metadata": {"name": "alike"}, "spec": {}})
    got = NODE.await_ready(V1 + "/bridges/alike", "False")
    message = got["status"]["conditions"][0]["message"]
    assert message == "link alike: it is foreign: there already, and not made for this object", got
    NODE.client.delete(V1 + "/bridges/alike")
    run("ip link show alike")


def what_is_wrong_is_said_in_words():
    """And not which call found it out: that is for the log."""
    for kind, spec, reason, message in (
            ("networknamespaces", {"path": "/etc/passwd"}, "Invalid", "/etc/passwd: it is not a network namespace"),
            ("networknamespaces", {"path": "/run/none"}, "NamespaceNotFound",
             "/run/none: there is no such network namespace"),
            ("bridges", {"networkNamespace": "none"}, "NamespaceNotFound", "none: there is no such network namespace"),
            ("veths", {"ends": [{"name": "wo0", "bridge": "none"}, {"name": "wo1"}]}, "LinkNotFound",
             "link wo0: its bridge is not there"),
            ("routes", {"destination": "203.0.113.0/24", "interface": "none"}, "LinkNotFound",
             "route 203.0.113.0/24 dev none: its link is not there"),
            ("routes", {"destination": "203.0.113.0/24", "gateway": "198.18.0.1"}, "GatewayUnreachable",
             "route 203.0.113.0/24: Network is unreachable (kernel: Nexthop has invalid gateway)")):
        NODE.client.post(V1 + "/" + kind, {"metadata": {"name": "wordy"}, "spec": spec})
        got = NODE.await_ready(V1 + "/%s/wordy" % kind, "False")["status"]["conditions"][0]
        NODE.client.delete(V1 + "/%s/wordy" % kind)
        assert (got["reason"], got["message"]) == (reason, message), got


def a_route_that_is_taken_says_so():
    NODE.client.post(V1 + "/routes", {"metadata": {"name": "r"}, "spec": {
        "destination": "198.51.101.0/24", "interface": "pnaaaaaaaaaaaaa"}})
    NODE.await_ready(V1 + "/routes/r", "False")
    NODE.client.delete(V1 + "/routes/r")
    assert "proto 80" in run("ip route show 198.51.101.0/24").replace("calico", "80")


def conflict(name):
    got = NODE.await_ready(V1 + "/routes/" + name, "False")
    said = [x for x in got["status"]["conditions"] if x["type"] == "Ready"][0]
    assert said["reason"] == "NameConflict" and "the route of a pod" in said["message"], said


def a_route_of_a_pod_is_the_pods():
    """All routes of ours bear one protocol, yet a Route neither takes a pod's nor takes it away."""
    def route(name, **spec):
        NODE.client.post(V1 + "/routes", {"metadata": {"name": name}, "spec": spec})
    NODE.client.post(PODS, pod("q"))
    address = NODE.await_running("q")["status"]["podIP"]
    alike = {"destination": "10.244.3.33/32", "interface": "pnaaaaaaaaaaaaa"}
    before = [run("ip route show " + address), run("ip route show default", netns="q.default")]
    route("host", destination=address + "/32", interface="pnaaaaaaaaaaaaa")
    route("inside", destination="0.0.0.0/0", interface="eth0", networkNamespace="q.default")
    for name in ("host", "inside"):
        conflict(name)
        NODE.client.delete(V1 + "/routes/" + name)
    assert run("ip route show " + address) == before[0]
    assert run("ip route show default", netns="q.default") == before[1]
    route("early", **alike)
    NODE.await_ready(V1 + "/routes/early")
    NODE.client.post(PODS, pod("late", {"podnet.dev/ips": "10.244.3.33"}))
    NODE.await_running("late")
    conflict("early")
    assert "alike" not in run("ip route show 10.244.3.33") and pings(None, "10.244.3.33", wait=10)
    NODE.client.patch(V1 + "/routes/early", {"spec": {"destination": "203.0.113.7/32"}})
    NODE.await_ready(V1 + "/routes/early")
    assert pings(None, "10.244.3.33", wait=10)
    NODE.client.patch(V1 + "/routes/early", {"spec": {"destination": "10.244.3.33/32"}})
    conflict("early")
    NODE.client.delete(PODS + "/late")
    NODE.await_ready(V1 + "/routes/early")
    for url in (V1 + "/routes/early", PODS + "/q"):
        NODE.client.delete(url)
    eventually("gone", lambda: not run("ip route show 10.244.3.33"))


def a_conflict_that_ends_is_resolved():
    NODE.client.post(V1 + "/bridges", {"metadata": {"name": "late"}, "spec": {}})
    NODE.await_ready(V1 + "/bridges/late")
    NODE.client.delete(V1 + "/bridges/late")
    eventually("gone", lambda: "late" not in run("ip -br link"))
    run("ip link add late type bridge")
    NODE.client.post(V1 + "/bridges", {"metadata": {"name": "late"}, "spec": {}})
    NODE.await_ready(V1 + "/bridges/late", "False")
    run("ip link del late")
    NODE.await_ready(V1 + "/bridges/late")
    NODE.client.delete(V1 + "/bridges/late")


def the_first_success_is_no_repair():
    run("ip netns add y.default")
    watch = NODE.watch("/api/v1/events")
    NODE.client.post(PODS, pod("y"))
    NODE.await_object(PODS + "/y", lambda o: "y.default" in json.dumps(o["status"].get("conditions")))
    run("ip netns del y.default")
    NODE.await_running("y")
    run("ip link del eth0", netns="y.default")
    watch.until(lambda e: e["object"].get("reason") == "Repaired" and e["object"]["involvedObject"]["name"] == "y"
                and "done: link add" in e["object"]["message"])
    watch.close()
    said = [e["message"] for e in NODE.client.get("/api/v1/events")["items"]
            if e["involvedObject"]["name"] == "y" and e["reason"] == "Repaired"]
    assert not any("netns add" in message for message in said), said
    NODE.client.delete(PODS + "/y")
    eventually("gone", lambda: "y.default" not in namespaces())


def own_network():
    """What a pod in the node's own namespace would have changed."""
    return (run("ip route show default") + run("ip -6 route show default")
            + run("ip -o addr show lo") + run("ip -o link show type ifb")
            + "".join(l["ifname"] for l in ip_json("link show") if l["ifname"].startswith("eth")))


def a_pod_around_the_nodes_own_namespace_is_refused():
    before = own_network()
    for name, netns in (("self", "pid:%d" % os.getpid()), ("path", "/proc/self/ns/net")):
        NODE.client.post(PODS, pod(name, {"podnet.dev/netns": netns,
                                          "kubernetes.io/egress-bandwidth": "5M"}))
        got = NODE.await_object(PODS + "/" + name, lambda o: any(
            c["type"] == "NetworkReady" and c["status"] == "False"
            for c in o["status"].get("conditions", [])))
        said = [c for c in got["status"]["conditions"] if c["type"] == "NetworkReady"][0]
        assert "the node itself" in said["message"] and said["reason"] == "Invalid", said
        assert name + ".default" not in namespaces()
        NODE.client.delete(PODS + "/" + name)
    eventually("gone", lambda: not NODE.client.get(PODS)["items"])
    assert own_network() == before


def overlaps(name, status):
    return NODE.await_object(V1 + "/networks/" + name, lambda o: any(
        c["type"] == "OverlapsHost" and c["status"] == status
        for c in o.get("status", {}).get("conditions", [])))["status"]["conditions"]


def a_network_over_the_nodes_own_is_refused():
    for cidr in ("192.0.0.0/16", "192.0.2.128/25", "198.51.100.0/24"):
        try:
            NODE.client.post(V1 + "/networks", {"metadata": {"name": "over"}, "spec": {
                "type": "bridge", "cidrs": ["fd63::/48", cidr]}})
            raise AssertionError(cidr + " was taken")
        except Refused as err:
            assert err.code == 422, err
            assert [c["field"] for c in err.status["details"]["causes"]] == ["spec.cidrs[1]"], err


def a_network_that_is_overlapped_later_says_so():
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "under"}, "spec": {
        "type": "bridge", "cidrs": ["10.63.0.0/16"]}})
    overlaps("under", "False")
    for how in ("addr %s 10.63.5.1/24 dev pnaaaaaaaaaaaaa", "route %s 10.63.0.0/18 dev pnaaaaaaaaaaaaa"):
        run("ip " + how % "add")
        said = overlaps("under", "True")
        assert "10.63.0.0/16 overlaps 10.63." in json.dumps(said), said
        run("ip " + how % "del")
        overlaps("under", "False")
    NODE.client.delete(V1 + "/networks/under")


def a_network_around_a_bridge_of_ours_is_refused():
    NODE.client.post(V1 + "/bridges", {"metadata": {"name": "lan0"}, "spec": {"addresses": ["10.66.0.1/24"]}})
    try:
        NODE.client.post(V1 + "/networks", {"metadata": {"name": "around"}, "spec": {"cidrs": ["10.66.0.0/16"]}})
        raise AssertionError("not refused")
    except Refused as err:
        assert err.code == 422 and 'addresses of Bridge "lan0"' in err.status["message"], err
    NODE.client.delete(V1 + "/bridges/lan0")


def start_refused(flags):
    """Standard error of a netd that does not start."""
    import subprocess
    done = subprocess.run([NODE.netd, "--config", "/dev/null", "--node-name", "node2"] + flags,
                          stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
    assert done.returncode == 1, done
    return done.stderr


def another_netd_does_not_start():
    NODE.client.post(PODS, pod("stays"))
    NODE.await_running("stays")
    other = ["--state-dir", NODE.dir + "/state2", "--run-dir", NODE.dir + "/run2"]
    assert "another netd is running" in start_refused(other)
    NODE.stop()
    other = ["--state-dir", NODE.dir + "/state2", "--run-dir", NODE.dir]
    assert "another database" in start_refused(other)
    NODE.start()
    assert NODE.metric("podnet_kernel_operations_total") == 0, NODE.tail()
    NODE.client.delete(PODS + "/stays")


def another_cluster_cidr_is_warned_about():
    NODE.stop()
    NODE.flags = ["--cluster-cidr", "10.99.0.0/16"]
    NODE.start()
    kept = "event=cluster_cidr_kept stored=10.244.0.0/16 configured=10.99.0.0/16"
    assert NODE.tail(100000).count(kept) == 1, NODE.tail()
    NODE.stop()
    NODE.flags = []
    NODE.start()
    assert NODE.tail(100000).count("cluster_cidr_kept") == 1, NODE.tail()


def who_drops_is_told():
    """[J14] a chain such as dockerd makes where it is what turns forwarding on."""
    def forwarding():
        conditions = NODE.client.get("/api/v1/nodes/node1")["status"]["conditions"]
        return next((c for c in conditions if c["type"] == "podnet.dev/ForwardingOpen"), {})
    eventually("nobody does", lambda: forwarding().get("status") == "True")
    run("nft", "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")
    eventually("told", lambda: forwarding().get("status") == "False")
    assert "ip filter FORWARD" in forwarding()["message"]
    run("nft delete table ip filter")
    eventually("mended", lambda: forwarding().get("status") == "True")


def netd_says(*flags):
    return run(NODE.netd, "--config", "/dev/null", "--state-dir", NODE.dir + "/state", "--run-dir", NODE.dir, *flags)


def declare_abroad():
    """In a namespace that is not ours, in one that is adopted, and at home: what only a record tells."""
    def post(kind, name, **spec):
        NODE.client.post(V1 + "/" + kind, {"metadata": {"name": name}, "spec": spec})
        NODE.await_ready(V1 + "/%s/%s" % (kind, name))
    post("networknamespaces", "adopted", path="/run/netns/alien")
    post("bridges", "wbr", networkNamespace="world")
    post("veths", "wv", ends=[{"name": "wv0", "networkNamespace": "world"},
                              {"name": "wv1", "networkNamespace": "world"}])
    post("routes", "there", destination="203.0.113.0/24", networkNamespace="world", interface="w0")
    post("routes", "into", destination="203.0.113.0/24", networkNamespace="adopted", type="blackhole")
    post("routes", "here", destination="203.0.113.0/24", type="unreachable")
    post("routes", "six", destination="fd77::/64", table=77, networkNamespace="world", type="unreachable")


def abroad():
    """Without what the kernel makes of IPv6 by itself, and when it likes."""
    return [[l["ifname"] for l in ip_json("link show", "world")]] + [
        run(command) for command in (
            "ip -n world -4 route show table all", "ip -n world -6 route show table all proto 142",
            "ip -n alien -4 route show table all", "ip route show 203.0.113.0/24")]


def what_the_store_forgot_goes():
    run("ip netns add world")
    run("ip -n world link add w0 type bridge")
    run("ip -n world link set w0 up")
    run("ip -n world route add 203.0.114.0/24 dev w0 proto 142")    # of ours by protocol, and by nothing else
    before = abroad()
    netd_says("--backup", NODE.dir + "/copy")
    declare_abroad()
    assert not [i for i, was in enumerate(before) if abroad()[i] == was], abroad()
    NODE.kill()
    shutil.copy(NODE.dir + "/copy", NODE.dir + "/state/netd.db")
    NODE.start()
    eventually("as before", lambda: abroad() == before)
    assert not NODE.client.get(V1 + "/routes")["items"]
    eventually("no record is left", lambda: not os.listdir(NODE.dir + "/routes"))


def purge_takes_ours_and_nothing_else():
    NODE.client.post(PODS, pod("p"))
    NODE.await_running("p")
    NODE.client.post(V1 + "/networks", {"metadata": {"name": "lan"}, "spec": {
        "type": "bridge", "cidrs": ["10.61.0.0/16"]}})
    NODE.await_ready(V1 + "/networks/lan")
    assert any("br-lan" in record for record in os.listdir(NODE.dir + "/sysctl"))
    before, there = snapshot(), abroad()
    declare_abroad()
    NODE.stop()
    netd_says("--purge")
    assert snapshot() == before and abroad() == there, abroad()
    assert namespaces() == ["alien", "world", "x.default"], namespaces()
    eventually("links gone", lambda: not marked_links())
    assert "inet podnet\n" not in run("nft list tables"), run("nft list tables")
    assert not run("ip route show table all proto 142"), run("ip route show table all proto 142")
    assert not run("ip -6 route show table all proto 142")
    assert "169.254.1.1" not in run("ip addr show lo")
    for kept in ("sysctl", "netns", "routes"):
        assert os.listdir(NODE.dir + "/" + kept) == [], os.listdir(NODE.dir + "/" + kept)


if __name__ == "__main__":
    setup()
    main([foreign_things_stay, a_pod_whose_namespace_is_taken_says_so,
          a_bridge_whose_name_is_taken_says_so, what_is_wrong_is_said_in_words, a_route_that_is_taken_says_so,
          a_route_of_a_pod_is_the_pods, a_conflict_that_ends_is_resolved, the_first_success_is_no_repair,
          a_pod_around_the_nodes_own_namespace_is_refused, a_network_over_the_nodes_own_is_refused,
          a_network_that_is_overlapped_later_says_so, a_network_around_a_bridge_of_ours_is_refused,
          another_netd_does_not_start, who_drops_is_told, another_cluster_cidr_is_warned_about,
          what_the_store_forgot_goes, purge_takes_ours_and_nothing_else])
