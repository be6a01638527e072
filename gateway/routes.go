package gateway

import (
	"cmp"
	"net/url"
	"slices"
	"time"
)

// Credential says which key a backend is called with.
type Credential uint8

// The credentials of a backend.
const (
	NoCredential  Credential = iota // none, and the client's never passes
	OwnCredential                   // the backend's own, by Envoy from SDS
	ClientFirst                     // the client's own, else the backend's own if it has one
)

// Kind says how a backend is spoken to.
type Kind uint8

// The kinds of backends.
const (
	OpenAI    Kind = iota // OpenAI's API below BaseURL
	Azure                 // Azure OpenAI: deployments in the path, or its v1 surface
	Local                 // OpenAI's API, and Anthropic's too if it has it, at a server of one's own
	Anthropic             // Anthropic's API below BaseURL
)

var kindNames = [...]string{OpenAI: "openai", Azure: "azure", Local: "local", Anthropic: "anthropic"}

// String returns the name used in the configuration.
func (k Kind) String() string { return nameOf(kindNames[:], k) }

// Speaks reports whether backends of the kind serve an API. Servers of one's own often serve both.
func (k Kind) Speaks(a API) bool {
	switch k {
	case Local:
		return true
	case Anthropic:
		return a == AnthropicAPI
	}
	return a == OpenAIAPI
}

// Backend is a place where models are served.
type Backend struct {
	Name    string // unique, without a slash
	Kind    Kind
	BaseURL *url.URL // http or https, no query: "https://api.openai.com/v1"; of Azure the resource alone
	Socket  string   // Unix socket, or IP:PORT of this machine, to dial instead of BaseURL's host; "" for none

	Deployment string // Azure: in the path of every model; "" takes the upstream model's name
	APIVersion string // Azure: "2024-10-21"; "" is the v1 surface, which needs none

	Credential Credential
	Secret     string `json:"-"` // the backend's own key, "" for none; never printed
	SecretFrom string // the variable or the file that holds it, for people; "" for none

	Headers []BackendHeader // that each call of it has besides

	NoStreamUsage bool // streams do not ask it for their usage, as it refuses such requests

	ConnectTimeout time.Duration // 0 is DefaultConnectTimeout
	IdleTimeout    time.Duration // how long an unused connection is kept; 0 is DefaultIdleTimeout
	MaxConnections int           // at one time; 0 sets no bound
	Authorities    string        // PEM bundle its certificate is checked with; "" is the system's
}

// KeySource says, for people, where the key comes from that the backend is called with.
func (b *Backend) KeySource() string {
	switch {
	case b.Credential == NoCredential:
		return "none"
	case b.Credential == ClientFirst && b.SecretFrom == "":
		return "the client's"
	case b.Credential == ClientFirst:
		return "the client's, else " + b.SecretFrom
	}
	return b.SecretFrom
}

// BackendHeader is a header that calls of a backend have besides those of clients.
type BackendHeader struct {
	Name   string // in small letters
	Value  string // "" if it is secret
	Secret string `json:"-"` // never printed; "" if it is not
}

// GoString hides the secret from %#v.
func (h BackendHeader) GoString() string { return "gateway.BackendHeader{" + h.Name + "}" }

// String hides the secret.
func (h BackendHeader) String() string { return h.Name }

// Timeouts of backends that name none. Providers keep unused connections for a minute
// or longer, so a request is seldom sent into one that is just being closed.
const (
	DefaultConnectTimeout = 5 * time.Second
	DefaultIdleTimeout    = 55 * time.Second
)

// String returns the backend's name, so that printing one shows no secret.
func (b Backend) String() string { return b.Name }

// GoString hides the secret from %#v.
func (b Backend) GoString() string { return "gateway.Backend{" + b.Name + "}" }

// BasePath is the path below which the backend serves its API, escaped.
// Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
func (b Backend) BasePath() string {
	switch {
	case b.Kind != Azure:
		return b.BaseURL.EscapedPath()
	case b.APIVersion == "":
		return b.BaseURL.EscapedPath() + "/openai/v1"
	}
	return b.BaseURL.EscapedPath() + "/openai"
}

// PathOf is the path of an endpoint at the backend, for people: Envoy makes it of the same parts.
func (b *Backend) PathOf(e Endpoint, m Model) string {
	if b.Kind != Azure || b.APIVersion == "" || e.IsResponses() { // which has its model in the body alone
		return b.BasePath() + e.String()
	}
	return b.BasePath() + "/deployments/" + cmp.Or(b.Deployment, string(m)) + e.String()
}

// AzureKeyHeader carries a key of Azure's; a client's Authorization there is a token.
const AzureKeyHeader = "api-key"

// KeyHeader is the header that carries the backend's own key, and what stands before the
// key in it.
func (b Backend) KeyHeader() (name, prefix string) {
	switch b.Kind {
	case Azure:
		return AzureKeyHeader, ""
	case Anthropic:
		return XAPIKeyHeader, ""
	}
	return "authorization", "Bearer "
}

// Step is one of the ordered backends of a model.
type Step struct {
	Backend       string
	UpstreamModel Model // the model's name there
}

// Route says who serves a model.
type Route struct {
	Model   Model
	Aliases []Model // other names by which clients ask for it
	Steps   []Step  // at least one; no backend twice with the same model

	FirstByte time.Duration // until the answer of a backend begins; 0 sets no bound
}

// Routes are all routes in force.
type Routes struct {
	Backends []Backend
	Models   []Route // each name and alias at most once
	Default  string  // the backend of every other model; "" refuses them
	Passed   []PassedPath
}

