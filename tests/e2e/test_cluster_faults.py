# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cluster_faults.py - etcd stops, is lost, compacts; nodes die and come back; two are called the same"""
import json
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from etcd import Etcd
from node import Client, Node, PODS, Refused, V1, eventually, main, pings, pod, run
from nodes import Cluster, NODES, takes, write_to
from services import SERVICES, SLICES, ask, in_netns, serve

GRACE = 2

cluster = None


def nodes():
    """The cluster of this suite, made once, with a pod on each node."""
    global cluster
    if not cluster:
        cluster = Cluster(2, etcd=Etcd("10.0.0.250"), flags=["--node-grace", str(GRACE)]).begin()
        cluster.ips = cluster.pods("a")
        for member in cluster.members:
            member.await_paths()
            for name in cluster.ips:
                member.await_running(name)
    return cluster.members


def service(name, **spec):
    return {"metadata": {"name": name}, "spec": dict({"ports": [{"port": 80}], "selector": {"app": name}}, **spec)}


def reachable():
    """Pod to pod, across the nodes."""
    return pings("a1.default", cluster.ips["a2"][0]) and pings("a2.default", cluster.ips["a1"][0])


def refuses(member):
    code, headers = write_to(member)
    return code == 503 and headers["Retry-After"]


def reason(member):
    return member.client.raw("GET", "/readyz")[2].decode()


def sound(member):
    checked = run(member.netd, "--config", "/dev/null", "--node-name", member.name, "--state-dir",
                  member.dir + "/state", "--run-dir", member.dir, "--check")
    assert "revision" in checked and "problem" not in checked, checked


def test_stopped():
    """Without etcd: the data plane stays, reads are answered, writes are 503; and all of it is caught up."""
    a, b = nodes()
    assert reachable()
    cluster.etcd.kill()
    for member in (a, b):
        eventually("writes are refused", lambda m=member: refuses(m))
        assert len(member.client.get(PODS)["items"]) == 2
        eventually("it says why", lambda m=member: "etcd" in reason(m) or "store" in reason(m))
    assert reachable()
    # what the kernel loses is put right all the same
    a.run("ip route flush proto 142")
    eventually("the routes are back", reachable)
    cluster.etcd.start()
    for n, member in enumerate((a, b)):
        eventually("writes are taken", lambda m=member, n=n: takes(m, "after%d" % n))
    a.await_object(SERVICES + "/after1", lambda o: True)
    eventually("it is ready", lambda: reason(a) == "ok")
    for n in (0, 1):
        a.client.delete(SERVICES + "/after%d" % n)


def test_frozen():
    """A write that is on its way when etcd falls silent is 504: nobody knows whether it was made."""
    a, b = nodes()
    assert takes(a, "before")       # the connection that it took is kept
    cluster.etcd.kill(signal.SIGSTOP)
    try:
        code = a.client.raw("POST", SERVICES, service("frozen"))[0]
    finally:
        cluster.etcd.kill(signal.SIGCONT)
    assert code == 504, code
    eventually("writes are taken again", lambda: takes(a, "after"))
    # the one that nobody knew of is there from now on, whoever has made it
    eventually("it is there", lambda: a.client.raw("POST", SERVICES, service("frozen"))[0] in (201, 409))
    for name in ("before", "after", "frozen"):
        a.await_object(SERVICES + "/" + name, lambda o: True)
        a.client.delete(SERVICES + "/" + name)


def test_restart_away():
    """A start without etcd: everything comes back from the replica, and pods keep running."""
    a, b = nodes()
    cluster.etcd.kill()
    b.kill()
    assert reachable()
    b.start(ready=False)
    eventually("it answers", lambda: b_answers(b))
    b.client = Client(b.socket)
    got = b.client.get(PODS + "/a2")
    assert got["status"]["podIP"] == cluster.ips["a2"][0]
    assert reachable()
    eventually("writes are refused", lambda: refuses(b))
    cluster.etcd.start()
    eventually("writes are taken", lambda: takes(b, "back"))
    eventually("it is ready", lambda: reason(b) == "ok")
    a.client.delete(SERVICES + "/back") if a.await_object(SERVICES + "/back", lambda o: True) else None


def b_answers(member):
    try:
        return Client(member.socket).raw("GET", "/livez")[0] == 200
    except OSError:
        return False


