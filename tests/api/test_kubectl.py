# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_kubectl.py - what Debian's kubectl prints against netd is what was written down and reviewed

Room: the sessions that the command line names are run; without names, the table of tests/golden/kubectl/README
is held against them, so that no command is without a session.
"""
import re
import sys

from kubectl import Kubectl, command_lines, make_uplink, session, sessions, table
from node import Node, main


def check_table():
    """Each row's session has its commands, and each session stands in a row."""
    wrong, named = [], set()
    for row, name, words in table():
        named.add(name)
        lines = command_lines(name) if name in sessions() else []
        for some in words.split(";"):
            if not any(re.search(".*".join(map(re.escape, some.split())), line) for line in lines):
                wrong.append("%s: no command in session %r has %r" % (row, name, some.strip()))
    wrong += ["session %r is in no row" % name for name in sessions() if name not in named]
    assert not wrong, "\n".join(wrong)


def test_of(kubectl, name):
    def test():
        session(kubectl, name)
    test.__name__ = name
    return test


def run_sessions(names):
    make_uplink()
    node = Node(flags=["--load-balancer-cidr", "192.0.2.64/26"]).start()
    kubectl = Kubectl(node)
    sys.argv[1:] = []
    main([test_of(kubectl, name) for name in names] + [kubectl.close, node.stop])


if sys.argv[1:]:
    run_sessions(sys.argv[1:])
else:
    main([check_table])
