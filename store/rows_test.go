package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
	"ai-gateway/store/storetest"
)

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// onEach runs a test on both databases.
func onEach(t *testing.T, test func(t *testing.T, s *testStore)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newSQLiteStore(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newPostgresStore(t)) })
}

// testStore is a store, and the tables as another program sees them.
type testStore struct {
	*Store
	db   *sqlx.DB
	url  string // of PostgreSQL
	path string // of SQLite
}

func newSQLiteStore(t testing.TB) *testStore {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.db")
	return opened(t, Config{Path: path}, "sqlite", path+"?_pragma=busy_timeout(5000)")
}

func newPostgresStore(t testing.TB) *testStore {
	t.Helper()
	url := storetest.NewDatabase(t)
	return opened(t, Config{URL: url}, "postgres", url)
}

func opened(t testing.TB, c Config, driver, dsn string) *testStore {
	t.Helper()
	s, err := Open(t.Context(), c)
	do(t, err)
	t.Cleanup(func() { s.Close() })
	db, err := sqlx.Open(driver, dsn)
	do(t, err)
	t.Cleanup(func() { db.Close() })
	return &testStore{s, db, c.URL, c.Path}
}

// row is a row in which no two figures are the same.
func row() *gateway.Row {
	amount := gateway.Money(1_234_567)
	return &gateway.Row{
		StartedAt: time.Now().UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7()), RequestID: "label-of-the-client", Duration: 3456 * time.Millisecond,
		TTFT: 789 * time.Millisecond, KeyID: "k_0123456789abcdef", KeyLabel: "sk-…wxyz", UserID: "someone", Team: "some-team", Tags: `{"feature":"search"}`, ClientIP: "192.0.2.7", Endpoint: gateway.ChatCompletions,
		Model: "gpt-4o", Backend: "second", UpstreamModel: "gpt-4o-2026-01-01", Stream: true, Status: 200, Outcome: gateway.OK, Attempts: 2,
		Usage:  gateway.Usage{Prompt: 50_001, Cached: 3_002, CacheWrite: 403, Completion: 6_004, Reasoning: 705, CacheWriteHour: 104, ServerTools: 6},
		Source: gateway.FromProvider, Witness: gateway.ByBoth, Cost: gateway.Cost{Amount: &amount, Version: "genai-prices-7"}, Prompt: "asked", Answer: "answered",
		Tries: []gateway.AttemptRow{
			{Try: gateway.Try{Backend: "first", Status: 503, Duration: 150 * time.Millisecond}},
			{Try: gateway.Try{Backend: "second", Start: 351 * time.Millisecond, Status: 200, Duration: 3105 * time.Millisecond, Bytes: 40_006}, Cost: &amount},
		},
	}
}

var writer = uuid.MustParse("6f1c0f1e-0000-4000-8000-000000000001")

func write(t testing.TB, s *testStore, rows ...*gateway.Row) {
	t.Helper()
	writeAt(t, s, writer, gateway.LogPosition{File: 11, Offset: 1200}, rows...)
}

func writeAt(t testing.TB, s *testStore, by uuid.UUID, at gateway.LogPosition, rows ...*gateway.Row) {
	t.Helper()
	refused, err := s.Write(t.Context(), rows, by, at)
	if err != nil || len(refused) > 0 {
		t.Fatalf("writing %d rows: %v, refused %v", len(rows), err, refused)
	}
}

// count is how many rows a table has.
func (s *testStore) count(t testing.TB, table string) (n int) {
	t.Helper()
	do(t, s.db.Get(&n, "SELECT COUNT(*) FROM "+table))
	return n
}
