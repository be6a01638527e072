package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ai-gateway/gateway"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func agent() Agent {
	return Agent{
		InForce: func() InForce {
			return InForce{Routes: gateway.Routes{Backends: []gateway.Backend{{Name: "local", Kind: gateway.Local}}, Models: []gateway.Route{
				{Model: "org/m:8b", Aliases: []gateway.Model{"hf://org//m"}, Steps: []gateway.Step{{Backend: "local"}}},
			}}, Since: time.Unix(1_700_000_000, 0), Storage: "memory"}
		},
		Envoy: func() gateway.EnvoyStatus {
			return gateway.EnvoyStatus{Envoys: 1, EnvoyVersion: "1.40.0", Version: "v"}
		},
		Ledger: func() gateway.LedgerStats { return gateway.LedgerStats{} },
		Listed: func(_ context.Context, b gateway.Backend, authorization string) []gateway.ListedModel {
			return []gateway.ListedModel{{ID: "hf://org//m", OwnedBy: "them"}, {ID: "gpt", Created: 5, OwnedBy: "them"}, {ID: gateway.Model(b.Name + authorization)}}
		},
		Backends: func() map[string]gateway.BackendState { return nil },
		Limits:   func() gateway.LimitStats { return gateway.LimitStats{} },
		Budgets:  func() gateway.BudgetStats { return gateway.BudgetStats{} },
		Standing: func(r *gateway.LimitedRequest) ([]gateway.LimitState, error) {
			return []gateway.LimitState{{Limit: gateway.Limit{Max: 60}, Remaining: r.Tokens}}, nil
		},
		Ping:    func(context.Context) error { return nil },
		Started: time.Now(), Version: "1.2.3", ConfigFile: "ai-gateway.yaml",
		Drain: func() {}, Draining: func() bool { return false },
		KeysLoaded: func() bool { return true }, KeysFault: func() error { return nil }, Protected: func() bool { return false }, Entry: open, Log: slog.New(slog.DiscardHandler),
	}
}

// books is a store of funcs.
type books struct {
	costs func(context.Context) ([]gateway.KeyCosts, error)
	ping  error
}

func (b books) Ping(context.Context) error { return b.ping }

func (b books) Costs(ctx context.Context, f gateway.RequestFilter) ([]gateway.KeyCosts, error) {
	if f.Key == "" {
		return b.costs(ctx)
	}
	if f.Key != "k_1" {
		return nil, nil
	}
	return []gateway.KeyCosts{{Key: gateway.Key{ID: f.Key, Label: "sk-…9f2c"}, Models: []gateway.ModelCosts{{Model: "m", Sums: sums}}, Sums: sums}}, nil
}

func (b books) Requests(context.Context, gateway.RequestFilter, gateway.RequestPlace, int) (gateway.FoundRequests, error) {
	return gateway.FoundRequests{}, nil
}

func (b books) Request(context.Context, uuid.UUID) (gateway.RequestRecord, error) {
	return gateway.RequestRecord{}, gateway.ErrNoRequest
}

func (b books) Usage(context.Context, gateway.UsageQuery) ([]gateway.UsageSum, error) {
	return []gateway.UsageSum{{Group: "local", Requests: 3, Failed: 1}}, nil
}

func (b books) Latencies(context.Context, gateway.UsageQuery, int64) (gateway.Latencies, error) {
	return gateway.Latencies{}, nil
}

func (b books) Prompts(_ context.Context, f gateway.PromptFilter, _ gateway.RequestPlace, limit int) ([]gateway.LoggedPrompt, error) {
	prompts := make([]gateway.LoggedPrompt, limit)
	for i := range prompts {
		prompts[i].Key.ID = f.Key
	}
	return prompts, nil
}

func (b books) Key(_ context.Context, id gateway.KeyID) (gateway.APIKey, error) {
	if id != "key_1" && id != "key_2" {
		return gateway.APIKey{}, gateway.ErrNoAPIKey
	}
	return gateway.APIKey{ID: id, Label: "Nightly", Grant: gateway.Grant{Role: gateway.Member, Tags: map[string]string{}}}, nil
}

