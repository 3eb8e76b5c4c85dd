#!/bin/sh
# golden.sh PROGRAM FILE: what the program prints is what was committed. A difference is a break for programs that are already built.
set -eu
work=$(mktemp)
trap 'rm -f "$work"' EXIT
"$1" >"$work"
test -s "$work"
diff "$2" "$work"
