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


SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
BEHIND = [
    "list ruleset",
    "add table inet other",
    "add element inet podnet cluster-ips4 { 192.0.2.1 }",
    "insert rule inet podnet services accept",
    "delete element inet podnet cluster-ips4 { %s }",
]


def table():
    """Its lines; what was made anew is listed last."""
    return sorted(run("nft list table inet podnet").split("\n"))


def has(address):
    return any(address in line for line in table())


def endpoints(last):
    return {"metadata": {"name": "left-1", "labels": {"kubernetes.io/service-name": "left"}},
            "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.244.200.%d" % i]} for i in range(1, last)]}


def services_are_left():
    """What an orderly end leaves says what is in the kernel, and what others do behind it is found."""
    made = NODE.client.post(SERVICES, {"metadata": {"name": "left"}, "spec": {"ports": [{"port": 80}]}})
    NODE.client.post(SLICES, endpoints(9))
    NODE.client.put(SLICES + "/left-1", endpoints(4))
    NODE.client.put(SLICES + "/left-1", endpoints(7))
    eventually("its endpoints are in the kernel", lambda: has("10.244.200.6") and not has("10.244.200.7"))
    before = table()
    for command in BEHIND:
        NODE.stop()
        assert os.stat(NODE.dir + "/services").st_mode & 0o7777 == 0o600
        run("nft " + command.replace("%s", made["spec"]["clusterIP"]))
        NODE.start()
        assert table() == before, command
    run("nft flush map inet podnet tcp-backends4")     # heard of, and repaired or not when it stops
    NODE.stop()
    NODE.start()
    eventually("it is repaired", lambda: has("10.244.200.6") and len(table()) == len(before))
    NODE.client.delete(SLICES + "/left-1")
    eventually("they are gone", lambda: not has("10.244.200"))
    before = table()
    for end in (NODE.stop, NODE.kill, NODE.stop):
        end()
        NODE.start()
        assert table() == before
        assert NODE.metric("podnet_kernel_operations_total") == 0, NODE.tail()
    NODE.client.delete(SERVICES + "/left")


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
    assert tasks < 8 * PODS_STANDING, tasks         # with those that came until it was seen


def listens(path):
    try:
        Client(path).get("/version")
    except OSError:
        return False
    return True


def has_open(node, path):
    """Or has ended."""
    fds = "/proc/%d/fd" % node.process.pid
    try:
        return not node.alive() or any(os.path.realpath(os.path.join(fds, fd)) == path for fd in os.listdir(fds))
    except FileNotFoundError:
        return False


def former_is_going():
    """Who starts while the kernel still takes a killed one apart waits for the lock."""
    NODE.kill()

    def waits():
        """It does for half a second, in which it is to be seen that it has found the lock."""
        with open(NODE.dir + "/state/lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            NODE.start(ready=False)
            eventually("it has found the lock", lambda: has_open(NODE, os.path.realpath(lock.name)))
        try:
            NODE.wait_ready()
        except AssertionError:
            if NODE.alive():
                raise
        return NODE.alive()
    eventually("it has waited", waits)
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
    main([services_are_left, many_pods_unchanged, ready_under_load, former_is_going, another_name_is_another_node])
