#!/usr/bin/env python3
"""official.py - podnet by the official Kubernetes client, over TLS

    sudo netd --listen 127.0.0.1:6443
    sudo apt install python3-kubernetes
    sudo /usr/bin/python3 examples/python/official.py [--kubeconfig /etc/podnet/admin.kubeconfig]

Makes a pod, follows it by a watch until it runs, patches a label, lists by it, and deletes the pod.
"""
import argparse

from kubernetes import client, config, watch

NAMESPACE, NAME = "default", "from-official"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kubeconfig", default="/etc/podnet/admin.kubeconfig")
    config.load_kube_config(parser.parse_args().kubeconfig)
    core = client.CoreV1Api()

    pod = core.create_namespaced_pod(NAMESPACE, client.V1Pod(
        metadata=client.V1ObjectMeta(name=NAME), spec=client.V1PodSpec(containers=[])))
    print("created", pod.metadata.name, "at version", pod.metadata.resource_version)

    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=30,
                               field_selector="metadata.name=" + NAME):
        status = event["object"].status
        print(event["type"], status.phase)
        if status.phase == "Running":
            print("podIPs", [ip.ip for ip in status.pod_i_ps], "hostIP", status.host_ip)
            stream.stop()

    core.patch_namespaced_pod(NAME, NAMESPACE, {"metadata": {"labels": {"made-by": "python"}}})
    for pod in core.list_namespaced_pod(NAMESPACE, label_selector="made-by=python").items:
        print("listed", pod.metadata.name, pod.metadata.labels)

    print("deleted", core.delete_namespaced_pod(NAME, NAMESPACE).metadata.name)


if __name__ == "__main__":
    main()
