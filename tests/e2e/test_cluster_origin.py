# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cluster_origin.py - without etcd a node makes and deletes its runtimes' pods by itself, and hands in"""
import contextlib
import json
import os
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from etcd import Etcd
from node import Client, PODS, eventually, main, pings, pod, run
from nodes import Cluster, write_to
from services import SERVICES, SLICES

PROVISIONAL = 1 << 62
EVENTS = "/api/v1/namespaces/default/events"
ROUNDS = 6

cluster = Cluster(2, etcd=Etcd("10.0.0.250"), flags=["--node-grace", "2"])
a, b = cluster.members
made, watch = {}, None


def of_runtime(name, labels=None, **spec):
    body = pod(name, {"podnet.dev/origin": "cni"}, **spec)
    body["metadata"]["labels"] = labels or {}
    return body


def code(member, method, url, body=None):
    return member.client.raw(method, url, body)[0]


def there(member, name):
    """The pod, or None."""
    got, _, text = member.client.raw("GET", PODS + "/" + name)
    assert got in (200, 404), text
    return json.loads(text) if got == 200 else None


def listed(member):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in member.client.get(PODS)["items"]}


def running(member, name):
    eventually(name + " runs", lambda: there(member, name)["status"]["phase"] == "Running")
    return there(member, name)


def has_namespace(name):
    return os.path.exists("/run/netns/%s.default" % name)


def away(member):
    eventually("writes are refused", lambda: write_to(member)[0] == 503)


def is_back(member):
    eventually("it is ready", lambda: member.client.raw("GET", "/readyz")[0] == 200)


def answers(member):
    try:
        return Client(member.socket).raw("GET", "/livez")[0] == 200
    except OSError:
        return False


def restart(member):
    member.kill()
    member.start(ready=False)
    eventually("it answers", lambda: answers(member))
    member.client = Client(member.socket)


def sound(member):
    run(member.netd, "--config", "/dev/null", "--node-name", member.name, "--state-dir", member.dir + "/state",
        "--check")


def own_rows(member):
    """What its database has for itself: what waits for etcd, and what may still be in the kernel."""
    with contextlib.closing(sqlite3.connect("file:%s/state/netd.db?mode=ro" % member.dir, uri=True)) as db:
        return db.execute("SELECT kind, name FROM object WHERE kind LIKE '~%'").fetchall()


def settled(member):
    eventually("nothing waits: %s" % own_rows(member), lambda: not own_rows(member))
    sound(member)


def endpoints(member):
    return {ip for s in member.client.get(SLICES)["items"] for e in s["endpoints"] or [] for ip in e["addresses"]}


def cut():
    """Nothing comes from etcd to a."""
    for command in ("table inet cut", "chain inet cut in { type filter hook input priority 0 ; }",
                    "rule inet cut in ip saddr 10.0.0.250 drop"):
        a.run("nft add " + command)


def in_etcd(prefix):
    key = "/podnet/o/pods/default/" + prefix
    return cluster.etcd.get(key, key + "~")


def test_made():
    """It is there for who asks for it, and in the kernel; lists, watches and Services have it later."""
    global watch
    cluster.begin()
    made["plain"] = cluster.pods("a")["a1"][0]
    for member in (a, b):
        member.await_paths()
        for name in ("a1", "a2"):
            member.await_running(name)
    for name in ("was", "goes"):
        a.client.post(PODS, of_runtime(name))
        a.await_running(name)
        b.await_running(name)
    a.client.post(SERVICES, {"metadata": {"name": "both"}, "spec": {
        "ports": [{"port": 80}], "selector": {"app": "both"}}})
    before = listed(a)
    watch = a.watch(PODS + "?resourceVersion=" + a.client.get(PODS)["metadata"]["resourceVersion"])
    cluster.etcd.kill()
    for member in (a, b):
        away(member)
    answer = a.client.post(PODS, of_runtime("new", {"app": "both"}))
    assert answer["spec"]["nodeName"] == a.name and answer["status"]["podIP"]
    made["new"] = running(a, "new")
    assert made["new"]["metadata"]["uid"] == answer["metadata"]["uid"]
    assert pings("a1.default", made["new"]["status"]["podIP"], wait=10)
    assert pings("new.default", made["plain"], wait=10)
    assert listed(a) == before and made["new"]["status"]["podIP"] not in endpoints(a)
    assert code(b, "GET", PODS + "/new") == 404
    assert code(a, "POST", PODS, of_runtime("new")) == 409
    assert code(a, "POST", PODS, of_runtime("a1")) == 409
    for refused in (pod("plain"), of_runtime("other", nodeName=b.name)):
        assert code(a, "POST", PODS, refused) == 503
    assert code(a, "DELETE", PODS + "/a1") == 503 and code(a, "DELETE", PODS + "/a2") == 503
    assert code(b, "DELETE", PODS + "/was") == 503      # another node's
    assert code(a, "DELETE", PODS + "/new?dryRun=All") == 200 and there(a, "new")
    a.client.patch(PODS + "/new", {"metadata": {"labels": {"said": "later"}}})
    assert there(a, "new")["metadata"]["labels"]["said"] == "later"