func (b books) KeysOf(ctx context.Context, owner string) ([]gateway.APIKey, error) {
	k, err := b.Key(ctx, "key_1")
	k.Owner = owner
	return []gateway.APIKey{k}, err
}

func (b books) APIKeys(ctx context.Context, before gateway.KeyID, limit int) ([]gateway.APIKey, error) {
	var all []gateway.APIKey
	for _, id := range []gateway.KeyID{"key_2", "key_1"} {
		if k, err := b.Key(ctx, id); err == nil && (before == "" || id < before) && len(all) < limit {
			all = append(all, k)
		}
	}
	return all, nil
}

func (b books) LastUses(_ context.Context, ids []gateway.KeyID) (map[gateway.KeyID]time.Time, error) {
	if !slices.Contains(ids, "key_1") {
		return nil, nil
	}
	return map[gateway.KeyID]time.Time{"key_1": time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}, nil
}

func (b books) Audit(_ context.Context, before int64, limit int) ([]gateway.AuditEntry, error) {
	var entries []gateway.AuditEntry
	for i := range int64(limit) {
		entries = append(entries, gateway.AuditEntry{ID: before - 1 - i, Actor: "key_1", Action: "key.create", After: json.RawMessage(`{"label":"=1"}`)})
	}
	return entries, nil
}

func (b books) BudgetEvents(_ context.Context, of []gateway.Spender, _ gateway.RequestPlace, limit int) ([]gateway.BudgetEvent, error) {
	events := []gateway.BudgetEvent{{BudgetID: gateway.BudgetID{By: gateway.BudgetByUser, Name: "everybody"}, Amount: gateway.USD}}
	if of != nil {
		events = nil
	}
	for _, s := range of {
		events = append(events, gateway.BudgetEvent{BudgetID: gateway.BudgetID{By: s.By, Name: s.Name}})
	}
	return events[:min(limit, len(events))], nil
}

func (b books) SpendingCorrections(context.Context, gateway.RequestPlace, int) ([]gateway.SpendingCorrection, error) {
	return []gateway.SpendingCorrection{{By: gateway.BudgetByTeam, Name: "research", Amount: -gateway.Dollars(gateway.USD / 2), Day: "2026-01-31", Reason: "=a price"}}, nil
}

func (b books) CorrectSpending(_ context.Context, _ gateway.Actor, c gateway.SpendingCorrection) (gateway.SpendingCorrection, error) {
	switch {
	case c.Name != "ada":
		return c, gateway.ErrNoSpending
	case c.Reason == "other":
		return c, gateway.ErrOtherCorrection
	}
	return c, nil
}

var sums = gateway.Sums{Requests: 2, PromptTokens: 30, CachedTokens: 5, CompletionTokens: 70, Cost: 1_500_000_000, Unpriced: 1}

func api() API {
	return API{
		Explainer: explained{}, Check: func(context.Context) ([]Finding, error) { return nil, nil },
		Store: books{costs: func(context.Context) ([]gateway.KeyCosts, error) {
			return []gateway.KeyCosts{{Key: gateway.Key{ID: "k_1"}, Sums: sums}, {Key: gateway.Key{ID: "k_2"}, Sums: gateway.Sums{Requests: 1, Cost: 1}}}, nil
		}},
		AgentHealth: func(context.Context) ([]byte, error) { return []byte(`{"status":"ok"}`), nil },
		Configuration: func() (Configuration, error) {
			base := &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/v1"}
			return Configuration{Text: "bind: localhost\n", Routes: gateway.Routes{Backends: []gateway.Backend{{Name: "local", BaseURL: base}}}}, nil
		},
		Started: time.Now(), Version: "1.2.3", Log: slog.New(slog.DiscardHandler), Entry: open, Keys: &issuer{}, People: &registry{}, Doorman: porter{},
	}
}

