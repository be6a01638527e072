// Package dashboardapi answers the gateway's own HTTP: of an agent its health and its models, of
// the api role costs, the prompt log and how the agent is. It depends on neither SQL nor Envoy:
// callers pass in what it shows.
package dashboardapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// API is the HTTP interface of the api role.
type API struct {
	Version string
	Started time.Time
	Store   Store
	// AgentHealth gets the agent's health as JSON. The agent is another process.
	AgentHealth func(context.Context) ([]byte, error)
	// Configuration reads the one that the files hold.
	Configuration func() (Configuration, error)
	// Check checks what this process needs, as `ai-gateway doctor` does.
	Check     func(context.Context) ([]Finding, error)
	Keys      Keys
	Explainer Explainer
	People    People
	Doorman   Doorman
	Entry     Entry
	Log       *slog.Logger
}

// Configuration is what the API shows of one.
type Configuration struct {
	Text        string // as an equivalent file, each value with its source
	Routes      gateway.Routes
	Price       func(gateway.Model, time.Time) (price gateway.Price, known bool)
	LogsPrompts bool
}

// Store is the part of the store that the API uses.
type Store interface {
	Costs(context.Context, gateway.RequestFilter) ([]gateway.KeyCosts, error)
	Prompts(ctx context.Context, f gateway.PromptFilter, after gateway.RequestPlace, limit int) ([]gateway.LoggedPrompt, error)
	Key(context.Context, gateway.KeyID) (gateway.APIKey, error)                             // gateway.ErrNoAPIKey for none
	KeysOf(ctx context.Context, owner string) ([]gateway.APIKey, error)                     // the newest first
	APIKeys(ctx context.Context, before gateway.KeyID, limit int) ([]gateway.APIKey, error) // the newest first, behind one; "" begins
	LastUses(ctx context.Context, ids []gateway.KeyID) (map[gateway.KeyID]time.Time, error) // without those that no request is recorded of
	Audit(ctx context.Context, before int64, limit int) ([]gateway.AuditEntry, error)       // likewise; 0 begins
	Ping(context.Context) error
	// BudgetEvents are those of some spenders, nil being all, the newest first, behind a place.
	BudgetEvents(ctx context.Context, of []gateway.Spender, after gateway.RequestPlace, limit int) ([]gateway.BudgetEvent, error)
	SpendingCorrections(ctx context.Context, after gateway.RequestPlace, limit int) ([]gateway.SpendingCorrection, error) // likewise
	CorrectSpending(context.Context, gateway.Actor, gateway.SpendingCorrection) (gateway.SpendingCorrection, error)       // gateway.ErrNoSpending, gateway.ErrOtherCorrection

	Requests(ctx context.Context, f gateway.RequestFilter, after gateway.RequestPlace, limit int) (gateway.FoundRequests, error)
	Request(context.Context, uuid.UUID) (gateway.RequestRecord, error) // gateway.ErrNoRequest
	Usage(context.Context, gateway.UsageQuery) ([]gateway.UsageSum, error)
	Latencies(ctx context.Context, q gateway.UsageQuery, requests int64) (gateway.Latencies, error)
}

// Handler answers the API, and serves the dashboard.
func Handler(a API) http.Handler {
	pages, described, others := newPages(web), newOperations(a), handler{a.endpoints(), a.Entry, a.Log}
	for _, e := range described.all { // so that their paths are known if the method is wrong
		others.endpoints = append(others.endpoints, endpoint{e, unknownURL})
	}
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

// endpoints are those of the api role that its document does not describe.
func (a API) endpoints() []endpoint {
	return append(a.authEndpoints(), endpoint{Endpoint{http.MethodGet, "/livez", 0}, alive})
}