def test_deleted():
    """One that etcd has never seen, and one that it still has, whose name can be had again."""
    uid, ip = there(a, "was")["metadata"]["uid"], there(a, "was")["status"]["podIP"]
    a.client.post(PODS, of_runtime("short"))
    running(a, "short")
    for name in ("short", "was", "goes"):
        a.client.delete(PODS + "/" + name)
        assert there(a, name) is None
        eventually("its namespace is gone", lambda n=name: not has_namespace(n))
    assert code(a, "DELETE", PODS + "/was") == 404
    assert listed(a)["was"] == uid and "short" not in listed(a)
    eventually("it is not reached any more", lambda: not pings("a1.default", ip))
    assert there(b, "was")["metadata"]["uid"] == uid
    a.client.post(PODS, of_runtime("was"))
    made["was"] = running(a, "was")
    assert made["was"]["metadata"]["uid"] != uid and made["was"]["status"]["podIP"] != ip
    assert listed(a)["was"] == uid
    a.client.post(PODS, of_runtime("slow", terminationGracePeriodSeconds=3600))
    running(a, "slow")
    assert a.client.delete(PODS + "/slow")["metadata"]["deletionTimestamp"]
    eventually("with nothing in it its grace is over", lambda: there(a, "slow") is None)
    sound(a)


def test_killed():
    """A netd that dies knows all of it again."""
    restart(a)
    for name in ("new", "was"):
        assert there(a, name)["metadata"]["uid"] == made[name]["metadata"]["uid"]
        eventually("it is reached", lambda n=name: pings("a1.default", made[n]["status"]["podIP"]))
    for name in ("short", "goes"):
        assert there(a, name) is None and not has_namespace(name)
    assert code(a, "POST", PODS, of_runtime("new")) == 409
    sound(a)


def test_handed_in():
    """With etcd all have all of it, as it was; and its watchers are told once."""
    watch.close()
    told = a.watch(PODS + "?resourceVersion=" + a.client.get(PODS)["metadata"]["resourceVersion"])
    cluster.etcd.start()
    for member in (a, b):
        is_back(member)
    for name in ("new", "was"):
        want = made[name]
        got = b.await_object(PODS + "/" + name, lambda o, w=want: o["metadata"]["uid"] == w["metadata"]["uid"])
        assert got["status"]["podIP"] == want["status"]["podIP"] and got["status"]["phase"] == "Running"
        assert int(got["metadata"]["resourceVersion"]) < PROVISIONAL
        eventually("both say the same", lambda n=name: there(a, n) == there(b, n))
        assert pings("a2.default", want["status"]["podIP"], wait=10)
    assert there(b, "new")["metadata"]["labels"] == {"app": "both", "said": "later"}
    eventually("what was deleted is gone", lambda: "goes" not in listed(b) and "goes" not in listed(a))
    eventually("both list the same", lambda: listed(a) == listed(b) and set(listed(a)) == {"a1", "a2", "new", "was"})
    eventually("its Service has it", lambda: made["new"]["status"]["podIP"] in endpoints(b))
    seen = [told.next() for _ in range(4)]
    assert sorted((e["type"], e["object"]["metadata"]["name"]) for e in seen) == [
        ("ADDED", "new"), ("ADDED", "was"), ("DELETED", "goes"), ("DELETED", "was")], seen
    revs = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert revs == sorted(set(revs)) and revs[-1] < PROVISIONAL, revs
    told.close()
    settled(a)
    for name in ("new", "was"):
        a.client.delete(PODS + "/" + name)
        eventually("its namespace is gone", lambda n=name: not has_namespace(n))


