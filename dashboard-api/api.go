// Package dashboardapi answers the gateway's own HTTP API: health, models, costs
// and the prompt log. It knows neither SQL nor Envoy: what it shows is handed to it.
package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Config is what the API shows.
type Config struct {
	Health   func(context.Context) Health
	Models   []Model
	Costs    func(context.Context) ([]Costs, error)
	KeyCosts func(context.Context, gateway.KeyID) (Costs, error) // ErrNoKey for one that was never used
	Prompts  func(ctx context.Context, limit int) ([]Prompt, error)
	Log      *slog.Logger
}

// ErrNoKey says that no request was made with a key.
var ErrNoKey = errors.New("no request was made with this key")

// Health is the answer of GET /health.
type Health struct {
	Status        string            `json:"status"` // "ok", or "unavailable" with a 503
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptime_seconds"` // of the gateway's services, not of Envoy
	Storage       string            `json:"storage"`
	Parts         map[string]string `json:"parts"` // part → "ok", or what is wrong with it
	Envoy         EnvoyHealth       `json:"envoy"`
	Usage         UsageHealth       `json:"usage"`
	Ready         bool              `json:"-"`
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

// UsageHealth tells how far the books are behind.
type UsageHealth struct {
	Queued    int   `json:"queued"`
	Waiting   int   `json:"waiting"`
	Unwritten int   `json:"unwritten"`
	Written   int64 `json:"written"`
	Overflown int64 `json:"overflown"`
	Unread    int64 `json:"unread_journal_lines"`
}

// Model is an entry of GET /v1/models.
// Source: https://platform.openai.com/docs/api-reference/models/object
type Model struct {
	ID      gateway.Model `json:"id"`
	Object  string        `json:"object"` // "model"
	Created int64         `json:"created"`
	OwnedBy string        `json:"owned_by"` // the backend
}

// Costs are the sums of a key. CostUSD is a decimal string, as JSON numbers are
// floats to most readers; CostNanoUSD is the same amount, 1 USD being 1000000000.
type Costs struct {
	KeyID gateway.KeyID `json:"key_id,omitempty"`
	Label string        `json:"label,omitempty"`
	Model gateway.Model `json:"model,omitempty"`

	Requests         int64  `json:"requests"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CachedTokens     int64  `json:"cached_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
	TotalTokens      int64  `json:"total_tokens"`
	CostUSD          string `json:"cost_usd"`
	CostNanoUSD      int64  `json:"cost_nanousd"`
	Unpriced         int64  `json:"unpriced_requests"` // of models without a price; not part of the cost

	Models []Costs `json:"models,omitempty"`
}

// Prompt is an entry of the prompt log.
type Prompt struct {
	ID               string        `json:"id"`
	StartedAt        string        `json:"started_at"`
	KeyID            gateway.KeyID `json:"key_id"`
	Label            string        `json:"label"`
	Model            gateway.Model `json:"model"`
	Prompt           string        `json:"prompt"`
	Answer           string        `json:"answer"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
}

const (
	defaultPrompts = 100
	maxPrompts     = 1000
	queryTimeout   = 10 * time.Second
)

// Handler answers the API.
func Handler(c Config) http.Handler {
	api := http.NewServeMux()
	for path, f := range map[string]func(*http.Request) (any, error){
		"/livez":             func(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil },
		"/health":            c.health,
		"/v1/models":         c.models,
		"/v1/models/{id...}": c.model,
		"/api/costs":         c.costs,
		"/api/costs/{key}":   c.keyCosts,
		"/api/prompt-log":    c.prompts,
	} {
		api.HandleFunc("GET "+path, c.answer(f))
		api.HandleFunc(path, c.answer(onlyGet))
	}
	api.HandleFunc("/", c.answer(unknownURL))
	return api
}

// answer turns a function into a handler: its value becomes JSON, its error the envelope.
func (c Config) answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		status, body := http.StatusOK, []byte(nil)
		value, err := f(r.WithContext(ctx))
		if err == nil {
			body, err = json.Marshal(value)
		}
		if h, ok := value.(Health); ok && !h.Ready {
			status = http.StatusServiceUnavailable
		}
		if err != nil {
			refusal := c.refusal(r, err)
			status, body = refusal.Status, refusal.JSON()
			if status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", "GET, HEAD")
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		_, _ = w.Write(append(body, '\n')) // an error is the client leaving
	}
}

// refusal is what a client hears of an error.
func (c Config) refusal(r *http.Request, err error) *gateway.Error {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, ErrNoKey):
		return &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "key_not_found", Param: "key",
			Message: "No request was made with this key. GET /api/costs lists the ids of those that were used."}
	}
	c.Log.Error("an API request could not be answered", "path", r.URL.Path, "error", err)
	return &gateway.Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error",
		Message: "The gateway could not answer; its log says why."}
}

func unknownURL(r *http.Request) (any, error) {
	return nil, &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
		Message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)}
}

func onlyGet(*http.Request) (any, error) {
	return nil, &gateway.Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
		Message: "This URL takes GET requests."}
}

func (c Config) health(r *http.Request) (any, error) { return c.Health(r.Context()), nil }

func (c Config) models(*http.Request) (any, error) {
	return map[string]any{"object": "list", "data": append([]Model{}, c.Models...)}, nil
}

func (c Config) model(r *http.Request) (any, error) {
	id := gateway.Model(r.PathValue("id"))
	for _, m := range c.Models {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
		Message: fmt.Sprintf("The model %q does not exist here. GET /v1/models lists those that do.", string(id))}
}

func (c Config) costs(r *http.Request) (any, error) {
	keys, err := c.Costs(r.Context())
	if err != nil {
		return nil, err
	}
	var total Costs
	for _, k := range keys {
		total.Requests += k.Requests
		total.PromptTokens += k.PromptTokens
		total.CachedTokens += k.CachedTokens
		total.CompletionTokens += k.CompletionTokens
		total.TotalTokens += k.TotalTokens
		total.CostNanoUSD += k.CostNanoUSD
		total.Unpriced += k.Unpriced
	}
	total.CostUSD = gateway.Money(total.CostNanoUSD).String()
	return map[string]any{"total": total, "keys": append([]Costs{}, keys...)}, nil
}

func (c Config) keyCosts(r *http.Request) (any, error) {
	costs, err := c.KeyCosts(r.Context(), gateway.KeyID(r.PathValue("key")))
	return costs, err
}

func (c Config) prompts(r *http.Request) (any, error) {
	limit := defaultPrompts
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPrompts {
			return nil, gateway.BadRequest("invalid_limit", "limit", fmt.Sprintf("limit is %q, but must be a whole number from 1 to %d.",
				strings.ToValidUTF8(text, "?"), maxPrompts))
		}
		limit = n
	}
	prompts, err := c.Prompts(r.Context(), limit)
	return map[string]any{"data": append([]Prompt{}, prompts...)}, err
}

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = time.Second
	maxHeader     = 64 << 10
)

// Serve answers on l until ctx ends and the last answer is given.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving the API: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if s.Shutdown(stop) != nil {
		s.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the API: %w", err)
	}
	return nil
}
