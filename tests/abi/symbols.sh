#!/bin/sh
# symbols.sh LIBRARY MAP HEADER: what the library exports, what the map names and what the header declares are the same.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$1" | awk '$2 ~ /[TW]/ { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
sed -n 's/^\t\(kr_[a-z_]*\);$/\1/p' "$2" | sort >"$work/mapped"
sed -n 's/^KR_API.*[ *]\(kr_[a-z_]*\)(.*/\1/p' "$3" | sort >"$work/declared"
test -s "$work/mapped"
echo "exported against map:" && diff "$work/exported" "$work/mapped"
echo "declared against map:" && diff "$work/declared" "$work/mapped"
