#!/bin/sh
# Prints the path of Dex, an OpenID provider, of the version that test/dex/go.mod names, which it
# builds into .tools/dex. Tests start it; the gateway does not need it.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
source=$here/test/dex
version=$(cat "$source/go.mod" "$source/go.sum" "$source/main.go" | cksum | tr " " -)
dir=$here/.tools/dex/$version

if [ ! -x "$dir/dex" ]; then
	# In a folder of its own first: two builds at once do not meet.
	mkdir -p "$here/.tools/dex"
	new=$(mktemp -d "$here/.tools/dex/build.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	(cd "$source" && CGO_ENABLED=0 GOFLAGS=-trimpath go build -o "$new/dex" .) >&2
	mkdir -p "$dir"
	mv "$new/dex" "$dir/dex"
fi
printf '%s\n' "$dir/dex"
