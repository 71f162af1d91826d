#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# calls.sh FOLDER... - the system calls that the sources ask for, as rows for calls.c
#
# Beside the code that makes them stand notes, a line of a comment each:
#   #syscalls: read write socket:AF_UNIX
# A name with a value is allowed with that value of the argument that calls.c says (VALUE_OF).
# What the machine at hand does not have (open() on arm64) is left out.
set -eu
find "$@" -name '*.[ch]' -exec sed -n 's/ *\*\/.*//; s/^[ /*\t]*#syscalls: *//p' {} + | tr ' \t' '\n\n' | grep -v '^$' |
	LC_ALL=C sort -u | awk -F: '
	$1 == last && (NF == 1) != bare { print "#error " $1 ": noted with a value and without" }
	{
		last = $1
		bare = NF == 1
		print "#ifdef __NR_" $1
		print bare ? "CALL(" $1 ")" : "CALL_WITH(" $1 ", " $2 ")"
		print "#endif"
	}
	END { exit NR == 0 }'
