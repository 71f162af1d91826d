#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""cases.py [TREE] - tests/e2e/SERVICES.md names a test for each line of the case list, and they are there

A row is: line, what it says, tests as FILE:FUNCTION, a remark.  The docstring of a test that is named has
the line in its brackets; a line that is open is in nobody's; what a row lacks is said in the remark.
"""
import pathlib
import re
import sys

TREE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
TABLE = TREE / "tests/e2e/SERVICES.md"
LINES = {"A": 19, "B": 8, "C": 11, "D": 12, "E": 9, "F": 11, "G": 11, "H": 7, "I": 14, "J": 14}
REMARKS = ("open", "two nodes", "cloud", "by figures", "not ours")
FUNCTION = re.compile(r'^def (\w+)\([^)]*\):\n\s+"""\[([^]]+)\]', re.M)


def tagged():
    """(file, function) to the lines in its brackets."""
    found = {}
    for path in sorted((TREE / "tests/e2e").glob("test_*.py")):
        for name, lines in FUNCTION.findall(path.read_text()):
            found[path.name, name] = set(lines.split())
    return found


def rows():
    for number, text in enumerate(TABLE.read_text().splitlines(), 1):
        cells = [c.strip() for c in text.split("|")[1:-1]]
        if cells and re.fullmatch(r"[A-J]\d+", cells[0]):
            yield number, cells


def problems(number, cells, tests):
    line, _, named, remark = cells
    where = "%s:%d: %s " % (TABLE, number, line)
    for word in re.findall(r"`([^`]+)`", named):
        file, _, function = word.partition(":")
        lines = tests.get((file, function))
        if lines is None:
            yield where + "names %s, which is not there, or has no lines in brackets" % word
        elif line not in lines:
            yield where + "names %s, which does not name it" % word
    if not named and not remark.startswith(REMARKS):
        yield where + "has neither a test nor one of: " + ", ".join(REMARKS)
    shown = sorted("%s:%s" % t for t, lines in tests.items() if line in lines)
    if not named and shown:
        yield where + "names no test, but is shown by " + ", ".join(shown)


def main():
    tests, seen, bad = tagged(), [], []
    for number, cells in rows():
        seen.append(cells[0])
        if len(cells) != 4:
            bad.append("%s:%d: a row has four cells" % (TABLE, number))
        else:
            bad += problems(number, cells, tests)
    wanted = ["%s%d" % (letter, i) for letter, n in LINES.items() for i in range(1, n + 1)]
    bad += ["%s: no row for %s" % (TABLE, line) for line in wanted if line not in seen]
    bad += ["%s: %s stands twice" % (TABLE, line) for line in set(seen) if seen.count(line) > 1]
    bad += ["%s: %s is no line of the list" % (TABLE, line) for line in seen if line not in wanted]
    known = {line for lines in tests.values() for line in lines}
    bad += ["a docstring names %s, which is no line of the list" % line for line in sorted(known - set(wanted))]
    print("\n".join(bad + ["%d lines, %d tests, %d offences" % (len(seen), len(tests), len(bad))]))
    sys.exit(1 if bad or not seen else 0)


main()
