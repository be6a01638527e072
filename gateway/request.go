package gateway

import (
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Request is what the gateway reads out of a request's body.
type Request struct {
	Model        Model
	Stream       bool   // "stream": true
	UsageWanted  bool   // the client itself asked for stream_options.include_usage
	PromptTokens int64  // estimated from the size of the prompt's text
	Prompt       string // preview of the last user message; empty while prompts are not logged
}

// Answer is what the gateway reads out of a response's body.
type Answer struct {
	Usage     Usage
	Source    Source // FromProvider, or Estimated where the provider gave no believable figures
	Text      string // preview of the answer's text; empty while prompts are not logged
	ErrorCode string // "code", else "type", of an error envelope
}

// Credential says which key a backend is called with.
type Credential uint8

// The credentials of a backend.
const (
	NoCredential  Credential = iota // none, and the client's never passes
	OwnCredential                   // the backend's own, by Envoy from SDS
	ClientFirst                     // the client's own, else the backend's own if it has one
)

// Backend is a place where models are served.
type Backend struct {
	Name       string   // unique; part of metric, cluster and secret names
	BaseURL    *url.URL // http or https, any path, no query: "https://api.openai.com/v1"
	Socket     string   // path of a Unix socket to dial instead of BaseURL's host; "" for none
	Credential Credential
	Secret     string `json:"-"` // the backend's own key, "" for none; never printed
}

// String returns the backend's name, so that printing one shows no secret.
func (b Backend) String() string { return b.Name }

// GoString hides the secret from %#v.
func (b Backend) GoString() string { return "gateway.Backend{" + b.Name + "}" }

// Route names the backend that serves a model.
type Route struct {
	Model   Model
	Backend string
}

// Routes are all routes in force.
type Routes struct {
	Backends []Backend
	Models   []Route // each model at most once
	Default  string  // the backend of every other model; "" refuses them
}

// Plan says which backend serves a request, and as what.
type Plan struct {
	Backend       Backend
	UpstreamModel Model  // the model's name at the backend
	Group         string // Envoy's name for the ordered backends: a group of the route's priority_group
}

// DefaultGroup is the group of models without a route of their own.
const DefaultGroup = "default"

// Group is the name of the group that holds the backends of a routed model.
func (m Model) Group() string { return "model/" + string(m) }

// Table finds plans. It is made once a change of routes and then only read.
type Table struct {
	plans    map[Model]Plan
	fallback *Backend
}

// Table indexes the routes. Routes to unknown backends are left out: config
// refuses them.
func (r Routes) Table() *Table {
	backends := make(map[string]Backend, len(r.Backends))
	for _, b := range r.Backends {
		backends[b.Name] = b
	}
	t := &Table{plans: make(map[Model]Plan, len(r.Models))}
	for _, route := range r.Models {
		if b, ok := backends[route.Backend]; ok {
			t.plans[route.Model] = Plan{Backend: b, UpstreamModel: route.Model, Group: route.Model.Group()}
		}
	}
	if b, ok := backends[r.Default]; ok {
		t.fallback = &b
	}
	return t
}

// Plan returns the plan of a model, or false where nothing serves it.
func (t *Table) Plan(m Model) (Plan, bool) {
	if p, ok := t.plans[m]; ok {
		return p, true
	}
	if t.fallback == nil {
		return Plan{}, false
	}
	return Plan{Backend: *t.fallback, UpstreamModel: m, Group: DefaultGroup}, true
}

// Intent is what is known of a request once its plan is answered. It travels to
// Envoy as dynamic metadata and comes back in the journal, so that either witness
// alone can tell the request's row.
type Intent struct {
	ID            uuid.UUID `json:"id"` // version 7, minted by the gateway
	RequestID     string    `json:"request_id"`
	StartedAt     time.Time `json:"started_at"` // UTC, whole microseconds
	KeyID         KeyID     `json:"key_id"`
	KeyLabel      string    `json:"key_label"`
	UserID        string    `json:"user_id,omitempty"` // empty until there are people
	ClientIP      string    `json:"client_ip"`
	Endpoint      Endpoint  `json:"endpoint"`
	Model         Model     `json:"model"`
	Backend       string    `json:"backend"`
	UpstreamModel Model     `json:"upstream_model"`
	Stream        bool      `json:"stream"`
	PromptTokens  int64     `json:"prompt_tokens"` // estimated
}

// Settlement is what the gateway saw of a planned request when its exchange ended.
type Settlement struct {
	Intent
	Duration time.Duration
	TTFT     time.Duration // from start to the first byte of the answer's body; 0 if none came
	Status   int           // 0 if no response headers came
	Finished bool          // the answer's last byte was seen
	Answer   Answer
	Prompt   string // preview of the last user message; empty while prompts are not logged
}

// JournalLine is what Envoy wrote of a planned request when it ended.
type JournalLine struct {
	Intent
	Duration  time.Duration
	TTFT      time.Duration // to the first byte of the answer, headers included; 0 if none came
	Status    int
	Attempts  int
	BytesSent int64  // of the answer's body, to the client
	Flags     string // Envoy's RESPONSE_FLAGS, "-" for none
}