def test_written_since():
    """Handed in once without an answer, and written since: etcd gets that too, unless another has written it."""
    cluster.etcd.kill()
    away(a)
    early = {}
    for name in ("ours", "theirs"):
        a.client.post(PODS, of_runtime(name))
        early[name] = running(a, name)
        status = early[name]["status"]
        early[name]["status"] = dict({k: status[k] for k in ("networks", "podIP", "podIPs")}, phase="Pending")
    cut()
    cluster.etcd.start()
    is_back(b)
    for name in early:
        cluster.etcd.put("/podnet/o/pods/default/" + name, json.dumps(early[name]))
        a.client.patch(PODS + "/" + name, {"metadata": {"labels": {"written": "here"}}})
        b.await_object(PODS + "/" + name, lambda o: True)
    b.client.patch(PODS + "/theirs", {"metadata": {"labels": {"written": "there"}}})
    a.run("nft delete table inet cut")
    is_back(a)
    for name, where in (("ours", "here"), ("theirs", "there")):
        got = b.await_object(PODS + "/" + name, lambda o, w=where: o["status"]["phase"] == "Running" and
                             o["metadata"].get("labels") == {"written": w})
        assert got["metadata"]["uid"] == early[name]["metadata"]["uid"]
        eventually("both say the same", lambda n=name: there(a, n) == there(b, n))
    settled(a)
    for name in early:
        a.client.delete(PODS + "/" + name)
    eventually("they are gone", lambda: set(listed(b)) == {"a1", "a2"})


def test_conflict():
    """Of two that were made under one name etcd's stays, and an Event says so; so where a namespace has gone."""
    a.client.post("/api/v1/namespaces", {"metadata": {"name": "short-lived"}})
    b.await_object("/api/v1/namespaces/short-lived", lambda o: True)
    run("ip link set up1 down")
    away(a)
    for name in ("same", "here", "mine"):
        a.client.post(PODS, of_runtime(name))
        made[name] = running(a, name)
    a.client.post("/api/v1/namespaces/short-lived/pods", of_runtime("lost"))
    eventually("it is made", lambda: os.path.exists("/run/netns/lost.short-lived"))
    # b's kernel has a namespace for it too, which on one machine would be the same
    b.client.post(PODS, pod("same", hostNetwork=True))
    b.client.post(PODS, pod("here", nodeName=a.name))
    b.client.delete("/api/v1/namespaces/short-lived")
    eventually("it is gone", lambda: code(b, "GET", "/api/v1/namespaces/short-lived") == 404)
    run("ip link set up1 up")
    is_back(a)
    theirs = b.client.get(PODS + "/same")
    eventually("etcd's is there", lambda: (there(a, "same") or made["same"])["metadata"]["uid"] ==
               theirs["metadata"]["uid"])
    eventually("ours has left the kernel", lambda: not has_namespace("same"))
    eventually("so has the other", lambda: not os.path.exists("/run/netns/lost.short-lived"))
    eventually("it is told", lambda: {
        e["involvedObject"]["uid"] for e in b.client.get(EVENTS)["items"] if e["reason"] == "FailedCreate"} == {
            made[name]["metadata"]["uid"] for name in ("same", "here")})
    got = b.await_running("here")           # etcd's own, for this node
    assert got["metadata"]["uid"] != made["here"]["metadata"]["uid"]
    eventually("it is reached", lambda: pings("a1.default", got["status"]["podIP"]))
    eventually("what is no conflict is there", lambda: there(b, "mine") == there(a, "mine") is not None)
    settled(a)
    assert "pod_refused" in a.tail(1000)
    for name in ("same", "here", "mine"):
        b.client.delete(PODS + "/" + name)
    eventually("all is gone", lambda: listed(a) == listed(b) and set(listed(a)) == {"a1", "a2"})


