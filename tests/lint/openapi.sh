#!/bin/sh
# openapi.sh SOURCE NETD - what netd serves and what api/openapi.yaml says are the same, both ways,
# and every $ref of the document leads somewhere
set -eu
yaml=$1/api/openapi.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$2" --print-routes | LC_ALL=C sort >"$work/served"
awk '
	/^[a-z]/ { in_paths = $1 == "paths:" }
	in_paths && /^  \/[^ ]*:$/ { path = substr($1, 1, length($1) - 1) }
	in_paths && /^    (get|put|post|patch|delete|head|options):/ {
		print toupper(substr($1, 1, index($1, ":") - 1)), path
	}' "$yaml" | LC_ALL=C sort >"$work/said"
[ -s "$work/served" ] && [ -s "$work/said" ] || { echo "openapi: nothing to compare" >&2; exit 1; }
if ! diff "$work/served" "$work/said" >"$work/diff"; then
	echo "openapi: '<' is served and not in api/openapi.yaml, '>' the other way:" >&2
	grep '^[<>]' "$work/diff" >&2
	exit 1
fi

awk '
	/^[a-z]/ { top = substr($1, 1, length($1) - 1) }
	/^  [A-Za-z]+:/ { group = substr($1, 1, length($1) - 1) }
	top == "components" && /^    [A-Za-z]+:/ {
		split($1, name, ":")
		there["#/components/" group "/" name[1]] = 1
	}
	{
		line = $0
		while (match(line, /#\/components\/[A-Za-z]+\/[A-Za-z]+/)) {
			wanted[substr(line, RSTART, RLENGTH)] = NR
			line = substr(line, RSTART + RLENGTH)
		}
	}
	END {
		for (ref in wanted)
			if (!(ref in there)) {
				print "openapi.yaml:" wanted[ref] ": " ref " leads nowhere"
				bad = 1
			}
		exit bad
	}' "$yaml" >&2
echo "$(wc -l <"$work/served") routes, the same on both sides"
