// Package config reads the gateway's settings from a file and from the environment, and
// refuses what is wrong early and whole: every fault at once, each
// with its place and what would be right. The fields of the file are tables, from which
// the reader, the schema and the documentation are made, so that none can lag behind.
package config

import (
	"time"

	"ai-gateway/gateway"
)

// DefaultUpstream is where models without a route go when there is no file.
const DefaultUpstream = "https://api.openai.com/v1"

// Config is the effective configuration. Printing it shows no secret: its backends and
// its TLS hide theirs.
type Config struct {
	Port         int
	Bind         string        // an IP address
	Open         bool          // without gateway keys, people from elsewhere may use the gateway, too
	AdminKey     Secret        // an admin's gateway key, from outside; "" for none
	DrainTimeout time.Duration // between a SIGTERM and the end of requests that run
	TrustedHops  int           // proxies before the gateway whose word for the client's address is believed
	TLS          TLS           // zero serves plain HTTP
	CORSOrigins  []string      // that browsers may call from; none, or "*" alone for any
	Retry        gateway.Retry
	PromptLog    PromptLog
	Limits       gateway.Limits // of requests
	LimitService LimitService   // that counts for them
	Budgets      gateway.Budgets
	// LimitConfigListen is where that service gets its configuration; "" serves none.
	LimitConfigListen string
	MaxBody           int64         // bytes of one request's body
	Silence           time.Duration // after which a request is ended of which nothing passes
	MaxInFlight       int64         // bytes of all requests' bodies at one time
	EnvoyMemory       int64         // bytes; 0 goes by the memory that there is
	DatabasePath      string        // of a SQLite file
	DatabaseURL       DatabaseURL   // of a PostgreSQL database; without both, usage is kept only as long as the gateway runs
	StateDir          string        // "" is the default for the database
	KeepRequests      time.Duration // 0 keeps them
	Spool             Spool
	OrphanGrace       time.Duration // how long a request of a killed process waits for Envoy to report its end
	Routes            gateway.Routes
	Prices            []gateway.Override // that win over the built-in ones; of a model the earliest first
	Demo              bool               // the built-in model is there, as nothing real is configured
	Files             Files              // that this was read from
	Text              []byte             // of the configuration file; it holds no secret, only where they are
}

// Secret is one that printing does not show.
type Secret string

// String says whether there is one.
func (s Secret) String() string {
	if s == "" {
		return "none"
	}
	return "set"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return "config.Secret(" + s.String() + ")" }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// TLS is what HTTPS is served with. Printing it shows nothing.
type TLS struct {
	Certificate string // PEM, with its chain
	Key         string `json:"-"` // PEM
}

// String says whether there is a certificate.
func (t TLS) String() string {
	if t == (TLS{}) {
		return "none"
	}
	return "set"
}

// GoString hides the key from %#v.
func (t TLS) GoString() string { return "config.TLS{" + t.String() + "}" }

// Spool says how the log of requests is kept on disk.
type Spool struct {
	Sync     time.Duration // 0 leaves it to the system
	MaxBytes int64
	MaxAge   time.Duration
}

// Load reads the configuration file and the environment, which wins where both speak.
// Without a path there is the environment alone. The error holds all faults, a line
// each; with one, there are Files alone: those in which it may be mended.
func Load(path string, getenv func(string) string) (Config, error) {
	return LoadText(path, nil, getenv)
}

// LoadText is as Load, but with a text that the file had before; nil is the file's own.
func LoadText(path string, before []byte, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.text = before
	return r.whole()
}

// LoadKeyless is as Load for commands that call no provider and serve nothing: it reads no
// key, neither a backend's nor that of TLS, and so does not miss one.
func LoadKeyless(path string, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.keyless = true
	return r.whole()
}

// LoadGuarded is as LoadKeyless for what serves no model and yet has to know the admin's key.
func LoadGuarded(path string, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.keyless, r.guarded = true, true
	return r.whole()
}

// whole is the configuration, if it has no fault.
func (r *reader) whole() (Config, error) {
	d := r.load()
	if err := r.err(); err != nil {
		return Config{Files: r.files}, err
	}
	return r.config(d), nil
}

// load reads and checks all that there is.
func (r *reader) load() *document {
	d := new(document)
	if r.file != "" {
		r.readFile(d)
	}
	r.override(d.fields())
	r.addAdminKey(d)
	r.addUpstream(d)
	r.addRoutes(d)
	r.complete(d.fields())
	r.check(d)
	return d
}

// config is what a document without faults means.
func (r *reader) config(d *document) Config {
	c := d.Config
	c.AdminKey = Secret(d.adminKey.value)
	c.Limits = r.requestLimits(d)
	c.Routes, c.Demo, c.Files, c.Text = d.routes(), r.isDemo(d), r.files, r.text
	for _, m := range d.models {
		c.Prices = append(c.Prices, r.overrides(m)...)
	}
	return c
}
