# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_namespaces.py - what a Namespace has, and that deleting one empties it"""
from node import Node, Refused, main, pod

node = Node().start()
c = node.client
NS = "/api/v1/namespaces"


def made():
    got = c.post(NS, {"metadata": {"name": "made"}})
    assert got["metadata"]["labels"] == {"kubernetes.io/metadata.name": "made"}, got
    assert got["spec"]["finalizers"] == ["kubernetes"] and got["status"]["phase"] == "Active", got
    got = c.patch(NS + "/made", {"metadata": {"labels": {"kubernetes.io/metadata.name": None}}})
    assert got["metadata"]["labels"] == {"kubernetes.io/metadata.name": "made"}, got
    c.delete(NS + "/made")


def await_gone(name, act):
    watch = node.watch(NS + "?fieldSelector=metadata.name=" + name)
    act()
    watch.until(lambda e: e["type"] == "DELETED")
    watch.close()


def emptied():
    c.post(NS, {"metadata": {"name": "full"}})
    for i in range(5):
        c.post(NS + "/full/pods", pod("p%d" % i, terminationGracePeriodSeconds=600))
    c.post(NS + "/full/events", {"metadata": {"name": "e"}, "involvedObject": {
        "kind": "Pod", "namespace": "full"}})

    def delete():
        got = c.delete(NS + "/full")
        assert got["status"]["phase"] == "Terminating" and got["metadata"]["deletionTimestamp"]

    await_gone("full", delete)
    assert c.get(NS + "/full/pods")["items"] == []
    assert c.get(NS + "/full/events")["items"] == []
    c.post(NS, {"metadata": {"name": "full"}})          # the name is free, and it is a new one
    c.post(NS + "/full/pods", pod("p0"))
    await_gone("full", lambda: c.delete(NS + "/full"))


def many():
    """More than one transaction holds."""
    c.post(NS, {"metadata": {"name": "many"}})
    for i in range(450):
        c.post(NS + "/many/events", {"metadata": {"name": "e%d" % i}, "involvedObject": {
            "kind": "Pod", "namespace": "many"}})
    await_gone("many", lambda: c.delete(NS + "/many"))


def waits_for_finalizers():
    c.post(NS, {"metadata": {"name": "held"}})
    c.post(NS + "/held/pods", {"metadata": {"name": "p", "finalizers": ["a.b/c"]}})
    watch = node.watch(NS + "/held/pods")
    c.delete(NS + "/held")
    watch.until(lambda e: e["object"]["metadata"].get("deletionTimestamp"))
    try:
        c.post(NS + "/held/pods", pod("late"))
    except Refused as r:
        assert r.code == 403 and r.status["message"] == 'pods "late" is forbidden: unable to create' \
            " new content in namespace held because it is being terminated", r
        assert r.status["details"]["causes"][0]["reason"] == "NamespaceTerminating", r
        assert r.status["details"]["name"] == "late", r
    else:
        raise AssertionError("a pod was made in a namespace that is being deleted")
    watch.close()
    await_gone("held", lambda: c.patch(NS + "/held/pods/p", {"metadata": {"finalizers": []}}))


def over_a_restart():
    c.post(NS, {"metadata": {"name": "over"}})
    c.post(NS + "/over/pods", {"metadata": {"name": "p", "finalizers": ["a.b/c"]}})
    c.delete(NS + "/over")
    node.stop()
    node.start()
    await_gone("over", lambda: node.client.patch(NS + "/over/pods/p",
                                                 {"metadata": {"finalizers": []}}))


main([made, emptied, many, waits_for_finalizers, over_a_restart, node.stop])
