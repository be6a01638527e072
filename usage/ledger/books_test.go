package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/usage/accesslog"
	"ai-gateway/usage/wal"
)

// books are a store, a write-ahead log, an access log and a ledger in a folder that outlives restarts.
type books struct {
	t     testing.TB
	dir   string
	store *store.Store
	db    *sqlx.DB // the store's tables, as a user's own tool sees them
	wal   *wal.Log
	*Ledger
	grace, orphanGrace time.Duration
	rotation           accesslog.Rotation
	keep               time.Duration
	wrap               func(Store) Store // nil for none
	stop               func()

	mu   sync.Mutex
	used []Used // that the running process told
}

// told is what was told of requests, by id, in the order of that.
func (b *books) told(of gateway.Intent) []Used {
	b.mu.Lock()
	defer b.mu.Unlock()
	var told []Used
	for _, u := range b.used {
		if u.Intent.ID == of.ID {
			u.Intent = nil
			told = append(told, u)
		}
	}
	return told
}

func newBooks(t testing.TB) *books {
	b := &books{t: t, dir: t.TempDir(), grace: 50 * time.Millisecond, orphanGrace: time.Hour}
	b.start()
	return b
}

func (b *books) accessLog() string { return filepath.Join(b.dir, "access.log") }
func (b *books) walFolder() string { return filepath.Join(b.dir, "wal") }
func (b *books) database() string  { return filepath.Join(b.dir, "gateway.db") }

func openWAL(t testing.TB, dir string) *wal.Log {
	t.Helper()
	log, err := wal.Open(wal.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	do(t, err)
	t.Cleanup(func() { _ = log.Close() }) // a test may have closed it
	return log
}

// start opens the store and the write-ahead log, and runs a ledger.
func (b *books) start() {
	b.t.Helper()
	tables, err := store.Open(b.t.Context(), store.Config{Path: b.database()})
	do(b.t, err)
	b.mu.Lock()
	b.used = nil
	b.mu.Unlock()
	b.store, b.db, b.wal = tables, openDB(b.t, b.database()), openWAL(b.t, b.walFolder())
	to := Store(tables)
	if b.wrap != nil {
		to = b.wrap(tables)
	}
	b.Ledger = New(Config{Store: to, WAL: b.wal, AccessLog: b.accessLog(), Grace: b.grace,
		OrphanGrace: b.orphanGrace, MaxBytes: 1 << 30, MaxAge: time.Hour, Rotation: b.rotation, Keep: func() gateway.Retention { return gateway.Retention{Prompts: b.keep} },
		Used: func(u Used) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.used = append(b.used, u)
		},
		Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Errorf("Run returned %v", err)
			}
			tables.Close()
			b.db.Close()
			_ = b.wal.Close()
		})
	}
	b.t.Cleanup(b.stop)
}