def test_compacted():
    """What a netd slept through is compacted: it lists, and its watchers are told each change once."""
    a, b = nodes()
    a.client.post(SERVICES, service("old"))
    b.await_object(SERVICES + "/old", lambda o: True)
    watch = b.watch(SERVICES + "?resourceVersion=" + b.client.get(SERVICES)["metadata"]["resourceVersion"])
    b.process.send_signal(signal.SIGSTOP)
    run("ip link set up2 down")             # or its kernel takes what is sent meanwhile
    a.client.delete(SERVICES + "/old")
    for i in range(5):
        a.client.post(SERVICES, service("new%d" % i))
    cluster.etcd.kill()
    cluster.etcd.start()                    # the stream that it had is gone
    cluster.etcd.compact()
    run("ip link set up2 up")
    b.process.send_signal(signal.SIGCONT)
    seen = [watch.next() for _ in range(6)]
    names = sorted((e["type"], e["object"]["metadata"]["name"]) for e in seen)
    assert names == [("ADDED", "new%d" % i) for i in range(5)] + [("DELETED", "old")], names
    revs = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert revs == sorted(set(revs)), revs
    eventually("writes are taken", lambda: takes(b, "again"))
    eventually("writes are taken", lambda: takes(a, "too"))
    for name in ["again", "too"] + ["new%d" % i for i in range(5)]:
        b.await_object(SERVICES + "/" + name, lambda o: True)
        b.client.delete(SERVICES + "/" + name)
    watch.close()
    eventually("the node is reached again", reachable)


def test_compacted_next():
    """So where that is the very next change, and a deletion."""
    a, b = nodes()
    a.client.post(V1 + "/routes", {"metadata": {"name": "short"}, "spec": {
        "nodeName": "nobody", "destination": "203.0.113.0/24", "gateway": "192.0.2.1"}})
    b.await_object(V1 + "/routes/short", lambda o: True)
    b.kill()
    a.client.delete(V1 + "/routes/short")
    cluster.etcd.compact()
    b.start()
    eventually("it has gone", lambda: b.client.raw("GET", V1 + "/routes/short")[0] == 404)


def test_released():
    """What was released while a netd was down, and is compacted, it does not keep: another may have it."""
    a, b = nodes()
    ip = a.client.post(SERVICES, service("old"))["spec"]["clusterIP"]
    b.await_object(SERVICES + "/old", lambda o: True)
    b.kill()
    a.client.delete(SERVICES + "/old")
    cluster.etcd.compact()
    b.start()
    eventually("it is released there too", lambda: b.client.raw(
        "POST", SERVICES, service("again", clusterIP=ip))[0] == 201)
    assert a.await_object(SERVICES + "/again", lambda o: True) == b.client.get(SERVICES + "/again")
    sound(b)
    b.client.delete(SERVICES + "/again")


def test_same_name():
    """A second netd of a name does not begin while the first lives."""
    a, _ = nodes()
    run("ip netns add twin")
    run("ip link add uptwin type veth peer name eth0 netns twin")
    run("ip link set uptwin up master ul")
    for command in ("ip link set lo up", "ip link set eth0 up", "ip addr add 10.0.0.77/24 dev eth0"):
        run(command, netns="twin")
    twin = Node(through=["nsenter", "--net=/run/netns/twin"],
                flags=["--node-name", a.name, "--etcd", cluster.etcd.url])
    twin.start(ready=False)
    assert twin.process.wait(60) == 1
    assert "another netd lives under the name" in twin.tail(), twin.tail()
    run("ip netns del twin")


def said_ready(member, name="both"):
    """Of the pod of the second node, of the endpoints in slices, and how many of Endpoints are ready and not."""
    ready = [c for c in member.client.get(PODS + "/a2")["status"]["conditions"] if c["type"] == "Ready"][0]
    slices = [s for s in member.client.get(SLICES)["items"]
              if s["metadata"]["labels"]["kubernetes.io/service-name"] == name]
    of_node = {e["nodeName"]: e["conditions"]["ready"] for s in slices for e in s["endpoints"]}
    made = member.client.raw("GET", "/api/v1/namespaces/default/endpoints/" + name)[2]
    subsets = json.loads(made).get("subsets", [])
    return [ready["status"], ready.get("reason")], of_node, [
        sum(len(s.get(kind, [])) for s in subsets) for kind in ("addresses", "notReadyAddresses")]


