package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ai-gateway/store"
)

// newTables makes empty tables, and opens them for a test's own SQL.
func newTables(t *testing.T, path string) *sql.DB {
	t.Helper()
	tables, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// oneRow makes tables with a request of two minutes ago, without a cost.
func oneRow(t *testing.T, path, model string) *sql.DB {
	t.Helper()
	db := newTables(t, path)
	started := time.Now().Add(-2 * time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	_, err := db.ExecContext(t.Context(), `INSERT INTO requests (started_at, id, request_id, duration_ms, key_id, client_ip, endpoint, model, backend, upstream_model,
		stream, status, outcome, attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, usage_source, witness)
		VALUES (?, '0192f0c0-0000-7000-8000-000000000001', 'r', 1, 'anonymous', '', '/v1/chat/completions', ?, 'a', 'm', 0, 200, 'ok', 1, 1000, 0, 100, 0, 'provider', 'both')`,
		started, model)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestRepricingTakesThePricesOfTheFile(t *testing.T) {
	dir := t.TempDir()
	db := oneRow(t, filepath.Join(dir, "usage.db"), "mine")
	file := filepath.Join(dir, "ai-gateway.yaml")
	text := `backends: [{name: a, kind: local, base_url: "http://localhost:1/v1", api_key: {env: UNSET}}]
models: [{name: mine, backends: [a], price: {input: 2, output: 10}}]
storage: {database_path: usage.db}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(context.Background(), []string{"reprice", "--config", file}, func(string) string { return "" }, &out, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "1 row is written.") {
		t.Errorf("it says %s", &out)
	}
	var cost int64
	var version string
	if err := db.QueryRowContext(t.Context(), `SELECT cost_nanousd, price_version FROM requests`).Scan(&cost, &version); err != nil {
		t.Fatalf("%v, after %s", err, &out)
	}
	if cost != 3_000_000 || !strings.HasPrefix(version, "override-") {
		t.Errorf("cost %d at %s, want 3000000 at an override", cost, version)
	}
}
