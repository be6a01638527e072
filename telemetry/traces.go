package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"ai-gateway/gateway"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	Endpoint string // the URL that OTLP is posted to, with its path; "" makes no traces
	Prompts  bool   // spans hold the previews of prompts and answers, where those are logged
}

const (
	maxWaiting  = 2048 // requests that wait to be sent
	maxTraced   = 256  // requests of one post
	sendEvery   = 2 * time.Second
	sendTimeout = 10 * time.Second
	lastSend    = 2 * time.Second // what a stopping gateway still sends
)

// traces makes spans of finished requests and sends them. At its bound it drops requests, counts
// them and says so: a collector that is away never holds up the books.
type traces struct {
	c        TraceConfig
	name     func(backend string) string // of a backend's provider
	queue    chan gateway.Row
	export   func(context.Context, []sdktrace.ReadOnlySpan) error
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	made     []sdktrace.ReadOnlySpan // by the goroutine that sends
	log      *slog.Logger

	sent, dropped, failed atomic.Int64
	away                  bool // the last post failed
}

func newTraces(c Config) (*traces, error) {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(c.Traces.Endpoint), otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		return nil, fmt.Errorf("preparing traces for %q: %w", c.Traces.Endpoint, err)
	}
	t := &traces{c: c.Traces, name: func(backend string) string { return providers(c.Backends())[backend] }, queue: make(chan gateway.Row, maxWaiting),
		export: exporter.ExportSpans, log: c.Log}
	of := resource.NewSchemaless(text("service.name", "ai-gateway"), text("service.version", c.Version))
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithResource(of), sdktrace.WithIDGenerator(requestIDs{}), sdktrace.WithSpanProcessor(collect{t}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	t.tracer = t.provider.Tracer("ai-gateway")
	return t, nil
}

func (t *traces) figures() []figure {
	if t == nil {
		return nil
	}
	return []figure{
		{"traces_sent_total", "Requests whose spans the collector has taken.", true, count(t.sent.Load)},
		{"traces_dropped_total", "Requests without a trace, as too many waited for the collector.", true, count(t.dropped.Load)},
		{"traces_failed_total", "Requests whose spans the collector did not take.", true, count(t.failed.Load)},
		{"traces_waiting", "Requests whose spans wait to be sent.", false, func() float64 { return float64(len(t.queue)) }},
	}
}

// add has a request traced, if there is room.
func (t *traces) add(r *gateway.Row) {
	if t == nil {
		return
	}
	row := *r
	if !t.c.Prompts {
		row.Prompt, row.Answer = "", ""
	}
	select {
	case t.queue <- row:
	default:
		if t.dropped.Add(1) == 1 {
			t.log.Warn("traces are dropped, as too many wait for the collector; more of them are only counted", "waiting", maxWaiting)
		}
	}
}

// run sends what waits until ctx ends, and then what is left.
func (t *traces) run(ctx context.Context) error {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	waiting := make([]gateway.Row, 0, maxTraced)
	for {
		select {
		case r := <-t.queue:
			if waiting = append(waiting, r); len(waiting) < maxTraced {
				continue
			}
		case <-tick.C:
		case <-ctx.Done():
			return t.last(context.WithoutCancel(ctx), waiting)
		}
		t.send(ctx, waiting)
		waiting = waiting[:0]
	}
}

// last sends what waits once more.
func (t *traces) last(ctx context.Context, waiting []gateway.Row) error {
	ctx, cancel := context.WithTimeout(ctx, lastSend)
	defer cancel()
	for len(t.queue) > 0 {
		if len(waiting) == maxTraced {
			t.send(ctx, waiting)
			waiting = waiting[:0]
		}
		waiting = append(waiting, <-t.queue)
	}
	t.send(ctx, waiting)
	return nil
}

func (t *traces) send(ctx context.Context, rows []gateway.Row) {
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	t.made = t.made[:0]
	for i := range rows {
		t.make(ctx, &rows[i])
	}
	err := t.export(ctx, t.made)
	switch {
	case err == nil && t.away:
		t.log.Info("the trace collector accepts traces again")
	case err != nil && !t.away:
		t.log.Warn("the trace collector accepts no traces; they are lost until it does", "error", strings.ReplaceAll(err.Error(), t.c.Endpoint, "its URL"))
	}
	t.away = err != nil
	if err != nil {
		t.failed.Add(int64(len(rows)))
		return
	}
	t.sent.Add(int64(len(rows)))
}

// collect gathers the spans that end.
type collect struct{ of *traces }

// OnStart does nothing.
func (collect) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd keeps a span to be sent.
func (c collect) OnEnd(s sdktrace.ReadOnlySpan) { c.of.made = append(c.of.made, s) }

// Shutdown does nothing: run has sent all.
func (collect) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (collect) ForceFlush(context.Context) error { return nil }
