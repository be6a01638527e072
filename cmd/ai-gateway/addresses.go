package main

import (
	"fmt"
	"net/netip"
)

// addresses are where an Envoy reaches its agent: each is a Unix socket's path, or IP:PORT of this
// machine's loopback.
type addresses struct{ xds, extProc, agent, demo string }

// addresses are the sockets of the run folder.
func (d runFiles) addresses() addresses {
	return addresses{d.xdsSocket(), d.extProc(), d.agentSocket(), d.demoSocket()}
}

// agentPorts is how many ports in a row an agent uses on loopback.
const agentPorts = 4

// addressesFrom are ports of loopback, from the given one on; without one, the sockets of the run
// folder. Another machine's address is refused.
func addressesFrom(loopback string, files runFiles) (addresses, error) {
	if loopback == "" {
		return files.addresses(), nil
	}
	first, err := netip.ParseAddrPort(loopback)
	if err != nil || first.Addr().Zone() != "" {
		return addresses{}, fmt.Errorf("--loopback %q must be an address and a port, such as 127.0.0.1:9810 or [::1]:9810", loopback)
	}
	if !first.Addr().Unmap().IsLoopback() {
		return addresses{}, fmt.Errorf("--loopback %q must be on this machine's loopback, such as 127.0.0.1:%d: an agent runs on the host of its Envoy, as it reads the access log that Envoy writes there, "+
			"and whoever reaches that port gets the keys of the backends", loopback, first.Port())
	}
	last := 65535 - agentPorts + 1
	if first.Port() == 0 || int(first.Port()) > last {
		return addresses{}, fmt.Errorf("--loopback %q: the port must be an integer from 1 to %d, as it is the first of %d", loopback, last, agentPorts)
	}
	at := func(i int) string {
		return netip.AddrPortFrom(first.Addr().Unmap(), first.Port()+uint16(i)).String()
	}
	return addresses{xds: at(0), extProc: at(1), agent: at(2), demo: at(3)}, nil
}

// isPort reports whether an address is one of loopback, and no socket's path.
func isPort(address string) bool {
	_, err := netip.ParseAddrPort(address)
	return err == nil
}
