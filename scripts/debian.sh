#!/bin/sh
# Installs Debian packages that tests need, those of them that are missing. Where it may not,
# it says what is missing, and fails.
#
# usage: scripts/debian.sh PACKAGE…
set -eu

# present reports whether a package's program exists, from any source.
present() {
  case $1 in
  docker.io) command -v dockerd >/dev/null ;;
  iptables) command -v iptables-save >/dev/null ;;
  postgresql) command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

missing=
for package in "$@"; do
  present "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "missing, and there is no apt-get to install them with:$missing" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  echo "missing, and only root may install them: run as root: apt-get install$missing" >&2
  exit 1
fi

echo "Installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # both are lists of words
$as_root apt-get update -qq >&2
# shellcheck disable=SC2086
$as_root apt-get install -y -qq --no-install-recommends $missing >&2

for package in "$@"; do
  present "$package" || { echo "$package is installed, and what it should bring is not there" >&2; exit 1; }
done
