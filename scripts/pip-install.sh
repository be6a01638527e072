#!/bin/sh
# Installs Python packages into a folder of their own, unless they are there already:
#
#     pip-install.sh DIR REQUIREMENT…
#     pip-install.sh DIR -r FILE
#
# The folder is pip's --target, not a virtual environment: Debian's Python makes none
# without a further package, and refuses to install outside of one (PEP 668) but to a
# target. Where there is no pip, one from a passing virtual environment does it.
set -eu

python=${PYTHON:-python3}
dir=$1
shift
stamp=$dir/.installed

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

# wanted says what the folder is to hold: for which interpreter, and what.
wanted() {
	"$python" -c 'import platform, sys; print(sys.implementation.cache_tag, sys.platform, platform.machine())'
	printf '%s\n' "$@"
	if [ "$1" = -r ]; then cat "$2"; fi
}

has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

command -v "$python" >/dev/null || fail "Python is missing: install Python 3.10 or newer, or set PYTHON to one."
want=$(wanted "$@")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

rm -rf "$dir" "$dir.venv"
trap 'rm -rf "$dir.venv"' EXIT
pip=$python
if ! has_pip "$pip"; then
	"$python" -m venv "$dir.venv" >/dev/null 2>&1 || true
	pip=$dir.venv/bin/python
	has_pip "$pip" || fail "$python has neither pip nor ensurepip: install pip (on Debian and Ubuntu: apt-get install python3-pip)."
fi
echo "Installing $* into $dir" >&2
PIP_USER=0 PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --disable-pip-version-check --no-input \
	--target "$dir" "$@" >&2
printf '%s\n' "$want" >"$stamp"
