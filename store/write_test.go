package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func TestEachWriterHasAPositionOfItsOwn(t *testing.T) { onEach(t, eachWriterHasAPositionOfItsOwn) }

func eachWriterHasAPositionOfItsOwn(t *testing.T, s *testStore) {
	other := uuid.MustParse("6f1c0f1e-0000-4000-8000-000000000002")
	first, second := gateway.LogPosition{File: 21, Offset: 3_000_000_001}, gateway.LogPosition{File: 22, Offset: 7}
	do(t, s.Write(t.Context(), nil, writer, first))
	if at, err := s.Position(t.Context(), other); err != nil || at != (gateway.LogPosition{}) {
		t.Errorf("another writer begins at %+v, %v", at, err)
	}
	do(t, s.Write(t.Context(), nil, other, second))
	for id, want := range map[uuid.UUID]gateway.LogPosition{writer: first, other: second} {
		if at, err := s.Position(t.Context(), id); err != nil || at != want {
			t.Errorf("writer %s is at %+v, %v; want %+v", id, at, err, want)
		}
	}
}

func TestAWriterGoesOnWhereTheOnlyOneOfAnEarlierVersionWas(t *testing.T) {
	s := newSQLiteStore(t)
	s.db.MustExec(`INSERT INTO journal_positions (name, file, byte_offset) VALUES ('journal', 5, 600)`)
	want := gateway.LogPosition{File: 5, Offset: 600}
	if at, err := s.Position(t.Context(), writer); err != nil || at != want {
		t.Errorf("it is at %+v, %v; want %+v", at, err, want)
	}
	want.Offset = 700
	do(t, s.Write(t.Context(), nil, writer, want))
	if at, err := s.Position(t.Context(), writer); err != nil || at != want {
		t.Errorf("it is at %+v, %v; want %+v", at, err, want)
	}
}

// TestARowIsWrittenWithAllThatItHas compares every column with what the row says.
func TestARowIsWrittenWithAllThatItHas(t *testing.T) { onEach(t, aRowIsWrittenWithAllThatItHas) }

func aRowIsWrittenWithAllThatItHas(t *testing.T, s *testStore) {
	r := row()
	write(t, s, r)
	got := map[string]any{}
	do(t, s.db.QueryRowx(`SELECT * FROM requests`).MapScan(got))
	want := map[string]any{
		"started_at": r.StartedAt, "id": r.ID.String(), "request_id": "label-of-the-client", "duration_ms": int64(3456), "ttft_ms": int64(789),
		"key_id": "k_0123456789abcdef", "user_id": "someone", "client_ip": "192.0.2.7", "endpoint": "/v1/chat/completions", "model": "gpt-4o",
		"backend": "second", "upstream_model": "gpt-4o-2026-01-01", "stream": true, "status": int64(200), "outcome": "ok", "attempts": int64(2),
		"prompt_tokens": int64(50_001), "cached_tokens": int64(3_002), "completion_tokens": int64(6_004), "reasoning_tokens": int64(705),
		"usage_source": "provider", "witness": "both", "cost_nanousd": int64(1_234_567), "error_code": nil, "cache_write_tokens": int64(403),
		"price_version": "genai-prices-7", "service_tier": nil, "cache_write_1h_tokens": int64(0), "team": "some-team", "tags": `{"feature":"search"}`, "gateway": writer.String(),
	}
	if diff := cmp.Diff(want, plain(t, got)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	var tries []map[string]any
	rows, err := s.db.Queryx(`SELECT * FROM attempts ORDER BY attempt`)
	do(t, err)
	defer rows.Close()
	for rows.Next() {
		try := map[string]any{}
		do(t, rows.MapScan(try))
		tries = append(tries, plain(t, try))
	}
	wantTries := []map[string]any{
		{"started_at": r.StartedAt, "id": r.ID.String(), "attempt": int64(1), "backend": "first", "status": int64(503), "start_ms": int64(0),
			"duration_ms": int64(150), "response_bytes": int64(0), "cost_nanousd": nil},
		{"started_at": r.StartedAt, "id": r.ID.String(), "attempt": int64(2), "backend": "second", "status": int64(200), "start_ms": int64(351),
			"duration_ms": int64(3105), "response_bytes": int64(40_006), "cost_nanousd": int64(1_234_567)},
	}
	if diff := cmp.Diff(wantTries, tries); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

// plain are the values of a row in the types that Go has for them, whichever database they are from.
func plain(t *testing.T, row map[string]any) map[string]any {
	t.Helper()
	for name, v := range row {
		if b, ok := v.([]byte); ok {
			row[name] = string(b)
		}
	}
	var at moment
	do(t, at.Scan(row["started_at"]))
	row["started_at"] = time.Time(at)
	if n, ok := row["stream"].(int64); ok {
		row["stream"] = n != 0
	}
	return row
}

func TestTextsThatADatabaseDoesNotTakeAreWritten(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		r := row()
		r.RequestID, r.Prompt, r.Answer, r.ErrorCode = "a\x00b", "\x00\xff", "é\xc3", "\x00"
		write(t, s, r)
		var label, prompt, answer string
		do(t, s.db.QueryRowx(`SELECT r.request_id, p.prompt, p.answer FROM requests r JOIN prompts p ON p.id = r.id`).Scan(&label, &prompt, &answer))
		if label != "ab" || prompt != "\uFFFD" || answer != "é\uFFFD" {
			t.Errorf("label %q, prompt %q, answer %q", label, prompt, answer)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *testStore{"SQLite": newSQLiteStore, "PostgreSQL": newPostgresStore} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			rows := make([]*gateway.Row, 1000)
			for b.Loop() {
				for n := range rows {
					rows[n] = row()
				}
				do(b, s.Write(b.Context(), rows, writer, gateway.LogPosition{}))
			}
			b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
