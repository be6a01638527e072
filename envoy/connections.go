package envoy

const (
	// maxConnections is how many clients may be connected if enough files may be open.
	maxConnections = 50_000
	// ownFiles are those that Envoy needs in addition to clients and backends: its binary's, the
	// access log, sockets to the agent, listeners, timers, and room for a connection to refuse.
	ownFiles = 64
	// workerFiles are those of each worker.
	workerFiles = 8
	// FewConnections are so few that there is a warning.
	FewConnections = 1000
	// MinConnections are those without which the gateway does not start.
	MinConnections = 8
)

// Connections returns how many clients may be connected with a limit on open files: each may have
// a request at a backend, which is a second connection. An Envoy without free files could not
// accept our own connections either, or reopen its log.
func Connections(files uint64, workers int) int {
	own := uint64(ownFiles + workers*workerFiles)
	if files <= own {
		return 0
	}
	return int(min((files-own)/2, maxConnections))
}
