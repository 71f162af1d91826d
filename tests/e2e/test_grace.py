# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_grace.py - a pod's grace ends when nothing runs in its namespace any more"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import *              # noqa: E402, F403  pylint: disable=wildcard-import

NODE = Node()


def setup():
    NODE.start()


def make(name):
    NODE.client.post(PODS, pod(name, terminationGracePeriodSeconds=600))
    NODE.await_running(name)
    return NODE.watch(PODS + "?fieldSelector=metadata.name=" + name)


def live_in(name, count=1):
    """Processes in a pod's namespace, each known to be there."""
    living = [subprocess.Popen(["ip", "netns", "exec", name + ".default", "sleep", "600"])
              for _ in range(count)]
    inode = os.stat("/run/netns/%s.default" % name).st_ino
    for one in living:
        eventually("joined", lambda: os.stat("/proc/%d/ns/net" % one.pid).st_ino == inode)
    return living


def end(processes):
    for one in processes:
        one.kill()
    for one in processes:
        one.wait()


def delete(name):
    got = NODE.client.delete(PODS + "/" + name)
    assert got["metadata"]["deletionGracePeriodSeconds"] == 600, got


def gone(watch):
    watch.until(lambda e: e["type"] == "DELETED")
    watch.close()


def still_there(name):
    """Also after netd has done something else meanwhile, twice."""
    for marker in ("m1", "m2"):
        end_marker = make(marker)
        delete(marker)
        gone(end_marker)
    assert NODE.client.get(PODS + "/" + name)["metadata"]["deletionTimestamp"]


def where_nothing_runs_it_is_over_at_once():
    watch = make("empty")
    delete("empty")
    gone(watch)


def the_last_process_ends_it():
    watch = make("two")
    one, other = live_in("two", 2)
    delete("two")
    still_there("two")
    end([one])
    still_there("two")
    end([other])
    gone(watch)


def more_processes_than_are_held_at_a_time():
    watch = make("many")
    living = live_in("many", 70)
    delete("many")
    end(living[:60])
    still_there("many")
    end(living[60:])
    gone(watch)


def a_child_of_the_last_process_counts():
    watch = make("child")
    parent = subprocess.Popen(["ip", "netns", "exec", "child.default", "sh", "-c",
                               "sleep 600 & echo $!; read x"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    delete("child")
    end([parent])
    still_there("child")
    os.kill(child, signal.SIGKILL)
    gone(watch)


def a_restart_goes_on():
    make("kept").close()
    living = live_in("kept")
    delete("kept")
    NODE.stop()
    NODE.start()
    still_there("kept")
    end(living)
    eventually("gone", lambda: not NODE.client.get(PODS)["items"])


if __name__ == "__main__":
    setup()
    main([where_nothing_runs_it_is_over_at_once, the_last_process_ends_it,
          more_processes_than_are_held_at_a_time, a_child_of_the_last_process_counts,
          a_restart_goes_on])
    NODE.stop()