// open lets everybody in.
var open = Entry{Origins: func() []string { return nil }, Admit: func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
	return gateway.Admission{Caller: &gateway.Caller{Key: gateway.Key{ID: gateway.AnonymousKey}}}, nil
}}

// all are both roles' handlers, as Envoy has them.
func all(a Agent, b API) http.Handler {
	agents, apis := AgentHandler(a), Handler(b)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/auth/") || r.URL.Path == authConfigPath {
			apis.ServeHTTP(w, r)
			return
		}
		agents.ServeHTTP(w, r)
	})
}

func ask(h http.Handler, method, url string) (*http.Response, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, url, nil))
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(body)
}

func TestEveryAnswerHasItsStatusAndWords(t *testing.T) {
	for _, c := range []struct {
		method, url string
		status      int
		want        string
	}{
		{"GET", "/livez", 200, `"ok"`},
		{"GET", "/health", 200, `"status":"ok"`},
		{"GET", "/v1/models", 200, `{"data":[{"id":"org/m:8b","object":"model","created":1700000000,"owned_by":"local"},`},
		{"GET", "/v1/models/org/m:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/org%2Fm:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/hf://org//m", 200, `"id":"hf://org//m"`},
		{"GET", "/v1/models/hf:%2F%2Forg%2F%2Fm", 200, `"id":"hf://org//m"`},
		{"GET", "/v1/models/../models", 404, `"code":"model_not_found"`},
		{"GET", "/v1/models/", 404, `"code":"unknown_url"`},
		{"GET", "/api/costs/", 404, `"code":"unknown_url"`},
		{"GET", "/api/costs/k_1/x", 404, `"code":"unknown_url"`},
		{"GET", "/assets/none.js", 404, `"code":"unknown_url"`},
		{"GET", "/v1/models/none", 404, "The model `none` does not exist or you do not have access to it."},
		{"GET", "/api/costs", 200, `"cost_usd":"1.500000001"`},
		{"GET", "/api/costs/k_1", 200, `"key_id":"k_1"`},
		{"GET", "/api/costs/k_9", 404, `"code":"key_not_found"`},
		{"GET", "/api/prompt-log?limit=2", 200, `{"data":[{`},
		{"GET", "/api/prompt-log?limit=1000", 200, `{"data":[{`},
		{"GET", "/api/prompt-log?limit=-1", 400, `"message":"limit: expected number >= 1."`},
		{"GET", "/api/prompt-log?limit=0", 400, `"param":"limit"`},
		{"GET", "/api/prompt-log?limit=1001", 400, `from 1 to 1000`},
		{"GET", "/api/prompt-log?limit=x", 400, `"message":"limit: invalid integer."`},
		{"GET", "/api/requests?user=a%00b", 400, `"message":"user: must be text in UTF-8 without NUL."`},
		{"GET", "/api/requests?limit=0&model=%FF", 400, `"param":"limit"`},
		{"GET", "/api/costs/k%00", 400, `"message":"id: must be text in UTF-8 without NUL."`},
		{"POST", "/api/costs", 405, `"code":"method_not_allowed"`},
		{"DELETE", "/v1/models/org/m:8b", 405, `"code":"method_not_allowed"`},
		{"OPTIONS", "/health", 405, `"code":"method_not_allowed"`},
		{"POST", "/api/nope", 404, `"code":"unknown_url"`},
		{"GET", "/api/nope", 404, `"code":"unknown_url"`},
	} {
		response, body := ask(all(agent(), api()), c.method, c.url)
		if response.StatusCode != c.status || !strings.Contains(body, c.want) || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.url, response.StatusCode, body, c.status, c.want)
		}
		if c.status >= 400 && !strings.HasPrefix(body, `{"error":{"message":`) {
			t.Errorf("%s %s: %s is no envelope", c.method, c.url, body)
		}
	}
}

func TestEveryAnswerIsPlainJSONThatNobodyKeeps(t *testing.T) {
	want := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
	for _, path := range []string{"/livez", "/health", "/v1/models", "/api/costs", "/api/prompt-log", "/nope"} {
		response, _ := ask(all(agent(), api()), "GET", path)
		if diff := cmp.Diff(want, response.Header); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if response, _ := ask(all(agent(), api()), "POST", "/health"); response.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", response.Header.Get("Allow"))
	}
}

