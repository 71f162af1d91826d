#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fastpath.py [--check] - make fastpath.bpf.h of fastpath.bpf.c, by clang

The instructions stand in the tree, so that building takes no second compiler; tests/lint makes them
again and compares, where there is the clang that made them.
"""
import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = """/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fastpath.bpf.h - made of fastpath.bpf.c by fastpath.py, with %s; not to be edited */
/* clang-format off */
"""


def clang():
    for line in subprocess.run(["clang", "--version"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.splitlines():
        if "clang version" in line:
            return "clang " + line.split("clang version ")[1].split(".")[0]
    raise SystemExit("fastpath.py: clang does not say its version")


def compiled():
    """Name to instructions."""
    target = "/usr/include/%s" % subprocess.run(["gcc", "-print-multiarch"], stdout=subprocess.PIPE, text=True,
                                                check=True).stdout.strip()
    elf = subprocess.run(["clang", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-I", target,
                          "-c", os.path.join(HERE, "fastpath.bpf.c"), "-o", "/dev/stdout"],
                         stdout=subprocess.PIPE, check=True).stdout
    start, = struct.unpack_from("<Q", elf, 0x28)
    size, number, names = struct.unpack_from("<HHH", elf, 0x3a)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + i * size) for i in range(number)]
    text = elf[headers[names][4]:]
    for name, _, _, _, offset, length in headers:
        name = text[name:text.index(b"\0", name)].decode()
        if name.startswith("tc_"):
            yield name[3:], elf[offset:offset + length]


def rendered():
    out = HEAD % clang()
    for name, code in compiled():
        out += "static const __u64 fastpath_%s[] = {\n" % name
        words = ["0x%016x," % word for word, in struct.iter_unpack("<Q", code)]
        for i in range(0, len(words), 5):
            out += "\t%s\n" % " ".join(words[i:i + 5])
        out += "};\n"
    return out


def main():
    path = os.path.join(HERE, "fastpath.bpf.h")
    if sys.argv[1:] != ["--check"]:
        with open(path, "w", encoding="ascii") as file:
            file.write(rendered())
        return
    with open(path, encoding="ascii") as file:
        stands = file.read()
    if clang() + ";" not in stands:
        print("made by another clang than %s: not compared" % clang())
        sys.exit(1 if os.environ.get("PODNET_TEST_STRICT") else 77)     # Debian 12's is among its packages
    if stands != rendered():
        sys.exit("fastpath.bpf.h is not what fastpath.bpf.c says: run libpodnet/overlay/fastpath.py")


main()
