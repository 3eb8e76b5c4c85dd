#!/bin/sh
# install.sh BUILD CMAKE CC EXAMPLES: installed, the library is found by pkg-config and by CMake, and the examples build against it and nothing else;
# the programs run where they are, and the service names them.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" --install "$1" --prefix "$work/usr" >/dev/null
test "$(find "$work/usr" -path '*include*' -name '*.h' | wc -l)" = 1
pc=$(dirname "$(find "$work/usr" -name kubering.pc)")
for example in list get follow poll workers; do
	test -f "$(find "$work/usr/share/doc" -name "$example.c")"
	"$3" -std=gnu11 -pthread -Wall -Wextra -Wpedantic -Wconversion -Werror -o "$work/$example" "$4/$example.c" \
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

"$work/usr/bin/kubering" --version | grep -q '^kubering [0-9]'
"$work/usr/bin/kuberingd" --version | grep -q '^kuberingd [0-9]'
unit=$work/usr/lib/systemd/system/kuberingd.service
grep -qx "ExecStart=$work/usr/bin/kuberingd --config /etc/kubering/kubering.yaml --socket /run/kubering/kubering.sock" "$unit"
docs=$(dirname "$(sed -n 's/^Documentation=file://p' "$unit")")
for doc in kubering.yaml README.md LICENSE; do
	test -f "$docs/$doc"
done
grep -q '^u kubering ' "$work/usr/lib/sysusers.d/kubering.conf"
DESTDIR=$work/package "$2" --install "$1" --prefix /usr >/dev/null
grep -q '^ExecStart=/usr/bin/kuberingd ' "$work/package/usr/lib/systemd/system/kuberingd.service"
grep -qx 'prefix=/usr' "$(find "$work/package" -name kubering.pc)"
if command -v systemd-analyze >/dev/null; then
	systemd-analyze verify "$unit"
	systemd-analyze security --offline=yes --threshold=15 "$unit" >/dev/null
else
	echo 'systemd-analyze is not here: the unit was not verified'
fi
