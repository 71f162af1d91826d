# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_clock.py - the time of day is set back, and forth: versions grow, graces end, addresses come free, Events stay

Room: a test build adds what a file says to the time of day; nobody's clock is touched.
"""
import subprocess
import time

from store import *             # noqa: F403  pylint: disable=wildcard-import

DAY = 86400 * 1000
TINY = {"metadata": {"name": "tiny"},
        "spec": {"type": "routed", "cidrs": ["10.77.0.0/29"], "blockSizes": [29]}}
ON_TINY = {"podnet.dev/networks": "tiny"}


class Clocked(Stored):
    def __init__(self):
        super().__init__(["--log-level", "warning"])
        self.clock = self.dir + "/clock"
        self.set_clock(0)

    def set_clock(self, offset_ms):
        with open(self.clock + ".new", "w") as file:
            file.write("%d" % offset_ms)
        os.rename(self.clock + ".new", self.clock)

    def start(self, env=None, ready=True):
        return super().start(dict(env or {}, PODNET_FAULT_CLOCK=self.clock), ready)


def version(obj):
    return int(obj["metadata"]["resourceVersion"])


@alone
def versions():
    """They grow while netd runs, over an orderly end and over a kill, a day back each time."""
    node, last = Clocked().start(), 0
    for back in range(4):
        node.set_clock(-back * DAY)
        for i in range(3):
            seen = version(node.client.post(PODS, pod("p%d-%d" % (back, i), hostNetwork=True)))
            assert seen > last, (seen, last)
            last = seen
        (node.stop if back % 2 else node.kill)()
        node.start()
        seen = version(node.client.get(PODS))
        assert seen >= last, (seen, last)
        last = seen
    node.stop()
    code, text = node.netd_says("--check")
    assert code == 0, text


@alone
def graces():
    """As long as was said, whatever the clock says meanwhile; and a start lets nobody wait for a day."""
    node = Clocked().start()
    for jump, restart in ((-DAY, False), (DAY, False), (-DAY, True)):
        node.set_clock(0)
        node.client.post(PODS, pod("a"))
        node.await_running("a")
        guest = subprocess.Popen(["ip", "netns", "exec", "a.default", "sleep", "60"])   # so it lasts
        try:
            eventually("the guest", lambda: run("ip netns pids a.default").split())
            began = time.monotonic()
            watch = node.watch(PODS + "?fieldSelector=metadata.name=a")
            node.client.delete(PODS + "/a", {"gracePeriodSeconds": 4})
            node.set_clock(jump)
            if restart:
                node.kill()
                node.start()
                eventually("it is gone", lambda: not node.client.get(PODS)["items"])
            else:
                watch.until(lambda e: e["type"] == "DELETED")
            took = time.monotonic() - began
            watch.close()
            # it ends with a second of the clock, and begins when the write is done
            assert 1.5 < took < DEADLINE, (jump, restart, took)
        finally:
            guest.kill()
            guest.wait()
        print("     %+d days%s: %.1f s" % (jump // DAY, ", started anew" if restart else "", took))
    node.stop()


@alone
def addresses():
    """One that cooled down before the clock was set back is given out, and its row does not stand in the way."""
    node = Clocked().start()
    node.client.post(V1 + "/networks", TINY)
    for i in range(5):          # all there are
        node.client.post(PODS, pod("p%d" % i, ON_TINY))
    node.client.delete(PODS)
    node.stop()
    assert len(node.rows("SELECT 1 FROM claim WHERE owner = '' AND key LIKE 'tiny/%'")) == 5
    node.set_clock(DAY)         # they have cooled down
    node.start()
    node.set_clock(-DAY)        # and to the rows they never will
    for i in range(5):
        node.client.post(PODS, pod("q%d" % i, ON_TINY))
    for i in range(5):
        node.await_running("q%d" % i)
    node.stop()
    code, text = node.netd_says("--check")
    assert code == 0, text


@alone
def events():
    """What is said after the clock was set back is not the oldest."""
    node = Clocked().start()
    node.client.post(PODS, pod("a"))
    address = node.await_running("a")["status"]["podIP"]
    node.set_clock(-DAY)
    run("ip link del " + host_link("a.default"))
    eventually("repaired", lambda: pings(None, address))
    watch = node.watch("/api/v1/events?timeoutSeconds=20")
    said = watch.until(lambda e: e["object"]["reason"] == "Repaired")["object"]
    assert said["involvedObject"]["name"] == "a"
    time.sleep(0.3)             # longer than Events are gathered for
    node.client.post(PODS, pod("b"))
    node.await_running("b")
    reasons = [e["reason"] for e in node.client.get("/api/v1/events")["items"]]
    assert "Repaired" in reasons, reasons
    node.stop()


if __name__ == "__main__":
    main([versions, graces, addresses, events])