// Plan says which backends serve a request, in order, and as what.
type Plan struct {
	Model         Model    // its name here: an alias counts as its model
	Steps         []Step   // at least one
	ClientKeys    []string // the backends that may have the client's own key
	Renamed       bool     // the steps differ in the model's name, or have it in their path
	Secrets       []Secret // the backends' own keys, which no answer may show
	NoStreamUsage []string // the backends that are not asked for the usage of streams

	FirstByte time.Duration // as the route's

	NamesClusters bool // the plan names the clusters of its steps, as Envoy has no list of them
}

// Secret is a key. Printing it shows nothing.
type Secret string

// String hides the secret.
func (Secret) String() string { return "hidden" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "hidden" }

// Table finds plans. It is made once a change of routes and then only read.
type Table struct {
	backends map[string]*Backend
	plans    [2]map[Model]*Plan // by API
	fallback [2]*Plan           // by API, without a model; nil refuses
	passed   map[string]*Plan   // by path, without a model
}

// Table indexes the routes. Steps at unknown backends are left out: config refuses
// them.
func (r Routes) Table() *Table {
	backends := make(map[string]*Backend, len(r.Backends))
	for i, b := range r.Backends {
		backends[b.Name] = &r.Backends[i]
	}
	t := &Table{backends: backends, passed: make(map[string]*Plan, len(r.Passed))}
	for _, p := range r.Passed {
		t.addPassed(p)
	}
	for api := range t.plans {
		t.plans[api] = make(map[Model]*Plan, len(r.Models))
		for _, route := range r.Models {
			t.add(API(api), route, backends)
		}
		if fallback := newPlan(API(api), "", []Step{{Backend: r.DefaultFor(API(api))}}, backends); len(fallback.Steps) > 0 {
			t.fallback[api] = fallback
		}
	}
	return t
}

// add adds a route's plan, if any of its backends speaks an API.
func (t *Table) add(a API, route Route, backends map[string]*Backend) {
	plan := newPlan(a, route.Model, route.Steps, backends)
	plan.FirstByte = route.FirstByte
	if len(plan.Steps) == 0 {
		return
	}
	for _, name := range append([]Model{route.Model}, route.Aliases...) {
		t.plans[a][name] = plan
	}
}

// DefaultFor is the backend of models without a route: in Anthropic's API the first of that kind,
// else the default one. Without a default there is none.
func (r Routes) DefaultFor(a API) string {
	if a != AnthropicAPI || r.Default == "" {
		return r.Default
	}
	for _, b := range r.Backends {
		if b.Kind == Anthropic {
			return b.Name
		}
	}
	return r.Default
}

// newPlan is a plan of the steps whose backends speak an API.
func newPlan(a API, m Model, steps []Step, backends map[string]*Backend) *Plan {
	p := &Plan{Model: m}
	for _, step := range steps {
		b, ok := backends[step.Backend]
		if !ok || !b.Kind.Speaks(a) {
			continue
		}
		p.Steps = append(p.Steps, step)
		if b.Credential == ClientFirst && !slices.Contains(p.ClientKeys, b.Name) {
			p.ClientKeys = append(p.ClientKeys, b.Name)
		}
		if b.NoStreamUsage {
			p.NoStreamUsage = append(p.NoStreamUsage, b.Name)
		}
		if b.Secret != "" && b.Credential != NoCredential {
			p.Secrets = append(p.Secrets, Secret(b.Secret))
		}
		for _, h := range b.Headers {
			if h.Secret != "" {
				p.Secrets = append(p.Secrets, Secret(h.Secret))
			}
		}
		p.Renamed = p.Renamed || b.hasModelInPath() || step.UpstreamModel != p.Steps[0].UpstreamModel
	}
	return p
}

// hasModelInPath reports whether the path at a backend names the model.
func (b *Backend) hasModelInPath() bool {
	return b.Kind == Azure && b.APIVersion != "" && b.Deployment == ""
}

// Plan returns the plan of a model in an API, or false where nothing serves it.
func (t *Table) Plan(a API, m Model) (Plan, bool) {
	if p, ok := t.plans[a][m]; ok {
		return *p, true
	}
	if t.fallback[a] == nil || t.hasRoute(m) {
		return Plan{}, false
	}
	p := *t.fallback[a]
	p.Model = m
	p.Steps = []Step{{Backend: p.Steps[0].Backend, UpstreamModel: m}}
	return p, true
}

// PlanAt returns the plan of a model in OpenAI's API at one backend, with the model's names there
// that its route has, and whether it has any. Of a backend that is not there any more it has no step.
func (t *Table) PlanAt(m Model, backend string) (p Plan, routed bool) {
	p, _ = t.Plan(OpenAIAPI, m)
	var steps []Step
	for _, step := range p.Steps {
		if step.Backend == backend {
			steps = append(steps, step)
		}
	}
	routed = len(steps) > 0
	if !routed {
		steps = []Step{{Backend: backend, UpstreamModel: m}}
	}
	at := *newPlan(OpenAIAPI, m, steps, t.backends)
	if routed {
		at.Model, at.FirstByte = p.Model, p.FirstByte
	}
	return at, routed
}

// hasRoute reports whether a model is served in any API by a route of its own.
func (t *Table) hasRoute(m Model) bool {
	for _, plans := range t.plans {
		if plans[m] != nil {
			return true
		}
	}
	return false
}

// Retry says how often and when a failed call is repeated.
type Retry struct {
	Attempts int           // repetitions after the first call; 0 for none
	Delay    time.Duration // before the first repetition; doubles with each, with jitter; 0 repeats at once
}
