# SPDX-License-Identifier: LGPL-2.1-or-later
"""openapi.py - every exchange of a test is held against api/openapi.yaml

Room: node.py's connections tell it what was sent and answered; what the document does not say is a
violation, and main() of node.py fails the test in which it was seen.  Looked at are the path and its method,
the code, the content types, the headers of the answer, the parameters and the body of a request that was accepted, and
every member of an answer: known, of its type, and there if required.

Kubernetes kinds keep what they do not know.  So a member of theirs that the schema lacks is fine in an answer if this
process has sent it before, in an object of the kind or in a patch; else it is netd's own, and undocumented.

What was seen is also written down, to the file that PODNET_SEEN names, for tests/api/coverage.py.
"""
import atexit
import json
import os
import re
import threading
import urllib.parse

TREE = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../..")
FEW = 50        # elements of a list that are looked at; more differ in nothing
PLAIN_HEADERS = {"date", "content-type", "content-length", "connection", "transfer-encoding"}
FORMATS = {"date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"),
           "cidr": re.compile(r"[0-9a-fA-F:.]+/\d+$")}
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
PATCHES = {"application/merge-patch+json", "application/strategic-merge-patch+json"}


def media(text):
    return (text or "").split(";")[0].strip().lower()


def truth(text):
    """A boolean of the query, as netd reads it."""
    return text is not None and text.lower() not in ("0", "false")


class Problem:
    """@kind: code, path, parameter, header, type, field, value; @where: an operation or a member."""

    def __init__(self, kind, text, **where):
        self.kind, self.text, self.where = kind, text, where


