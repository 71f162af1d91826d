# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_kube_proxy.py - README's side by side with kube-proxy: our column is what nft prints of that Service"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Node, eventually, main, run        # noqa: E402
from services import SERVICES, SLICES               # noqa: E402

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")
ENDPOINTS = ("172.17.0.2", "172.17.0.8")


def our_column():
    """The pieces of code in the last column of the table whose first column is kube-proxy's."""
    with open(README) as text:
        rows = text.read().split("| kube-proxy, iptables |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    pieces = [re.findall(r"`([^`]+)`", row.split("|")[2]) for row in rows]
    assert len(pieces) >= 6 and all(pieces), pieces
    return sum(pieces, [])


def side_by_side():
    node = Node(flags=["--service-cidr", "10.111.0.0/16", "--cluster-cidr", "172.17.0.0/16"]).start()
    node.client.post(SERVICES, {"metadata": {"name": "echoserver"}, "spec": {
        "type": "NodePort", "clusterIP": "10.111.118.92", "ports": [{"port": 8080, "nodePort": 31347}]}})
    node.client.post(SLICES, {
        "metadata": {"name": "echoserver-1", "labels": {"kubernetes.io/service-name": "echoserver"}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "nodeName": "node1", "conditions": {"ready": True}}
                      for ip in ENDPOINTS]})

    def printed():
        table = re.sub(r"\s+", " ", run("nft list table inet podnet"))
        return [piece for piece in our_column() if piece not in table]
    eventually("README's column", lambda: not printed())
    node.stop()


if __name__ == "__main__":
    main([side_by_side])
