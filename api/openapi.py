#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""openapi.py [--check] - make openapi.yaml of document.yaml, verbs.yaml and schemas/, or see that it is made of them

Room: text to text.  What a reader needs once is written once: the operations of a kind in verbs.yaml, its
fields in schemas/.  openapi.yaml is what tools want, one plain OpenAPI 3 document; it is kept in the repository
to be read, and netd serves it.
"""
import copy
import json
import os
import re
import sys
import textwrap

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH = 120
HEAD = "# Made by api/openapi.py of api/document.yaml, verbs.yaml and schemas/: change those, then run it.\n"
REF = "#/components/%s/%s"


def load(name):
    with open(os.path.join(HERE, name)) as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def fill(value, words):
    """A copy with every ${word} put in."""
    if isinstance(value, dict):
        return {fill(k, words): fill(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, words) for v in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda m: words[m[1]], value)
    return value


def ref(kind, name):
    return {"$ref": REF % (kind, name)}


def complete(row):
    """A row of kinds with all that follows from it."""
    row = dict({"group": "", "version": "v1", "schema": row["kind"]}, **row)
    row["apiVersion"] = (row["group"] + "/" if row["group"] else "") + row["version"]
    row["root"] = ("/apis/" if row["group"] else "/api/") + row["apiVersion"]
    row["scope"] = "/namespaces/{namespace}" if row.get("namespaced") else ""
    row["InNamespace"] = "InNamespace" if row["scope"] else ""
    row["inNamespace"] = " in a namespace" if row["scope"] else ""
    row["Deleted"] = row["schema"] + ("" if row.get("returned") else "Deleted")
    return row


def gvk(row):
    return {name: row[name] for name in ("group", "version", "kind")}


def refusals(verbs, operation, row, words):
    """Code to the name of its answer: the groups in turn, then what is the operation's own."""
    codes = dict(verbs["refusals"]["every"], **verbs["refusals"]["resource"])
    for part in operation["refusals"]:
        codes.update(verbs["refusals"][part] if isinstance(part, str) else part)
    for flag, more in operation.get("if", {}).items():
        codes.update(fill(more, words) if row.get(flag) and not words.get("Sub") else {})
    return codes


def body(verbs, name, row, words):
    made = fill(copy.deepcopy(verbs["bodies"][name]), words)
    if not row.get("protobuf"):
        made["content"].pop("application/vnd.kubernetes.protobuf", None)
    if row.get("ours"):
        made["content"].pop("application/strategic-merge-patch+json", None)
    return made


ACTIONS = {"create": "post", "replace": "put", "finalize": "put", "stats": "get"}


def make_operation(verbs, verb, row, words):
    operation = verbs["operations"][verb]
    made = {name: fill(operation[name], words) for name in ("operationId", "summary")}
    made["x-kubernetes-action"] = ACTIONS.get(verb, verb)
    made["x-kubernetes-group-version-kind"] = gvk(row)
    made["parameters"] = [ref("parameters", name)
                          for name in operation["parameters"] + verbs["parameters"]["every"]]
    if "body" in operation:
        made["requestBody"] = body(verbs, operation["body"], row, words)
    codes = dict(fill(operation["answers"], words), **refusals(verbs, operation, row, words))
    made["responses"] = {code: ref("responses", codes[code]) for code in sorted(codes)}
    return made


def make_paths(verbs, row):
    paths = {}
    for shape in verbs["shapes"]:
        if "if" in shape and not row.get(shape["if"]):
            continue
        words = dict(row, **fill(shape.get("words", {}), row))
        path = fill(shape["path"], words)
        item = paths.setdefault(path, {})
        item["parameters"] = [ref("parameters", name) for name in re.findall(r"\{(\w+)\}", path)]
        for method in ("get", "put", "post", "delete", "patch"):
            if method in shape:
                item[method] = make_operation(verbs, shape[method], row, words)
        if not item["parameters"]:
            del item["parameters"]
    return paths


def open_up(schema, allowed):
    """Every object that lists its members says whether it takes others."""
    if isinstance(schema, list):
        for part in schema:
            open_up(part, allowed)
    if not isinstance(schema, dict):
        return
    if "properties" in schema and isinstance(schema["properties"], dict):
        schema.setdefault("additionalProperties", allowed)
        for part in schema["properties"].values():
            open_up(part, allowed)
    for key in ("items", "allOf", "anyOf", "oneOf"):
        open_up(schema.get(key), allowed)


