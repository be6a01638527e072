#!/bin/sh
# Prints the path of the stock service of envoyproxy/ratelimit, of the version that go.mod
# names, which it builds into .tools/ratelimit. Tests start it; the gateway does not need it.
set -eu

module=github.com/envoyproxy/ratelimit
here=$(cd "$(dirname "$0")/.." && pwd)
version=$(cd "$here" && go list -m -f '{{.Version}}' $module)
dir=$here/.tools/ratelimit/$version

if [ ! -x "$dir/service_cmd" ]; then
	# In a folder of its own first: two builds at once do not meet.
	mkdir -p "$here/.tools/ratelimit"
	new=$(mktemp -d "$here/.tools/ratelimit/build.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	(cd "$new" && CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN="$new" go install "$module/src/service_cmd@$version") >&2
	mkdir -p "$dir"
	mv "$new/service_cmd" "$dir/service_cmd"
fi
printf '%s\n' "$dir/service_cmd"
