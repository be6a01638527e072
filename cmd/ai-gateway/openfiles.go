package main

import (
	"fmt"

	"ai-gateway/envoy"
	"ai-gateway/supervisor"
)

// connections returns how many clients may be connected, given the limit on open files. Envoy,
// which is started later, inherits the raised limit.
func (w world) connections() (int, error) {
	files, err := supervisor.RaiseFileLimit()
	if err != nil {
		return 0, fmt.Errorf("finding how many files may be open: %w", err)
	}
	n := envoy.Connections(files, envoyWorkers())
	switch {
	case n < envoy.MinConnections:
		return 0, fmt.Errorf("only %d files may be open, which is room for %d clients at one time: raise the limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)", files, n)
	case n < envoy.FewConnections:
		w.warn(fmt.Sprintf("only %d files may be open: no more than %d clients may be connected at one time; raise the limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)", files, n))
	}
	return n, nil
}

// checkFiles shows how many clients may be connected.
func (w world) checkFiles() finding {
	files, err := supervisor.RaiseFileLimit()
	if err != nil {
		return finding{about: "open files", err: err}
	}
	n := envoy.Connections(files, envoyWorkers())
	f := finding{about: "open files", good: fmt.Sprintf("%d may be open, so %d clients may be connected", files, n)}
	switch {
	case n < envoy.MinConnections:
		f.err = fmt.Errorf("only %d may be open, which is room for %d clients at one time", files, n)
	case n >= envoy.FewConnections:
		return f
	}
	f.hint = "raise the limit: ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker"
	return f
}
