# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cluster.py - nodes that share etcd: what is written on one is so on all, and nothing is lost"""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from etcd import Etcd
from node import Client, PODS, Refused, V1, Watch, eventually, main, pod
from nodes import Cluster, NETWORK, NODES

SERVICES = "/api/v1/namespaces/default/services"
NAMESPACES = "/api/v1/namespaces"
ETCD = "10.0.0.250"

cluster = None


def nodes(count=2):
    """The cluster of this suite, made once."""
    global cluster
    if not cluster:
        cluster = Cluster(count, etcd=Etcd(ETCD)).begin()
    return cluster.members


def seen(member, url, wanted=lambda o: True):
    return member.await_object(url, wanted)


def service(name, **spec):
    return {"metadata": {"name": name}, "spec": dict({"ports": [{"port": 80}], "selector": {"app": name}}, **spec)}


def test_one_store():
    a, b = nodes()
    names = sorted(n["metadata"]["name"] for n in seen(b, NODES + a.name) and b.client.get(NODES[:-1])["items"])
    assert names == ["node1", "node2"], names
    made = a.client.post(SERVICES, service("web"))
    got = seen(b, SERVICES + "/web")
    assert got == made, (got, made)
    changed = b.client.patch(SERVICES + "/web", {"metadata": {"labels": {"x": "1"}}})
    assert seen(a, SERVICES + "/web", lambda o: o["metadata"].get("labels")) == changed
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    watch = b.watch(SERVICES + "?resourceVersion=" + changed["metadata"]["resourceVersion"])
    a.client.delete(SERVICES + "/web")
    gone = watch.next()
    assert gone["type"] == "DELETED", gone
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])
    watch.close()


def test_blocks():
    """Each has its own, and gives its pods addresses of it."""
    a, b = nodes()
    mine, other = a.node()["spec"]["podCIDRs"], b.node()["spec"]["podCIDRs"]
    assert not set(mine) & set(other), (mine, other)
    for member in (a, b):
        member.client.post(PODS, pod("own" + member.name))
        member.await_running("own" + member.name)
    for member in (a, b):
        eventually("both have addresses, as seen by " + member.name, lambda m=member: len(
            [p for p in m.client.get(PODS)["items"] if p["status"].get("podIP")]) == 2)
    keys = cluster.etcd.get("/podnet/c/block/", "/podnet/c/block0")
    assert len(keys) == 4, keys
    for member in (a, b):
        eventually("the Network tells whose they are", lambda m=member: [
            (block["nodeName"], block["cidr"]) for block in m.client.get(NETWORK)["status"]["blocks"]] == [
                (a.name, cidr) for cidr in mine] + [(b.name, cidr) for cidr in other])
    for member in (a, b):
        member.client.delete(PODS + "/own" + member.name)


def test_pods_elsewhere():
    """A pod is made and deleted by way of any node, and is in its own node's kernel."""
    a, b = nodes()
    made = a.client.post(PODS, pod("far", nodeName="node2"))
    assert "podIP" not in made.get("status", {})
    running = a.await_running("far")
    assert b.run("ip route show proto 142 " + running["status"]["podIP"])
    block = b.node()["spec"]["podCIDR"].rsplit(".", 2)[0]
    assert running["status"]["podIP"].startswith(block), (running["status"], block)
    assert not a.run("ip route show dev lo proto 142 " + running["status"]["podIP"])
    a.client.delete(PODS + "/far")
    eventually("the pod is gone from its node's kernel",
               lambda: not b.run("ip route show proto 142 " + running["status"]["podIP"]))


def increment(member, times, failed):
    client = Client(member.socket)
    try:
        for _ in range(times):
            while True:
                got = client.get(SERVICES + "/count")
                marks = got["metadata"].setdefault("annotations", {})
                marks["n"] = str(int(marks.get("n", "0")) + 1)
                try:
                    client.put(SERVICES + "/count", got)
                    break
                except Refused as refused:
                    assert refused.code == 409, refused
    except Exception as err:                # pylint: disable=broad-except
        failed.append(err)


