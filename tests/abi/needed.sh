#!/bin/sh
# needed.sh LIBRARY: its SONAME, and that it needs nothing but libc (the dynamic loader belongs to it: thread-local storage).
set -eu
readelf -d "$1" | grep -F 'Library soname: [libkubering.so.0]'
others=$(readelf -d "$1" | sed -n 's/.*Shared library: \[\(.*\)\]/\1/p' | grep -v -e '^libc\.so\.6$' -e '^ld-linux' || true)
if [ -n "$others" ]; then
	echo "needs more than libc: $others"
	exit 1
fi
# It runs inside other people's processes: it must not end them, print, or change their signals.
bad=$(nm -D --undefined-only "$1" | awk '{ print $2 }' | sed 's/@.*//' |
	grep -x -e abort -e exit -e _exit -e printf -e puts -e fprintf -e __printf_chk -e __fprintf_chk -e perror \
		-e signal -e sigaction -e pthread_create -e fork -e system || true)
if [ -n "$bad" ]; then
	echo "calls what a library must not: $bad"
	exit 1
fi
