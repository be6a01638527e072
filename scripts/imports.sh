#!/bin/sh
# Holds the table of rooms true: a top-level folder imports no other but gateway; only
# cmd, which wires them, imports any. Tests are held to it as well.
set -eu
cd "$(dirname "$0")/.."

module=$(go list -m)
go list -f '{{range .Imports}}{{$.ImportPath}} {{.}}
{{end}}{{range .TestImports}}{{$.ImportPath}} {{.}}
{{end}}{{range .XTestImports}}{{$.ImportPath}} {{.}}
{{end}}' ./... | sort -u | awk -v module="$module/" '
	index($2, module) != 1 { next }
	{
		split(substr($1, length(module) + 1), from, "/")
		split(substr($2, length(module) + 1), to, "/")
	}
	from[1] != to[1] && from[1] != "cmd" && to[1] != "gateway" { print $1 " imports " $2; bad = 1 }
	END { exit bad }'
