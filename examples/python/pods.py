#!/usr/bin/env python3
"""pods.py - podnet from Python's standard library, over netd's Unix socket

    sudo python3 examples/python/pods.py [--socket /run/podnet/netd.sock]

Makes a pod, follows it by a watch until it runs, prints its addresses, and deletes it.
"""
import argparse
import http.client
import json
import socket


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket: all that is special about talking to netd."""

    def __init__(self, path):
        super().__init__("podnet", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Podnet:
    def __init__(self, path):
        self.path = path

    def call(self, method, url, body=None):
        """One request; the decoded answer, or the Status' message as an exception."""
        conn = UnixConnection(self.path)
        conn.request(method, url, json.dumps(body) if body is not None else None,
                     {"Content-Type": "application/json"})
        answer = json.load(conn.getresponse())
        if answer.get("kind") == "Status" and answer.get("status") == "Failure":
            raise RuntimeError(answer["message"])
        return answer

    def watch(self, url):
        """Events of a collection, one dictionary each, until the caller stops."""
        conn = UnixConnection(self.path)
        conn.request("GET", url + ("&" if "?" in url else "?") + "watch=1")
        for line in conn.getresponse():
            yield json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--socket", default="/run/podnet/netd.sock")
    podnet = Podnet(parser.parse_args().socket)
    pods = "/api/v1/namespaces/default/pods"

    pod = podnet.call("POST", pods, {"metadata": {"name": "from-python"}, "spec": {"containers": []}})
    print("created", pod["metadata"]["name"], "at version", pod["metadata"]["resourceVersion"])
    for event in podnet.watch(pods + "?fieldSelector=metadata.name=from-python"):
        status = event["object"]["status"]
        print(event["type"], status["phase"])
        if status["phase"] == "Running":
            print("podIPs", [ip["ip"] for ip in status["podIPs"]], "hostIP", status.get("hostIP"))
            break
    podnet.call("DELETE", pods + "/from-python")
    print("deleted")


if __name__ == "__main__":
    main()
