#!/bin/sh
# install.sh BUILD CMAKE CC EXAMPLES: installed, the library is found by pkg-config and by CMake, and the examples build against it and nothing else.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" --install "$1" --prefix "$work/usr" >/dev/null
test "$(find "$work/usr" -path '*include*' -name '*.h' | wc -l)" = 1
pc=$(dirname "$(find "$work/usr" -name kubering.pc)")
for example in list follow; do
	"$3" -std=c11 -Wall -Wextra -Werror -o "$work/$example" "$4/$example.c" \
		$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs kubering)
	LD_LIBRARY_PATH=$(dirname "$pc") "$work/$example" 2>&1 | grep -q usage
done
mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(kubering 0.1 REQUIRED)
add_executable(user $4/list.c)
target_link_libraries(user PRIVATE kubering::kubering)
END
"$2" -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_COMPILER="$3" >/dev/null
"$2" --build "$work/project/build" >/dev/null
"$work/project/build/user" 2>&1 | grep -q usage
