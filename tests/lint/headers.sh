#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# headers.sh [TREE] - fail when a public header alone is not clean C99 and C++11
set -eu
cd "${1:-.}"
bad=0
count=0
for header in include/podnet/*.h; do
	name=podnet/$(basename "$header")
	count=$((count + 1))
	printf '#include <%s>\n#include <%s>\ntypedef int used;\n' "$name" "$name" |
		"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c - || bad=$((bad + 1))
	printf '#include <%s>\n' "$name" |
		"${CXX:-c++}" -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ - || bad=$((bad + 1))
done
echo "$count headers, $bad offences"
[ "$bad" = 0 ] && [ "$count" -gt 0 ]
