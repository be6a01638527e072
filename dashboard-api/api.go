// Package dashboardapi answers the gateway's own HTTP: of an agent its health and its
// models, of the api role costs, the prompt log and how the agent is. It knows neither SQL
// nor Envoy: what it shows is handed to it.
package dashboardapi

import (
	"context"
	"errors"
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
	Keys          Keys
	Entry         Entry
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
	KeyCosts(context.Context, gateway.KeyID) (gateway.KeyCosts, error)                         // gateway.ErrNoKey for one that was never used
	Prompts(ctx context.Context, key gateway.KeyID, limit int) ([]gateway.LoggedPrompt, error) // "" for all keys
	Key(context.Context, gateway.KeyID) (gateway.APIKey, error)                                // gateway.ErrNoAPIKey for none
	APIKeys(ctx context.Context, before gateway.KeyID, limit int) ([]gateway.APIKey, error)    // the newest first, behind one; "" begins
	Audit(ctx context.Context, before int64, limit int) ([]gateway.AuditEntry, error)          // likewise; 0 begins
	Ping(context.Context) error

	Requests(ctx context.Context, f gateway.RequestFilter, after gateway.RequestPlace, limit int) ([]gateway.RecordedRequest, error)
	Request(context.Context, uuid.UUID) (gateway.RequestRecord, error) // gateway.ErrNoRequest
	Usage(context.Context, gateway.UsageQuery) ([]gateway.UsageSum, error)
	Latencies(ctx context.Context, q gateway.UsageQuery, whole bool) ([]gateway.LatencyCount, error)
}

const costsPath = "/api/costs"

// Handler answers the API, and serves the dashboard.
func Handler(a API) http.Handler {
	pages, described, others := newPages(web), newOperations(a), handler{a.endpoints(), a.Entry, a.Log}
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

// endpoints are those of the api role; of two that fit, the first answers.
func (a API) endpoints() []endpoint {
	return []endpoint{
		{Endpoint{http.MethodGet, "/livez", 0}, alive},
		{Endpoint{http.MethodGet, sessionPath, 0}, a.session},
		{Endpoint{http.MethodPost, sessionPath, 0}, a.signIn},
		{Endpoint{http.MethodDelete, sessionPath, 0}, a.signOut},
		{Endpoint{http.MethodGet, costsPath, gateway.Member}, a.costs},
		{Endpoint{http.MethodGet, costsPath + "/" + idMark, gateway.Member}, a.keyCosts},
		{Endpoint{http.MethodGet, "/api/prompt-log", gateway.Member}, a.prompts},
		{Endpoint{http.MethodGet, keysPath, gateway.Member}, a.keys},
		{Endpoint{http.MethodPost, keysPath, gateway.Admin}, a.createKey},
		{Endpoint{http.MethodPost, keysPath + "/" + idMark + "/rotate", gateway.Admin}, a.rotateKey},
		{Endpoint{http.MethodPost, keysPath + "/" + idMark + "/revoke", gateway.Admin}, a.revokeKey},
		{Endpoint{http.MethodGet, keysPath + "/" + idMark, gateway.Member}, a.key},
		{Endpoint{http.MethodPatch, keysPath + "/" + idMark, gateway.Admin}, a.updateKey},
		{Endpoint{http.MethodGet, "/api/audit", gateway.Admin}, a.audit},
	}
}

// keyCosts shows what a key cost; to members, their own.
func (a API) keyCosts(r *http.Request) (any, error) {
	if !sees(r.Context(), idOf(r)) {
		return nil, gateway.ErrNoKey
	}
	k, err := a.Store.KeyCosts(r.Context(), idOf(r))
	return costsOfKey(k), err
}

// costs shows what each key cost; to members, their own.
func (a API) costs(r *http.Request) (any, error) {
	keys, err := a.costsFor(r)
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

func (a API) costsFor(r *http.Request) ([]gateway.KeyCosts, error) {
	c := callerOf(r)
	if c.Role() >= gateway.Admin {
		return a.Store.Costs(r.Context())
	}
	own, err := a.Store.KeyCosts(r.Context(), c.Key.ID)
	if errors.Is(err, gateway.ErrNoKey) {
		return nil, nil
	}
	return []gateway.KeyCosts{own}, err
}

// prompts shows the prompt log; to members, their own.
func (a API) prompts(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query(), defaultLimit)
	if err != nil {
		return nil, err
	}
	key := gateway.KeyID("")
	if c := callerOf(r); c.Role() < gateway.Admin {
		key = c.Key.ID
	}
	prompts, err := a.Store.Prompts(r.Context(), key, limit)
	list := []Prompt{}
	for _, p := range prompts {
		list = append(list, promptOf(p))
	}
	return map[string]any{"data": list}, err
}

// limitOf is how many entries are asked for.
func limitOf(query url.Values, unset int) (int, error) {
	if !query.Has("limit") {
		return unset, nil
	}
	text := query.Get("limit")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, gateway.BadRequest("invalid_limit", "limit", fmt.Sprintf("limit is %q, but must be an integer from 1 to %d.", text, maxLimit))
	}
	return n, nil
}
