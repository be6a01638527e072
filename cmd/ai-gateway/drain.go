package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/envoy"
)

// drainEvery is how long a drained gateway may run on for nothing.
const drainEvery = 100 * time.Millisecond

// drainer lets a gateway end without breaking off what runs.
type drainer struct {
	agent *http.Client
	envoy envoy.Admin
	grace time.Duration // after which requests that run are ended all the same; zero ends them at once
	log   *slog.Logger
}

// drain has the agent refuse new requests and returns when none runs any more, when the grace
// is over, or when ctx ends.
func (d drainer) drain(ctx context.Context) {
	if d.grace == 0 {
		return
	}
	d.log.Info("draining: new requests are refused, running ones may finish; the next signal ends them", "grace", d.grace)
	ctx, cancel := context.WithTimeout(ctx, d.grace)
	defer cancel()
	d.envoy.CloseConnections(ctx)
	for !d.drained(ctx) {
		select {
		case <-ctx.Done():
			d.log.Warn("requests that still run are ended", "reason", whyEnded(ctx))
			return
		case <-time.After(drainEvery):
		}
	}
}

// drained reports whether nothing runs any more. The agent is told each time, as it may have
// been started again. What does not answer may still serve requests.
func (d drainer) drained(ctx context.Context) bool {
	if _, err := ask(ctx, d.agent, http.MethodPost, "http://agent"+dashboardapi.DrainPath); err != nil {
		return false
	}
	busy, err := d.envoy.Busy(ctx)
	return err == nil && !busy
}

func whyEnded(ctx context.Context) string {
	if ctx.Err() == context.DeadlineExceeded {
		return "the grace is over"
	}
	return "a second signal"
}