def test_increments():
    """Read, change, write on both nodes at once: none is lost."""
    a, b = nodes()
    a.client.post(SERVICES, service("count"))
    seen(b, SERVICES + "/count")
    failed = []
    threads = [threading.Thread(target=increment, args=(member, 25, failed)) for member in (a, b, a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    got = seen(a, SERVICES + "/count", lambda o: o["metadata"]["annotations"]["n"] == "100")
    assert got
    a.client.delete(SERVICES + "/count")


def test_patches():
    """A patch says nothing of a version, and is never refused for another's write."""
    a, b = nodes()
    a.client.post(SERVICES, service("patched"))
    seen(b, SERVICES + "/patched")
    failed = []

    def patch(member, which):
        client = Client(member.socket)
        try:
            for i in range(25):
                client.patch(SERVICES + "/patched", {"metadata": {"labels": {"l%s-%d" % (which, i): "x"}}})
        except Exception as err:            # pylint: disable=broad-except
            failed.append(err)

    threads = [threading.Thread(target=patch, args=(m, k)) for k, m in enumerate((a, b))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    seen(b, SERVICES + "/patched", lambda o: len(o["metadata"]["labels"]) == 50)
    a.client.delete(SERVICES + "/patched")


def test_numbers():
    """No cluster IP and no node port is given twice, asked for on both nodes at once."""
    a, b = nodes()
    failed = []

    def make(member, which):
        client = Client(member.socket)
        try:
            for i in range(20):
                client.post(SERVICES, service("n%d-%d" % (which, i), type="NodePort"))
        except Exception as err:            # pylint: disable=broad-except
            failed.append(err)

    threads = [threading.Thread(target=make, args=(m, k)) for k, m in enumerate((a, b))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    seen(a, SERVICES + "/n1-19")
    items = [s for s in a.client.get(SERVICES)["items"] if s["metadata"]["name"].startswith("n")]
    ips = [s["spec"]["clusterIP"] for s in items]
    ports = [s["spec"]["ports"][0]["nodePort"] for s in items]
    assert len(set(ips)) == 40 and len(set(ports)) == 40, (len(items), len(set(ips)), len(set(ports)))
    # the one that is taken is refused by the other node, and can be had when it is free
    try:
        b.client.post(SERVICES, service("thief", clusterIP=ips[0]))
        raise AssertionError("an address was given twice")
    except Refused as refused:
        assert refused.code == 422, refused
    a.client.delete(SERVICES + "/" + items[0]["metadata"]["name"])
    eventually("the address is free on the other node", lambda: b.client.raw(
        "POST", SERVICES, service("heir", clusterIP=ips[0]))[0] == 201)
    seen(a, SERVICES + "/heir")
    assert a.client.call("DELETE", SERVICES + "?labelSelector=")["items"]


def version(member, url=SERVICES):
    """How far it has got."""
    return int(member.client.get(url)["metadata"]["resourceVersion"])


def test_watch_order():
    """A watcher on one node sees what both write, each change once and in order, and resumes elsewhere."""
    a, b = nodes()
    start = a.client.get(SERVICES)["metadata"]["resourceVersion"]
    watch = a.watch(SERVICES + "?resourceVersion=" + start)
    failed = []

    def write(member, which):
        client = Client(member.socket)
        try:
            for i in range(20):
                client.post(SERVICES, service("w%d-%d" % (which, i)))
                client.delete(SERVICES + "/w%d-%d" % (which, i))
        except Exception as err:            # pylint: disable=broad-except
            failed.append(err)

    threads = [threading.Thread(target=write, args=(m, k)) for k, m in enumerate((a, b))]
    for thread in threads:
        thread.start()
    events = [watch.next() for _ in range(80)]
    for thread in threads:
        thread.join()
    assert not failed, failed
    revs = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert revs == sorted(set(revs)), revs
    watch.close()
    # the same from the other node, from the middle on
    eventually("the other knows of it", lambda: version(b) >= revs[-1])
    again = b.watch(SERVICES + "?resourceVersion=%d" % revs[30])
    rest = [again.next() for _ in range(49)]
    assert rest == events[31:], "the other node tells it differently"
    again.close()


def test_written_by_hand():
    """What somebody puts into etcd on many lines is told on one, under etcd's revision."""
    a, b = nodes()
    made = a.client.post(SERVICES, service("hand"))
    seen(b, SERVICES + "/hand")
    key, value = [kv for kv in cluster.etcd.get("/podnet/o/services", "/podnet/o/servicet").items()
                  if kv[0].endswith("/hand")][0]
    value = json.loads(value)
    value["metadata"]["labels"] = {"by": "hand"}
    watch = b.watch(SERVICES + "?resourceVersion=" + made["metadata"]["resourceVersion"])
    cluster.etcd.put(key, json.dumps(value, indent=1))
    told = watch.next()
    assert told["object"] == seen(a, SERVICES + "/hand", lambda o: o["metadata"].get("labels")), told
    assert int(told["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    watch.close()
    a.client.delete(SERVICES + "/hand")


def test_namespaces():
    """A namespace with content of both nodes is emptied and goes."""
    a, b = nodes()
    a.client.post(NAMESPACES, {"metadata": {"name": "shared"}})
    seen(b, NAMESPACES + "/shared")
    for member in (a, b):
        member.client.post(NAMESPACES + "/shared/pods", pod("p-" + member.name))
        member.client.post(NAMESPACES + "/shared/services", service("s-" + member.name))
        member.await_running("p-" + member.name, NAMESPACES + "/shared/pods")
    b.client.delete(NAMESPACES + "/shared")
    for member in (a, b):
        eventually("the namespace is gone", lambda m=member: m.client.raw("GET", NAMESPACES + "/shared")[0] == 404)
        assert not member.client.get(NAMESPACES + "/shared/pods")["items"]


def test_restart():
    """A netd that was away finds what happened, by the watch and not by a list."""
    a, b = nodes()
    b.client.post(PODS, pod("stays"))
    stays = b.await_running("stays")
    b.stop()
    a.client.post(SERVICES, service("meanwhile"))
    a.client.delete(SERVICES + "/heir") if a.client.raw("GET", SERVICES + "/heir")[0] == 200 else None
    b.start()
    assert seen(b, SERVICES + "/meanwhile") == a.client.get(SERVICES + "/meanwhile")
    assert b.client.get(PODS + "/stays")["status"]["podIP"] == stays["status"]["podIP"]
    last = version(a, PODS)
    eventually("it has caught up", lambda: version(b, PODS) >= last)
    b.client.delete(PODS + "/stays")
    a.client.delete(SERVICES + "/meanwhile")


def test_end():
    cluster.stop()


if __name__ == "__main__":
    main([test_one_store, test_blocks, test_pods_elsewhere, test_increments, test_patches, test_numbers,
          test_watch_order, test_written_by_hand, test_namespaces, test_restart, test_end])
