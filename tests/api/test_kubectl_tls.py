# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_kubectl_tls.py - the same sessions with nothing between kubectl and netd's TLS door"""
from kubectl import Kubectl, make_uplink, session
from node import Node, main

make_uplink()
node = Node().start()
kubectl = Kubectl(node, straight=True)


def discovery():
    session(kubectl, "discovery")


def read():
    session(kubectl, "read")


main([discovery, read, kubectl.close, node.stop])
