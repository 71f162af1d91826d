#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""layers.py - fail on an #include that tests/lint/layers.txt does not allow

usage: layers.py [TREE [LAYERS]]
"""
import pathlib
import re
import sys

TREE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
LAYERS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else TREE / "tests/lint/layers.txt"
ROOTS = ("include", "libpodnet", "netd", "examples", "tests")
THIRD = {"libmnl/": "libmnl", "libnftnl/": "libnftnl", "linux/": "linux", "jansson.h": "jansson",
         "sqlite3.h": "sqlite3", "microhttpd.h": "libmicrohttpd", "gnutls/": "gnutls",
         "curl/": "libcurl", "cmocka.h": "cmocka"}
LIBC = ("sys/", "net/", "netinet/", "arpa/", "sanitizer/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def read_layers():
    rows = {}
    for line in LAYERS.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, words = line.partition(":")
            rows[folder.strip()] = set(words.split())
    return rows


def inside(path):
    """the file of this tree that an include means, or None"""
    for base in (TREE, TREE / "include", TREE / "tests"):
        if (base / path).is_file():
            return (base / path).resolve().relative_to(TREE)
    return None


def third_party(name):
    for prefix, party in THIRD.items():
        if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
            return party
    return None


def problem(source, folder, quote, name, allowed):
    local = source.parent / name
    found = None
    if quote == '"' and local.is_file():
        found = local.resolve().relative_to(TREE)
    found = found or inside(name)
    if found:
        home = str(found.parent)
        if home == folder or home in allowed or str(found) in allowed or "any" in allowed:
            return None
        return f"may not include {found}"
    party = third_party(name)
    if party:
        return None if party in allowed or "any" in allowed else f"may not include {party}"
    if name.startswith(("libpodnet/", "netd/", "podnet/", "tests/")):
        return f"includes {name}, which is not there"
    if "/" in name and not name.startswith(LIBC):
        return f"includes {name}, which tests/lint/layers.py does not know"
    return None


def main():
    rows = read_layers()
    bad = []
    seen = 0
    for source in sorted(p for r in ROOTS for p in (TREE / r).rglob("*.[ch]")):
        folder = str(source.parent.relative_to(TREE))
        if folder not in rows:
            bad.append(f"{source.relative_to(TREE)}: tests/lint/layers.txt has no row for {folder}")
            continue
        seen += 1
        for number, line in enumerate(source.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and problem(source, folder, *match.groups(), rows[folder])
            if why:
                bad.append(f"{source.relative_to(TREE)}:{number}: {folder} {why}")
    print("\n".join(bad + [f"{seen} files, {len(bad)} offences"]))
    sys.exit(1 if bad or not seen else 0)


main()
