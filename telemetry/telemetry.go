// Package telemetry counts finished requests for Prometheus, shows how the parts of an agent
// are, and makes traces of requests. It is told of a request once the ledger has made its row,
// by the ledger's own goroutine: nothing of this is done while a client waits.
//
// Names are those of OpenTelemetry's semantic conventions for generative AI where there are any.
// Source: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md
package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ai-gateway/gateway"
)

// Config is what Telemetry needs.
type Config struct {
	Version string
	Started time.Time
	// KnownModel reports whether a model is configured or has a price: others are shown together,
	// as clients can invent them.
	KnownModel func(gateway.Model) bool
	Backends   func() []gateway.Backend
	// LiveKey reports whether a key may still be used: figures of others are removed.
	LiveKey func(gateway.KeyID) bool
	Parts   Parts
	// EnvoyMetrics asks Envoy for its own, in Prometheus' text form.
	EnvoyMetrics func(context.Context) ([]byte, error)
	Traces       TraceConfig
	Log          *slog.Logger
}

// Telemetry counts requests, and makes traces of them.
type Telemetry struct {
	c        Config
	registry *prometheus.Registry
	requests *requests
	traces   *traces // nil for none
}

// New makes telemetry. An error says why traces cannot be made.
func New(c Config) (*Telemetry, error) {
	t := &Telemetry{c: c, registry: prometheus.NewRegistry(), requests: newRequests(c)}
	if c.Traces.Endpoint != "" {
		var err error
		if t.traces, err = newTraces(c); err != nil {
			return nil, err
		}
	}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBackendStates(c))
	for _, m := range t.requests.all() {
		t.registry.MustRegister(m)
	}
	for _, f := range append(c.Parts.figures(), c.ownFigures()...) {
		t.registry.MustRegister(f.metric())
	}
	for _, f := range t.traces.figures() {
		t.registry.MustRegister(f.metric())
	}
	return t, nil
}

// Finished counts a request whose row was made, and makes a trace of it. It does not wait, and
// keeps nothing of the row.
func (t *Telemetry) Finished(r *gateway.Row) {
	t.requests.count(r)
	t.traces.add(r)
}

// Ended counts what a background response used whose request was counted before. It does not wait, and keeps
// nothing of the row.
func (t *Telemetry) Ended(r *gateway.Row) { t.requests.countUse(r) }

// Run sends traces until ctx ends, and then those that wait.
func (t *Telemetry) Run(ctx context.Context) error {
	if t.traces == nil {
		<-ctx.Done()
		return nil
	}
	return t.traces.run(ctx)
}

// Gather returns all metrics, for those who look at them without HTTP.
func (t *Telemetry) Gather() prometheus.Gatherer { return t.registry }

// Handler answers /metrics, and /metrics/envoy. Web pages get nothing from it: a browser may be on
// the machine that it listens on.
func (t *Telemetry) Handler(loopback bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.own())
	mux.HandleFunc("GET /metrics/envoy", t.envoys)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPage(r) || loopback && !isLoopback(r.Host) {
			http.Error(w, "metrics are not for web pages, and have to be asked for by the address that they are served at", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
