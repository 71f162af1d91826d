#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""serve.py OPENAPI.YAML DIR - what netd serves under /openapi, and what the tests look up, made of the document

Room: run by the build; files in DIR.  openapi.json is the whole document.  v3/ has the part of each group and
version for the explain of newer clients; v2.pb has what older ones need before they write.  documents.inc lists
them for netd/rest/openapi.c, which takes them into the binary.  Why they are less than the whole:

- Clients take a type of patch that a document of OpenAPI 3 names for granted, and compute it from the schema there:
  the strategic one is left out, so that they go by their own types.
- They look for query parameters without following references, and stumble over additionalProperties that are
  true or false beside properties: the former stand in their place, the latter are left out.
- An old kubectl refuses every member that a schema of OpenAPI 2 lacks.  So only our own kinds have one, and in it an
  object that takes unknown members lists none.
"""
import copy
import hashlib
import json
import os
import sys

import yaml

STRATEGIC = "application/strategic-merge-patch+json"
GVK = "x-kubernetes-group-version-kind"


def at(document, reference):
    for part in reference[2:].split("/"):
        document = document[part]
    return document


def versions(document):
    """The groups and versions, as paths of discovery."""
    found = {}
    for path in document["paths"]:
        parts = path.split("/")
        if path.startswith("/api/v1/") or (path.startswith("/apis/") and len(parts) > 4):
            found["/".join(parts[1:3 if parts[1] == "api" else 4])] = True
    return list(found)


def inline(document, item):
    """A path with its parameters in their place, and without what would mislead."""
    item = copy.deepcopy(item)
    for operation in [item] + [v for v in item.values() if isinstance(v, dict)]:
        if "parameters" in operation:
            operation["parameters"] = [at(document, p["$ref"]) for p in operation["parameters"]]
        operation.get("requestBody", {}).get("content", {}).pop(STRATEGIC, None)
    return item


def plain(schema):
    """Without additionalProperties that are only true or false."""
    if isinstance(schema, list):
        return [plain(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: plain(v) for k, v in schema.items()
            if not (k == "additionalProperties" and isinstance(v, bool))}


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = value.values()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return
    for part in value:
        yield from references(part)


def part_of(document, version):
    paths = {path: inline(document, item) for path, item in document["paths"].items()
             if path.startswith("/" + version + "/")}
    made = {"openapi": document["openapi"], "info": document["info"], "paths": paths, "components": {}}
    wanted, done = set(references(paths)), set()
    while wanted - done:
        reference = sorted(wanted - done)[0]
        done.add(reference)
        group, name = reference.split("/")[2:]
        what = at(document, reference)
        made["components"].setdefault(group, {})[name] = plain(what) if group == "schemas" else what
        wanted |= set(references(what))
    return made


# OpenAPI 2 in protobuf, by the numbers of google/gnostic's openapiv2/OpenAPIv2.proto
def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, value):
    """Text, a message that is made already, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def named(name, value):
    return field(1, name) + field(2, value)


def any_yaml(value):
    return field(2, yaml.safe_dump(value, default_flow_style=True, width=1 << 20).replace("\n...", ""))


def extension(value):
    return named(GVK, any_yaml(value))


def properties_v2(schema, document):
    made = [field(1, named(name, schema_v2(s, document))) for name, s in schema["properties"].items()]
    return field(25, b"".join(made))


def schema_v2(schema, document, about=b""):
    """@about: fields beside."""
    if "$ref" in schema:
        return schema_v2(at(document, schema["$ref"]), document)
    out = about + b"".join(field(number, schema[key]) for number, key in ((2, "format"), (4, "description"))
                           if key in schema)
    out += b"".join(field(19, name) for name in schema.get("required", []))
    out += b"".join(field(20, any_yaml(value)) for value in schema.get("enum", []))
    if isinstance(schema.get("additionalProperties"), dict):
        out += field(21, field(1, schema_v2(schema["additionalProperties"], document)))
    out += field(22, field(1, schema["type"]))
    if "items" in schema:
        out += field(23, field(1, schema_v2(schema["items"], document)))
    if "properties" in schema and schema.get("additionalProperties") is False:
        out += properties_v2(schema, document)
    return out


def path_v2(document, path, operation):
    made = b""
    for parameter in operation["parameters"]:
        name = at(document, parameter["$ref"])["name"]
        if name in ("dryRun", "fieldValidation"):
            query = field(2, "query") + field(4, name) + field(6, "string")
            made += field(8, field(1, field(2, field(3, query))))
    made += field(13, extension(operation[GVK]))
    return named(path, field(8, made))


def make_v2(document):
    paths = b"".join(field(2, path_v2(document, path, item["patch"]))
                     for path, item in document["paths"].items() if "patch" in item and path.endswith("{name}"))
    defined = b""
    for name, schema in document["components"]["schemas"].items():
        kind = schema.get(GVK, [{}])[0]
        if schema.get("additionalProperties") is False and "kind" in kind:
            about = field(31, extension(schema[GVK]))
            name = "%s.%s.%s" % (".".join(reversed(kind["group"].split("."))), kind["version"], kind["kind"])
            defined += field(1, named(name, schema_v2(schema, document, about)))
    info = field(1, document["info"]["title"]) + field(2, document["info"]["version"])
    return field(1, "2.0") + field(2, info) + field(8, paths) + field(9, defined)


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=False).encode()


class Output:
    """The files of DIR, each with the path at which it is served."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = []

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def serve(self, url, media, name, data):
        self.rows.append((url, media, self.write(name, data)))

    def list(self):
        rows = ['DOCUMENT(document_%d, "%s", "%s", "%s")\n' % ((i,) + row) for i, row in enumerate(self.rows)]
        self.write("documents.inc", "".join(rows).encode())


def main():
    source, folder = sys.argv[1:]
    with open(source, "rb") as file:
        text = file.read()
    document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    out = Output(os.path.realpath(folder))
    out.write("openapi.json", compact(document))
    index = {"openapi.yaml": {"serverRelativeURL": "/openapi.yaml"}}
    out.rows.append(("/openapi.yaml", "application/yaml", os.path.realpath(source)))
    for version in versions(document):
        made = compact(part_of(document, version))
        url = "/openapi/v3/" + version
        out.serve(url, "application/json", "v3/%s.json" % version.replace("/", "-"), made)
        index[version] = {"serverRelativeURL": "%s?hash=%s" % (url, hashlib.sha256(made).hexdigest()[:16])}
    out.serve("/openapi/v3", "application/json", "v3.json", compact({"paths": index}))
    out.serve("/openapi/v2", "application/octet-stream", "v2.pb", make_v2(document))
    out.list()


if __name__ == "__main__":
    main()
