package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ai-gateway/auth"
	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/store/storetest"
	"ai-gateway/test/program"
)

// gateOn is the gate of a process of its own on a store, which it follows until the test ends.
func gateOn(t *testing.T, c store.Config) *auth.Gate {
	t.Helper()
	tables, err := store.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g := auth.NewGate(auth.GateConfig{Store: tables, Rules: func() auth.GateRules { return auth.GateRules{} },
		Identify: func(string) gateway.Key { return gateway.Key{ID: gateway.AnonymousKey} }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) }) // it ends with its context alone
	t.Cleanup(func() {
		stop()
		running.Wait()
		tables.Close()
	})
	return g
}

// wait waits until a gate answers to a key with a status, 200 for being let in. Each look comes
// from another client, as those with many failures are told to wait.
func wait(t *testing.T, g *auth.Gate, secret string, want int, within time.Duration) {
	t.Helper()
	client := netip.MustParseAddr("10.0.0.1")
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		got := 200
		if _, refusal := g.Admit(gateway.Credentials{APIKey: secret, Client: client.String()}); refusal != nil {
			got = refusal.Status
		}
		if got == want {
			return
		}
		client = client.Next()
		if time.Now().After(deadline) {
			t.Fatalf("a key gets %d, want %d within %s", got, want, within)
		}
	}
}

func TestSeveralProcessesFollowTheKeysOfOneStore(t *testing.T) {
	server, url := storetest.Start(t)
	for name, c := range map[string]store.Config{"SQLite": {Path: filepath.Join(t.TempDir(), "gateway.db")}, "PostgreSQL": {URL: url}} {
		t.Run(name, func(t *testing.T) {
			tables, err := store.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer tables.Close()
			keys := auth.Keys{Store: tables, Given: func() bool { return false }, Now: time.Now}
			gates := []*auth.Gate{gateOn(t, c), gateOn(t, c)}
			by := gateway.Actor{Name: "command line"}
			admin, err := keys.Create(t.Context(), by, []byte(`{"label":"admin"}`))
			if err != nil {
				t.Fatal(err)
			}
			member, err := keys.Create(t.Context(), by, []byte(`{"label":"member"}`))
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range gates {
				wait(t, g, member.Secret, 200, 5*time.Second) // the first look opens the store
			}
			if _, err := keys.Revoke(t.Context(), by, member.ID, []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
			for _, g := range gates {
				wait(t, g, member.Secret, 401, time.Second)
				wait(t, g, admin.Secret, 200, 0)
			}
			if name != "PostgreSQL" {
				return
			}
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
			program.Await(t, 10*time.Second, func() error {
				if gates[0].Fault() == nil {
					return errors.New("a gate follows a server that is away")
				}
				return nil
			})
			wait(t, gates[0], admin.Secret, 200, 0)
			wait(t, gates[0], member.Secret, 401, 0)
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			program.Await(t, 10*time.Second, func() error { // a connection from before may have to be met first
				_, err := keys.Revoke(t.Context(), by, admin.ID, []byte(`{}`))
				return err
			})
			for _, g := range gates {
				wait(t, g, admin.Secret, 401, 10*time.Second)
			}
		})
	}
}
