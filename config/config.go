// Package config reads the gateway's settings from a file and from the environment. It
// refuses an invalid configuration at once and reports every fault, each with its place and
// what would be right. The fields of the file are tables, from which the reader, the schema
// and the documentation are made, so that these cannot disagree.
package config

import (
	"time"

	"ai-gateway/gateway"
)

// DefaultUpstream serves models without a route when there is no file.
const DefaultUpstream = "https://api.openai.com/v1"

// DefaultAnthropic is where Anthropic's own models are served.
const DefaultAnthropic = "https://api.anthropic.com/v1"

// Config is the effective configuration. Printing it shows no secret: its backends and
// its TLS hide theirs.
type Config struct {
	Port         int
	Bind         string // an IP address
	Open         bool   // while there is no gateway key, other machines may use the gateway
	AdminKey     Secret // an admin's gateway key that the operator made; "" for none
	SignIn       gateway.SignIn
	DrainTimeout time.Duration // how long running requests may go on after SIGTERM
	TrustedHops  int           // proxies in front of the gateway that report the client's address
	TLS          TLS           // zero serves plain HTTP
	CORSOrigins  []string      // whose pages may call from a browser; "*" as the only entry allows any
	Retry        gateway.Retry
	PromptLog    PromptLog
	Limits       gateway.Limits // of requests
	LimitService LimitService   // which counts them
	Budgets      gateway.Budgets
	// LimitConfigListen is the address where that service gets its configuration; "" serves none.
	LimitConfigListen string
	// APIAddress is the host:port of the api role; "" is its socket on this machine.
	APIAddress    string
	MaxBody       int64         // bytes of one request's body
	Silence       time.Duration // the longest pause of a request or its answer
	MaxInFlight   int64         // bytes of all requests' bodies at one time
	EnvoyMemory   int64         // bytes; 0 is half of the container's or machine's memory
	DatabasePath  string        // of a SQLite file
	DatabaseURL   DatabaseURL   // of a PostgreSQL database; without both, usage is removed when the gateway ends
	StateDir      string        // "" is the default for the database
	KeepRequests  time.Duration // 0 keeps them
	Spool         Spool
	MetricsListen string // address of /metrics; "" serves none
	Traces        Traces
	OrphanGrace   time.Duration // how long a request of a killed process waits for Envoy to report its end
	Routes        gateway.Routes
	Prices        []gateway.Override // which replace built-in ones; for each model in order of time
	Demo          bool               // there is the built-in model, because no real one is configured
	Files         Files              // from which this was read
	Text          []byte             // of the configuration file, which contains no secrets
}

// Traces says where traces go.
type Traces struct {
	Endpoint string // the URL that they are posted to; "" makes none
	Prompts  bool   // they contain what the prompt log keeps
}

// Secret is a string that is hidden when it is printed.
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

// Load reads the configuration file and the environment, which overrides the file. Without a
// path it reads only the environment. The error has all faults, one on each line; the Config
// then only has Files: those whose change may correct it.
func Load(path string, getenv func(string) string) (Config, error) {
	return LoadText(path, nil, getenv)
}

// LoadText is Load with an earlier text of the file; nil reads the file.
func LoadText(path string, before []byte, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.text = before
	return r.whole()
}

// LoadKeyless is Load for commands that call no provider and serve nothing. It reads no key
// of a backend or of TLS, so a missing one is not a fault.
func LoadKeyless(path string, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.keyless = true
	return r.whole()
}

// LoadGuarded is LoadKeyless for the api role, which serves no model but has to know the admin's key.
func LoadGuarded(path string, getenv func(string) string) (Config, error) {
	r := newReader(path, getenv)
	r.keyless, r.guarded = true, true
	return r.whole()
}

// whole returns the configuration, if it has no fault.
func (r *reader) whole() (Config, error) {
	d := r.load()
	if err := r.err(); err != nil {
		return Config{Files: r.files}, err
	}
	return r.config(d), nil
}

// load reads and checks the file and the environment.
func (r *reader) load() *document {
	d := new(document)
	if r.file != "" {
		r.readFile(d)
	}
	r.override(d.fields())
	r.addSecrets(d)
	r.addUpstream(d)
	r.addAnthropic(d)
	r.addRoutes(d)
	r.complete(d.fields())
	r.check(d)
	return d
}

// config makes the configuration of a document without faults.
func (r *reader) config(d *document) Config {
	c := d.Config
	c.AdminKey = Secret(d.adminKey.value)
	c.SignIn = d.signIn.settings(&c)
	c.CORSOrigins = withDashboard(c.CORSOrigins, &d.signIn)
	c.Limits = r.requestLimits(d)
	if d.tracesURL != nil {
		c.Traces.Endpoint = d.tracesURL.String()
	}
	c.Routes, c.Demo, c.Files, c.Text = d.routes(), r.isDemo(d), r.files, r.text
	for _, m := range d.models {
		c.Prices = append(c.Prices, r.overrides(m)...)
	}
	return c
}
