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

// drainByFile lets another container end the Envoy of this agent without breaking off requests: it
// creates the file "drain" in the run folder and waits for the file "drained". The agent serves
// again once "drain" is gone, and then removes "drained", so that the next drain does not find it.
func (s *service) drainByFile(ctx context.Context, current func() config.Config) error {
	_ = os.Remove(s.files.drained()) // of an earlier agent
	for waitUntil(ctx, func() bool { return exists(s.files.drain()) }) {
		drainer{unixClient(s.files.agentSocket()), envoy.NewAdmin(s.files.adminSocket()), current().DrainTimeout, s.log}.drain(ctx)
		if err := os.WriteFile(s.files.drained(), nil, 0o600); err != nil {
			return fmt.Errorf("reporting that the gateway is drained: %w", err)
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
