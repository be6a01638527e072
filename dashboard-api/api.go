// Package dashboardapi answers the gateway's own HTTP API: health, models, costs
// and the prompt log. It knows neither SQL nor Envoy: what it shows is handed to it.
package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Config is what the API shows.
type Config struct {
	Health   func(context.Context) Health
	Models   func() []Model
	Costs    func(context.Context) ([]Costs, error)
	KeyCosts func(context.Context, gateway.KeyID) (Costs, error) // ErrNoKey for one that was never used
	Prompts  func(ctx context.Context, limit int) ([]Prompt, error)
	Log      *slog.Logger
}

// ErrNoKey says that no request was made with a key.
var ErrNoKey = errors.New("no request was made with this key")

const (
	defaultPrompts = 100
	maxPrompts     = 1000
	queryTimeout   = 10 * time.Second
)

// answerer makes an answer that becomes JSON, or an error that becomes the envelope.
type answerer func(*http.Request) (any, error)

// Handler answers the API.
func Handler(c Config) http.Handler {
	pages := newPages(web)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.IsPage(r.URL.Path) && reads(r) {
			pages.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		value, err := c.find(r)(r.WithContext(ctx))
		if err != nil {
			c.refuse(w, r, errors.Join(err, ctx.Err())) // databases have errors of their own for a context's end
			return
		}
		body, err := json.Marshal(value)
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		send(w, statusOf(value), body)
	})
}

// find returns who answers a path. http.ServeMux would redirect the paths of models
// whose ids hold two slashes, and answer in plain text.
func (c Config) find(r *http.Request) answerer {
	answer := c.answererOf(r.URL.Path)
	if answer == nil && !gateway.IsPage(r.URL.Path) {
		return unknownURL
	}
	if !reads(r) {
		return onlyGet
	}
	return answer
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func (c Config) answererOf(path string) answerer {
	switch path {
	case "/livez":
		return live
	case "/health":
		return c.health
	case modelsPath:
		return c.models
	case costsPath:
		return c.costs
	case "/api/prompt-log":
		return c.prompts
	}
	if id, ok := below(modelsPath, path); ok {
		return func(*http.Request) (any, error) { return c.model(gateway.Model(id)) }
	}
	if key, ok := below(costsPath, path); ok {
		return func(r *http.Request) (any, error) { return c.KeyCosts(r.Context(), gateway.KeyID(key)) }
	}
	return nil
}

const (
	modelsPath = gateway.BasePath + "/models"
	costsPath  = "/api/costs"
)

// below returns what follows a path and a slash: ids may hold any characters.
func below(path, whole string) (id string, ok bool) {
	id, ok = strings.CutPrefix(whole, path+"/")
	return id, ok && id != ""
}

func statusOf(value any) int {
	if h, ok := value.(Health); ok && !h.Ready {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (c Config) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := c.refusal(r, err)
	if refusal.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD")
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
	}
	send(w, refusal.Status, refusal.JSON())
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error is the client leaving
}

// refusal is what a client hears of an error.
func (c Config) refusal(r *http.Request, err error) *gateway.Error {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, ErrNoKey):
		return notFound("key_not_found", "key", "No request was made with this key. GET /api/costs lists the ids of those that were used.")
	case r.Context().Err() != nil: // the client left, or the gateway ends
		return tooSlow()
	}
	c.Log.Error("an API request could not be answered", "path", r.URL.Path, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return tooSlow()
	}
	return &gateway.Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error",
		Message: "The gateway could not answer; its log says why."}
}

func tooSlow() *gateway.Error {
	return &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "timeout", RetryAfter: 1,
		Message: "The gateway could not answer in time; try again."}
}

func notFound(code, param, message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}

func unknownURL(r *http.Request) (any, error) {
	return nil, notFound("unknown_url", "", fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path))
}

func onlyGet(*http.Request) (any, error) {
	return nil, &gateway.Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
		Message: "This URL takes GET requests."}
}

func live(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil }

func (c Config) health(r *http.Request) (any, error) { return c.Health(r.Context()), nil }

func (c Config) models(*http.Request) (any, error) {
	return map[string]any{"object": "list", "data": append([]Model{}, c.Models()...)}, nil
}

func (c Config) model(id gateway.Model) (any, error) {
	for _, m := range c.Models() {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, gateway.NoModel(id)
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

func (c Config) prompts(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	prompts, err := c.Prompts(r.Context(), limit)
	return map[string]any{"data": append([]Prompt{}, prompts...)}, err
}

func limitOf(query url.Values) (int, error) {
	if !query.Has("limit") {
		return defaultPrompts, nil
	}
	text := query.Get("limit")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPrompts {
		return 0, gateway.BadRequest("invalid_limit", "limit", fmt.Sprintf("limit is %q, but must be a whole number from 1 to %d.", text, maxPrompts))
	}
	return n, nil
}