def test_lost_node(by_user=False):
    """A node that dies is said to be so, and its endpoints leave after a grace; back, all is as before."""
    a, b = nodes()
    servers = [serve("a%d.default" % n, "echo.py", "a%d" % n, 80) for n in (1, 2)]
    for n, member in enumerate((a, b), 1):
        member.client.patch(PODS + "/a%d" % n, {"metadata": {"labels": {"app": "both"}}})
    ip = a.client.post(SERVICES, service("both"))["spec"]["clusterIP"]

    def answers():
        said = [in_netns("a1.default", lambda: ask(ip, 80)) for _ in range(20)]
        return {text.split()[0] for text in said if isinstance(text, str)}

    eventually("both answer", lambda: len(answers()) == 2)
    if by_user:
        b.client.call("PATCH", PODS + "/a2/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                      {"Content-Type": "application/strategic-merge-patch+json"})
    b.kill()
    lost = a.await_object(NODES + b.name, lambda o: any(
        c["type"] == "Ready" and c["status"] == "Unknown" and c["reason"] == "NodeStatusUnknown"
        for c in o["status"]["conditions"]))
    assert lost["spec"]["podCIDRs"]
    eventually("its endpoints have left", lambda: len(answers()) == 1)
    eventually("it is said of its pod, in slices and Endpoints", lambda: said_ready(a) == (
        ["False", "NodeNotReady"], {a.name: True, b.name: False}, [1, 1]))
    a.client.post(SERVICES, service("later", selector={"app": "both"}))
    eventually("also of a Service that is made now", lambda: said_ready(a, "later") == (
        ["False", "NodeNotReady"], {a.name: True, b.name: False}, [1, 1]))
    assert reachable()                      # nobody has taken its routes or pods away
    b.start()
    b.await_ready(NODES + b.name)
    a.await_ready(NODES + b.name)
    assert b.node()["spec"]["podCIDRs"] == lost["spec"]["podCIDRs"]
    eventually("both answer again", lambda: len(answers()) == 2)
    for member in (a, b):
        for name in ("both", "later"):
            eventually("all is ready again, " + name, lambda m=member, n=name: said_ready(m, n) == (
                ["True", None], {a.name: True, b.name: True}, [2, 0]))
    a.client.delete(SERVICES + "/later")
    try:
        a.client.delete(NODES + b.name)
        raise AssertionError("the Node of a netd that runs was deleted")
    except Refused as refused:
        assert refused.code == 403, refused
    a.client.delete(SERVICES + "/both")
    for server in servers:
        server.kill()


def test_lost_again():
    """And a client had said that its pod is ready."""
    test_lost_node(by_user=True)


def test_deleted_node():
    """What a Node that is deleted leaves goes after a grace: its pods and slices, and no others'."""
    a, b = nodes()
    for n, member in enumerate((a, b), 1):
        member.client.patch(PODS + "/a%d" % n, {"metadata": {"labels": {"app": "left"}}})
    a.client.post(SERVICES, service("left"))

    def kept():
        slices = [s["metadata"]["labels"]["podnet.dev/node"] for s in a.client.get(SLICES)["items"]
                  if s["metadata"]["labels"]["kubernetes.io/service-name"] == "left"]
        return {p["metadata"]["name"] for p in a.client.get(PODS)["items"]}, set(slices)

    eventually("both have slices", lambda: kept() == ({"a1", "a2"}, {a.name, b.name}))
    b.kill()
    a.await_ready(NODES + b.name, "Unknown")
    assert kept() == ({"a1", "a2"}, {a.name, b.name}), "a node that is not heard of keeps what it has"
    a.client.post(PODS, pod("nowhere", nodeName="node9"))
    primitives = [(V1 + "/bridges", n) for n in (a.name, b.name, "node9")] + [(V1 + "/networknamespaces", b.name)]
    for url, node in primitives:
        a.client.post(url, {"metadata": {"name": "of-" + node}, "spec": {"nodeName": node}})
    a.client.delete(NODES + b.name)
    eventually("they are gone", lambda: kept() == ({"a1"}, {a.name}))
    eventually("and what was declared there", lambda: [
        o["metadata"]["name"] for url in ("/bridges", "/networknamespaces") for o in a.client.get(V1 + url)["items"]
    ] == ["of-" + a.name])
    a.client.delete(V1 + "/bridges/of-" + a.name)
    eventually("it is told why", lambda: {
        e["involvedObject"]["name"] for e in a.client.get("/api/v1/events")["items"]
        if e["reason"] == "NodeGone"} == {"a2", "nowhere"})
    b.start()
    b.await_ready(NODES + b.name)
    eventually("its kernel has no such pod", lambda: not os.path.exists("/run/netns/a2.default"))
    a.client.delete(SERVICES + "/left")
    b.client.post(PODS, pod("a2"))
    cluster.ips["a2"] = [ip["ip"] for ip in b.await_running("a2")["status"]["podIPs"]]
    for member in (a, b):
        member.await_paths()
    eventually("the new one is reached", reachable)


def begun(member, method, url, body=None):
    """A request that is on its way; (code of the answer) when called."""
    client = Client(member.socket)
    client.conn.request(method, url, json.dumps(body) if body else None)

    def code():
        answer = client.conn.getresponse()
        answer.read()
        client.close()
        return answer.status
    return code


def test_network_in_use():
    """A Network goes on one node while a pod is attached to it on the other: not both, whoever is first."""
    a, b = nodes()
    url, wish = V1 + "/networks/side", pod("side", {"podnet.dev/networks": "side"})
    for turn in range(4):
        a.client.post(V1 + "/networks", {"metadata": {"name": "side"}, "spec": {"cidrs": ["10.77.0.0/16"]}})
        b.await_object(url, lambda o: True)
        b.client.post(PODS, wish)           # the node has a block from then on
        b.client.delete(PODS + "/side")
        a.client.patch(url, {"metadata": {"labels": {"turn": str(turn)}}})
        eventually("it is gone there too", lambda: a.client.raw("GET", PODS + "/side")[0] == 404)
        a.process.send_signal(signal.SIGSTOP)
        asked = begun(a, "DELETE", url)
        b.client.post(PODS, wish)
        a.process.send_signal(signal.SIGCONT)
        assert asked() in (403, 409)
        b.client.delete(PODS + "/side")
        b.await_object(url, lambda o: True)
        b.process.send_signal(signal.SIGSTOP)
        asked = begun(b, "POST", PODS, wish)
        eventually("the Network can go", lambda: a.client.raw("DELETE", url)[0] in (200, 404))
        b.process.send_signal(signal.SIGCONT)
        code = asked()
        assert code not in (200, 201), code
        for member in (a, b):
            eventually("nothing of it is left", lambda m=member: m.client.raw("GET", url)[0] == 404
                       and m.client.raw("GET", PODS + "/side")[0] == 404)


def ports(numbers):
    return [{"name": "p%d" % n, "port": n, "nodePort": n} for n in numbers]


def unowned():
    """Claims of numbers in etcd whose owner is no Service."""
    uids = {s["metadata"]["uid"] for s in cluster.members[0].client.get("/api/v1/services")["items"]}
    claims = cluster.etcd.get("/podnet/c/ip/~", "/podnet/c/ip/~~")
    return {key: owner for key, owner in claims.items() if owner not in uids}


def test_many_claims():
    """Services with more node ports than etcd takes at once: all or nothing, though two nodes want the same."""
    a, b = nodes()
    for turn in range(8):
        codes = []
        wanted = [(a, "one", range(30100, 30280)), (b, "two", range(30400, 30220, -1))]
        threads = [threading.Thread(target=lambda m=m, n=n, r=r: codes.append(Client(m.socket).raw(
            "POST", SERVICES, service(n, type="NodePort", ports=ports(r)))[0])) for m, n, r in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes.count(201) <= 1 and set(codes) <= {201, 409, 422}, codes
        eventually("nothing is claimed for nobody (%d)" % turn, lambda: not unowned())
        for member, name, _ in wanted:
            if member.client.raw("GET", SERVICES + "/" + name)[0] == 200:
                member.client.delete(SERVICES + "/" + name)
        eventually("all is released", lambda: not cluster.etcd.get("/podnet/c/ip/~n", "/podnet/c/ip/~o"))
        for member in (a, b):
            for name in ("one", "two"):
                eventually("both know it", lambda m=member, n=name: m.client.raw("GET", SERVICES + "/" + n)[0] == 404)
    assert not any("unowned_claim_released" in m.tail(1000) for m in (a, b)), "it is given back at once"


def test_unowned_claims():
    """What a netd that died has claimed for a Service that never was can be had again; so after restarts."""
    a, b = nodes()
    made = a.client.post(SERVICES, service("owned", type="NodePort", ports=ports([30500])))
    before = cluster.etcd.get("/podnet/c/", "/podnet/c0")
    left = [key for key, owner in before.items() if owner == made["metadata"]["uid"] and "~n" in key]
    assert len(left) == 1, before
    key = left[0][:left[0].rindex(".")] + ".%d" % (30501 % 256)
    cluster.etcd.put(key, "00000000-0000-4000-8000-000000000000")
    for member in (a, b):
        eventually("it cannot be had", lambda m=member: m.client.raw("POST", SERVICES + "?dryRun=All", service(
            "wants", type="NodePort", ports=ports([30501])))[0] == 422)
    a.client.post(SERVICES, service("past"))    # what is followed again begins behind it
    b.await_object(SERVICES + "/past", lambda o: True)
    for member in (a, b):
        member.kill()
    assert key in cluster.etcd.get(key)
    for member in (a, b):
        member.start()
    eventually("it is released", lambda: key not in cluster.etcd.get(key))
    eventually("it can be had", lambda: b.client.raw("POST", SERVICES, service(
        "wants", type="NodePort", ports=ports([30501])))[0] == 201)
    a.await_object(SERVICES + "/wants", lambda o: True)
    after = cluster.etcd.get("/podnet/c/", "/podnet/c0")
    assert set(before) <= set(after), set(before) - set(after)
    for name in ("owned", "wants", "past"):
        a.client.delete(SERVICES + "/" + name)


def test_cut_off():
    """A link that drops everything: no end of a connection is told, and it is found out all the same."""
    a, b = nodes()
    tries = []

    def is_refused():
        """503: it is not made; 504, of one that was on its way: nobody knows."""
        tries.append(b.client.raw("POST", SERVICES, service("lost%d" % len(tries)))[0])
        return tries[-1] == 503
    run("ip link set up2 down")
    eventually("writes are refused", is_refused)
    assert len(b.client.get(PODS)["items"]) == 2
    a.await_object(NODES + b.name, lambda o: any(
        c["type"] == "Ready" and c["status"] == "Unknown" for c in o["status"]["conditions"]))
    assert takes(a, "meanwhile")
    run("ip link set up2 up")
    b.await_object(SERVICES + "/meanwhile", lambda o: True)
    eventually("writes are taken", lambda: takes(b, "found"))
    a.await_ready(NODES + b.name)
    a.await_object(SERVICES + "/found", lambda o: True)
    names = {s["metadata"]["name"] for s in a.client.get(SERVICES)["items"]}
    unknown = {"lost%d" % n for n, code in enumerate(tries) if code == 504}
    assert names - unknown == {"found", "meanwhile"}, (names, tries)
    for name in names:
        a.client.delete(SERVICES + "/" + name)
    eventually("the node is reached again", reachable)


def test_emptied():
    """An etcd that lost everything takes nothing down, and is filled again from a replica."""
    a, b = nodes()
    before = a.client.get(PODS)["items"]
    last = int(a.client.get(PODS)["metadata"]["resourceVersion"])
    cluster.etcd.empty()
    cluster.etcd.start()
    for member in (a, b):
        eventually("it says so", lambda m=member: "EtcdEmpty" in m.tail(1000))
        eventually("writes are refused", lambda m=member: refuses(m))
        assert len(member.client.get(PODS)["items"]) == 2
        eventually("the Node says so", lambda m=member: [
            (c["status"], c["reason"]) for c in m.node()["status"]["conditions"]
            if c["type"] == "podnet.dev/ClusterStore"] == [("False", "EtcdEmpty")])
    assert reachable()
    seed = ["nsenter", "--net=/run/netns/" + a.name, a.netd, "--config", "/dev/null", "--state-dir",
            a.dir + "/state", "--etcd", cluster.etcd.url, "--reseed"]
    said = run(*seed)
    assert "seeded" in said, said
    for n, member in enumerate((a, b)):
        eventually("writes are taken", lambda m=member, n=n: takes(m, "seeded%d" % n))
    made = b.await_object(SERVICES + "/seeded0", lambda o: True)
    assert int(made["metadata"]["resourceVersion"]) > last
    after = a.client.get(PODS)["items"]
    assert [p["metadata"]["uid"] for p in after] == [p["metadata"]["uid"] for p in before]
    assert reachable()
    for member in (a, b):
        member.await_object(NODES + member.name, lambda o: any(
            c["type"] == "podnet.dev/ClusterStore" and c["status"] == "True" for c in o["status"]["conditions"]))
        sound(member)
    again = subprocess.run(seed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert again.returncode == 1 and "only an empty one" in again.stdout, again.stdout


def test_end():
    cluster.stop()


if __name__ == "__main__":
    main([test_stopped, test_frozen, test_restart_away, test_compacted, test_compacted_next, test_released, test_same_name, test_lost_node,
          test_lost_again, test_deleted_node, test_network_in_use, test_many_claims, test_unowned_claims, test_cut_off, test_emptied, test_end])
