#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# man.sh [TREE] - fail when groff warns about a man page, or a flag of netd is not in netd(8)
set -eu
cd "${1:-.}"
command -v groff >/dev/null || exit 77
bad=0
for header in include/podnet/*.h netd/man/*.8; do
	case $header in
	*.h) page=$(awk -f libpodnet/man/mkman.awk -v version=0 "$header") ;;
	*) page=$(cat "$header") ;;
	esac
	said=$(printf '%s\n' "$page" | LC_ALL=C groff -man -ww -Tutf8 2>&1 >/dev/null)
	[ -z "$said" ] || { echo "$header: $said"; bad=1; }
done
for flag in $(sed -n 's/^\t[A-Z]*("\([a-z-]*\)", .*/\1/p' netd/conf.c); do
	sed 's/\\-/-/g' netd/man/netd.8 | grep -q -e "^\.BI* --$flag\b" || { echo "netd.8: no --$flag"; bad=1; }
done
exit $bad