def test_finalized():
    """One that was deleted here, and held by another node meanwhile: all have it as one that ends."""
    for name in ("held", "again", "host"):
        a.client.post(PODS, of_runtime(name, hostNetwork=name == "host"))
        a.await_running(name)
        b.await_running(name)
    old = there(a, "again")["metadata"]["uid"]
    cluster.etcd.kill()
    away(a)
    for name in ("held", "again", "host"):
        a.client.delete(PODS + "/" + name)
    a.client.post(PODS, of_runtime("again"))
    made["again"] = running(a, "again")
    cut()
    cluster.etcd.start()
    is_back(b)
    for name in ("held", "again", "host"):
        b.client.patch(PODS + "/" + name, {"metadata": {"finalizers": ["test.dev/held"]}})
    a.run("nft delete table inet cut")
    is_back(a)
    for name in ("held", "again", "host"):
        got = b.await_object(PODS + "/" + name, lambda o: o["metadata"].get("deletionTimestamp"))
        assert got["status"] == {"phase": "Failed"}, got["status"]
    eventually("both say the same", lambda: there(a, "held") == there(b, "held"))
    eventually("its namespace is gone", lambda: not has_namespace("held"))
    got, _, text = a.client.raw("POST", PODS, of_runtime("held"))
    assert got == 409 and json.loads(text)["reason"] == "AlreadyExists", text
    assert there(a, "again")["metadata"]["uid"] == made["again"]["metadata"]["uid"]
    assert there(b, "again")["metadata"]["uid"] == old
    restart(a)
    is_back(a)
    eventually("both say the same", lambda: all(there(a, name) == there(b, name) for name in ("held", "host")))
    assert not has_namespace("held") and there(a, "host")["status"] == {"phase": "Failed"}
    for name in ("held", "host"):
        a.client.patch(PODS + "/" + name, {"metadata": {"finalizers": None}})
    b.client.patch(PODS + "/again", {"metadata": {"finalizers": None}})
    b.await_object(PODS + "/again", lambda o: o["metadata"]["uid"] == made["again"]["metadata"]["uid"])
    eventually("both say the same", lambda: there(a, "again") == there(b, "again"))
    for name in ("held", "host"):
        eventually("it is gone", lambda n=name: n not in listed(a) and n not in listed(b))
    settled(a)
    a.client.delete(PODS + "/again")
    eventually("all is gone", lambda: listed(a) == listed(b) and set(listed(a)) == {"a1", "a2"})


def unanswered():
    """What a asks etcd arrives, and nothing comes back."""
    a.client.post(PODS, of_runtime("before"))       # the connection that it took is kept
    a.client.delete(PODS + "/before")
    cut()


def test_unknown_address():
    """Of a pod that was made after all the address is its own."""
    unanswered()
    assert code(a, "POST", PODS, pod("kept")) == 504
    b.await_object(PODS + "/kept", lambda o: True)
    a.run("nft delete table inet cut")
    is_back(a)
    ip = a.await_running("kept")["status"]["podIP"]
    got, _, text = a.client.raw("POST", PODS, pod("thief", {"podnet.dev/ips": ip}))
    assert got == 422 and b"is taken" in text, (got, text)
    a.client.delete(PODS + "/kept")
    eventually("it is gone", lambda: set(listed(b)) == {"a1", "a2"})


def test_not_taken():
    """What etcd does not take though it is there, being too large for it: told once, and tried until it does."""
    cluster.etcd.kill()
    away(a)
    large = of_runtime("large")
    large["metadata"]["annotations"]["test.dev/text"] = "x" * 40000
    a.client.post(PODS, large)
    made["large"] = running(a, "large")

    def too_large():
        return sum("event=hand_in_failed" in line and "too large" in line for line in a.tail(1000).splitlines())
    cluster.etcd.start("--max-request-bytes", "20000")
    eventually("it is told", lambda: too_large() == 1)
    is_back(a)
    a.client.post(PODS, of_runtime("small"))        # and holds up no other
    b.await_running("small")
    assert there(a, "large")["metadata"]["uid"] == made["large"]["metadata"]["uid"] and not there(b, "large")
    assert too_large() == 1
    cluster.etcd.kill()
    cluster.etcd.start()
    b.await_object(PODS + "/large", lambda o: o["metadata"]["uid"] == made["large"]["metadata"]["uid"])
    for name in ("large", "small"):
        a.client.delete(PODS + "/" + name)
    settled(a)


def test_alone():
    """Without --etcd netd does not start on what waits for etcd, and all of it waits on; then it does, and says so."""
    a.client.post(PODS, of_runtime("had"))
    a.await_running("had")
    cluster.etcd.kill()
    away(a)
    a.client.post(PODS, of_runtime("waits"))
    made["waits"] = running(a, "waits")
    a.client.delete(PODS + "/had")
    rows = own_rows(a)
    shared, at = list(a.flags), a.flags.index("--etcd")
    a.stop()
    a.flags = shared[:at] + shared[at + 2:]
    a.start(ready=False)
    assert a.process.wait(60) == 1 and "to be told of 2 Pods" in a.tail() and "MANY NODES" in a.tail(), a.tail()
    assert has_namespace("waits")
    waiting = [r for r in own_rows(a) if r[0] in ("~made", "~unmade")]
    assert len(waiting) == 2 and set(waiting) <= set(rows), (waiting, rows)
    alone = a.flags
    a.flags = shared
    a.start(ready=False)
    eventually("it answers", lambda: answers(a))
    a.client = Client(a.socket)
    cluster.etcd.start()
    is_back(a)
    b.await_object(PODS + "/waits", lambda o: o["metadata"]["uid"] == made["waits"]["metadata"]["uid"])
    eventually("it is gone", lambda: "had" not in listed(b))
    a.client.delete(PODS + "/waits")
    settled(a)
    a.stop()
    run("cp -a %s/state %s/kept" % (a.dir, a.dir))      # from then on etcd would be behind
    a.flags = alone
    a.start()
    assert "event=replica_alone" in a.tail(1000), a.tail()
    assert {"a1", "a2"} <= set(listed(a))
    a.stop()
    run("rm -r %s/state" % a.dir)
    run("mv %s/kept %s/state" % (a.dir, a.dir))
    a.flags = shared
    a.start()


