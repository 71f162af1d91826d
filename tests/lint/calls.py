#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""calls.py [TREE] - each note "#syscalls:" of the sources names a call that there is

A name that no machine has would be left out of netd's filter without a word.
"""
import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
NOTE = re.compile(r"^[ \t/*]*#syscalls:(.*)")


def known():
    """The numbers that the kernel's headers give, of this machine."""
    text = subprocess.run(["cc", "-E", "-dM", "-x", "c", "-"], input="#include <sys/syscall.h>",
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    return set(re.findall(r"#define __NR_(\w+)", text))


def main():
    calls, bad, seen = known(), [], 0
    for source in sorted(p for r in ("netd", "libpodnet") for p in (TREE / r).rglob("*.[ch]")):
        for number, line in enumerate(source.read_text().splitlines(), 1):
            note = NOTE.match(line)
            if not note and "syscalls:" in line and "\"#syscalls:\"" not in line:
                bad.append("%s:%d: no note that netd/guard/calls.sh reads" % (source, number))
            for word in note.group(1).replace("*/", "").split() if note else ():
                seen += 1
                if word.partition(":")[0] not in calls:
                    bad.append("%s:%d: there is no system call %s" % (source, number, word))
    print("\n".join(bad + ["%d notes, %d offences" % (seen, len(bad))]))
    sys.exit(1 if bad or not seen else 0)


main()
