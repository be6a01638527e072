package dashboardapi

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"ai-gateway/gateway"
)

// System is the answer of GET /api/system: how the processes are, this one as it sees
// itself, the agent as it says.
type System struct {
	API      APIHealth   `json:"api"`
	Agent    AgentHealth `json:"agent"`
	Backends []Backend   `json:"backends" nullable:"false"`
	Config   string      `json:"config" doc:"What the files hold, as YAML with where each value is from"`
	Fault    string      `json:"fault,omitempty" doc:"Why the files cannot be read"`
}

// APIHealth is how the api role is that answers.
type APIHealth struct {
	Version       string `json:"version"`
	UptimeSeconds int64  `json:"uptime_seconds"`
	Store         string `json:"store" doc:"ok, or what is wrong with it"`
}

// AgentHealth is what the agent said when it was asked.
type AgentHealth struct {
	Health *Health `json:"health,omitempty" doc:"As GET /health"`
	Error  string  `json:"error,omitempty" doc:"Why there is none"`
}

// Backend is a place where models are served, and how it did in the last hour.
type Backend struct {
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	BaseURL  string     `json:"base_url"`
	Key      string     `json:"key" doc:"Where its key is from; never the key"`
	Models   []string   `json:"models" nullable:"false"`
	Default  bool       `json:"default" doc:"Whether it serves all models without a route"`
	Requests int64      `json:"requests" doc:"In the last hour"`
	Failed   int64      `json:"failed" doc:"Of them, those that it is at fault for"`
	LastSeen *time.Time `json:"last_seen" doc:"When a request to it was last recorded; null if not in the last hour"`
}

const (
	agentTimeout = 2 * time.Second
	recently     = time.Hour // how far back a backend's health looks
)

func (o *operations) addSystem() {
	type answer struct{ Body System }
	register(o, gateway.Admin, "/api/system", "get-system", "How the gateway is", func(ctx context.Context, _ *struct{}) (*answer, error) {
		return &answer{o.a.system(ctx)}, nil
	})
}

// system never fails: what cannot be had is said in it.
func (a API) system(ctx context.Context) System {
	s := System{API: APIHealth{Version: a.Version, UptimeSeconds: int64(time.Since(a.Started).Seconds()), Store: "ok"}, Backends: []Backend{}}
	ping, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := a.Store.Ping(ping); err != nil {
		s.API.Store = err.Error()
	}
	s.Agent = a.askAgent(ctx)
	c, err := a.Configuration()
	if err != nil {
		s.Fault = err.Error()
		return s
	}
	s.Config = c.Text
	if s.API.Store == "ok" {
		s.Backends = a.backends(ctx, c.Routes)
	}
	return s
}

func (a API) askAgent(ctx context.Context) AgentHealth {
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	text, err := a.AgentHealth(ctx)
	if err != nil {
		return AgentHealth{Error: err.Error()}
	}
	var h Health
	if json.Unmarshal(text, &h) != nil {
		return AgentHealth{Error: "its answer is not JSON"}
	}
	return AgentHealth{Health: &h}
}

// backends are those of the routes, and how they did lately as far as the tables tell.
func (a API) backends(ctx context.Context, routes gateway.Routes) []Backend {
	now := time.Now()
	// An error leaves the figures out: they are an hour's, and the store's state is told above.
	sums, _ := a.Store.Usage(ctx, gateway.UsageQuery{Group: gateway.GroupByBackend, Bounds: []time.Time{now.Add(-recently), now}})
	all := []Backend{}
	for i := range routes.Backends {
		b := backendOf(&routes.Backends[i], routes)
		for _, sum := range sums {
			if sum.Group == b.Name {
				b.Requests, b.Failed = sum.Requests, sum.Failed
			}
		}
		if last, err := a.Store.Requests(ctx, gateway.RequestFilter{From: now.Add(-recently), Backend: b.Name}, gateway.RequestPlace{}, 1); err == nil && len(last.Requests) > 0 {
			b.LastSeen = &last.Requests[0].StartedAt
		}
		all = append(all, b)
	}
	return all
}

func backendOf(b *gateway.Backend, routes gateway.Routes) Backend {
	shown := Backend{Name: b.Name, Kind: b.Kind.String(), BaseURL: b.BaseURL.Redacted(), Key: b.KeySource(), Models: []string{}, Default: b.Name == routes.Default}
	for _, route := range routes.Models {
		if slices.ContainsFunc(route.Steps, func(step gateway.Step) bool { return step.Backend == b.Name }) {
			shown.Models = append(shown.Models, string(route.Model))
		}
	}
	return shown
}
