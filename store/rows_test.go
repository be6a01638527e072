package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "gateway.db"))
	do(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// row is a row in which no two figures are the same.
func row() *gateway.Row {
	amount := gateway.Money(1_234_567)
	return &gateway.Row{
		StartedAt: time.Now().UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7()), RequestID: "label-of-the-client", Duration: 3456 * time.Millisecond,
		TTFT: 789 * time.Millisecond, KeyID: "k_0123456789abcdef", KeyLabel: "sk-…wxyz", UserID: "someone", ClientIP: "192.0.2.7", Endpoint: gateway.ChatCompletions,
		Model: "gpt-4o", Backend: "second", UpstreamModel: "gpt-4o-2026-01-01", Stream: true, Status: 200, Outcome: gateway.OK, Attempts: 2,
		Usage:  gateway.Usage{Prompt: 50_001, Cached: 3_002, CacheWrite: 403, Completion: 6_004, Reasoning: 705},
		Source: gateway.FromProvider, Witness: gateway.ByBoth, Cost: gateway.Cost{Amount: &amount, Version: "genai-prices-7"}, Prompt: "asked", Answer: "answered",
		Tries: []gateway.AttemptRow{
			{Try: gateway.Try{Backend: "first", Status: 503, Duration: 150 * time.Millisecond}},
			{Try: gateway.Try{Backend: "second", Start: 351 * time.Millisecond, Status: 200, Duration: 3105 * time.Millisecond, Bytes: 40_006}, Cost: &amount},
		},
	}
}

var writer = uuid.MustParse("6f1c0f1e-0000-4000-8000-000000000001")

func write(t testing.TB, s *Store, rows ...*gateway.Row) {
	t.Helper()
	do(t, s.Write(t.Context(), rows, writer, gateway.LogPosition{File: 11, Offset: 1200}))
}