def test_unknown():
    """One that was on its way, and whose maker was told that nobody knows: the one that is made anew stays."""
    unanswered()
    assert code(a, "POST", PODS, of_runtime("twice")) == 504
    lost = b.await_object(PODS + "/twice", lambda o: True)
    away(a)
    assert there(a, "twice") is None
    a.client.post(PODS, of_runtime("twice"))
    made["twice"] = running(a, "twice")
    assert made["twice"]["metadata"]["uid"] != lost["metadata"]["uid"]
    a.run("nft delete table inet cut")
    is_back(a)
    b.await_object(PODS + "/twice", lambda o: o["metadata"]["uid"] == made["twice"]["metadata"]["uid"])
    eventually("both say the same", lambda: there(a, "twice") == there(b, "twice"))
    assert pings("a2.default", made["twice"]["status"]["podIP"], wait=10)
    settled(a)
    a.client.delete(PODS + "/twice")
    eventually("it is gone", lambda: set(listed(b)) == {"a1", "a2"} and not has_namespace("twice"))


def test_any_time():
    """Wherever netd or etcd dies while it is handed in: each is there once, and what was deleted is not."""
    for turn in range(ROUNDS):
        kept, dropped = ["k%d-%d" % (turn, n) for n in range(6)], ["d%d-%d" % (turn, n) for n in range(6)]
        for name in dropped[:3]:
            a.client.post(PODS, of_runtime(name))
        cluster.etcd.kill()
        away(a)
        for name in kept + dropped[3:]:
            a.client.post(PODS, of_runtime(name))
        for name in dropped:
            a.client.delete(PODS + "/" + name)
        uids = {name: there(a, name)["metadata"]["uid"] for name in kept}
        cluster.etcd.start()
        eventually("it is handed in", lambda n=turn: len(in_etcd("k%d-" % turn)) >= n)
        if turn % 2:
            cluster.etcd.kill(signal.SIGKILL)
            away(a)
            cluster.etcd.start()
        else:
            restart(a)
        is_back(a)
        is_back(b)
        want = dict(uids, **{n: listed(a)[n] for n in ("a1", "a2")})
        for member in (a, b):
            eventually("all of it is there (%d)" % turn, lambda m=member: listed(m) == want)
        eventually("and in the kernel", lambda: all(has_namespace(n) for n in kept) and not any(
            has_namespace(n) for n in dropped))
        for name in kept:
            eventually("both say the same", lambda n=name: there(a, n) == there(b, n) and there(
                a, n)["status"]["phase"] == "Running")
            a.client.delete(PODS + "/" + name)
        eventually("it is gone", lambda: set(listed(b)) == {"a1", "a2"})
        settled(a)


def test_reseeded():
    """Into an etcd that lost everything, too: what waits here is no row that a seed takes over."""
    cluster.etcd.kill()
    away(a)
    a.client.post(PODS, of_runtime("late"))
    uid = there(a, "late")["metadata"]["uid"]
    cluster.etcd.empty()
    cluster.etcd.start()
    eventually("it says so", lambda: "EtcdEmpty" in a.tail(1000))
    run("nsenter", "--net=/run/netns/" + a.name, a.netd, "--config", "/dev/null", "--state-dir",
        a.dir + "/state", "--etcd", cluster.etcd.url, "--reseed")
    for member in (a, b):
        is_back(member)
        eventually("it is there", lambda m=member: listed(m).get("late") == uid)
    cluster.stop()


if __name__ == "__main__":
    main([test_made, test_deleted, test_killed, test_handed_in, test_written_since, test_conflict, test_finalized,
          test_not_taken, test_alone, test_unknown, test_unknown_address, test_any_time, test_reseeded])
