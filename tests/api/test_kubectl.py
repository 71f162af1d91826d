# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_kubectl.py - what Debian's kubectl prints against netd is what was written down and reviewed"""
from kubectl import Kubectl, session
from node import Node, main

node = Node().start()
kubectl = Kubectl(node)


def discovery():
    session(kubectl, "discovery")


def read():
    session(kubectl, "read")


def chunks():
    """--chunk-size follows continue; the whole is the same."""
    whole = kubectl.run("kubectl get pods -A -o name --chunk-size=0")
    assert whole[0] == 0 and len(whole[1].splitlines()) >= 2, whole
    assert kubectl.run("kubectl get pods -A -o name --chunk-size=1") == whole


main([discovery, read, chunks])
kubectl.close()
node.stop()
