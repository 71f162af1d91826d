#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# sizes.sh [TREE] - fail on functions of more than 60 lines and files of more than 600
#
# A function is what stands between a "{" and a "}" at the left margin; that spares flat tables,
# whose brace is at the end of a line.
set -eu
cd "${1:-.}"
find include libpodnet netd examples tests -name '*.[ch]' | sort | xargs awk '
FNR == 1	{ if (lines > 600) { print file ": " lines " lines"; bad++ }; file = FILENAME }
		{ lines = FNR; if ($0 ~ /^[a-z].*\(/) name = $0 }
/^\{/		{ start = FNR }
/^\}/ && start	{
	if (FNR - start - 1 > 60) {
		print FILENAME ":" start ": " FNR - start - 1 " lines: " name
		bad++
	}
	start = 0
}
END		{ if (lines > 600) { print file ": " lines " lines"; bad++ }; print NR " lines, " bad + 0 " offences"; exit bad > 0 || NR == 0 }'
