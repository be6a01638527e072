#!/bin/sh
# Prints the path of a Go program that tests start, which it builds into .tools first, unless it
# is there, in a module of its own: what such a program depends on is none of ours.
#
#     go-tool.sh NAME PACKAGE MODULE@VERSION
set -eu

name=$1 package=$2 module=$3
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$here/.tools/$name/${module##*@}

if [ ! -x "$dir/$name" ]; then
	# In a folder of its own first: two builds at once do not meet.
	mkdir -p "$here/.tools/$name"
	new=$(mktemp -d "$here/.tools/$name/build.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	cd "$new"
	echo "Building $name ${module##*@}; this takes minutes" >&2
	{
		go mod init tool
		go get "$package@${module##*@}" # with all that it needs, which the module alone would not add
		CGO_ENABLED=0 go build -trimpath -o "$new/$name" "$package"
	} >"$new/log" 2>&1 || { cat "$new/log" >&2; exit 1; }
	mkdir -p "$dir"
	mv "$new/$name" "$dir/$name"
fi
printf '%s\n' "$dir/$name"
