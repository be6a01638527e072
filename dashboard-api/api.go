// Package dashboardapi answers the gateway's own HTTP: of an agent its health and its
// models, of the api role costs, the prompt log and how the agent is. It knows neither SQL
// nor Envoy: what it shows is handed to it.
package dashboardapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// API is what the api role shows.
type API struct {
	Version string
	Started time.Time
	Store   Store
	// AgentHealth asks the agent, which is another process, for its health: JSON.
	AgentHealth func(context.Context) ([]byte, error)
	// Configuration reads the one that the files hold.
	Configuration func() (Configuration, error)
	Log           *slog.Logger
}

// Configuration is what the API shows of one.
type Configuration struct {
	Text        string // as a file that says the same, each value with its source
	Routes      gateway.Routes
	Price       func(gateway.Model, time.Time) (price gateway.Price, known bool)
	LogsPrompts bool
}

// Store is what the API asks of the store.
type Store interface {
	Costs(context.Context) ([]gateway.KeyCosts, error)
	KeyCosts(context.Context, gateway.KeyID) (gateway.KeyCosts, error) // gateway.ErrNoKey for one that was never used
	Prompts(ctx context.Context, limit int) ([]gateway.LoggedPrompt, error)
	Ping(context.Context) error

	Requests(ctx context.Context, f gateway.RequestFilter, after gateway.RequestPlace, limit int) ([]gateway.RecordedRequest, error)
	Request(context.Context, uuid.UUID) (gateway.RequestRecord, error) // gateway.ErrNoRequest
	Usage(context.Context, gateway.UsageQuery) ([]gateway.UsageSum, error)
	Latencies(ctx context.Context, q gateway.UsageQuery, whole bool) ([]gateway.LatencyCount, error)
}

const (
	costsPath      = "/api/costs"
	defaultPrompts = 100
	maxPrompts     = 1000
)

// Handler answers the API, and serves the dashboard.
func Handler(a API) http.Handler {
	pages, described, others := newPages(web), newOperations(a), handler{find: a.find, log: a.Log}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case gateway.IsPage(r.URL.Path) && reads(r):
			pages.ServeHTTP(w, r)
		case described.takes(r):
			described.ServeHTTP(w, r)
		default:
			others.ServeHTTP(w, r)
		}
	})
}

func (a API) find(path string) answerer {
	switch path {
	case "/livez":
		return alive
	case costsPath:
		return a.costs
	case "/api/prompt-log":
		return a.prompts
	}
	if key, ok := below(costsPath, path); ok {
		return func(r *http.Request) (any, error) { return a.keyCosts(r.Context(), gateway.KeyID(key)) }
	}
	if gateway.IsPage(path) {
		return onlyGet
	}
	return nil
}

func (a API) keyCosts(ctx context.Context, id gateway.KeyID) (any, error) {
	k, err := a.Store.KeyCosts(ctx, id)
	return costsOfKey(k), err
}

func (a API) costs(r *http.Request) (any, error) {
	keys, err := a.Store.Costs(r.Context())
	if err != nil {
		return nil, err
	}
	var total gateway.Sums
	list := []Costs{}
	for _, k := range keys {
		total.Add(k.Sums)
		list = append(list, costsOfKey(k))
	}
	return map[string]any{"total": costsOf(total), "keys": list}, nil
}

func (a API) prompts(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	prompts, err := a.Store.Prompts(r.Context(), limit)
	list := []Prompt{}
	for _, p := range prompts {
		list = append(list, promptOf(p))
	}
	return map[string]any{"data": list}, err
}

func limitOf(query url.Values) (int, error) {
	if !query.Has("limit") {
		return defaultPrompts, nil
	}
	text := query.Get("limit")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPrompts {
		return 0, gateway.BadRequest("invalid_limit", "limit", fmt.Sprintf("limit is %q, but must be an integer from 1 to %d.", text, maxPrompts))
	}
	return n, nil
}
