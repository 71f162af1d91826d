# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cluster_start.py - nodes that begin at once on an empty etcd, by TLS; and who may not begin"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from etcd import Etcd
from node import Node, PODS, eventually, main, pod, run
from nodes import Cluster, NODES

SERVICES = "/api/v1/namespaces/default/services"
NETWORKS = "/apis/podnet.dev/v1/networks"


def certificates(directory, address):
    """An authority, etcd's certificate for @address and a client's; their paths."""
    def openssl(*words):
        subprocess.run(("openssl",) + words, check=True, cwd=directory, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    with open(directory + "/san", "w") as ext:
        ext.write("subjectAltName=IP:%s\n" % address)
    for name, more in (("etcd", ("-extfile", "san")), ("client", ())):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=" + name, "-keyout", name + ".key", "-out", name + ".csr")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-out", name + ".pem", *more)
    run("chmod", "-R", "a+rX", directory)
    return {name: "%s/%s" % (directory, name) for name in os.listdir(directory)}


def test_together():
    """Three at once: one of them seeds, all are of one cluster, and no block is anybody else's."""
    cluster = Cluster(3, etcd=Etcd("10.0.0.250"))
    for member in cluster.members:
        member.start(ready=False)
    for member in cluster.members:
        member.wait_ready()
    for member in cluster.members:
        for other in cluster.members:
            member.await_ready(NODES + other.name)
    blocks = [cidr for m in cluster.members for cidr in m.node()["spec"]["podCIDRs"]]
    assert len(blocks) == len(set(blocks)) == 6, blocks

    def one_network():
        first, *others = [m.client.get(NETWORKS)["items"] for m in cluster.members]
        return len(first) == 1 and all(other == first for other in others)
    eventually("all have the one Network", one_network)
    claims = cluster.etcd.get("/podnet/c/block/", "/podnet/c/block0")
    assert len(claims) == 6, claims
    owners = {m.node()["metadata"]["uid"]: m for m in cluster.members}
    for key, owner in claims.items():
        assert key.split("/", 5)[5] in owners[owner].node()["spec"]["podCIDRs"], (key, owner)
    ips = set()
    for member in cluster.members:
        member.client.post(PODS, pod("p-" + member.name))
        for other in cluster.members:
            ips.add(other.await_running("p-" + member.name)["status"]["podIP"])
    assert len(ips) == 3, ips
    cluster.stop()
    cluster.etcd.kill()
    run("ip link del ul")


def test_tls():
    """etcd by https, which wants a certificate of its clients; without one a netd says so and ends."""
    etcd = Etcd("127.0.0.1")
    os.chmod(etcd.dir, 0o755)
    os.mkdir(etcd.dir + "/pki")
    paths = certificates(etcd.dir + "/pki", "127.0.0.1")
    url = "https://127.0.0.1:2379"
    etcd.process = subprocess.Popen(
        [etcd_program(), "--data-dir", etcd.dir + "/data", "--listen-client-urls", url,
         "--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:2380", "--cert-file",
         paths["etcd.pem"], "--key-file", paths["etcd.key"], "--trusted-ca-file", paths["ca.pem"],
         "--client-cert-auth", "--log-level", "error"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    curl = ["curl", "-s", "--cacert", paths["ca.pem"], "--cert", paths["client.pem"], "--key",
            paths["client.key"], url + "/health"]
    eventually("etcd answers", lambda: "true" in subprocess.run(
        curl, stdout=subprocess.PIPE, text=True).stdout)
    nobody = Node(flags=["--etcd", url, "--etcd-ca", paths["ca.pem"]])
    nobody.start(ready=False)
    assert nobody.process.wait(60) == 1 and "start_failed" in nobody.tail(), nobody.tail()
    node = Node(flags=["--etcd", "http://127.0.0.1:1," + url, "--etcd-ca", paths["ca.pem"], "--etcd-cert",
                       paths["client.pem"], "--etcd-key", paths["client.key"]])
    node.start()
    made = node.client.post(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    assert node.client.get(SERVICES + "/web") == made
    node.stop()
    etcd.kill()


def etcd_program():
    import etcd
    return etcd.program()


def test_own_objects():
    """Who has objects of its own does not lose them to a cluster that there is already."""
    etcd = Etcd().start()
    first = Node(flags=["--etcd", etcd.url])
    first.start()
    first.stop()
    alone = Node()
    alone.start()
    alone.client.post(SERVICES, {"metadata": {"name": "mine"}, "spec": {"ports": [{"port": 80}]}})
    alone.stop()
    alone.flags = ["--etcd", etcd.url]
    alone.start(ready=False)
    assert alone.process.wait(60) == 1 and "has its own" in alone.tail(), alone.tail()
    alone.flags = []
    alone.start()
    alone.client.delete(SERVICES + "/mine")
    alone.stop()
    alone.flags = ["--etcd", etcd.url, "--node-name", "later"]
    alone.start()
    eventually("it has both", lambda: sorted(
        n["metadata"]["name"] for n in alone.client.get(NODES[:-1])["items"]) == ["later", "node1"])
    alone.stop()
    etcd.kill()


def test_nobody_there():
    """A first start without etcd says who was asked, without a password, and where to read on."""
    node = Node(flags=["--etcd", "http://me:secret@127.0.0.1:1"])
    node.start(ready=False)
    assert node.process.wait(60) == 1
    said = node.tail()
    assert "start_failed" in said and "http://127.0.0.1:1: " in said and "secret" not in said, said
    assert "netd(8), MANY NODES" in said and "DATABASE" not in said, said


if __name__ == "__main__":
    main([test_together, test_tls, test_own_objects, test_nobody_there])
