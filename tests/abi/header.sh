#!/bin/sh
# header.sh HEADER CC CXX: the header compiles by itself, in every language that may include it, twice over.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#include "%s"\n#include "%s"\nint main(void) { return kr_connect == 0; }\n' "$1" "$1" >"$work/main.c"
cp "$work/main.c" "$work/main.cc"
for std in c11 c17 gnu11; do
	"$2" -std=$std -Wall -Wextra -Wpedantic -Werror -Wno-address -fsyntax-only "$work/main.c"
done
for std in c++17 c++20; do
	"$3" -std=$std -Wall -Wextra -Wpedantic -Werror -Wno-address -fsyntax-only "$work/main.cc"
done
