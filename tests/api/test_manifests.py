# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_manifests.py - examples/manifests by kubectl: applied, come true, applied again, deleted"""
import glob

import yaml

from kubectl import Kubectl
from node import Node, eventually, ip_json, main, reaches
from openapi import TREE

node = Node().start()
c = node.client
kubectl = Kubectl(node)
DIR = TREE + "/examples/manifests"
SHOP = "/api/v1/namespaces/shop"
V1 = "/apis/podnet.dev/v1"


def objects():
    for file in sorted(glob.glob(DIR + "/*.yaml")):
        with open(file) as text:
            yield from yaml.safe_load_all(text)


def run(line, code=0):
    got, output = kubectl.run("kubectl " + line)
    assert got == code, "%s: %d\n%s" % (line, got, output)
    return output


def resources():
    """Every kind that is served, to where all of it is listed."""
    paths = ["/api/v1"] + ["/apis/" + g["preferredVersion"]["groupVersion"] for g in c.get("/apis")["groups"]]
    return {r["kind"]: p + "/" + r["name"] for p in paths for r in c.get(p)["resources"] if "/" not in r["name"]}


def every_kind():
    assert {o["kind"] for o in objects()} == set(resources()), "a manifest of each"


def applied():
    lines = run("apply -f " + DIR).splitlines()
    lines = [l for l in lines if not l.startswith("Warning: NetworkPolicy is accepted but not enforced")]
    assert len(lines) == len(list(objects())) and all(l.endswith(" created") for l in lines), lines
    for name in ("web", "client", "db"):
        node.await_running(name, SHOP + "/pods")
    for item in ("veths/con", "bridges/demobr", "routes/con-default", "networks/lab"):
        node.await_ready(V1 + "/" + item)
    db = c.get(SHOP + "/pods/db")["status"]["networks"]
    assert [(n["name"], n["interface"]) for n in db] == [("lab", "eth0"), ("storage", "eth1")], db
    assert db[1]["ips"] == ["10.61.0.7"], db
    assert c.get(SHOP + "/services/web")["spec"]["clusterIP"], "it has an address"
    web = c.get(SHOP + "/pods/web")["status"]["podIP"]
    slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
    node.watch(slices + "?labelSelector=kubernetes.io/service-name=web").until(
        lambda e: any(web in p["addresses"] for p in e["object"]["endpoints"]))
    assert reaches("client.shop", web) and reaches("con", "172.30.0.1")
    assert ip_json("link show demo0")[0]["master"] == "demobr"
    assert any(r["dst"] == "default" and r["gateway"] == "172.30.0.1" for r in ip_json("route", netns="con"))


def again():
    """Nothing is to be done, and nothing that a client would change by itself."""
    lines = run("apply -f " + DIR).splitlines()
    assert all(l.endswith(" unchanged") for l in lines), lines
    eventually("no difference, when netd has written what it has to say of them",
               lambda: kubectl.run("kubectl diff -f " + DIR) == (0, ""))


def changed():
    """By kubectl's own ways, with the schemas that it has been given."""
    assert "patched" in run("patch network storage --type=merge -p '{\"spec\":{\"mtu\":1390}}'")
    assert "replaced" in kubectl.run("kubectl get network storage -o yaml | sed 's/mtu: 1390/mtu: 1380/' | "
                                     "kubectl replace -f -")[1]
    assert "edited" in kubectl.run("EDITOR=\"sed -i 's/mtu: 1380/mtu: 1370/'\" kubectl edit network storage")[1]
    assert "unchanged" not in run("apply -f " + DIR + "/03-network-bridge.yaml --dry-run=server")
    assert c.get(V1 + "/networks/storage")["spec"]["mtu"] == 1370
    wrong = kubectl.run("sed 's/cidrs/cidr/' %s/02-network-routed.yaml | kubectl apply -f -" % DIR)
    assert wrong[0] and 'unknown field "cidr" in dev.podnet.v1.Network.spec' in wrong[1], wrong


def explained():
    """The schemas of our kinds, member by member."""
    for kind in sorted(k for k, path in resources().items() if path.startswith(V1)):
        told = run("explain %s.spec" % kind.lower())
        spec = next(o for o in objects() if o["kind"] == kind).get("spec", {})
        assert "FIELDS:" in told and all("   %s\t<" % name in told for name in spec), told


def deleted():
    lines = run("delete --ignore-not-found -f " + DIR).splitlines()
    assert lines and all(l.endswith(" deleted") for l in lines), lines
    lists = resources()
    for o in objects():
        left = [i["metadata"]["name"] for i in c.get(lists[o["kind"]])["items"]]
        assert o["metadata"]["name"] not in left, (o, left)
    eventually("the kernel has none of it", lambda: not [
        l["ifname"] for l in ip_json("link show") if l["ifname"].startswith("demo")])


main([every_kind, applied, again, changed, explained, deleted])
kubectl.close()
node.stop()
