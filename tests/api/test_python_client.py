# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_python_client.py - Debian's python3-kubernetes against netd: typed, custom and dynamic

Room: API-CONTRACT 13.  Every object that comes back goes through the client's models, which raise
ValueError for a required member that is not there; so much of what is asserted is that nothing
raised.  The client is given the kubeconfig that netd made, and comes by a relay that shows what it says
to openapi.py; both halves of that way are TLS.
"""
import sys

try:
    from kubernetes import client, config, dynamic, utils, watch
    from kubernetes.client.rest import ApiException
except ImportError:
    import os
    print("no python3-kubernetes")
    sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)

from node import Node, eventually, main
from relay import Relay
from tls import Door

MERGE = "application/merge-patch+json"

node = Node()
door = Door(node)
node.start()
with open(door.kubeconfig) as kubeconfig:
    admin = door.context(kubeconfig.read())
relay = Relay(8001, lambda: door.client(admin), door.server_context())
config.load_kube_config(door.kubeconfig)
configuration = client.Configuration.get_default_copy()
configuration.host = "https://127.0.0.1:8001"
client.Configuration.set_default(configuration)
core, custom = client.CoreV1Api(), client.CustomObjectsApi()
discovery, networking = client.DiscoveryV1Api(), client.NetworkingV1Api()
NS = "python"


def meta(name, **more):
    return client.V1ObjectMeta(name=name, **more)


def pod(name, labels=None, **spec):
    return client.V1Pod(metadata=meta(name, labels=labels),
                        spec=client.V1PodSpec(**dict({"containers": []}, **spec)))


def service(name):
    port = client.V1ServicePort(port=80, name="http", target_port="web")
    return client.V1Service(metadata=meta(name, labels={"app": name}),
                            spec=client.V1ServiceSpec(selector={"app": name}, ports=[port]))


def refusal(code, reason, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as err:
        assert (err.status, '"reason":"%s"' % reason in err.body) == (code, True), err
        return
    raise AssertionError("%s was to be refused with %d" % (call.__name__, code))


def discover():
    version = client.VersionApi().get_code()
    assert int(version.minor) >= 21 and version.git_version.startswith("v"), version
    assert client.CoreApi().get_api_versions().versions == ["v1"]
    groups = {g.name: g.preferred_version.version for g in client.ApisApi().get_api_versions().groups}
    assert groups == {"discovery.k8s.io": "v1", "networking.k8s.io": "v1", "podnet.dev": "v1"}, groups
    for api, wanted in ((core, "pods/status"), (discovery, "endpointslices"),
                        (networking, "networkpolicies")):
        names = [r.name for r in api.get_api_resources().resources]
        assert wanted in names, names
    assert client.DiscoveryApi().get_api_group().name == "discovery.k8s.io"


def followed(call, *args, **kwargs):
    """The first event for which until(event) is true; the events before it."""
    until, seen, stream = kwargs.pop("until"), [], watch.Watch()
    for event in stream.stream(call, *args, timeout_seconds=30, **kwargs):
        seen.append(event)
        if until(event):
            stream.stop()
            return seen
    raise AssertionError("the watch ended after %s" % [e["type"] for e in seen])


def is_gone(event):
    return event["type"] == "DELETED"


def straight():
    """With nothing in between; and without the certificate nobody comes in."""
    alone = client.CoreV1Api(config.new_client_from_config(door.kubeconfig))
    assert "default" in [n.metadata.name for n in alone.list_namespace().items]
    nobody = client.Configuration()
    nobody.host, nobody.ssl_ca_cert = "https://127.0.0.1:6443", door.pki + "/ca.crt"
    refusal(401, "Unauthorized", client.CoreV1Api(client.ApiClient(nobody)).list_namespace)


def namespaces():
    made = core.create_namespace(client.V1Namespace(metadata=meta(NS)))
    assert made.status.phase == "Active" and made.metadata.uid, made
    assert core.read_namespace(NS).metadata.labels["kubernetes.io/metadata.name"] == NS
    made = core.patch_namespace(NS, {"metadata": {"labels": {"team": "a"}}})
    assert made.metadata.labels["team"] == "a", made
    made = core.read_namespace(NS)
    made.metadata.labels["team"] = "b"
    assert core.replace_namespace(NS, made).metadata.labels["team"] == "b"
    refusal(409, "Conflict", core.replace_namespace, NS, made)
    assert [n.metadata.name for n in core.list_namespace(label_selector="team=b").items] == [NS]
    since = core.create_namespace(client.V1Namespace(metadata=meta("gone"))).metadata.resource_version
    core.delete_namespace("gone")
    seen = followed(core.list_namespace, field_selector="metadata.name=gone", resource_version=since,
                    until=is_gone)
    assert [e["object"].status.phase for e in seen] == ["Terminating"] * len(seen), seen
    refusal(404, "NotFound", core.read_namespace, "gone")
    refusal(403, "Forbidden", core.delete_namespace, "default")


def nodes():
    one, = core.list_node().items
    assert one.metadata.name == "node1" and one.status.node_info.kernel_version, one
    assert {c.type for c in one.status.conditions} >= {"Ready"}, one.status.conditions
    core.create_node(client.V1Node(metadata=meta("far")))
    core.patch_node("far", {"spec": {"unschedulable": True}})
    body = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}],
                       "conditions": [{"type": "Ready", "status": "True"}]}}
    far = core.patch_node_status("far", body)
    assert far.status.addresses[0].address == "192.0.2.7" and far.spec.unschedulable, far
    body["status"]["conditions"] = [{"type": "DiskPressure", "status": "False"}]
    far = core.patch_node_status("far", body)       # strategic: by type
    assert {c.type for c in far.status.conditions} == {"Ready", "DiskPressure"}, far.status
    assert core.read_node_status("far").status.addresses[0].type == "InternalIP"
    assert core.delete_node("far").status == "Success"


def pods():
    made = core.create_namespaced_pod(NS, pod("web", {"app": "web"}, containers=[client.V1Container(
        name="web", image="none", ports=[client.V1ContainerPort(container_port=8080, name="web")])]))
    assert made.status.phase == "Pending" and made.spec.containers[0].ports[0].protocol == "TCP", made
    seen = followed(core.list_namespaced_pod, NS, resource_version=made.metadata.resource_version,
                    until=lambda e: e["object"].status.phase == "Running")
    running = seen[-1]["object"]
    assert running.status.pod_ip and running.status.pod_i_ps[0].ip == running.status.pod_ip, running
    core.create_namespaced_pod(NS, pod("plain"))
    core.create_namespaced_pod("default", pod("web", {"app": "web"}))
    listed = core.list_pod_for_all_namespaces(label_selector="app in (web)")
    assert [p.metadata.namespace for p in listed.items] == ["default", NS], listed
    listed = core.list_namespaced_pod(NS, field_selector="metadata.name!=web")
    assert [p.metadata.name for p in listed.items] == ["plain"], listed
    assert isinstance(core.delete_namespaced_pod("web", "default"), client.V1Pod)
    pod_status()


def pod_status():
    condition = {"type": "example.com/told", "status": "True"}
    told = core.patch_namespaced_pod_status("web", NS, {"status": {"conditions": [condition]}})
    assert {"Ready", "example.com/told"} <= {c.type for c in told.status.conditions}, told.status
    told = core.read_namespaced_pod_status("web", NS)
    told.status.conditions[-1].status = "False"
    told.metadata.resource_version = None           # netd writes the status meanwhile
    told = core.replace_namespaced_pod_status("web", NS, told)
    assert told.status.conditions[-1].status == "False", told.status
    assert told.status.container_statuses[0].image == "none", told.status
    refusal(422, "Invalid", core.patch_namespaced_pod, "web", NS, {"spec": {"nodeName": "elsewhere"}})


def three_patches():
    core.create_namespaced_service(NS, service("web"))
    two = {"spec": {"ports": [{"port": 443, "name": "tls"}]}}
    got = core.patch_namespaced_service("web", NS, two)                     # strategic: by port
    assert sorted(p.port for p in got.spec.ports) == [80, 443], got.spec.ports
    got = core.patch_namespaced_service("web", NS, [
        {"op": "test", "path": "/metadata/labels/app", "value": "web"},
        {"op": "add", "path": "/metadata/labels/tier", "value": "front"}])  # JSON patch
    assert got.metadata.labels == {"app": "web", "tier": "front"}, got.metadata
    merging = client.CoreV1Api(client.ApiClient())
    merging.api_client.set_default_header("Content-Type", MERGE)
    got = merging.patch_namespaced_service("web", NS, two)                  # merge: the whole list
    assert [p.port for p in got.spec.ports] == [443], got.spec.ports
    refusal(422, "Invalid", core.patch_namespaced_service, "web", NS,
            [{"op": "test", "path": "/metadata/labels/app", "value": "else"}])
    refusal(422, "Invalid", core.patch_namespaced_service, "web", NS,
            {"spec": {"ports": [{"port": 70000, "name": "high"}]}})


def services():
    made = core.read_namespaced_service("web", NS)
    assert made.spec.cluster_ip and made.spec.cluster_i_ps == [made.spec.cluster_ip], made.spec
    assert made.spec.ports[0].target_port == 443 and made.spec.session_affinity == "None", made.spec
    made.spec.type = "NodePort"
    changed = core.replace_namespaced_service("web", NS, made)
    assert changed.spec.ports[0].node_port >= 30000, changed.spec
    refusal(409, "Conflict", core.replace_namespaced_service, "web", NS, made)
    changed.spec.cluster_ip = changed.spec.cluster_i_ps[0] = "10.96.255.254"
    refusal(422, "Invalid", core.replace_namespaced_service, "web", NS, changed)
    refusal(409, "AlreadyExists", core.create_namespaced_service, NS, service("web"))
    assert core.list_service_for_all_namespaces().items[0].status.load_balancer is not None
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
    refusal(422, "Invalid", core.patch_namespaced_service_status, "web", NS, status)
    core.patch_namespaced_service("web", NS, {"spec": {"type": "LoadBalancer"}})
    got = core.patch_namespaced_service_status("web", NS, status)
    assert got.status.load_balancer.ingress[0].ip == "192.0.2.9", got.status
    dry = core.create_namespaced_service(NS, service("dry"), dry_run="All")
    assert dry.metadata.uid and not dry.metadata.resource_version, dry.metadata
    refusal(404, "NotFound", core.read_namespaced_service, "dry", NS)
    assert core.delete_namespaced_service("web", NS).status == "Success"


def slices_and_policies():
    made = discovery.create_namespaced_endpoint_slice(NS, client.V1EndpointSlice(
        metadata=meta("s", labels={"kubernetes.io/service-name": "web"}), address_type="IPv4",
        endpoints=[client.V1Endpoint(addresses=["192.0.2.1"])],
        ports=[client.DiscoveryV1EndpointPort(port=80, name="http")]))
    assert made.ports[0].protocol == "TCP" and made.endpoints[0].addresses == ["192.0.2.1"], made
    got = discovery.patch_namespaced_endpoint_slice("s", NS, {"endpoints": []})
    assert got.endpoints == [], got
    bare = {"metadata": {"name": "bare"}, "addressType": "IPv6"}
    assert discovery.create_namespaced_endpoint_slice(NS, bare).endpoints == []
    eventually("those of the Service that went go", lambda: {
        s.metadata.name for s in discovery.list_endpoint_slice_for_all_namespaces().items} == {"s", "bare"})
    core.create_namespaced_endpoints(NS, client.V1Endpoints(metadata=meta("e"), subsets=[
        client.V1EndpointSubset(addresses=[client.V1EndpointAddress(ip="192.0.2.1")],
                                ports=[client.CoreV1EndpointPort(port=80)])]))
    assert core.list_namespaced_endpoints(NS).items[0].subsets[0].addresses[0].ip == "192.0.2.1"
    peer = client.V1NetworkPolicyPeer(ip_block=client.V1IPBlock(cidr="192.0.2.0/24"))
    made = networking.create_namespaced_network_policy(NS, client.V1NetworkPolicy(
        metadata=meta("p"), spec=client.V1NetworkPolicySpec(
            pod_selector=client.V1LabelSelector(match_expressions=[
                client.V1LabelSelectorRequirement(key="app", operator="Exists")]),
            ingress=[client.V1NetworkPolicyIngressRule(_from=[peer])])))
    assert made.spec.policy_types == ["Ingress"], made.spec
    assert networking.list_network_policy_for_all_namespaces().items[0].spec.pod_selector
    assert networking.delete_namespaced_network_policy("p", NS).status == "Success"


def events():
    about = client.V1ObjectReference(kind="Pod", namespace=NS, name="web")
    made = core.create_namespaced_event(NS, client.CoreV1Event(
        metadata=meta("told"), involved_object=about, reason="Told", message="by a test"))
    assert made.involved_object.name == "web", made
    told = core.list_event_for_all_namespaces(field_selector="involvedObject.name=web,reason=Told")
    assert [e.message for e in told.items] == ["by a test"], told
    core.list_event_for_all_namespaces()            # with netd's own


def pages():
    for i in range(7):
        core.create_namespaced_event(NS, client.CoreV1Event(
            metadata=meta("page%d" % i, labels={"in": "pages"}),
            involved_object=client.V1ObjectReference(namespace=NS)))
    names, token = [], None
    while token is None or token:
        page = core.list_namespaced_event(NS, label_selector="in=pages", limit=3, _continue=token)
        names += [e.metadata.name for e in page.items]
        token = page.metadata._continue or ""
        if len(names) == 3:
            core.delete_namespaced_event("page5", NS)       # the pages are one snapshot
    assert names == ["page%d" % i for i in range(7)], names
    core.delete_collection_namespaced_event(NS, label_selector="in=pages")
    assert not core.list_namespaced_event(NS, label_selector="in=pages").items


def resuming():
    """The client goes on where it was when the server ends its watch; here what happens in between."""
    def change(n):
        return lambda: core.patch_namespaced_event("told", NS, {"metadata": {"labels": {"n": n}}})

    def restart():
        node.stop()
        node.start()
        change("2")()

    between = [change("1"), restart, lambda: core.delete_namespaced_event("told", NS)]

    def ended_soon(*args, **kwargs):
        if between:
            between.pop(0)()
        return core.list_namespaced_event(*args, timeout_seconds=1, **kwargs)
    ended_soon.__doc__ = core.list_namespaced_event.__doc__     # the client reads the type there
    since = core.list_namespaced_event(NS).metadata.resource_version
    stream, seen = watch.Watch(), []
    for event in stream.stream(ended_soon, NS, resource_version=since):
        seen.append((event["type"], event["object"].metadata.labels["n"]))
        if is_gone(event):
            stream.stop()
    assert seen == [("MODIFIED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], seen
    try:
        followed(core.list_namespaced_event, NS, resource_version="1", until=is_gone)
    except ApiException as err:
        assert err.status == 410, err
        return
    raise AssertionError("a version that is long gone was watched from")


def custom_objects():
    at = ("podnet.dev", "v1", "bridges")
    made = custom.create_cluster_custom_object(*at, {
        "apiVersion": "podnet.dev/v1", "kind": "Bridge", "metadata": {"name": "br7"},
        "spec": {"addresses": ["192.0.2.65/28"]}})
    assert made["metadata"]["uid"], made
    seen = followed(custom.list_cluster_custom_object, *at, field_selector="metadata.name=br7",
                    until=lambda e: e["object"].get("status", {}).get("conditions", [{}])[0].get(
                        "status") == "True")
    ready = seen[-1]["object"]
    got = custom.patch_cluster_custom_object(*at, "br7", {"spec": {"mtu": 1400}})   # merge
    assert got["spec"] == dict(ready["spec"], mtu=1400), got
    refusal(409, "Conflict", custom.replace_cluster_custom_object, *at, "br7", ready)
    got["spec"]["mtu"] = 1300
    del got["metadata"]["resourceVersion"]          # netd writes the status meanwhile
    assert custom.replace_cluster_custom_object(*at, "br7", got)["spec"]["mtu"] == 1300
    assert custom.get_cluster_custom_object_status(*at, "br7")["status"]["conditions"]
    refusal(422, "Invalid", custom.patch_cluster_custom_object, *at, "br7", {"spec": {"mtu": 7}})
    listed = custom.list_cluster_custom_object(*at)
    assert [o["metadata"]["name"] for o in listed["items"]] == ["br7"], listed
    assert custom.delete_cluster_custom_object(*at, "br7")["status"] == "Success"


def dynamically():
    cluster = dynamic.DynamicClient(client.ApiClient(), cache_file=node.dir + "/discovered")
    assert cluster.version["kubernetes"]["major"] == "1", cluster.version
    networks = cluster.resources.get(api_version="podnet.dev/v1", kind="Network")
    assert networks.get(name="default").spec.cidrs, networks.get()
    slices = cluster.resources.get(api_version="discovery.k8s.io/v1", kind="EndpointSlice")
    assert [o.metadata.name for o in slices.get(namespace=NS).items] == ["bare", "s"]
    services_ = cluster.resources.get(api_version="v1", kind="Service")
    made = services_.create(namespace=NS, body={"metadata": {"name": "dyn"}, "spec": {
        "ports": [{"port": 80}], "selector": {"app": "web"}}})
    assert made.spec.clusterIP, made
    two = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    for how, body, want in (
            ("application/strategic-merge-patch+json", {"spec": {"ports": two}}, [80, 81]),
            ("application/json-patch+json", [{"op": "remove", "path": "/spec/ports/0"}], [81]),
            (MERGE, {"spec": {"ports": [{"port": 82}]}}, [82])):
        got = services_.patch(name="dyn", namespace=NS, body=body, content_type=how)
        assert [p.port for p in got.spec.ports] == want, (how, got)
    got.metadata.labels = {"by": "dynamic"}
    services_.replace(name="dyn", namespace=NS, body=got.to_dict())
    assert [o.metadata.name for o in services_.get(label_selector="by=dynamic").items] == ["dyn"]
    since = services_.get(namespace=NS).metadata.resourceVersion
    services_.delete(name="dyn", namespace=NS)
    for event in services_.watch(namespace=NS, resource_version=since, timeout=30):
        assert (event["type"], event["object"].metadata.name) == ("DELETED", "dyn"), event
        break


def from_a_manifest():
    """What a manifest holds, by the client's own road from kinds to calls."""
    utils.create_from_dict(client.ApiClient(), {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m1", "namespace": NS},
         "spec": {"containers": []}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
         "metadata": {"name": "m2", "namespace": NS}, "spec": {"podSelector": {}}}]})
    assert core.read_namespaced_pod("m1", NS).spec.containers == []
    assert networking.read_namespaced_network_policy("m2", NS).spec.pod_selector is not None


def collections():
    core.delete_collection_namespaced_pod(NS)
    since = core.read_namespace(NS).metadata.resource_version
    core.delete_namespace(NS)
    followed(core.list_namespace, field_selector="metadata.name=" + NS, resource_version=since,
             until=is_gone)
    for listed in (core.list_pod_for_all_namespaces(), core.list_service_for_all_namespaces(),
                   discovery.list_endpoint_slice_for_all_namespaces(),
                   networking.list_network_policy_for_all_namespaces()):
        assert not listed.items, listed
    relay.close()


main([discover, straight, namespaces, nodes, pods, three_patches, services, slices_and_policies, events, pages,
      resuming, custom_objects, dynamically, from_a_manifest, collections, node.stop])
