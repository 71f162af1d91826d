# SPDX-License-Identifier: LGPL-2.1-or-later
"""coverage.py OPENAPI.JSON SEEN SUITE... - what api/openapi.yaml documents was asked for and seen by some API suite

Room: runs after the suites and reads what each wrote down (tests/lib/openapi.py): the codes, types of bodies and forms
of each operation, the parameters of each verb, and the members of each schema that answers refer to.  A code that
comes of how the server is, and not of what is asked (x-podnet-circumstance), is enough once.
"""
import json
import os
import re
import sys

from openapi import Document

# Answers that no suite can bring about, or not yet.  One that is seen has to leave this list.
UNSEEN = {
    "Unanswered": "an answer of etcd's must be lost on the way: tests/e2e/test_cluster_faults.py",
    "NoMemory": "memory does not run out by requests; tests/unit lets allocations fail",
}

document = Document(sys.argv[1])
seen = set()


def read_records(folder, suites):
    """A suite that did not run since netd was built says nothing."""
    built = os.path.getmtime(sys.argv[1])
    for suite in suites:
        record = os.path.join(folder, suite)
        if not os.path.exists(record) or os.path.getmtime(record) < built:
            print("api_%s has not run with this build: ctest -R api_" % suite)
            sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)
        with open(record) as file:
            seen.update(file.read().splitlines())


def verb(path, method):
    """Operations that have the same parameters."""
    operation = document.operation(path, method)
    if "x-kubernetes-action" not in operation:
        return "%s %s" % (method.upper(), path)
    return operation["x-kubernetes-action"] + ("/" + path.rsplit("/", 1)[1] if path.endswith("ze") else "")


def fields(schema, place):
    """Every member that an answer may have."""
    for name, member in schema.get("properties", {}).items():
        if not member.get("writeOnly"):
            yield "%s.%s" % (place, name)
            yield from fields(member, "%s.%s" % (place, name))
    if "items" in schema:
        yield from fields(schema["items"], place + "[]")


def answered():
    """The schemas that answers refer to, and what these refer to."""
    found, left = set(), {json.dumps(document.root["components"]["responses"])}
    while left:
        names = set(re.findall(r'#/components/schemas/(\w+)', left.pop())) - found
        found |= names
        left |= {json.dumps(document.root["components"]["schemas"][name]) for name in names}
    return sorted(found)


def answer_name(said):
    return said.get("$ref", "").rsplit("/", 1)[1] if "$ref" in said else ""


def wanted():
    """(what was to be seen, all the records of which one must be there)."""
    parameters, circumstances = {}, {}
    for path, method in document.operations:
        operation, at = document.operation(path, method), "%s %s" % (method.upper(), path)
        for code, said in operation["responses"].items():
            record = "code %s %s" % (at, code)
            if document.resolve(said).get("x-podnet-circumstance"):
                circumstances.setdefault(answer_name(said), set()).add(record)
            else:
                yield "%s: code %s" % (at, code), {record}
            content = document.resolve(said).get("content", {})
            for form in content if len(content) > 1 else ():
                yield "%s: answer as %s" % (at, form), {"form %s %s" % (at, form)}
        for sort in document.resolve(operation.get("requestBody", {})).get("content", {}):
            yield "%s: body as %s" % (at, sort), {"body %s %s" % (at, sort)}
        for parameter in document.parameters(path, method):
            if parameter["in"] != "path":
                parameters.setdefault((verb(path, method), parameter["name"]), set()).add(
                    "parameter %s %s" % (at, parameter["name"]))
    for name in answered():
        for field in fields(document.root["components"]["schemas"][name], name):
            yield "field %s" % field, {"field " + field}
    for (action, name), records in parameters.items():
        yield "%s: parameter %s" % (action, name), records
    for name, records in circumstances.items():
        if name not in UNSEEN:
            yield "answer %s" % name, records
        elif records & seen:
            yield "%s was seen: it is no longer one of UNSEEN in tests/api/coverage.py" % name, {""}


def main():
    read_records(sys.argv[2], sys.argv[3:])
    rows = list(wanted())
    missing = [what for what, records in rows if not records & seen]
    print("%d operations, %d of %d seen" % (len(document.operations), len(rows) - len(missing), len(rows)))
    if missing:
        sys.exit("documented in api/openapi.yaml, and seen by no API suite (tests/api/test_openapi.py walks it):\n  " +
                 "\n  ".join(missing))


main()
