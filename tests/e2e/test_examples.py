# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_examples.py - the examples in Python, and that of a service in C, do what they say, and leave nothing"""
import importlib.util
import os
import sys

if not importlib.util.find_spec("kubernetes"):
    print("no python3-kubernetes")
    sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import PODS, Node, main, run      # noqa: E402
from tls import Door                        # noqa: E402

EXAMPLES = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../../examples/python")

node = Node()
door = Door(node)
node.start()


def example(name, *args):
    """What it prints, line by line; it has left no pod."""
    lines = run(sys.executable, EXAMPLES + "/" + name, *args).splitlines()
    assert node.client.get(PODS)["items"] == [], name
    return lines


def by_the_standard_library():
    lines = example("pods.py", "--socket", node.socket)
    assert lines[0].startswith("created from-python at version "), lines
    assert any(line.startswith("podIPs ['10.244.") for line in lines), lines
    assert lines[-1] == "deleted", lines


def by_the_official_client():
    lines = example("official.py", "--kubeconfig", door.kubeconfig)
    assert lines[0].startswith("created from-official at version "), lines
    assert any(line.startswith("podIPs ['10.244.") for line in lines), lines
    assert lines[-2] == "listed from-official {'made-by': 'python'}", lines
    assert lines[-1] == "deleted from-official", lines


def service_in_c():
    """Beside netd's table, in one of its own; once more is no change."""
    lines = run(os.path.dirname(os.environ["NETD"]) + "/../examples/c/service").splitlines()
    assert [line.split(":")[0] for line in lines] == ["to make it", "once more", "one endpoint leaves",
                                                      "to take it away"], lines
    changes = [int(line.split()[-2]) for line in lines]
    assert changes[1] == 0 and 0 not in changes[:1] + changes[2:], lines
    assert "10.99.0.1" not in run("nft list table inet podnet-lib")
    run("nft delete table inet podnet-lib")


main([by_the_standard_library, by_the_official_client, service_in_c, node.stop])
