#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_restart.py - how long a netd that was killed takes to know that all is well

Room: e2e.  Looking at a pod must not cost more because there are others, and who waits for a first
pass must not wait for everybody who writes meanwhile.
"""
import fcntl
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node(flags=["--log-level", "warning"])
PODS_STANDING = 200


def many_pods_unchanged():
    """Ready after a kill without one change in the kernel."""
    for i in range(PODS_STANDING):
        NODE.client.post(PODS, pod("p%d" % i))
    for i in range(PODS_STANDING):
        NODE.await_running("p%d" % i)
    NODE.kill()
    NODE.start()
    assert NODE.metric("podnet_kernel_operations_total") == 0, NODE.tail()


def churn(stop):
    """A pod made and deleted, again and again: work that clients wait for, without end."""
    client, n = Client(NODE.socket), 0
    while not stop.is_set():
        name = "%s-%d" % (threading.current_thread().name.lower(), n)
        client.post(PODS, pod(name))
        client.delete(PODS + "/" + name)
        n += 1
    client.close()


def ready_under_load():
    """The first pass ends while clients keep netd at work: it has a third of the kernel's time."""
    NODE.kill()
    NODE.start(ready=False)
    eventually("netd listens", lambda: listens(NODE.socket))
    stop = threading.Event()
    threads = [threading.Thread(target=churn, args=(stop,), name="c%d" % i) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        NODE.wait_ready()
        tasks = NODE.metric("podnet_kernel_duration_seconds_count")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert tasks < 4 * PODS_STANDING + 100, tasks


def listens(path):
    try:
        Client(path).get("/version")
    except OSError:
        return False
    return True


def former_is_going():
    """Who starts while the kernel still takes a killed one apart waits for the lock."""
    NODE.kill()
    with open(NODE.dir + "/state/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        NODE.start(ready=False)
        fds = "/proc/%d/fd" % NODE.process.pid
        eventually("it has found the lock", lambda: any(
            os.path.realpath(os.path.join(fds, fd)) == os.path.realpath(lock.name) for fd in os.listdir(fds)))
    NODE.wait_ready()
    other = Node(flags=NODE.flags)
    other.dir, kept = NODE.dir, other.dir
    other.start(ready=False)
    assert other.process.wait() != 0
    other.dir = kept


def another_name_is_another_node():
    """It would sweep the pods of the old one, so it does not start while there are any."""
    stands = os.stat("/run/netns/p0.default").st_ino
    NODE.stop()
    NODE.flags += ["--node-name", "node2"]
    NODE.start(ready=False)
    assert NODE.process.wait(DEADLINE) == 1, NODE.tail()
    line = NODE.tail(1)
    assert "event=start_failed what=store" in line and "called node2" in line and "--node-name node1" in line, line
    look = [NODE.netd, "--check", "--config", "/dev/null", "--state-dir", NODE.dir + "/state", "--run-dir", NODE.dir]
    said = run(*look, "--node-name", "node2", check=False)
    assert "pods are of node node1, and node-name is node2: no start" in said, said
    assert run(*look, "--node-name", "node1").rstrip().endswith(": ok")
    NODE.flags = NODE.flags[:-2]
    NODE.start()
    assert os.stat("/run/netns/p0.default").st_ino == stands
    NODE.client.delete(PODS)
    NODE.stop()
    NODE.flags += ["--node-name", "node2"]
    NODE.start()
    NODE.client.post(PODS, pod("new"))
    NODE.await_running("new")
    NODE.client.delete("/api/v1/nodes/node1")


if __name__ == "__main__":
    NODE.start()
    main([many_pods_unchanged, ready_under_load, former_is_going, another_name_is_another_node])
