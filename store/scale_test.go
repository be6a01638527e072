package store

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

var (
	scale     = flag.Int("rows", 20_000, "requests of a month that the benchmarks of large tables have")
	scaleFile = flag.String("file", "", "SQLite file that has them already")
)

// fill makes so many requests of March 2026, of 40 keys, 8 models and 3 backends.
func fill(b *testing.B, s *testStore, rows int) {
	b.Helper()
	step := int64(31*24*time.Hour/time.Microsecond) / int64(rows)
	numbers, started, id := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT", rows-1),
		fmt.Sprintf("strftime('%%Y-%%m-%%dT%%H:%%M:%%S', 1772323200 + i * %d / 1000000, 'unixepoch') || printf('.%%06dZ', i * %d %% 1000000)", step, step),
		"printf('019ca5f0-%04x-7000-8000-%012x', i / 65536 % 65536, i)"
	if s.db.DriverName() == "postgres" {
		numbers, started, id = "SELECT", fmt.Sprintf("TIMESTAMPTZ '2026-03-01T00:00:00Z' + i * INTERVAL '%d microseconds'", step),
			"CAST(lpad(to_hex(27043312 + i / 65536), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(i), 12, '0') AS TEXT)"
	}
	from := "n"
	if s.db.DriverName() == "postgres" {
		from = fmt.Sprintf("generate_series(CAST(0 AS BIGINT), %d) AS n(i)", rows-1)
	}
	_, err := s.db.ExecContext(b.Context(), fmt.Sprintf(`INSERT INTO requests (started_at, id, request_id, duration_ms, ttft_ms, key_id, user_id, team, client_ip, endpoint, model,
		backend, upstream_model, stream, status, outcome, attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, usage_source, witness,
		cost_nanousd, gateway)
		%s %s, %s, 'label', 900 + i %% 5000, 100 + i %% 900, 'key_' || (i %% 40), 'user ' || (i %% 40), 'team ' || (i %% 5), '192.0.2.1', '/v1/chat/completions', 'model-' || (i %% 8),
		'backend-' || (i %% 3), 'model-' || (i %% 8), i %% 2 = 0, CASE WHEN i %% 100 = 0 THEN 500 ELSE 200 END, CASE WHEN i %% 100 = 0 THEN 'provider_error' ELSE 'ok' END, 1,
		1000 + i %% 100, 100, 200 + i %% 100, 0, 'provider', 'both', CASE WHEN i %% 1000 = 7 THEN NULL ELSE 1000000 + i %% 1000 END, 'g' FROM %s`, numbers, started, id, from))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.db.ExecContext(b.Context(), "ANALYZE"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkALargeTable measures what people ask of a month with many requests:
//
//	go test ./store -run - -bench ALargeTable -benchtime 3x -rows 10000000 -timeout 90m
func BenchmarkALargeTable(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		if *scaleFile != "" {
			askLarge(b, opened(b, Config{Path: *scaleFile}, "sqlite", *scaleFile))
			return
		}
		s := newSQLiteStore(b)
		fill(b, s, *scale)
		askLarge(b, s)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		s := newPostgresStore(b)
		for day := range 31 { // as a gateway has made them that ran all the time
			do(b, makePartition(b.Context(), s.Store, "requests", time.Date(2026, 3, 1+day, 0, 0, 0, 0, time.UTC)))
		}
		fill(b, s, *scale)
		askLarge(b, s)
	})
}

func askLarge(b *testing.B, s *testStore) {
	march, april := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	month := gateway.RequestFilter{From: march, To: april}
	bill := func(b *testing.B) {
		for b.Loop() {
			costs, err := s.Costs(b.Context(), month)
			var n int64
			for _, k := range costs {
				n += k.Requests
			}
			if err != nil || n != int64(*scale) {
				b.Fatalf("%d requests, %v", n, err)
			}
		}
	}
	b.Run("bill of the month", bill)
	b.Run("late settlements of 10000", func(b *testing.B) {
		for b.Loop() {
			settleLate(b, s, march.Add(24*time.Hour), 10_000)
		}
	})
	b.Run("bill after late settlements", bill)
	b.Run("bill in SQL", func(b *testing.B) {
		for b.Loop() {
			answerOf(b, s, "SELECT SUM(cost_nanousd) FROM usage_by_team WHERE day BETWEEN '2026-03-01' AND '2026-03-31'")
		}
	})
	var bounds []time.Time
	for day := range 32 {
		bounds = append(bounds, march.AddDate(0, 0, day))
	}
	b.Run("usage by model and day", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Usage(b.Context(), gateway.UsageQuery{Group: gateway.GroupByModel, Bounds: bounds})
			do(b, err)
		}
	})
	b.Run("latencies of the month", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Latencies(b.Context(), gateway.UsageQuery{Bounds: bounds}, int64(*scale))
			do(b, err)
		}
	})
	b.Run("latencies of a model", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Latencies(b.Context(), gateway.UsageQuery{RequestFilter: gateway.RequestFilter{Model: "model-3"}, Bounds: bounds}, int64(*scale/8))
			do(b, err)
		}
	})
	askPages(b, s, gateway.RequestPlace{StartedAt: march.AddDate(0, 0, 15), ID: uuid.Max})
}

// askPages reads pages of requests, with and without filters.
func askPages(b *testing.B, s *testStore, middle gateway.RequestPlace) {
	for name, c := range map[string]struct {
		filter gateway.RequestFilter
		after  gateway.RequestPlace
	}{
		"first page": {}, "page in the middle": {after: middle}, "page of a key": {filter: gateway.RequestFilter{Key: "key_7"}, after: middle},
		"page of a model": {filter: gateway.RequestFilter{Model: "model-3"}}, "page of failures": {filter: gateway.RequestFilter{Outcome: "failed"}, after: middle},
		"page of a model without any": {filter: gateway.RequestFilter{Model: "none"}}, "page of a label without any": {filter: gateway.RequestFilter{RequestID: "none"}},
		"page of an outcome without any":      {filter: gateway.RequestFilter{Outcome: "unknown"}},
		"page of a team, outcome without any": {filter: gateway.RequestFilter{Team: "team 1", Outcome: "client_closed"}},
		"page of a tag without any":           {filter: gateway.RequestFilter{Tag: gateway.Tag{Name: "feature", Value: "none"}}},
		"page of a user":                      {filter: gateway.RequestFilter{User: "user 7"}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.Requests(b.Context(), c.filter, c.after, 51)
				do(b, err)
			}
		})
	}
}

func answerOf(b *testing.B, s *testStore, query string) {
	b.Helper()
	var n int64
	if err := s.db.GetContext(b.Context(), &n, query); err != nil || n == 0 {
		b.Fatalf("%s: %d, %v", query, n, err)
	}
}

// settleLate changes what so many requests from a time on cost, as late settlements do.
func settleLate(b *testing.B, s *testStore, from time.Time, rows int) {
	b.Helper()
	left := rows
	err := s.Recost(b.Context(), from, from.Add(24*time.Hour), true, func(some []gateway.CostedRow) (changed []gateway.CostedRow) {
		for _, r := range some[:min(left, len(some))] {
			amount := gateway.Money(time.Now().UnixNano() % 1_000_000)
			r.Cost = gateway.Cost{Amount: &amount, Version: "later"}
			changed = append(changed, r)
		}
		left -= len(changed)
		return changed
	})
	do(b, err)
}
