//go:build sabotage

package main

import (
	"path/filepath"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/supervisor"
	"ai-gateway/xds"
)

// The proofs of what the gateway promises are run against a binary with this file as well,
// from which a part is taken out, and have to fail there. The bench takes the ledger out to
// tell its cost.

func (w world) sabotaged(part string) bool { return w.getenv("AI_GATEWAY_SABOTAGE") == part }

func (w world) sabotageProcess(p supervisor.Process) supervisor.Process {
	if w.sabotaged("no-health-check") {
		p.Healthy = nil
	}
	return p
}

func (w world) sabotageAgent(p parts) parts {
	switch {
	case w.sabotaged("clock"):
		p.now = leapingClock
	case w.sabotaged("fail-closed"):
		p.frame = changed(p.frame, func(c *xds.Config) { c.FailOpen = false })
	case w.sabotaged("no-ledger"):
		p.frame = changed(p.frame, func(c *xds.Config) { c.Journal = "" })
	case w.sabotaged("no-journal"):
		p.accessLog = filepath.Join(filepath.Dir(p.accessLog), "nothing.log")
	}
	return p
}

func (w world) sabotageBooks(b books) books {
	switch {
	case w.sabotaged("no-intent"):
		b.begin = func(*gateway.Intent) error { return nil }
	case w.sabotaged("no-ledger"):
		b = books{begin: func(*gateway.Intent) error { return nil }, settle: func(*gateway.Settlement) {}}
	}
	return b
}

// leapingClock is set forth and back by an hour.
func leapingClock() time.Time {
	return time.Now().Add(time.Hour * time.Duration(time.Now().Second()/2%3-1)).Round(0)
}

func changed(frame func() (xds.Config, error), change func(*xds.Config)) func() (xds.Config, error) {
	return func() (xds.Config, error) {
		c, err := frame()
		change(&c)
		return c, err
	}
}
