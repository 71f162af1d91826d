# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_nft_owner.py - with nft-owner = yes nobody touches netd's table, and it outlives netd"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import PODS, Node, eventually, main, pod, run     # noqa: E402

NODE = Node(flags=["--nft-owner", "yes"])


def table():
    return run("nft list table inet podnet")


def content():
    """Without whose it is: nft prints a program's name behind the first line."""
    return [line for line in table().splitlines()[1:] if not line.startswith("\tflags")]


def can():
    """What the kernel is asked for by nft's own words is not there in 1.0.6, so: by its version."""
    return tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 9)


def owned():
    NODE.start()
    NODE.client.post(PODS, pod("a"))
    NODE.await_running("a")
    assert "masquerade" in table()
    if not can():
        print("     the kernel cannot: as with no")
        return
    before, repaired = table(), NODE.metric("podnet_drift_repaired_total")
    run("nft flush ruleset")
    assert table() == before
    for command in ("nft delete table inet podnet", "nft flush chain inet podnet postrouting"):
        assert subprocess.run(command.split(), stderr=subprocess.DEVNULL).returncode, command
    assert table() == before and NODE.metric("podnet_drift_repaired_total") == repaired


def outlives():
    """Killed, the table stays, nobody's; the next start takes it over as it is."""
    before = content()
    NODE.kill()
    assert content() == before
    NODE.start()
    assert content() == before
    if can():
        assert subprocess.run(["nft", "delete", "table", "inet", "podnet"], stderr=subprocess.DEVNULL).returncode


def given_up():
    """Without the option it is anybody's again, and repaired."""
    NODE.stop()
    NODE.flags = []
    NODE.start()
    assert "masquerade" in table()
    run("nft delete table inet podnet")
    eventually("made again", lambda: "masquerade" in run("nft list table inet podnet", check=False))
    NODE.client.delete(PODS + "/a")
    NODE.stop()


def purged():
    NODE.flags = ["--nft-owner", "yes"]
    NODE.start()
    NODE.stop()
    run(NODE.netd, "--config", "/dev/null", "--state-dir", NODE.dir + "/state", "--run-dir", NODE.dir, "--purge")
    assert "podnet" not in run("nft list tables")


if __name__ == "__main__":
    main([owned, outlives, given_up, purged])
