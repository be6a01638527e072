package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/store/storetest"
	"ai-gateway/usage/wal"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhereTheStateIs(t *testing.T) {
	here, err := os.Getwd()
	succeed(t, err)
	postgres := config.Config{DatabaseURL: "postgres://db/gateway"}
	for _, c := range []struct {
		name   string
		cfg    config.Config
		getenv func(string) string
		want   string
	}{
		{"beside a SQLite file", config.Config{DatabasePath: "/data/usage.db"}, environment("HOME", "/home/me"), "/data/usage.db.state"},
		{"where it is said", config.Config{DatabasePath: "/data/usage.db", StateDir: "/state"}, environment(), "/state"},
		{"with PostgreSQL", postgres, environment("HOME", "/home/me"), "/home/me/.local/state/ai-gateway"},
		{"where the system has such files", postgres, environment("HOME", "/home/me", "XDG_STATE_HOME", "/var/state"), "/var/state/ai-gateway"},
		{"without a home", postgres, environment(), filepath.Join(here, "ai-gateway.state")},
		{"with the root for a home", postgres, environment("HOME", "/"), filepath.Join(here, "ai-gateway.state")},
	} {
		if got, err := stateOf(c.cfg, c.getenv); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// machine is a gateway's storage as run prepares it.
func machine(t *testing.T, cfg config.Config, state string) error {
	t.Helper()
	cfg.StateDir = state
	w := world{getenv: os.Getenv, stderr: &bytes.Buffer{}}
	locked, release, err := w.lockState(cfg, "")
	succeed(t, err)
	defer release()
	return w.prepareStorage(t.Context(), cfg, locked)
}

func TestGatewaysOfOneDatabaseMakeTheSameKeyIDs(t *testing.T) {
	server, url := storetest.Start(t)
	cfg := config.Config{DatabaseURL: config.DatabaseURL(url)}
	first, second := t.TempDir(), t.TempDir()
	succeed(t, os.WriteFile(filepath.Join(first, "key-id.secret"), bytes.Repeat([]byte("s"), 32), 0o600)) // of a SQLite file before
	for _, folder := range []string{first, second} {
		succeed(t, os.Chmod(folder, 0o700))
		succeed(t, machine(t, cfg, folder))
	}
	for _, folder := range []string{first, second} {
		secret, err := os.ReadFile(secretOf(cfg.DatabaseURL, stateFiles(folder)))
		if err != nil || !bytes.Equal(secret, bytes.Repeat([]byte("s"), 32)) {
			t.Errorf("the secret of %s is %q, %v", folder, secret, err)
		}
	}
	if secretOf("postgres://db/other", "/s") == secretOf("postgres://db/gateway", "/s") {
		t.Error("two databases share a secret")
	}
	succeed(t, server.Stop())
	if err := machine(t, cfg, first); err != nil {
		t.Errorf("a gateway does not start while a database is away that it has used: %v", err)
	}
	third := t.TempDir()
	succeed(t, os.Chmod(third, 0o700))
	if err := machine(t, cfg, third); err == nil {
		t.Error("a gateway starts without a database that it never reached")
	}
}

func TestAChangedStateFolderIsRefusedWhileTheOldOneHoldsRequests(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Config{DatabasePath: filepath.Join(dir, "usage.db")}
	before, now := filepath.Join(dir, "before"), filepath.Join(dir, "now")
	succeed(t, machine(t, cfg, before))
	succeed(t, os.MkdirAll(before, 0o700))
	log, err := wal.Open(wal.Config{Dir: stateFiles(before).wal(), Log: slog.New(slog.DiscardHandler)})
	succeed(t, err)
	i := gateway.Intent{ID: uuid.Must(uuid.NewV7()), StartedAt: time.Now().UTC().Truncate(time.Microsecond), KeyID: "k", Endpoint: gateway.Embeddings,
		Model: "m", Steps: []gateway.Step{{Backend: "b", UpstreamModel: "m"}}}
	succeed(t, log.AppendIntent(&i))
	tables, err := store.Open(t.Context(), storeOf(cfg, ""))
	succeed(t, err)
	defer tables.Close()
	_, err = announced{tables, stateFiles(before), func(context.Context) {}}.Position(t.Context(), log.ID())
	succeed(t, err)
	succeed(t, log.Close())
	if err := machine(t, cfg, now); err == nil || !strings.Contains(err.Error(), "1 request that is not in the database yet") || !strings.Contains(err.Error(), "AI_GATEWAY_STATE_DIR="+before) {
		t.Errorf("with a request that has no row: %v", err)
	}
	succeed(t, machine(t, cfg, before))
	row := &gateway.Row{ID: i.ID, StartedAt: i.StartedAt, KeyID: "k", Endpoint: i.Endpoint, Outcome: gateway.Unknown, Source: gateway.Estimated, Witness: gateway.ByNone}
	_, err = tables.Write(t.Context(), []*gateway.Row{row}, log.ID(), gateway.LogPosition{})
	succeed(t, err)
	if err := machine(t, cfg, now); err != nil {
		t.Errorf("with all rows written: %v", err)
	}
}
