package config

import "net"

// Listener is where a gateway listens.
type Listener struct {
	Bind  string // an IP address
	Port  int
	HTTPS bool
}

// Listener is where a gateway of this configuration listens.
func (c Config) Listener() Listener { return Listener{c.Bind, c.Port, c.TLS != (TLS{})} }

// IsLocal reports whether only this machine reaches a gateway of this configuration.
func (c Config) IsLocal() bool { return net.ParseIP(c.Bind).IsLoopback() }

// FindListener returns where a gateway of a configuration listens, with the defaults for
// what cannot be read, and all faults of the configuration, for which it reads no key.
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
