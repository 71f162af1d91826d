# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_store.py - what a write is answered when the store takes none; the rest of it is in tests/fault"""
import itertools
import os

from node import PODS, Node, Refused, eventually, main, pod, run

node = Node()
STATE = node.dir + "/state"
NUMBERS = itertools.count()
os.mkdir(STATE)
run("mount -t tmpfs -o size=12m disk " + STATE)
node.start()


def wishes():
    """Statuses are netd's own, and may still be on their way."""
    return [(p["metadata"]["name"], p["metadata"]["generation"]) for p in node.client.get(PODS)["items"]]


def refused(code, room=False):
    """The message that a write is refused with, which has changed nothing; and that netd says so.

    @room: there may be some again, where the log has been emptied meanwhile.  A second after a refusal,
    netd may find by itself that something small is taken.
    """
    messages = []

    def both():
        before = wishes()
        try:
            node.client.post(PODS, pod("refused%d" % next(NUMBERS), {"filler": "x" * 200000}, hostNetwork=True))
        except Refused as err:
            assert err.code == code, err
            messages.append(err.status["message"])
        else:
            assert room, "not refused"
            return False
        assert wishes() == before
        ready, _, text = node.client.raw("GET", "/readyz")
        return ready == 503 and STATE.encode() in text
    eventually("refused, and not ready", both)
    return messages[-1]


def accepted():
    eventually("ready again", lambda: node.client.raw("GET", "/readyz")[0] == 200)
    node.client.post(PODS, pod("accepted"))
    node.client.delete(PODS + "/accepted")


def no_room():
    """The directory that is full is named."""
    with open(STATE + "/filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass
    full = 0
    for i in range(100):            # and all that the log has of its own, also when it has been emptied meanwhile
        try:
            node.client.post(PODS, pod("p%d" % i, {"filler": "x" * 200000}, hostNetwork=True))
            full = 0
        except Refused as err:
            assert err.code == 507, err
            full += 1
        if full == 5:
            break
    assert STATE in refused(507, room=True)
    os.unlink(STATE + "/filler")
    accepted()


def no_database():
    """Nothing is written to a file that will be gone."""
    os.rename(STATE + "/netd.db", STATE + "/away")
    assert STATE + "/netd.db" in refused(503)
    code, _, text = node.client.raw("PATCH", "/api/v1/namespaces/default",
                                    {"metadata": {"labels": {"a": "b"}}},
                                    {"Content-Type": "application/merge-patch+json"})
    assert code == 503 and STATE.encode() in text, text
    os.rename(STATE + "/away", STATE + "/netd.db")
    accepted()


if __name__ == "__main__":
    main([no_room, no_database])
