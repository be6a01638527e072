package dashboardapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"ai-gateway/gateway"
)

// Agent is the HTTP interface of an agent.
type Agent struct {
	Version    string
	ConfigFile string // "" for none
	Started    time.Time
	Attached   bool // somebody else configures the Envoy
	InForce    func() InForce
	Drain      func()      // refuses new requests from then on
	Draining   func() bool // whether new requests are refused
	Envoy      func() gateway.EnvoyStatus
	Backends   func() map[string]gateway.BackendState // those that do not serve
	// Listed are the models that a backend lists for a caller with that Authorization.
	Listed     func(ctx context.Context, b gateway.Backend, authorization string) []gateway.ListedModel
	Ledger     func() gateway.LedgerStats
	Limits     func() gateway.LimitStats
	Budgets    func() gateway.BudgetStats
	Standing   func(*gateway.LimitedRequest) ([]gateway.LimitState, error) // of a request's limits
	Ping       func(context.Context) error                                 // of the store
	KeysLoaded func() bool                                                 // whether the gateway keys were read; until then nobody is admitted
	KeysFault  func() error                                                // why they cannot be followed now; nil if they can
	Protected  func() bool                                                 // whether everybody needs a gateway key
	Entry      Entry
	Log        *slog.Logger
}

// InForce describes the configuration in force.
type InForce struct {
	Routes  gateway.Routes
	Storage string // where usage is kept, for people
	Since   time.Time
	Fault   string // why what the files hold now is not in force; "" if it is
}

const (
	modelsPath  = gateway.BasePath + "/models"
	pingTimeout = 500 * time.Millisecond

	// DrainPath is where the process that ends the gateway tells the agent to take no new requests.
	DrainPath = "/drain"
)

// AgentHandler answers model clients and reports health. It depends on no other process.
func AgentHandler(a Agent) http.Handler {
	private := endpoint{Endpoint{http.MethodPost, DrainPath, 0}, a.drain}
	return handler{append(a.endpoints(), private), a.Entry, a.Log}
}

// ForClients has a handler take every request for a client's: at a port of loopback, others than
// this machine's owner may ask.
func ForClients(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clientOf(r) == "" {
			host, _, _ := net.SplitHostPort(r.RemoteAddr) // the server has written it
			r.Header.Set(clientHeader, host)
		}
		h.ServeHTTP(w, r)
	})
}

// endpoints are those of the agent that clients may know of.
func (a Agent) endpoints() []endpoint {
	return []endpoint{
		{Endpoint{http.MethodGet, "/livez", 0}, alive},
		{Endpoint{http.MethodGet, "/health", 0}, a.healthFor},
		{Endpoint{http.MethodGet, standingPath, 0}, a.standing},
		{Endpoint{http.MethodGet, modelsPath, gateway.Member}, a.models},
		{Endpoint{http.MethodGet, modelsPath + "/" + idMark, gateway.Member}, a.model},
	}
}

// drain is for processes of this machine only. Envoy has no route to it, and requests through Envoy
// name their client.
func (a Agent) drain(r *http.Request) (any, error) {
	if clientOf(r) != "" {
		return nil, notFound("unknown_url", "", "This URL is not for clients.")
	}
	a.Drain()
	return map[string]string{"status": "draining"}, nil
}

// models lists the models that the caller may use: the configured ones, then those listed by the
// backend that serves all others.
func (a Agent) models(r *http.Request) (any, error) {
	if apiOf(r) == gateway.AnthropicAPI {
		return modelPage(a.modelsFor(r), r.URL.Query())
	}
	return map[string]any{"object": "list", "data": a.modelsFor(r)}, nil
}

// model shows a model that the caller may use. If a backend serves all models, unlisted ones are
// shown too, because only that backend knows whether it serves them.
func (a Agent) model(r *http.Request) (any, error) {
	id := gateway.Model(r.PathValue("id"))
	shown := func(m Model) any {
		if apiOf(r) == gateway.AnthropicAPI {
			return m.ofMessages()
		}
		return m
	}
	for _, m := range a.modelsFor(r) {
		if m.ID == id {
			return shown(m), nil
		}
	}
	now := a.InForce()
	if _, planned := now.Routes.Table().Plan(apiOf(r), id); !planned || !callerOf(r).MayUse(id) {
		return nil, gateway.NoModel(id)
	}
	return shown(Model{ID: id, Object: "model", Created: now.Since.Unix(), OwnedBy: now.Routes.DefaultFor(apiOf(r))}), nil
}

// modelsFor are the models that a caller may use in its API. A permission for a model includes its
// aliases.
func (a Agent) modelsFor(r *http.Request) []Model {
	list, now, caller := []Model{}, a.InForce(), callerOf(r)
	configured, table := map[gateway.Model]bool{}, now.Routes.Table()
	for _, of := range now.Routes.Models {
		for _, name := range append([]gateway.Model{of.Model}, of.Aliases...) {
			configured[name] = true
			plan, ok := table.Plan(apiOf(r), name)
			if ok && (caller.MayUse(name) || caller.MayUse(of.Model)) {
				list = append(list, Model{ID: name, Object: "model", Created: now.Since.Unix(), OwnedBy: plan.Steps[0].Backend})
			}
		}
	}
	for _, m := range a.listed(r, now) {
		if !configured[m.ID] && caller.MayUse(m.ID) {
			list = append(list, Model{ID: m.ID, Object: "model", Created: cmp.Or(m.Created, now.Since.Unix()), OwnedBy: cmp.Or(m.OwnedBy, now.Routes.DefaultFor(apiOf(r)))})
		}
	}
	return list
}