class Judge:
    """The schemas, each made into a function once: judge(value, where, problems).

    @place: of a schema in the document, Pod.spec; what is seen there is noted in @seen.
    """

    def __init__(self, document, sent, seen):
        self.document = document
        self.sent = sent
        self.seen = seen
        self.request = seen is None     # of what is sent: members that an open object does not list are fine
        self.made = {}
        self.making = threading.RLock()     # a test may have several clients at once
        self.kinds = {}
        for name, schema in document["components"]["schemas"].items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                api = (gvk["group"] + "/" if gvk["group"] else "") + gvk["version"]
                self.kinds[api, gvk["kind"]] = name

    def of(self, schema, place="body"):
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        maker = self.alternatives if {"oneOf", "anyOf"} & set(schema) else \
            self.all_of if "allOf" in schema else self.typed
        return maker(schema, place)

    def named(self, name):
        with self.making:
            return self.made_once(name)

    def made_once(self, name):
        if name not in self.made:
            self.made[name] = None      # one that refers to itself is made when it is asked for
            schema = self.document["components"]["schemas"][name]
            judge = self.of(schema, name)
            gvk = schema.get("x-kubernetes-group-version-kind")
            kind = gvk[0]["kind"] if gvk else None
            # what was sent is remembered by kind, so the place counts from the object
            self.made[name] = (lambda v, where, out: judge(v, kind, out)) if kind else judge
        return self.made[name] or (lambda *args: self.made[name](*args))

    def alternatives(self, schema, place):
        judges = [self.of(s, place) for s in schema.get("oneOf", schema.get("anyOf"))]

        def judge(value, where, out):
            best = None
            for one in judges:
                found = []
                one(value, where, found)
                if not found:
                    return
                # of two kinds, the one that it says to be
                if best is None or not any(p.where.get("field", "").endswith(".kind") for p in found):
                    best = found
            out += best
        return judge

    def all_of(self, schema, place):
        judges = [self.of(s, place) for s in schema["allOf"]]

        def judge(value, where, out):
            for one in judges:
                one(value, where, out)
        return judge

    def typed(self, schema, place):
        maker = {"object": self.an_object, "array": self.a_list}.get(schema.get("type"), self.a_scalar)
        inner = maker(schema, place)
        wanted = TYPES.get(schema.get("type"))
        nullable = schema.get("nullable") or self.request

        def judge(value, where, out):
            if value is None and nullable:
                return
            if wanted and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
                out.append(Problem("value", "%s is not of type %s: %r" % (where, schema["type"], value), field=where))
            else:
                inner(value, where, out)
        return judge

    def a_scalar(self, schema, _):
        values, pattern = schema.get("enum"), FORMATS.get(schema.get("format"))

        def judge(value, where, out):
            if value == "":             # is as absent as null
                return
            if values and value not in values:
                out.append(Problem("value", "%s is none of %s: %r" % (where, values, value), field=where))
            if pattern and not pattern.match(value):
                out.append(Problem("value", "%s is no %s: %r" % (where, schema["format"], value), field=where))
        return judge

    def a_list(self, schema, place):
        element = self.of(schema["items"], place + "[]")

        def judge(value, where, out):
            for part in value if len(value) <= FEW else value[:FEW // 2] + value[-FEW // 2:]:
                element(part, where + "[]", out)
        return judge

    def an_object(self, schema, place):
        if schema.get("x-kubernetes-embedded-resource"):
            return self.embedded
        members = {name: (self.of(s, place + "." + name), "field %s.%s" % (place, name))
                   for name, s in schema.get("properties", {}).items()}
        more = schema.get("additionalProperties")
        others = self.of(more) if isinstance(more, dict) else None
        free = others is None and not members
        required = [] if self.request else schema.get("required", [])
        seen = set() if self.request else self.seen

        def unknown(name, value, where, out):
            if others:
                others(value, where + "." + name, out)
            elif not (self.request and more is not False) and \
                    not (more is True and where + "." + name in self.sent):
                out.append(Problem("field", "%s.%s is not documented" % (where, name), field=where, name=name,
                                   value=value))

        def judge(value, where, out):
            if free:
                return
            for name, member in value.items():
                if name in members:
                    one, record = members[name]
                    seen.add(record)
                    one(member, "%s.%s" % (where, name), out)
                else:
                    unknown(name, member, where, out)
            for name in required:
                if name not in value:
                    out.append(Problem("value", "%s.%s is required and not there" % (where, name), field=where))
        return judge

    def embedded(self, value, where, out):
        """An object of any kind, by what it says to be."""
        name = self.kinds.get((value.get("apiVersion"), value.get("kind")))
        if name is None and str(value.get("apiVersion")).startswith("meta.k8s.io/"):
            name = self.kinds.get(("meta.k8s.io/v1", value.get("kind")))
        if name is None:
            out.append(Problem("value", "%s is of no documented kind: %s" % (where, value.get("kind")), field=where))
            return
        self.named(name)(value, where, out)


class Document:
    """Paths, operations and what they refer to."""

    def __init__(self, file):
        with open(file) as text:
            self.root = json.load(text)
        self.tree = {}
        for path in self.root["paths"]:
            node = self.tree
            for part in path.split("/")[1:]:
                node = node.setdefault("{}" if part.startswith("{") else part, {})
            node[None] = path
        self.operations = [(path, method) for path, item in self.root["paths"].items()
                           for method in item if method != "parameters"]
        codes = [set(self.operation(*key)["responses"]) for key in self.operations]
        self.everywhere = set.intersection(*codes)

    def find(self, path):
        """The template that it fits, or None; one slash at the end may be there."""
        parts = path.split("/")[1:]
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        nodes = [self.tree]
        for part in parts:
            nodes = [n[p] for n in nodes for p in (part, "{}") if p in n and p is not None and part]
        found = [n[None] for n in nodes if None in n]
        return min(found, key=lambda p: p.count("{")) if found else None

    def operation(self, path, method):
        return self.root["paths"][path].get(method)

    def resolve(self, value):
        while "$ref" in value:
            group, name = value["$ref"].split("/")[2:]
            value = self.root["components"][group][name]
        return value

    def parameters(self, path, method):
        item = self.root["paths"][path]
        return [self.resolve(p) for p in item.get("parameters", []) + item[method].get("parameters", [])]


class Exchange:
    """One request, from what was sent to each line of the answer."""

    def __init__(self, book, method, url, body, headers, answer):
        self.book, self.document = book, book.document
        self.method, self.body = method, body
        self.headers = {k.lower(): v for k, v in (headers or {}).items()}
        self.answer = answer
        self.code = str(answer.status)
        self.accepted = answer.status < 400
        url = urllib.parse.urlsplit(url)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.path = self.document.find(urllib.parse.unquote(url.path))
        self.operation = self.path and self.document.operation(self.path, method.lower())
        self.contents = {}
        self.at = "%s %s" % (method, self.path or url.path)
        self.check()

    def say(self, kind, text, **where):
        self.book.add(Problem(kind, "%s: %s" % (self.at, text), path=self.path, method=self.method.lower(),
                              operation=self.operation, code=self.code, **where))

    def check(self):
        if not self.operation:
            wanted = {"405" if self.path else "404"} | self.document.everywhere
            if self.code not in wanted:
                self.say("path", "%s of what is not documented" % self.code)
            return
        said = self.operation["responses"].get(self.code)
        if said is None:
            self.say("code", "%s is not documented" % self.code)
            return
        said = self.document.resolve(said)
        self.contents = said.get("content", {})
        self.book.note("code", self.at, self.code)
        self.check_headers(said)
        if self.accepted:
            self.check_query()
            self.check_body()

    def check_headers(self, said):
        sent = self.answer.headers.get("Content-Type")
        if self.contents and not any(key == sent or media(key) == sent for key in self.contents):
            self.say("type", "the answer's Content-Type %s is not documented" % sent, name=sent)
        known = PLAIN_HEADERS | {name.lower() for name in said.get("headers", {})}
        for name in {n.lower() for n in self.answer.headers} - known:
            self.say("header", "the header %s of %s is not documented" % (name, self.code), name=name)

    def check_query(self):
        known = {p["name"]: p for p in self.document.parameters(self.path, self.method.lower())
                 if p["in"] in ("query", "header")}
        for name, value in self.query.items():
            if name not in known:
                self.say("parameter", "the parameter %s=%s was accepted and is not documented" % (name, value),
                         name=name)
            elif value and value not in known[name]["schema"].get("enum", [value]):
                self.say("value", "the parameter %s=%s was accepted, and is none of %s" %
                         (name, value, known[name]["schema"]["enum"]))
            else:
                self.book.note("parameter", self.at, name)
        for name, parameter in known.items():
            if parameter["in"] == "header" and name.lower() in self.headers:
                self.book.note("parameter", self.at, name)

    def kind(self):
        return self.operation.get("x-kubernetes-group-version-kind", {}).get("kind")

    def check_body(self):
        if not self.body:
            return
        sort = media(self.headers.get("content-type")) or "application/json"
        said = self.document.resolve(self.operation.get("requestBody", {})).get("content", {})
        if sort not in said:
            if said:
                self.say("type", "a body of type %s was accepted, and is not documented" % sort, name=sort)
            return
        self.book.note("body", self.at, sort)
        if not sort.endswith("json"):
            return
        body = json.loads(self.body)
        self.remember(sort, body)
        problems = []
        self.book.request.of(said[sort]["schema"])(body, self.kind() or "body", problems)
        for p in problems:
            self.say(p.kind, "accepted in the body: " + p.text, **p.where)

    def remember(self, sort, body):
        """Members that may come back."""
        if sort == "application/json-patch+json":
            for step in body:
                self.book.send(self.kind(), re.sub(r"/(\d+|-)(?=/|$)", "[]", step["path"]).replace("/", "."),
                               step.get("value"))
        else:
            self.book.send(self.kind(), "", body)

    def watches(self):
        return self.accepted and self.method == "GET" and truth(self.query.get("watch")) and \
            "application/json;stream=watch" in self.contents

    def read(self, text):
        """The whole body of the answer."""
        if self.watches() or not self.contents or media(next(iter(self.contents))) != "application/json":
            return
        try:
            self.judge(json.loads(text))
        except ValueError as err:
            self.say("value", "the answer to it is no JSON: %s" % err)

    def judge(self, value):
        """By the schema of the form that it has."""
        chosen, form = None, None
        for key, content in self.contents.items():
            schema = content["schema"]
            kinds = self.document.resolve(schema).get("properties", {}).get("kind", {}).get("enum")
            if "stream=" in key or (kinds and isinstance(value, dict) and value.get("kind") not in kinds):
                continue
            chosen, form = schema, key
            break
        if chosen is None:
            self.say("value", "the answer is of a kind that is not documented: %s" % str(value)[:200])
            return
        self.book.note("form", self.at, form)
        self.report(chosen, value)

    def report(self, schema, value):
        problems = []
        self.book.answer.of(schema)(value, "answer", problems)
        for p in problems:
            self.say(p.kind, "the answer %s: %s" % (self.code, p.text), **p.where)

    def line(self, text):
        if not text or not self.watches():
            return
        event = json.loads(text)
        self.book.note("form", self.at, "application/json;stream=watch")
        schema = self.contents["application/json;stream=watch"]["schema"]
        problems = []
        self.book.answer.of(schema)(event, "WatchEvent", problems)
        bookmark = event.get("type") == "BOOKMARK"      # it has a version, and none of what is required else
        for p in problems:
            if not (bookmark and "is required" in p.text):
                self.say(p.kind, "an event: " + p.text, **p.where)


class Book:
    """All that one process has seen."""

    def __init__(self, file):
        self.document = Document(file)
        self.sent = set()
        self.seen = set()
        self.problems = {}
        self.answer = Judge(self.document.root, self.sent, self.seen)
        self.request = Judge(self.document.root, self.sent, None)

    def add(self, problem):
        self.problems.setdefault(problem.text, problem)

    def note(self, *what):
        self.seen.add(" ".join(what))

    def send(self, kind, path, value):
        """Remembers the members of @value, which is at @path of an object."""
        place = (kind or "body") + path
        self.sent.add(place)
        if place.startswith(kind or "body") and path.startswith(".metadata"):
            self.sent.add("PartialObjectMetadata" + path)
        if isinstance(value, dict):
            for name, member in value.items():
                self.send(kind, path + "." + name, member)
        elif isinstance(value, list):
            for member in value:
                self.send(kind, path + "[]", member)

    def take(self):
        """The problems since the last time, as text."""
        problems, self.problems = self.problems, {}
        if not problems:
            return []
        from openapi_hint import hint
        return ["%s\n     %s" % (p.text, hint(self.document, p)) for p in problems.values()]

    def write(self, file):
        with open(file + ".new", "w") as out:
            out.write("".join(line + "\n" for line in sorted(self.seen)))
        os.rename(file + ".new", file)


def open_book():
    """The document is made beside netd; without one, as of an installed netd, nothing is checked."""
    file = os.path.join(os.path.dirname(os.environ.get("NETD", "")), "openapi/openapi.json")
    if not os.path.exists(file):
        return None
    made = Book(file)
    if os.environ.get("PODNET_SEEN"):
        atexit.register(made.write, os.environ["PODNET_SEEN"])
    return made


book = open_book()
