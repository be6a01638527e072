package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkOwn refuses a backend that is this gateway itself: each request would come back until
// something breaks, and would be recorded each time.
func (r *reader) checkOwn(d *document, b *backend) {
	if u := b.BaseURL; u != nil && portOf(u) == d.Port && d.Port != 0 && listensAt(d.Bind, strings.TrimSuffix(u.Hostname(), ".")) {
		r.fault(r.said[&b.BaseURL].place, "%q is this gateway's own address, so its requests would come back to it: name the provider's address, or set another PORT", u)
	}
}

func portOf(u *url.URL) int {
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return port
}

// listensAt reports whether a listener at an address can be reached under a host. Names other
// than localhost are not looked up: a loop through one of them is ended by its first request.
func listensAt(bind, host string) bool {
	at, err := netip.ParseAddr(bind)
	if err != nil {
		return false
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return at.IsLoopback() || at.IsUnspecified()
	}
	called, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	called = called.Unmap()
	if !at.IsUnspecified() {
		return called == at || called.IsUnspecified() && at.IsLoopback() // which leads to this machine
	}
	return called.IsLoopback() || called.IsUnspecified() || isOfThisMachine(called)
}

func isOfThisMachine(address netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == address {
			return true
		}
	}
	return false
}
