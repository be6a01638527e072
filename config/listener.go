package config

import "net"

// Listener is the address at which a gateway listens.
type Listener struct {
	Bind  string // an IP address
	Port  int
	HTTPS bool
}

// Listener returns the address at which a gateway of this configuration listens.
func (c Config) Listener() Listener { return Listener{c.Bind, c.Port, c.TLS != (TLS{})} }

// IsLocal reports whether only this machine can reach a gateway of this configuration.
func (c Config) IsLocal() bool { return net.ParseIP(c.Bind).IsLoopback() }

// FindListener returns the address at which a gateway listens, with defaults for what cannot
// be read, and all faults of the configuration. It reads no keys.
func FindListener(path string, getenv func(string) string) (Listener, error) {
	r := newReader(path, getenv)
	r.keyless = true
	d := r.load()
	if d.Port == 0 {
		delete(r.said, &d.Port)
	}
	if d.Bind == "" {
		delete(r.said, &d.Bind)
	}
	r.complete(d.fields())
	return Listener{d.Bind, d.Port, r.said[&d.tls].isSaid()}, r.err()
}
