# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cluster_load.py - connections between nodes live on: etcd stops, each netd dies, a clock is an hour ahead

PODNET_TEST_OUTAGE says for how many seconds etcd is away; 60 is what is promised.
"""
import calendar
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from etcd import Etcd
from node import PODS, eventually, main, pings, pod
from nodes import Cluster, NODES, takes
from reach import Connected, connect
from services import SERVICES, in_netns, serve

OUTAGE = float(os.environ.get("PODNET_TEST_OUTAGE", "5"))
HOUR = 3600 * 1000
STALLED_S = 10                      # what does not come for so long has been lost

cluster = Cluster(3, etcd=Etcd("10.0.0.250"))
a, b, c = cluster.members
flows = []


class Flow(Connected):
    """Says something, hears the same, and begins anew."""

    def __init__(self, netns, address):
        super().__init__(netns, address)
        self.sock.settimeout(STALLED_S)
        self.who, self.turns, self.error, self.end = "%s -> %s" % (netns, address), 0, None, threading.Event()
        self.thread = threading.Thread(target=self.go_on, daemon=True)
        self.thread.start()

    def go_on(self):
        try:
            while not self.end.wait(0.02):
                said = b"%08d" % self.turns * 128
                self.sock.sendall(said)
                heard = b""
                while len(heard) < len(said):
                    more = self.sock.recv(len(said) - len(heard))
                    assert more, "closed"
                    heard += more
                assert heard == said, "something else came"
                self.turns += 1
        except (OSError, AssertionError) as err:
            self.error = err


def go_on():
    """Each of them gets further than it is now, and each that is made now begins."""
    before = [flow.turns for flow in flows]
    eventually("data flows", lambda: any(f.error for f in flows) or all(
        f.turns > was + 3 for f, was in zip(flows, before)))
    lost = [(f.who, f.error) for f in flows if f.error]
    assert not lost, lost
    for flow in flows:
        netns, address = flow.who.split(" -> ")
        new = Connected(netns, address)
        assert new.alive(), flow.who
        new.sock.close()


def start(member, ready=True):
    member.start(env={"PODNET_FAULT_CLOCK": member.dir + "/clock"}, ready=ready)


def set_clock(member, offset_ms):
    with open(member.dir + "/clock.new", "w") as file:
        file.write("%d" % offset_ms)
    os.rename(member.dir + "/clock.new", member.dir + "/clock")


def one_store(mark):
    """What is written on each is read on all."""
    for member in cluster.members:
        eventually("%s takes writes" % member.name, lambda m=member: takes(m, mark + m.name))
    for member in cluster.members:
        for other in cluster.members:
            member.await_object(SERVICES + "/" + mark + other.name, lambda o: True)
    for member in cluster.members:
        member.client.delete(SERVICES + "/" + mark + member.name)


def test_begin():
    """From each node to the next: pod to pod and by a Service, in both families."""
    for member in cluster.members:
        set_clock(member, 0)
        start(member, ready=False)
    for member in cluster.members:
        member.wait_ready()
    ips = cluster.pods("a")
    for n, member in enumerate(cluster.members, 1):
        serve("a%d.default" % n, "back.py", 81)
        member.client.patch(PODS + "/a%d" % n, {"metadata": {"labels": {"app": "a%d" % n}}})
        made = member.client.post(SERVICES, {"metadata": {"name": "to%d" % n}, "spec": {
            "ports": [{"port": 81}], "selector": {"app": "a%d" % n}, "ipFamilyPolicy": "RequireDualStack"}})
        ips["a%d" % n] += made["spec"]["clusterIPs"]
    for member in cluster.members:
        member.await_paths()
    for n in (1, 2, 3):
        for address in ips["a%d" % (n % 3 + 1)]:
            netns = "a%d.default" % n
            eventually("%s is reached" % address, lambda w=netns, i=address: in_netns(w, lambda: answers(i)) is True)
            flows.append(Flow(netns, address))
    assert len(flows) == 12, ips
    go_on()


def answers(address):
    connect(address, 81).close()
    return True


def made_alone(member, name):
    """Of a runtime, which does not wait for etcd."""
    member.client.post(PODS, pod(name, {"podnet.dev/origin": "cni"}))
    eventually("%s runs" % name, lambda: member.client.get(PODS + "/" + name)["status"]["phase"] == "Running")
    return member.client.get(PODS + "/" + name)["status"]["podIP"]


def test_etcd_stopped():
    """Meanwhile pods of a runtime come and go."""
    for n, member in enumerate(cluster.members, 1):
        made_alone(member, "gone%d" % n)
    cluster.etcd.kill()
    end = time.monotonic() + OUTAGE
    for member in cluster.members:
        eventually("it is told", lambda m=member: m.client.raw("GET", "/readyz")[0] == 503)
    go_on()
    ips = [made_alone(member, "late%d" % n) for n, member in enumerate(cluster.members, 1)]
    for n, member in enumerate(cluster.members, 1):
        member.client.delete(PODS + "/gone%d" % n)
        assert pings("a%d.default" % n, ips[n - 1], wait=10)
    while time.monotonic() < end:
        go_on()
    cluster.etcd.start()
    one_store("caught-up-")
    for member in cluster.members:
        eventually("all are listed", lambda m=member: {p["status"].get("podIP") for p in m.client.get(PODS)[
            "items"] if p["metadata"]["name"][0] != "a"} == set(ips))
    for n in (1, 2, 3):
        assert pings("a%d.default" % (n % 3 + 1), ips[n - 1], wait=10)
    go_on()


def test_netd_killed():
    """On each node in turn."""
    for member in cluster.members:
        member.kill()
        go_on()
        start(member)
        go_on()
        one_store("again-")
    for member in cluster.members:
        a.await_ready(NODES + member.name)


def test_clock():
    """One that is an hour ahead is not lost, nor are others to it; and back again."""
    for offset in (HOUR, 0, -HOUR, 0):
        set_clock(b, offset)
        last = int(a.client.get(SERVICES)["metadata"]["resourceVersion"])
        one_store("clock-")
        assert int(b.client.get(SERVICES)["metadata"]["resourceVersion"]) > last
        made = b.client.post(PODS, pod("c3", nodeName=c.name))["metadata"]["creationTimestamp"]
        made = calendar.timegm(time.strptime(made, "%Y-%m-%dT%H:%M:%SZ"))
        assert abs(made - time.time() - offset / 1000) < HOUR / 2000, (made, offset)
        c.await_running("c3")
        b.client.delete(PODS + "/c3")       # when its grace ends b says, and c knows better
        eventually("it is gone", lambda: c.client.raw("GET", PODS + "/c3")[0] == 404)
        for member in cluster.members:
            for other in cluster.members:
                ready = [o["status"] for o in member.client.get(NODES + other.name)["status"]["conditions"]
                         if o["type"] == "Ready"]
                assert ready == ["True"], (member.name, other.name, ready)
        go_on()


def test_end():
    for flow in flows:
        flow.end.set()
    for flow in flows:
        flow.thread.join()
        assert not flow.error, (flow.who, flow.error)
        flow.sock.close()
    print("     %d connections, %d turns" % (len(flows), sum(f.turns for f in flows)))
    cluster.stop()


if __name__ == "__main__":
    main([test_begin, test_etcd_stopped, test_netd_killed, test_clock, test_end])
