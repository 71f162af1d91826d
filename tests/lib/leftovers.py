# SPDX-License-Identifier: LGPL-2.1-or-later
"""leftovers.py - a test that failed leaves to the next one what it found itself

Room: main() of node.py says when a test begins and when it has failed.  The netd that ran goes on,
one that it started is ended, and objects that it made are deleted, whatever finalizers they have.
What it did to the kernel beside netd, and to objects that were there, stays.
"""
import contextlib
import signal

HASTY = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def lists(client):
    """Path of every resource that can be listed and deleted, over all namespaces."""
    groups = ["/api/v1"] + ["/apis/" + g["preferredVersion"]["groupVersion"]
                            for g in client.get("/apis")["groups"]]
    return [group + "/" + r["name"] for group in groups for r in client.get(group)["resources"]
            if "/" not in r["name"] and {"list", "delete"} <= set(r["verbs"])]


def objects(client, paths):
    """uid to path of every object that is there."""
    found = {}
    for path in paths:
        group, plural = path.rsplit("/", 1)
        for obj in client.get(path)["items"]:
            meta = obj["metadata"]
            place = "/namespaces/" + meta["namespace"] if meta.get("namespace") else ""
            found[meta["uid"]] = "%s%s/%s/%s" % (group, place, plural, meta["name"])
    return found


class Before:
    """What is there as a test begins.  @nodes: the list that each new Node adds itself to."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.known = {}                 # node to the uids of its objects
        self.alive = [n for n in nodes if n.alive()]
        for node in self.alive:
            # one that was started without waiting for it may not answer
            with contextlib.suppress(OSError, node.Refused):
                with node.session() as client:
                    self.known[node] = set(objects(client, lists(client)))

    def put_back(self, eventually):
        for node in self.nodes:
            if node.alive():
                node.process.send_signal(signal.SIGCONT)
            if node not in self.alive:
                node.kill()
            elif not node.alive():
                node.start()
        for node, known in self.known.items():
            with node.session() as client:
                paths = lists(client)
                new = set(objects(client, paths)) - known       # and not what netd makes of it anew
                eventually("what the test made is deleted",
                           lambda: not self.delete_once(client, paths, new))

    @staticmethod
    def delete_once(client, paths, new):
        """How many there were; one that another keeps for now is for the next time."""
        left = [path for uid, path in objects(client, paths).items() if uid in new]
        for path in left:
            client.raw("PATCH", path, {"metadata": {"finalizers": None}},
                       {"Content-Type": "application/merge-patch+json"})
            client.raw("DELETE", path, HASTY)
        return len(left)
