#!/bin/sh
# Prints the path of Docker Compose, as a plug-in of the docker command, of the version that is
# named here, which it builds into .tools/compose. `make test-deploy` starts the compose file
# with it, so that it does not depend on what a machine has.
set -eu

module=github.com/docker/compose/v2
version=v2.40.3
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$here/.tools/compose/$version
plugin=$dir/cli-plugins/docker-compose

if [ ! -x "$plugin" ]; then
	# In a module of its own, as Compose cannot be installed by its version alone (it replaces
	# modules), and in a folder of its own first: two builds at once do not meet.
	mkdir -p "$here/.tools/compose" "$dir/cli-plugins"
	new=$(mktemp -d "$here/.tools/compose/build.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	(cd "$new" && go mod init compose && go get -tool "$module/cmd@$version" &&
		CGO_ENABLED=0 GOFLAGS=-trimpath go build -ldflags "-X $module/internal.Version=$version" -o docker-compose "$module/cmd") >&2
	mv "$new/docker-compose" "$plugin"
fi
printf '%s\n' "$plugin"
