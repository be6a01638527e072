#!/bin/sh
# Prints the path of Prometheus' promtool: it checks the alert rules in deploy/prometheus. Tests
# run it; the gateway does not need it.
set -eu

module=github.com/prometheus/prometheus
exec "$(dirname "$0")/go-tool.sh" promtool "$module/cmd/promtool" "$module@v0.316.0"