func TestNothingIsAnEmptyListAndNotNull(t *testing.T) {
	a, b := agent(), api()
	a.InForce = func() InForce { return InForce{} }
	b.Store = nothing{books{costs: func(context.Context) ([]gateway.KeyCosts, error) { return nil, nil }}}
	for path, want := range map[string]string{"/v1/models": `{"data":[],"object":"list"}`, "/api/costs": `"cost_usd":"0"`, "/api/prompt-log": `{"data":[],`} {
		if response, body := ask(all(a, b), "GET", path); response.StatusCode != 200 || !strings.Contains(body, want) || strings.Contains(strings.ReplaceAll(body, `"next":null`, ""), "null") {
			t.Errorf("%s: %d %s, want %s", path, response.StatusCode, body, want)
		}
	}
}

type nothing struct{ books }

func (nothing) Prompts(context.Context, gateway.PromptFilter, gateway.RequestPlace, int) ([]gateway.LoggedPrompt, error) {
	return nil, nil
}

func TestHealthShowsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Agent)
		status int
		want   []string
	}{
		"nothing": {func(*Agent) {}, 200, []string{`"status":"ok"`, `"version":"1.40.0"`, `"file":"ai-gateway.yaml"`, `"storage":"memory"`, `"since":"2023-11-14T22:13:20Z"`}},
		"Envoy refused": {func(a *Agent) {
			a.Envoy = func() gateway.EnvoyStatus {
				return gateway.EnvoyStatus{Envoys: 1, Rejected: &gateway.Rejection{Reason: "no such cluster"}}
			}
		}, 200, []string{`"status":"ok"`, `"reason":"no such cluster"`, `"envoy":"refused a configuration`}},
		"no Envoy": {func(a *Agent) { a.Envoy = func() gateway.EnvoyStatus { return gateway.EnvoyStatus{} } }, 503,
			[]string{`"status":"unavailable"`, `"envoy":"not connected"`}},
		"an Envoy of a mesh that has secrets to ask for": {func(a *Agent) {
			a.Attached, a.Envoy = true, func() gateway.EnvoyStatus { return gateway.EnvoyStatus{Secrets: 1} }
		}, 503, []string{`"envoy":"not connected"`}},
		"an Envoy of a mesh that has nothing to ask for": {func(a *Agent) {
			a.Attached, a.Envoy = true, func() gateway.EnvoyStatus { return gateway.EnvoyStatus{} }
		}, 200, []string{`"status":"ok"`}},
		"the store": {func(a *Agent) { a.Ping = func(context.Context) error { return errors.New("disk full") } }, 200,
			[]string{`"status":"degraded"`, `"store":"disk full"`}},
		"the ledger": {func(a *Agent) {
			a.Ledger = func() gateway.LedgerStats { return gateway.LedgerStats{LastError: "locked"} }
		}, 200, []string{`"status":"degraded"`, `"usage":"locked"`}},
		"the limiter": {func(a *Agent) { a.Limits = func() gateway.LimitStats { return gateway.LimitStats{Away: "refused"} } }, 200,
			[]string{`"status":"degraded"`, `"limits":"requests pass without limits, as these cannot be asked: refused"`}},
		"the limiter of who is closed then": {func(a *Agent) {
			a.Limits = func() gateway.LimitStats { return gateway.LimitStats{Away: "refused", Closed: true} }
		}, 200, []string{`"status":"degraded"`, `"limits":"requests are refused, as their limits cannot be asked: refused"`}},
		"nearly all counters": {func(a *Agent) { a.Limits = func() gateway.LimitStats { return gateway.LimitStats{Use: 90} } }, 200,
			[]string{`"status":"degraded"`, `"limits":"90 % of the counters are in use`}},
		"the keys' store": {func(a *Agent) { a.KeysFault = func() error { return errors.New("no route") } }, 200,
			[]string{`"status":"degraded"`, `"keys":"no route"`}},
		"the keys": {func(a *Agent) { a.KeysLoaded = func() bool { return false } }, 503, []string{`"status":"unavailable"`, `"keys":"not read yet`}},
		"the file": {func(a *Agent) { a.InForce = func() InForce { return InForce{Fault: "no port"} } }, 200,
			[]string{`"status":"degraded"`, `"fault":"no port"`}},
	} {
		a := agent()
		c.change(&a)
		response, body := ask(AgentHandler(a), "GET", "/health")
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %s does not say %s", name, body, want)
			}
		}
		if response.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode, c.status)
		}
	}
}

