package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"ai-gateway/gateway"
)

const (
	reachesWaiting = 8 // backends that wait to be tried; further ones are not reported
	maxReached     = 8 // addresses of a backend that are tried
)

// reach finds out why backends cannot be reached, at each of their addresses: Envoy only reports
// the last one.
type reach struct {
	world
	backends func() []gateway.Backend // in force
	log      *slog.Logger
	queue    chan gateway.Backend
}

func (w world) newReach(backends func() []gateway.Backend, log *slog.Logger) *reach {
	return &reach{w, backends, log, make(chan gateway.Backend, reachesWaiting)}
}

// look queues a backend to be tried. It does not wait.
func (r *reach) look(name string) {
	for _, b := range r.backends() {
		if b.Name != name {
			continue
		}
		select {
		case r.queue <- b:
		default:
		}
	}
}

// run tries one backend after another until ctx ends.
func (r *reach) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-r.queue:
			r.try(ctx, b)
		}
	}
}

// try connects to each address of a backend, without sending anything.
func (r *reach) try(ctx context.Context, b gateway.Backend) {
	if b.Socket != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	host := strings.TrimSuffix(b.BaseURL.Hostname(), ".")
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		r.log.Warn("a backend cannot be reached", "backend", b.Name, "error", err)
	}
	port := cmp.Or(b.BaseURL.Port(), map[string]string{"https": "443", "http": "80"}[b.BaseURL.Scheme])
	for _, address := range addresses[:min(len(addresses), maxReached)] {
		if err := r.connect(ctx, b, address, port); err != nil {
			r.log.Warn("a backend cannot be reached", "backend", b.Name, "address", address.Unmap(), "error", err)
		}
	}
}

func (r *reach) connect(ctx context.Context, b gateway.Backend, address netip.Addr, port string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address.Unmap().String(), port))
	if err != nil {
		return err
	}
	defer conn.Close()
	if b.BaseURL.Scheme != "https" {
		return nil
	}
	trust := r.trust(b)
	trust.ServerName = strings.TrimSuffix(b.BaseURL.Hostname(), ".")
	return tls.Client(conn, trust).HandshakeContext(ctx)
}