def make_kind(schema, row):
    """The envelope around what is the kind's own."""
    name = {"apiVersion": row["apiVersion"], "kind": row["kind"]}
    made = {"type": "object", "description": schema["description"], "x-kubernetes-group-version-kind": [gvk(row)]}
    made["properties"] = {key: {"type": "string", "enum": [value], "description": value + "; may be absent in a write"}
                          for key, value in name.items()}
    made["properties"]["metadata"] = ref("schemas", "ObjectMeta")
    made["properties"].update(copy.deepcopy(schema["properties"]))
    if "required" in schema:
        made["required"] = schema["required"]
    if row.get("ours"):     # the status of our kinds is open as the others' is
        made["properties"]["status"]["additionalProperties"] = True
    open_up(made, not row.get("ours"))
    return made


def make_answers(document):
    """The refusals are written as their description alone."""
    answers = document["components"]["responses"]
    for name, answer in answers.items():
        if isinstance(answer, str):
            answer = {"description": answer}
        if set(answer) <= {"description", "x-podnet-circumstance"}:
            answer = dict(answer, content={"application/json": {"schema": ref("schemas", "Status")}},
                          headers={key: ref("headers", key) for key in ("Retry-After", "Warning")})
        answers[name] = answer


def make_special(document, verbs):
    """What every operation has, the paths that are no resource have too."""
    for item in document["paths"].values():
        for operation in (o for o in item.values() if isinstance(o, dict)):
            operation["parameters"] = [ref("parameters", name) for name in verbs["parameters"]["every"]]
            for code, name in verbs["refusals"]["every"].items():
                operation["responses"].setdefault(code, ref("responses", name))


def names(value):
    """What is referred to in it."""
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*[names(v) for v in value.values()])
    return set().union(*[names(v) for v in value]) if isinstance(value, list) else set()


def drop_unused(document, group, made):
    """Of the templates' components, those that no kind has use for."""
    wanted = names(document)
    for name in made:
        if REF % (group, name) not in wanted:
            del document["components"][group][name]


def make():
    document, verbs = load("document.yaml"), load("verbs.yaml")
    schemas = {}
    for file in sorted(os.listdir(HERE + "/schemas")):
        schemas.update(load("schemas/" + file))
    components = document["components"]
    components["schemas"] = schemas
    make_answers(document)
    make_special(document, verbs)
    made = []
    for row in map(complete, verbs["kinds"]):
        document["paths"].update(make_paths(verbs, row))
        schemas[row["schema"]] = make_kind(schemas[row["schema"]], row)
        schemas.update(fill(verbs["schemas"], row))
        answers = fill(copy.deepcopy(verbs["responses"]), row)
        components["responses"].update(answers)
        made += answers
    drop_unused(document, "responses", made)
    for group in components:
        components[group] = dict(sorted(components[group].items()))
    return document


def scalar(value, flow_style=True):
    """Plain where YAML allows it, else in quotes; within {} and [] it allows less."""
    if not isinstance(value, str):
        return json.dumps(value)
    text = yaml.safe_dump([value], default_flow_style=flow_style, width=1 << 20, allow_unicode=True).strip()
    return text[1:-1] if flow_style else text[2:]


def flow(value):
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (scalar(k), flow(v)) for k, v in value.items())
    if isinstance(value, list):
        return "[%s]" % ", ".join(map(flow, value))
    return scalar(value)


def emit_member(key, value, indent, out):
    """In one line if that fits and it is not one of the upper levels, else a line for each of its own."""
    begin = " " * indent + key
    line = begin + " " + (scalar(value, False) if isinstance(value, str) else flow(value))
    block = isinstance(value, (dict, list)) and value
    if not (block and (indent < 4 or key == "properties:")) and len(line) <= WIDTH:
        out.append(line)
    elif block:
        out.append(begin)
        emit(value, indent + 2 if isinstance(value, dict) else indent, out)
    else:
        out.append(begin + " >-")
        pad = " " * (indent + 2)
        out += textwrap.wrap(value, WIDTH, initial_indent=pad, subsequent_indent=pad,
                             break_long_words=False, break_on_hyphens=False)


def emit(value, indent, out):
    if isinstance(value, dict):
        for key, member in value.items():
            emit_member(scalar(key, False) + ":", member, indent, out)
        return
    pad = " " * indent
    for member in value:
        line = pad + "- " + flow(member)
        if len(line) <= WIDTH or not isinstance(member, (dict, list)):
            out.append(line)
            continue
        lines = []
        emit(member, indent + 2, lines)
        out += [pad + "- " + lines[0].lstrip()] + lines[1:]


def text_of(document):
    out = []
    emit(document, 0, out)
    return HEAD + "\n".join(out) + "\n"


def main():
    path = os.path.join(HERE, "openapi.yaml")
    text = text_of(make())
    if "--check" not in sys.argv[1:]:
        with open(path, "w") as file:
            file.write(text)
        return
    with open(path) as file:
        if file.read() != text:
            sys.exit("api/openapi.yaml is not what its sources make: run api/openapi.py and commit what changes")


if __name__ == "__main__":
    main()
