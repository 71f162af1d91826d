# SPDX-License-Identifier: LGPL-2.1-or-later
"""openapi_hint.py - which line to add where, for what api/openapi.yaml does not say

Room: for openapi.py, when a test has failed; reads the document's sources.
"""
import json
import os

import yaml

TREE = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../..")
VERBS = {"post": "create", "put": "replace"}
END = "; then run api/openapi.py"


def load(name):
    with open(os.path.join(TREE, "api", name)) as file:
        return yaml.compose(file, yaml.SafeLoader)


def child(node, key):
    """(its value, its line) of a mapping's member; (None, 0)."""
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key:
            return value, name.start_mark.line + 1
    return None, 0


def line(name, *keys):
    """Where the member is, as far as the way leads."""
    node, at = load(name), 1
    for key in keys:
        node, found = child(node, key)
        at = found or at
    return "api/%s:%d" % (name, at)


def verb_of(problem):
    operation = problem.where["operation"]
    action = operation["x-kubernetes-action"]
    return "finalize" if problem.where["path"].endswith("/finalize") else VERBS.get(action, action)


def answer_name(document, code):
    """What other operations call the answer of this code, and what is to be done first if none has it."""
    for path, method in document.operations:
        said = document.operation(path, method)["responses"].get(code)
        if said and "$ref" in said:
            return said["$ref"].rsplit("/", 1)[1], ""
    return "NAME", "add `NAME: when it is so` at %s, under components: responses:, and " % \
        line("document.yaml", "components", "responses")


def of_code(document, problem):
    code = problem.where["code"]
    name, first = answer_name(document, code)
    if "x-kubernetes-action" not in problem.where["operation"]:
        place = line("document.yaml", "paths", problem.where["path"], problem.where["method"], "responses")
        return "%sadd `'%s': {$ref: '#/components/responses/%s'}` at %s, or, if every operation has it, `'%s': %s` at " \
            "%s, in every:" % (first, code, name, place, code, name, line("verbs.yaml", "refusals"))
    verb = verb_of(problem)
    return "%sadd `'%s': %s` at %s, in refusals of %s, or, if a group of operations has it, at %s" % (
        first, code, name, line("verbs.yaml", "operations", verb, "refusals"), verb, line("verbs.yaml", "refusals"))


def of_parameter(document, problem):
    name = problem.where["name"]
    if "x-kubernetes-action" not in problem.where["operation"]:
        place = line("document.yaml", "paths", problem.where["path"])
    else:
        place = line("verbs.yaml", "operations", verb_of(problem), "parameters")
    known = name in document.root["components"]["parameters"]
    return "add %s at %s, or, if every operation has it, at %s%s" % (
        name, place, line("verbs.yaml", "parameters", "every"),
        "" if known else ", and its own line at " + line("document.yaml", "components", "parameters"))


def sources():
    """Every schema's name to its file."""
    found = {}
    for file in sorted(os.listdir(TREE + "/api/schemas")):
        for name, _ in load("schemas/" + file).value:
            found[name.value] = "schemas/" + file
    return found


def of_field(document, problem):
    """Follows the way through the sources to where the member belongs."""
    files = sources()
    parts = problem.where["field"].replace("[]", ".[]").split(".")
    name, keys = parts[0], []
    if name not in files:
        return "add it to the schema of the answer, in api/document.yaml or api/schemas"
    schema = document.root["components"]["schemas"][name]
    for part in parts[1:]:
        step = ["items"] if part == "[]" else ["properties", part]
        for key in step:
            schema = schema[key]
        keys += step
        if "$ref" in schema:
            name, keys = schema["$ref"].rsplit("/", 1)[1], []
            schema = document.resolve(schema)
    if name not in files or not problem.where.get("name"):
        return "compare with %s" % (line(files[name], name, *keys) if name in files else "api/verbs.yaml, schemas")
    value = problem.where["value"]
    kind = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}.get(type(value), "string")
    more = ", items: {type: string}" if kind == "array" else ""
    return "add `%s: {type: %s%s, description: ...}  # %s` at %s, in properties of %s" % (
        problem.where["name"], kind, more, json.dumps(value)[:40],
        line(files[name], name, *keys, "properties"), ".".join(parts))


def hint(document, problem):
    makers = {"code": of_code, "parameter": of_parameter, "field": of_field, "value": of_field}
    if problem.kind == "path":
        return "add it at %s or %s%s" % (line("verbs.yaml", "shapes"), line("document.yaml", "paths"), END)
    if problem.kind == "header":
        return "add it at %s, and to the answer's headers%s" % (line("document.yaml", "components", "headers"), END)
    if problem.kind == "type":
        return "add it at %s or %s%s" % (line("verbs.yaml", "bodies"), line("verbs.yaml", "responses"), END)
    if problem.kind == "value" and "field" not in problem.where:
        return "correct it in api/document.yaml" + END
    return makers[problem.kind](document, problem) + END