// listed are the models listed by the backend that serves all models that are not configured.
func (a Agent) listed(r *http.Request, now InForce) []gateway.ListedModel {
	name := now.Routes.DefaultFor(apiOf(r))
	i := slices.IndexFunc(now.Routes.Backends, func(b gateway.Backend) bool { return b.Name == name && b.Kind.Speaks(apiOf(r)) })
	if i < 0 {
		return nil
	}
	backend, admission := now.Routes.Backends[i], admissionIn(r.Context())
	if admission.Backend != "" && admission.Backend != backend.Name { // the saved key is for another backend
		admission.Authorization, admission.APIKey = "", ""
	}
	if backend.Kind == gateway.Anthropic && admission.APIKey != "" {
		return a.Listed(r.Context(), backend, admission.APIKey)
	}
	return a.Listed(r.Context(), backend, admission.Authorization)
}

// healthFor reports health. Admins, processes of this machine, and everybody if no key is needed
// get the full report. Others get the status only, because the details may name files and hosts.
func (a Agent) healthFor(r *http.Request) (any, error) {
	value, err := a.health(r)
	h, ok := value.(Health)
	if err != nil || !ok || !a.Protected() || clientOf(r) == "" {
		return value, err
	}
	admission, refusal := a.Entry.Admit(credentials(r))
	if refusal == nil && admission.Caller.Role() >= gateway.Admin {
		return value, nil
	}
	return briefHealth{Status: h.Status, Version: h.Version, ready: h.Ready}, nil
}

func (a Agent) health(r *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	now, envoy, ledger, limits, budgets := a.InForce(), a.Envoy(), a.Ledger(), a.Limits(), a.Budgets()
	h := Health{
		Status: "ok", Ready: true, Version: a.Version, Storage: now.Storage,
		UptimeSeconds: int64(time.Since(a.Started).Seconds()),
		Parts:         map[string]string{"serve": "ok", "config": "ok", "store": "ok", "usage": "ok", "keys": "ok", "limits": "ok", "budgets": "ok", "envoy": "ok", "backends": "ok"},
		Backends:      map[string]string{},
		Envoy:         envoyHealth(envoy),
		Config:        ConfigHealth{File: a.ConfigFile, Since: now.Since.UTC(), Fault: now.Fault},
		Usage:         usageHealth(ledger),
		Limits:        limitHealth(limits),
		Budgets:       BudgetHealth{Refused: budgets.Refused, Accounts: budgets.Accounts, Holds: budgets.Holds},
	}
	if envoy.Rejected != nil {
		h.Parts["envoy"] = "refused a configuration; the one before it is in force"
	}
	if err := a.Ping(ctx); err != nil {
		h.degrade("store", err.Error()) // requests continue, their rows wait
	}
	if ledger.LastError != "" {
		h.degrade("usage", ledger.LastError)
	}
	if limits.Away != "" {
		h.degrade("limits", awayText(limits))
	}
	if limits.Away == "" && limits.Use >= gateway.NearFull {
		h.degrade("limits", fmt.Sprintf("%d %% of the counters are in use: without one, a request's limits cannot be asked", limits.Use))
	}
	if budgets.Away != "" {
		h.degrade("budgets", "what is leased goes on, but no more can be: "+budgets.Away)
	}
	for name, state := range a.Backends() {
		h.Backends[name] = state.String()
		h.degrade("backends", "some are passed over: `backends` says which, and why")
	}
	if now.Fault != "" {
		h.degrade("config", "what the files hold now is not in force; what was before is")
	}
	if err := a.KeysFault(); err != nil {
		h.degrade("keys", err.Error()) // known keys stay valid
	}
	if !a.KeysLoaded() {
		h.refuse("keys", "not read yet: no request is admitted")
	}
	if envoy.Envoys == 0 && !(a.Attached && envoy.Secrets == 0) { // such an Envoy has nothing to ask for
		h.refuse("envoy", "not connected")
	}
	if a.Draining() {
		h.refuse("serve", "shutting down: running requests may finish, new ones are refused")
	}
	return h, nil
}

func (h *Health) degrade(part, why string) { h.Status, h.Parts[part] = "degraded", why }

func (h *Health) refuse(part, why string) {
	h.Status, h.Ready, h.Parts[part] = "unavailable", false, why
}

func envoyHealth(s gateway.EnvoyStatus) EnvoyHealth {
	h := EnvoyHealth{Version: s.EnvoyVersion, Connected: s.Envoys, ConfigVersion: s.Version}
	if r := s.Rejected; r != nil {
		h.RejectedConfig = &Rejection{At: r.At, Type: r.TypeURL, Reason: r.Reason}
	}
	return h
}

func awayText(s gateway.LimitStats) string {
	if s.Closed {
		return "requests are refused, as their limits cannot be asked: " + s.Away
	}
	return "requests pass without limits, as these cannot be asked: " + s.Away
}

func limitHealth(s gateway.LimitStats) LimitHealth {
	return LimitHealth{Service: s.Service, Refused: s.Refused, Missed: s.Missed, Lost: s.Lost, Waiting: s.Waiting, Counters: s.Counts}
}

func usageHealth(s gateway.LedgerStats) UsageHealth {
	return UsageHealth{
		Open: s.Open, Unwritten: s.Unwritten, Written: s.Written, Unpriced: s.Unpriced, Unread: s.Unread, Rejected: s.Rejected,
		SpoolBytes: s.WAL.Bytes, SpoolSegments: s.WAL.Segments, OldestSeconds: s.OldestAge.Round(time.Millisecond).Seconds(),
		Refused: s.Refused, Repaired: s.WAL.Repaired, Lost: s.WAL.Lost,
	}
}