// openDB opens the tables as a user's own tool does.
func openDB(t testing.TB, path string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	do(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// overTables are books of a ledger alone, whose tables open when they can.
func overTables(t *testing.T, path string, maxAge time.Duration) *books {
	tables, err := store.New(store.Config{Path: path})
	do(t, err)
	b := &books{t: t, dir: t.TempDir(), wal: openWAL(t, t.TempDir())}
	b.Ledger = New(Config{Store: tables, WAL: b.wal, AccessLog: b.accessLog(),
		MaxBytes: 1 << 30, MaxAge: maxAge, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		do(t, errors.Join(<-done, b.wal.Close(), tables.Close()))
	})
	return b
}

// restart ends the process in good order and starts the next one.
func (b *books) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

// crash starts the next process on what is on disk now, as after a kill -9.
func (b *books) crash() {
	b.t.Helper()
	left := b.t.TempDir()
	if err := os.CopyFS(left, os.DirFS(b.dir)); err != nil {
		b.t.Fatal(err)
	}
	b.stop()
	b.dir = left
	b.start()
}

// plan records a request that goes out.
func (b *books) plan(i gateway.Intent) {
	b.t.Helper()
	do(b.t, b.Begin(&i))
}

func (b *books) settle(i gateway.Intent) {
	s := settlement(i)
	b.wal.AppendSettlement(&s)
}

// whole is a request that both witnesses saw from beginning to end.
func (b *books) whole(i gateway.Intent, changes ...string) {
	b.t.Helper()
	b.plan(i)
	b.settle(i)
	b.journalize(line(i, changes...))
}

// position is up to where the store has the access log.
func (b *books) position() gateway.LogPosition {
	b.t.Helper()
	at, err := b.store.Position(b.t.Context(), b.wal.ID())
	do(b.t, err)
	return at
}

// stamp is a time as the tables have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// price is that of gpt-4o: 2.5 and 10 dollars a million tokens.
func price() *gateway.Price {
	return &gateway.Price{Rates: gateway.Rates{Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000, Reasoning: 10_000_000_000}, Version: "v1"}
}

func intent() gateway.Intent {
	return gateway.Intent{
		ID: uuid.Must(uuid.NewV7()), RequestID: "label", StartedAt: time.Now().UTC().Truncate(time.Microsecond),
		KeyID: "k_0123456789abcdef", KeyLabel: "sk-…wxyz", ClientIP: "127.0.0.1", Endpoint: gateway.ChatCompletions, Price: price(),
		Model: "gpt-4o", Steps: []gateway.Step{{Backend: "upstream", UpstreamModel: "gpt-4o"}}, Stream: true, PromptTokens: 9,
	}
}

func settlement(i gateway.Intent) gateway.Settlement {
	return gateway.Settlement{
		ID: i.ID, Duration: time.Second, TTFT: 100 * time.Millisecond, Status: 200, Finished: true, Prompt: "hi",
		Answer: gateway.Answer{Usage: gateway.Usage{Prompt: 1000, Completion: 100}, Source: gateway.FromProvider, Text: "hello"},
	}
}

// line is what Envoy writes of a request; changes are names and values.
func line(i gateway.Intent, changes ...string) string {
	fields := map[string]any{"id": i.ID.String(), "status": 200, "duration_ms": 1234, "ttft_ms": 210, "attempts": 2, "backend": "upstream",
		"bytes_sent": 4000, "bytes_received": 20, "flags": "-", "details": "via_upstream", "usage": nil,
		"tries": "|upstream 1700000000000 503 1700000000050|upstream 1700000000200 200 1700000000300"}
	for n := 0; n < len(changes); n += 2 {
		fields[changes[n]] = changes[n+1]
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func (b *books) journalize(text string) {
	b.t.Helper()
	f, err := os.OpenFile(b.accessLog(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		b.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// written is a row of requests as it is in the table.
type written struct {
	ID               string  `db:"id"`
	StartedAt        string  `db:"started_at"`
	Endpoint         string  `db:"endpoint"`
	Backend          string  `db:"backend"`
	Stream           bool    `db:"stream"`
	DurationMS       int64   `db:"duration_ms"`
	TTFTMS           *int64  `db:"ttft_ms"`
	Status           int     `db:"status"`
	Outcome          string  `db:"outcome"`
	Attempts         int     `db:"attempts"`
	PromptTokens     int64   `db:"prompt_tokens"`
	CachedTokens     int64   `db:"cached_tokens"`
	CompletionTokens int64   `db:"completion_tokens"`
	UsageSource      string  `db:"usage_source"`
	Witness          string  `db:"witness"`
	CostNanoUSD      *int64  `db:"cost_nanousd"`
	PriceVersion     *string `db:"price_version"`
	ErrorCode        *string `db:"error_code"`
}

// requests waits until there are n rows and returns them in the order of their start.
func (b *books) requests(n int) []written {
	b.t.Helper()
	var rows []written
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		rows = nil
		if err := b.db.Unsafe().Select(&rows, `SELECT * FROM requests ORDER BY started_at, id`); err != nil {
			b.t.Fatal(err)
		}
		if len(rows) >= n {
			break
		}
	}
	if len(rows) != n {
		b.t.Fatalf("%d rows, want %d", len(rows), n)
	}
	return rows
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func (b *books) eventually(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not within 5 s: %s", what)
		}
	}
}
