package config

// Listener is where a gateway listens.
type Listener struct {
	Bind  string // an IP address
	Port  int
	HTTPS bool
}

// Listener is where a gateway of this configuration listens.
func (c Config) Listener() Listener { return Listener{c.Bind, c.Port, c.TLS != (TLS{})} }

// FindListener returns where a gateway of a configuration listens, with the defaults for
// what cannot be read, and all faults of the configuration, for which it reads no key.
func FindListener(path string, getenv func(string) string) (Listener, error) {
	r := &reader{getenv: getenv, file: path, keyless: true}
	d := r.load()
	l := &d.listen
	if l.port.value == 0 {
		l.port = setting[whole]{}
	}
	if l.bind.value == "" {
		l.bind = setting[address]{}
	}
	complete(l.fields())
	return Listener{string(l.bind.value), int(l.port.value), l.tls.isSaid()}, r.err()
}