func TestEachFigureOfTheLedgerIsShownUnderItsName(t *testing.T) {
	status := gateway.LedgerStats{Open: 2, Unwritten: 3, OldestAge: 4500 * time.Millisecond, Written: 5, Unpriced: 6, Unread: 7, Rejected: 14, Refused: 8,
		WAL: gateway.WALStats{Bytes: 9, Segments: 10, Repaired: 11, Lost: 12}}
	want := UsageHealth{Open: 2, Unwritten: 3, OldestSeconds: 4.5, Written: 5, Unpriced: 6, Unread: 7, Rejected: 14, Refused: 8,
		SpoolBytes: 9, SpoolSegments: 10, Repaired: 11, Lost: 12}
	if diff := cmp.Diff(want, usageHealth(status)); diff != "" {
		t.Error(diff)
	}
}

func TestEachFigureOfTheLimiterIsShownUnderItsName(t *testing.T) {
	stats := gateway.LimitStats{Service: "s", Refused: 1, Missed: 2, Lost: 3, Waiting: 4, Counts: 5}
	want := LimitHealth{Service: "s", Refused: 1, Missed: 2, Lost: 3, Waiting: 4, Counters: 5}
	if diff := cmp.Diff(want, limitHealth(stats)); diff != "" {
		t.Error(diff)
	}
}

func TestTheCostsOfAKeyHaveAllFiguresDistinct(t *testing.T) {
	_, body := ask(Handler(api()), "GET", "/api/costs/k_1")
	figures := `"requests":2,"prompt_tokens":30,"cached_tokens":5,"completion_tokens":70,"total_tokens":100,"cost_usd":"1.5","cost_nanousd":1500000000,"unpriced_requests":1`
	want := `{"key_id":"k_1","label":"sk-…9f2c",` + figures + `,"models":[{"model":"m",` + figures + `}]}`
	if diff := cmp.Diff(want, strings.TrimSpace(body)); diff != "" {
		t.Error(diff)
	}
}

func TestTheTotalAddsUpAllKeys(t *testing.T) {
	_, body := ask(Handler(api()), "GET", "/api/costs")
	want := `"total":{"requests":3,"prompt_tokens":30,"cached_tokens":5,"completion_tokens":70,"total_tokens":100,"cost_usd":"1.500000001","cost_nanousd":1500000001,"unpriced_requests":1}`
	if !strings.Contains(body, want) {
		t.Errorf("%s has not %s", body, want)
	}
}

func TestTheSystemShowsWhatTheAgentSaysOrWhyItSaysNothing(t *testing.T) {
	for name, c := range map[string]struct {
		health []byte
		err    error
		want   string
	}{
		"well":     {[]byte(`{"status":"degraded"}`), nil, `"agent":{"health":{"status":"degraded"`},
		"away":     {nil, errors.New("connection refused"), `"agent":{"error":"connection refused"}`},
		"nonsense": {[]byte(`<html>`), nil, `"agent":{"error":"its answer is not JSON"}`},
	} {
		a := api()
		a.AgentHealth = func(context.Context) ([]byte, error) { return c.health, c.err }
		if response, body := ask(Handler(a), "GET", "/api/system"); response.StatusCode != 200 || !strings.Contains(body, c.want) || !strings.Contains(body, `"version":"1.2.3"`) {
			t.Errorf("%s: %d %s, want %s", name, response.StatusCode, body, c.want)
		}
	}
	a := api()
	a.Store = books{ping: errors.New("it is gone")}
	if _, body := ask(Handler(a), "GET", "/api/system"); !strings.Contains(body, `"store":"it is gone"`) {
		t.Errorf("%s does not say how the store is", body)
	}
}

