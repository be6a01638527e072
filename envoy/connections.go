package envoy

const (
	// maxConnections is how many clients may be connected where enough files may be open.
	maxConnections = 50_000
	// ownFiles are those that Envoy needs beside clients and backends: its binary's, the access log,
	// sockets to the agent, listeners, timers, and room to accept one that is turned away.
	ownFiles = 64
	// workerFiles are those of each worker.
	workerFiles = 8
	// FewConnections is what is worth a warning, and MinConnections the least that a gateway is
	// started with.
	FewConnections = 1000
	MinConnections = 8
)

// Connections is how many clients may be connected where so many files may be open: each may have
// a request at a backend, which is a second connection. An Envoy that runs out of files cannot
// take connections of ours either, nor write to a log that it opens anew.
func Connections(files uint64, workers int) int {
	own := uint64(ownFiles + workers*workerFiles)
	if files <= own {
		return 0
	}
	return int(min((files-own)/2, maxConnections))
}
