#!/bin/sh
# Starts Envoy with the arguments given, and ends it only once nothing runs any more: at a SIGTERM
# it asks the agent, by a file in the folder that both share, to refuse new requests, and waits
# until the agent says that the running ones are over, or until it has waited long enough.
set -eu
umask 077 # its access log and sockets are nobody else's
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true # each client and each call of a backend is an open file

folder=/run/ai-gateway
patience=35 # seconds: longer than the agent's listen.drain_timeout, shorter than stop_grace_period

drain() {
	trap '' TERM INT
	: >"$folder/drain"
	left=$((patience * 5))
	while [ ! -e "$folder/drained" ] && [ "$left" -gt 0 ] && kill -0 "$envoy" 2>/dev/null; do
		sleep 0.2
		left=$((left - 1))
	done
	kill -TERM "$envoy" 2>/dev/null || true
}

rm -f "$folder/drain" "$folder/drained"
envoy "$@" &
envoy=$!
trap drain TERM INT
status=0
wait "$envoy" || status=$? # a signal ends this, too
if [ -e "$folder/drain" ]; then
	status=0
	wait "$envoy" || status=$?
	rm -f "$folder/drain" "$folder/drained"
fi
exit "$status"
