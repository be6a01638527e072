package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"ai-gateway/config"
	"ai-gateway/envoy"
)

// lookEvery is how often an agent looks whether it is to drain.
const lookEvery = 200 * time.Millisecond

// drainByFile lets whoever ends the Envoy of this agent do so without breaking off what runs, also
// from a container that has no other way to tell: it makes the file "drain" in the run folder, and
// waits for the file "drained". The agent serves again once "drain" is gone, and then takes "drained"
// away: the next time it would be believed before all is.
func (s *service) drainByFile(ctx context.Context, current func() config.Config) error {
	_ = os.Remove(s.files.drained()) // of an agent before, if it is there
	for waitUntil(ctx, func() bool { return exists(s.files.drain()) }) {
		drainer{unixClient(s.files.agentSocket()), envoy.NewAdmin(s.files.adminSocket()), current().DrainTimeout, s.log}.drain(ctx)
		if err := os.WriteFile(s.files.drained(), nil, 0o600); err != nil {
			return fmt.Errorf("telling that all is drained: %w", err)
		}
		if waitUntil(ctx, func() bool { return !exists(s.files.drain()) }) {
			_ = os.Remove(s.files.drained()) // whoever made "drain" may have done so
		}
		s.draining.Store(false)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// waitUntil returns true once a condition holds, and false once ctx ends.
func waitUntil(ctx context.Context, holds func() bool) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return ctx.Err() == nil
}
