package dashboardapi

import (
	"net/http"
	"time"

	"ai-gateway/gateway"
)

// Health is the answer of GET /health.
type Health struct {
	Status        string            `json:"status"` // "ok", "degraded", or "unavailable" with a 503
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptime_seconds"` // of the gateway's services, not of Envoy
	Storage       string            `json:"storage"`
	Parts         map[string]string `json:"parts"` // part → "ok", or what is wrong with it
	Envoy         EnvoyHealth       `json:"envoy"`
	Config        ConfigHealth      `json:"config"`
	Usage         UsageHealth       `json:"usage"`
	Limits        LimitHealth       `json:"limits"`
	Budgets       BudgetHealth      `json:"budgets"`
	Backends      map[string]string `json:"backends,omitempty"` // that are passed over → why
	Ready         bool              `json:"-"`                  // false answers with a 503
}

// status is that of the HTTP answer.
func (h Health) status() int {
	if h.Ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// briefHealth is what everybody may know of a Health.
type briefHealth struct {
	Status  string `json:"status"`
	Version string `json:"version"`
	ready   bool
}

func (h briefHealth) status() int { return Health{Ready: h.ready}.status() }

// ConfigHealth is which configuration is in force.
type ConfigHealth struct {
	File  string    `json:"file,omitempty"`
	Since time.Time `json:"since"`
	Fault string    `json:"fault,omitempty"` // why what the files hold now is not in force
}

// EnvoyHealth is what is known of the data plane.
type EnvoyHealth struct {
	Version        string     `json:"version"`
	Connected      int        `json:"connected"`          // Envoys on the xDS stream
	ConfigVersion  string     `json:"config_version"`     // of what was published last
	RejectedConfig *Rejection `json:"rejected,omitempty"` // the one before it stays in force
}

// Rejection is a configuration that Envoy refused.
type Rejection struct {
	At     time.Time `json:"at"`
	Type   string    `json:"type"`
	Reason string    `json:"reason"`
}

// BudgetHealth is how the budgets are doing.
type BudgetHealth struct {
	Refused  int64 `json:"refused"`  // requests since the start
	Accounts int   `json:"accounts"` // budgets of which something is leased here
	Holds    int   `json:"holds"`    // requests for which money is held
}

// LimitHealth is how the limiter is doing.
type LimitHealth struct {
	Service  string `json:"service,omitempty"` // that counts; left out, this process does
	Refused  int64  `json:"refused"`           // requests since the start
	Missed   int64  `json:"missed"`            // requests whose limits could not be asked
	Lost     int64  `json:"lost_tokens"`       // that could not be charged
	Waiting  int    `json:"waiting"`           // charges that wait for the service
	Counters int    `json:"counters"`          // in memory
}

// UsageHealth is how far the rows are behind the requests.
type UsageHealth struct {
	Open          int     `json:"open"`           // running requests, and those whose row a late report may still complete
	Unwritten     int     `json:"unwritten"`      // rows that are not in the tables yet
	Written       int64   `json:"written"`        // rows since the start
	Unpriced      int64   `json:"unpriced"`       // of them, those whose model has no price
	Unread        int64   `json:"unread"`         // unreadable records and lines of the access log
	Rejected      int64   `json:"rejected"`       // rows that the store refuses whatever happens: they are lost
	SpoolBytes    int64   `json:"spool_bytes"`    // on disk
	SpoolSegments int     `json:"spool_segments"` // files of it
	OldestSeconds float64 `json:"oldest_seconds"` // age of what the spool keeps
	Refused       int64   `json:"refused"`        // requests, because they could not be recorded
	Repaired      int64   `json:"repaired_bytes"` // of the spool, torn or damaged
	Lost          int64   `json:"lost"`           // settlements that could not be written; their rows are made from Envoy's access log
}

// Model is an entry of GET /v1/models.
// Source: https://platform.openai.com/docs/api-reference/models/object
type Model struct {
	ID      gateway.Model `json:"id"`
	Object  string        `json:"object"`   // "model"
	Created int64         `json:"created"`  // Unix time
	OwnedBy string        `json:"owned_by"` // the backend
}

// Costs are the sums of a key, of a model within a key, or of all. CostUSD is a
// decimal string and exact to every reader. CostNanoUSD is the same amount as an
// integer, 1 USD being 1000000000: readers that keep numbers as floats, as JavaScript
// does, lose nano-dollars of it beyond 2^53, about 9 million USD.
type Costs struct {
	KeyID gateway.KeyID `json:"key_id,omitempty"`
	Label string        `json:"label,omitempty"`
	Model gateway.Model `json:"model,omitempty"`

	Requests         int64  `json:"requests"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CachedTokens     int64  `json:"cached_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
	TotalTokens      int64  `json:"total_tokens"`
	CostUSD          string `json:"cost_usd"` // gateway.Money's String, "0.00042"
	CostNanoUSD      int64  `json:"cost_nanousd"`
	Unpriced         int64  `json:"unpriced_requests"` // of models without a price; not part of the cost

	Models []Costs `json:"models,omitempty"`
}

func costsOfKey(k gateway.KeyCosts) Costs {
	c := costsOf(k.Sums)
	c.KeyID, c.Label = k.Key.ID, k.Key.Label
	for _, m := range k.Models {
		of := costsOf(m.Sums)
		of.Model = m.Model
		c.Models = append(c.Models, of)
	}
	return c
}

func costsOf(s gateway.Sums) Costs {
	return Costs{
		Requests: s.Requests, PromptTokens: s.PromptTokens, CachedTokens: s.CachedTokens, CompletionTokens: s.CompletionTokens,
		TotalTokens: s.PromptTokens + s.CompletionTokens, CostUSD: s.Cost.String(), CostNanoUSD: int64(s.Cost), Unpriced: s.Unpriced,
	}
}

const microseconds = "2006-01-02T15:04:05.000000Z07:00"
