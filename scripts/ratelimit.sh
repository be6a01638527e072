#!/bin/sh
# Prints the path of the stock service of envoyproxy/ratelimit, of the version that go.mod names.
# Tests start it; the gateway does not need it.
set -eu

module=github.com/envoyproxy/ratelimit
scripts=$(dirname "$0")
version=$(cd "$scripts/.." && go list -m -f '{{.Version}}' $module)
exec "$scripts/go-tool.sh" ratelimit "$module/src/service_cmd" "$module@$version"
