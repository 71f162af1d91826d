# SPDX-License-Identifier: LGPL-2.1-or-later
"""ruleset.py - what the packaged nft prints of our tables, it can load again

Room: main() of node.py asks after each test, with netd running, and at the end, when it is stopped.
"""
import re
import shutil
import subprocess

OURS = re.compile(r"^table (inet|bridge) podnet(-\S+)?$")
# nft 1.0.6 prints the flags of a table with an owner without their words, and may not touch one that is owned
BARE_FLAGS = re.compile(r"^\tflags *$", re.M)
OWNED = re.compile(r"^table .* # progname ", re.M)


def nft(*words, text=None, where=()):
    return subprocess.run(list(where) + ["nft"] + list(words), input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def refusal():
    """Why nft does not print it, or not take what it printed; None: it does both, or there is nothing."""
    if not shutil.which("nft"):
        return None
    ours = [line for line in nft("list", "tables").stdout.splitlines() if OURS.match(line)]
    if not ours:
        return None
    whole = nft("list", "ruleset")
    if whole.returncode:
        return "nft list ruleset: " + whole.stdout
    text = "".join(nft("list", *line.split()).stdout for line in ours)
    where = ["unshare", "--net"] if OWNED.search(text) else []
    check = nft("-c", "-f", "-", text=BARE_FLAGS.sub("", text), where=where)
    if check.returncode or check.stdout:
        return "nft -c -f -: " + check.stdout
    return None
