# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_table.py - Tables and bare metadata: of lists, single objects and watches"""
import json

from node import PODS, V1, Client, Node, Refused, UnixConnection, main, pod

node = Node().start()
c = node.client
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
META = "application/json;as=PartialObjectMetadata%s;v=v1;g=meta.k8s.io,application/json"


def table(url):
    got = c.call("GET", url, None, TABLE)
    assert (got["kind"], got["apiVersion"]) == ("Table", "meta.k8s.io/v1"), got
    for row in got["rows"]:
        assert len(row["cells"]) == len(got["columnDefinitions"]), got
        for cell, column in zip(row["cells"], got["columnDefinitions"]):
            wanted = {"string": str, "integer": int}[column["type"]]
            assert isinstance(cell, wanted), (column, cell)
    return got


def cells(got, wide=False):
    """A dictionary of its columns for each row."""
    shown = [(i, d["name"]) for i, d in enumerate(got["columnDefinitions"])
             if wide or not d["priority"]]
    return [dict((name, row["cells"][i]) for i, name in shown) for row in got["rows"]]


def columns():
    """Every kind has its table; the name is in the first column, but for Events."""
    paths = ["/api/v1"] + ["/apis/" + v["groupVersion"] for g in c.get("/apis")["groups"]
                           for v in g["versions"]]
    for path in paths:
        for entry in c.get(path)["resources"]:
            if "/" in entry["name"]:
                continue
            defs = table(path + "/" + entry["name"])["columnDefinitions"]
            names = [d["name"] for d in defs]
            assert [d["name"] for d in defs if d["format"] == "name"] == ["Name"], names
            assert names[0] == ("Last Seen" if entry["kind"] == "Event" else "Name"), names
            assert len(names) == len(set(names)) >= 3, names


def pods():
    c.post(PODS, pod("a"))
    c.post(PODS, pod("b", nodeName="elsewhere"))
    ip = node.await_running("a")["status"]["podIP"]
    got = table(PODS)
    rows = cells(got, wide=True)
    assert rows[0]["Age"].endswith("s") and len(rows) == 2, rows
    for row in rows:
        row.pop("Age")
    rest = {"Ready": "0/0", "Restarts": 0, "Nominated Node": "<none>", "Readiness Gates": "<none>"}
    assert rows == [dict(rest, Name="a", Status="Running", IP=ip, Node="node1"),
                    dict(rest, Name="b", Status="Pending", IP="<none>", Node="elsewhere")], rows
    assert got["metadata"]["resourceVersion"] == c.get(PODS)["metadata"]["resourceVersion"]
    one = table(PODS + "/a")
    assert one["metadata"]["resourceVersion"] == c.get(PODS + "/a")["metadata"]["resourceVersion"]
    assert [r["Name"] for r in cells(one)] == ["a"], one


def objects():
    """includeObject: what kubectl takes names, labels and the sort order from."""
    for query, kind in (("", "PartialObjectMetadata"), ("?includeObject=Metadata",
                        "PartialObjectMetadata"), ("?includeObject=Object", "Pod"),
                        ("?includeObject=None", None)):
        for url in (PODS, PODS + "/a"):
            first = table(url + query)["rows"][0]["object"]
            assert (first["kind"] if first else None) == kind, (url, first)
    plain = c.get(PODS + "/a")
    assert table(PODS + "?includeObject=Object")["rows"][0]["object"] == plain
    partial = table(PODS)["rows"][0]["object"]
    assert partial == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                       "metadata": plain["metadata"]}, partial
    try:
        table(PODS + "?includeObject=All")
        raise AssertionError("includeObject=All was taken")
    except Refused as refused:
        assert refused.code == 400, refused


def metadata():
    got = c.call("GET", PODS, None, {"Accept": META % "List"})
    assert (got["kind"], got["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1"), got
    plain = c.get(PODS)
    assert [i["metadata"] for i in got["items"]] == [i["metadata"] for i in plain["items"]]
    assert got["metadata"] == plain["metadata"]
    assert set(got["items"][0]) == {"kind", "apiVersion", "metadata"}, got["items"][0]
    one = c.call("GET", PODS + "/a", None, {"Accept": META % ""})
    assert one["kind"] == "PartialObjectMetadata" and "spec" not in one, one


def events_of(url, headers, n):
    conn = UnixConnection(node.socket)
    conn.request("GET", url, None, headers)
    answer = conn.getresponse()
    assert answer.status == 200, answer.read()
    events = [json.loads(answer.readline()) for _ in range(n)]
    conn.close()
    return events


def watches():
    version = c.get(PODS)["metadata"]["resourceVersion"]
    other = Client(node.socket)
    other.patch(PODS + "/b", {"metadata": {"labels": {"x": "1"}}})
    other.patch(PODS + "/b", {"metadata": {"labels": {"x": "2"}}})
    url = PODS + "?watch=1&resourceVersion=" + version
    first, second = events_of(url, TABLE, 2)
    assert first["type"] == second["type"] == "MODIFIED", (first, second)
    assert first["object"]["columnDefinitions"][0]["name"] == "Name", first
    assert second["object"]["columnDefinitions"] is None, second
    for event, value in ((first, "1"), (second, "2")):
        row, = event["object"]["rows"]
        assert row["cells"][0] == "b" and row["object"]["metadata"]["labels"] == {"x": value}, event
        assert event["object"]["metadata"]["resourceVersion"] == \
            row["object"]["metadata"]["resourceVersion"], event
    first, = events_of(url, {"Accept": META % ""}, 1)
    assert first["object"]["kind"] == "PartialObjectMetadata" and "spec" not in first["object"]
    got = events_of(PODS + "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                    "&resourceVersionMatch=NotOlderThan", TABLE, 3)
    assert [e["type"] for e in got] == ["ADDED", "ADDED", "BOOKMARK"], got
    assert got[2]["object"]["kind"] == "Table" and got[2]["object"]["rows"] == [], got[2]


def others():
    c.post(V1 + "/networks", {"metadata": {"name": "n"}, "spec": {
        "type": "bridge", "cidrs": ["10.77.0.0/16"], "masquerade": False}})
    c.post(V1 + "/networknamespaces", {"metadata": {"name": "con"}})
    c.post(V1 + "/veths", {"metadata": {"name": "v"}, "spec": {"ends": [
        {"name": "v1", "addresses": ["172.16.0.2/24"]},
        {"name": "v2", "networkNamespace": "con", "addresses": ["172.16.0.1/24"]}]}})
    node.await_ready(V1 + "/veths/v")
    row, = cells(table(V1 + "/veths"))
    assert (row["Ends"], row["Ready"]) == ("v1,con/v2", "True"), row
    row = cells(table(V1 + "/networks/n"))[0]
    assert (row["Type"], row["CIDRs"], row["Masquerade"]) == ("bridge", "10.77.0.0/16", "false"), row
    node.await_ready("/api/v1/nodes/node1")
    row, = cells(table("/api/v1/nodes"))
    assert (row["Name"], row["Status"], row["Roles"]) == ("node1", "Ready", "<none>"), row
    assert {r["Name"]: r["Status"] for r in cells(table("/api/v1/namespaces"))}["default"] == "Active"


main([columns, pods, objects, metadata, watches, others])
node.stop()
