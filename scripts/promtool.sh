#!/bin/sh
# Prints the path of Prometheus' promtool, which it builds into .tools/promtool: it checks the
# alert rules in deploy/prometheus. Tests run it; the gateway does not need it.
set -eu

version=v0.316.0
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$here/.tools/promtool/$version

if [ ! -x "$dir/promtool" ]; then
	# In a folder of its own first: two builds at once do not meet.
	mkdir -p "$here/.tools/promtool"
	new=$(mktemp -d "$here/.tools/promtool/build.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	(cd "$new" && CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN="$new" go install "github.com/prometheus/prometheus/cmd/promtool@$version") >&2
	mkdir -p "$dir"
	mv "$new/promtool" "$dir/promtool"
fi
printf '%s\n' "$dir/promtool"
