#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# man.sh [TREE] - fail when groff warns about a man page
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
exit $bad
