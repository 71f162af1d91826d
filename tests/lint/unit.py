#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""unit.py UNIT CALLS - a unit is as tight as can be; netd's is without a mount namespace

UNIT is the unit as it is installed, CALLS the rows that netd/guard/calls.sh makes.  systemd itself
does not run where tests do, so this is what can be said of the text alone.
"""
import os
import re
import shutil
import subprocess
import sys

EXPOSURE = {        # tenths; 52 for a netd that was root's
    "podnet-netd.service": 45,      # 2 of them for AF_PACKET: announcements by ARP
    "podnet-fwd.service": 14,
}

# exec_needs_mount_namespace() in systemd's src/core/execute.c, of version 252 and later ones
MOUNTING = """RootImage RootDirectory RootHash RootVerity MountAPIVFS ReadWritePaths ReadOnlyPaths
InaccessiblePaths ExecPaths NoExecPaths BindPaths BindReadOnlyPaths TemporaryFileSystem MountImages
ExtensionImages ExtensionDirectories MountFlags PrivateTmp PrivateDevices PrivateMounts PrivateIPC
PrivatePIDs PrivateBPF PrivateNetwork NetworkNamespacePath IPCNamespacePath ProtectSystem ProtectHome
ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectProc
ProcSubset DynamicUser LogNamespace JoinsNamespaceOf PrivateUsers""".split()

# made before netd's own filter is loaded, and by the loader
STARTING = """execve arch_prctl set_tid_address brk mmap mprotect pread64 prlimit64 capget capset prctl seccomp
epoll_create1 timerfd_create connect listen umask getegid rt_sigaction""".split()
STARTING_NETD = """eventfd2 inotify_init1 signalfd4 lchown fchownat rename symlink mkdirat fork clone""".split()


def analyze(*args):
    done = subprocess.run(["systemd-analyze", "--no-pager"] + list(args), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def expand(names):
    """The calls of a list that may hold groups."""
    calls, groups = set(), list(names)
    while groups:
        name = groups.pop()
        if not name.startswith("@"):
            calls.add(name)
            continue
        code, text = analyze("syscall-filter", name)
        assert code == 0, text
        groups += [line.strip() for line in text.splitlines()[1:]
                   if line.strip() and not line.strip().startswith("#")]
    return calls


def rows(text):
    return [line.partition("=")[::2] for line in text.splitlines() if re.match("[A-Z]", line)]


def main():
    if not shutil.which("systemd-analyze"):
        sys.exit(77)
    text = open(sys.argv[1]).read()
    unit = os.path.basename(sys.argv[1])
    netd, most = unit == "podnet-netd.service", EXPOSURE[unit]
    bad = ["%s makes a mount namespace" % name for name, _ in rows(text) if netd and name in MOUNTING]
    code, said = analyze("security", "--offline=true", "--threshold=%d" % most, sys.argv[1])
    if code or "Overall exposure level" not in said:
        bad.append("more exposed than %d:\n%s" % (most, "\n".join(
            line for line in said.splitlines() if not line.startswith("\u2713"))))
    allowed = set()
    for value in (value for name, value in rows(text) if name == "SystemCallFilter"):
        calls = expand(value.lstrip("~").split())
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    noted = set(re.findall(r"CALL\w*\((\w+)", open(sys.argv[2]).read()))
    assert len(noted) > (50 if netd else 30), noted
    missing = (noted | set(STARTING + (STARTING_NETD if netd else []))) - allowed - {"fchown"}    # SQLite's, when it is root
    bad += ["SystemCallFilter lacks " + call for call in sorted(missing)]
    print("\n".join(bad + [said.strip().splitlines()[-1], "%d offences" % len(bad)]))
    sys.exit(bool(bad))


main()