func TestTheSystemShowsTheBackendsAndTheConfigurationOrItsFault(t *testing.T) {
	a := api()
	for _, want := range []string{`"name":"local"`, `"base_url":"http://127.0.0.1:1/v1"`, `"requests":3,"failed":1`, `"config":"bind: localhost\n"`} {
		if _, body := ask(Handler(a), "GET", "/api/system"); !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	a.Configuration = func() (Configuration, error) { return Configuration{}, errors.New("line 3: unknown field") }
	if response, body := ask(Handler(a), "GET", "/api/system"); response.StatusCode != 200 || !strings.Contains(body, `"fault":"line 3: unknown field"`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestLivezAsksNobody(t *testing.T) {
	for _, h := range []http.Handler{AgentHandler(Agent{}), Handler(API{})} {
		if response, _ := ask(h, "GET", "/livez"); response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

func TestASlowStoreIsA503ToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := api()
		c.Store = books{costs: func(ctx context.Context) ([]gateway.KeyCosts, error) {
			<-ctx.Done()
			return nil, errors.New("interrupted (9)") // as SQLite has it
		}}
		response, body := ask(Handler(c), "GET", "/api/costs")
		if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"timeout"`) {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	})
}

func TestAnInnerErrorIsLoggedAndNotShown(t *testing.T) {
	c := api()
	c.Store = books{costs: func(context.Context) ([]gateway.KeyCosts, error) { return nil, errors.New("disk is made of cheese") }}
	if response, body := ask(Handler(c), "GET", "/api/costs"); response.StatusCode != 500 || strings.Contains(body, "cheese") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func FuzzEveryPathIsAnsweredInJSON(f *testing.F) {
	f.Add("GET", "/v1/models/a%2Fb:c", "limit=1")
	f.Add("PUT", "/api/costs/%ff", "limit=%zz")
	f.Add("HEAD", "//api/../prompt-log", "limit=99999999999999999999")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if gateway.IsPage(path) {
			return
		}
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}}
		w := httptest.NewRecorder()
		all(agent(), api()).ServeHTTP(w, r)
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || (answer["error"] != nil) != (w.Code >= 400) {
			t.Errorf("%s %s?%s: %d %s, %v", method, path, query, w.Code, w.Body, err)
		}
	})
}

func TestAnAgentThatDrainsIsNotReadyAndNoClientMayTellItTo(t *testing.T) {
	a := agent()
	drains := false
	a.Drain, a.Draining = func() { drains = true }, func() bool { return drains }
	ask := func(method, path string, header ...string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		AgentHandler(a).ServeHTTP(w, r)
		return w
	}
	atPort, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, DrainPath, nil) // by a process of this machine
	ForClients(AgentHandler(a)).ServeHTTP(atPort, r)
	if atPort.Code != http.StatusNotFound || drains {
		t.Errorf("at a port a process is answered %d, draining is %t", atPort.Code, drains)
	}
	if w := ask(http.MethodPost, DrainPath, "X-Envoy-External-Address", "192.0.2.1"); w.Code != http.StatusNotFound || drains {
		t.Errorf("a client is answered %d, draining is %t", w.Code, drains)
	}
	if w := ask(http.MethodGet, "/health"); w.Code != http.StatusOK {
		t.Errorf("health before is %d", w.Code)
	}
	if w := ask(http.MethodPost, DrainPath); w.Code != http.StatusOK || !drains {
		t.Errorf("the supervisor is answered %d, draining is %t", w.Code, drains)
	}
	if w := ask(http.MethodGet, "/health"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"serve":"shutting down`) {
		t.Errorf("health while draining is %d %s", w.Code, w.Body)
	}
}
