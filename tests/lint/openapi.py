#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""openapi.py SOURCE NETD DOCUMENTS - api/openapi.yaml is valid, made of its sources, and has every route

Valid by the schema that the OpenAPI initiative publishes (Debian's openapi-specification), and by what that
schema cannot say: references, names, parameters of paths, defaults.  What netd serves of it, in DOCUMENTS, is valid too.
"""
import json
import os
import re
import subprocess
import sys

import jsonschema

SOURCE, NETD, DOCUMENTS = sys.argv[1:]
SCHEMA = "/usr/share/openapi-specification/schemas/v3.0/schema.json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
wrong = []


def read(path):
    with open(path) as file:
        return json.load(file)


def walk(value, path=()):
    """Every object and list in it, with where it is."""
    yield value, path
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        if isinstance(member, (dict, list)):
            yield from walk(member, path + (key,))


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method], item.get("parameters", []) + item[method].get("parameters", [])


def fresh():
    done = subprocess.run([sys.executable, SOURCE + "/api/openapi.py", "--check"], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        wrong.append(done.stderr.strip())


def routes(document):
    served = set(subprocess.run([NETD, "--print-routes"], stdout=subprocess.PIPE, text=True,
                                check=True).stdout.splitlines())
    said = {"%s %s" % (method.upper(), path) for method, path, _, _ in operations(document)}
    assert served and said, "nothing to compare"
    wrong.extend("%s is served and not in the document: api/verbs.yaml, kinds or shapes" % r for r in served - said)
    wrong.extend("%s is in the document and not served" % r for r in said - served)
    return len(said)


def valid(name, document, validator):
    for error in validator.iter_errors(document):
        wrong.append("%s: %s: %s" % (name, "/".join(map(str, error.absolute_path)), error.message[:200]))


def references(name, document):
    """Each leads somewhere, and what is there is referred to."""
    wanted = {value["$ref"] for value, _ in walk(document)
              if isinstance(value, dict) and isinstance(value.get("$ref"), str)}
    there = {"#/components/%s/%s" % (group, key) for group, parts in document["components"].items() for key in parts}
    wrong.extend("%s: %s leads nowhere" % (name, r) for r in wanted - there)
    wrong.extend("%s: %s is not used" % (name, r) for r in there - wanted)


def names(name, document):
    """An operation's is unique; the parameters of a path are all there, each once."""
    seen = {}
    for method, path, operation, parameters in operations(document):
        where = "%s: %s %s" % (name, method, path)
        key = operation["operationId"]
        if seen.setdefault(key, where) != where:
            wrong.append("%s: operationId %s is also of %s" % (where, key, seen[key]))
        given = [document["components"]["parameters"][p["$ref"].rsplit("/")[-1]] if "$ref" in p else p
                 for p in parameters]
        keys = [(p["in"], p["name"]) for p in given]
        if len(keys) != len(set(keys)):
            wrong.append("%s: a parameter twice" % where)
        if sorted(n for i, n in keys if i == "path") != sorted(re.findall(r"\{(\w+)\}", path)):
            wrong.append("%s: other parameters than in its path" % where)


def schemas(document):
    """A member without a description, a default or an example that is none, a required member that is not there."""
    for value, path in walk(document["components"]):
        where = "/".join(map(str, path))
        if not isinstance(value, dict):
            continue
        for key, member in value.get("properties", {}).items() if isinstance(value.get("properties"), dict) else ():
            if "$ref" not in member and "description" not in member:
                wrong.append("%s/%s: no description" % (where, key))
        if "properties" in value and path[-1] != "properties":
            for key in set(value.get("required", [])) - set(value["properties"]):
                wrong.append("%s: %s is required and not there" % (where, key))
        schema = value.get("schema", value)
        for key in ("default", "example"):
            if key in value and path[-1] != "properties" and "type" in schema and \
                    list(jsonschema.Draft4Validator(schema).iter_errors(value[key])):
                wrong.append("%s: %s is not of its own type: %r" % (where, key, value[key]))


def main():
    validator = jsonschema.Draft4Validator(read(SCHEMA))
    document = read(DOCUMENTS + "/openapi.json")
    fresh()
    count = routes(document)
    schemas(document)
    files = {"api/openapi.yaml": document}
    for file in sorted(os.listdir(DOCUMENTS + "/v3")):
        files["/openapi/v3 " + file] = read(DOCUMENTS + "/v3/" + file)
    for name, part in files.items():
        valid(name, part, validator)
        references(name, part)
        names(name, part)
    if wrong:
        sys.exit("\n".join(wrong))
    print("%d operations, %d documents" % (count, len(files)))


main()
