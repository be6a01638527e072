package store

import (
	"fmt"
	"strings"
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
	writeAt(t, s, writer, first)
	if at, err := s.Position(t.Context(), other); err != nil || at != (gateway.LogPosition{}) {
		t.Errorf("another writer begins at %+v, %v", at, err)
	}
	writeAt(t, s, other, second)
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
	writeAt(t, s, writer, want)
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
		"price_version": "genai-prices-7", "service_tier": nil, "cache_write_1h_tokens": int64(104), "server_tool_calls": int64(6), "team": "some-team", "tags": `{"feature":"search"}`, "gateway": writer.String(),
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

// TestWhatIsBetterKnownStands has every usage and end written after every other one.
func TestWhatIsBetterKnownStands(t *testing.T) { onEach(t, whatIsBetterKnownStands) }

// known is a row's usage and end as one writer knows them; figures tell whose they are.
type known struct {
	source  gateway.Source
	witness gateway.Witness
}

func allKnown() (all []known) {
	for _, source := range []gateway.Source{gateway.Estimated, gateway.Counted, gateway.FromEnvoy, gateway.FromProvider} {
		for _, witness := range []gateway.Witness{gateway.ByNone, gateway.ByGateway, gateway.ByEnvoy, gateway.ByBoth} {
			all = append(all, known{source, witness})
		}
	}
	return all
}

func (k known) row(of *gateway.Row) *gateway.Row {
	r := *of
	n := int64(k.source)*10 + int64(k.witness)
	amount := gateway.Money(1000 * n)
	r.Source, r.Witness = k.source, k.witness
	r.Usage = gateway.Usage{Prompt: 100 * n, Cached: n, CacheWrite: 2 * n, Completion: 50 * n, Reasoning: 3 * n}
	r.Cost = gateway.Cost{Amount: &amount, Version: fmt.Sprint("v", n)}
	r.Duration, r.TTFT, r.Status, r.Attempts = time.Duration(n)*time.Second, time.Duration(n)*time.Millisecond, 200+int(n), int(n)
	r.Backend, r.UpstreamModel, r.Outcome = fmt.Sprint("b", n), gateway.Model(fmt.Sprint("m", n)), gateway.Unknown
	r.Tries = nil
	return &r
}

// seen says how well a witness saw the end: Envoy's word is as good alone.
func (k known) seen() int {
	return map[gateway.Witness]int{gateway.ByNone: 0, gateway.ByGateway: 1, gateway.ByEnvoy: 2, gateway.ByBoth: 2}[k.witness]
}

// together is the witness of a row that two have told of.
func together(a, b gateway.Witness) gateway.Witness {
	switch {
	case a == b || b == gateway.ByNone:
		return a
	case a == gateway.ByNone:
		return b
	}
	return gateway.ByBoth
}

func whatIsBetterKnownStands(t *testing.T, s *testStore) {
	var firsts, seconds []*gateway.Row
	want := map[string][4]string{}
	for _, first := range allKnown() {
		for _, second := range allKnown() {
			r := row()
			usage, end := first, first
			if second.source > first.source || second.source == first.source && second.seen() > first.seen() {
				usage = second
			}
			if second.seen() > first.seen() {
				end = second
			}
			firsts, seconds = append(firsts, first.row(r)), append(seconds, second.row(r))
			u, e := usage.row(r), end.row(r)
			want[r.ID.String()] = [4]string{
				fmt.Sprintln(u.Usage, u.Source, *u.Cost.Amount, u.Cost.Version),
				fmt.Sprintln(e.Duration.Milliseconds(), e.TTFT.Milliseconds(), e.Status, e.Attempts, e.Backend, e.UpstreamModel),
				together(first.witness, second.witness).String(),
				fmt.Sprint(first, " then ", second),
			}
		}
	}
	write(t, s, firsts...)
	write(t, s, seconds...)
	found, err := s.db.Queryx(`SELECT id, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, usage_source, cost_nanousd,
		price_version, duration_ms, ttft_ms, status, attempts, backend, upstream_model, witness FROM requests`)
	do(t, err)
	defer found.Close()
	n := 0
	for ; found.Next(); n++ {
		var r gateway.Row
		var id, source, witness string
		var amount gateway.Money
		var duration, ttft int64
		do(t, found.Scan(&id, &r.Usage.Prompt, &r.Usage.Cached, &r.Usage.CacheWrite, &r.Usage.Completion, &r.Usage.Reasoning, &source, &amount,
			&r.Cost.Version, &duration, &ttft, &r.Status, &r.Attempts, &r.Backend, &r.UpstreamModel, &witness))
		got := [4]string{fmt.Sprintln(r.Usage, source, amount, r.Cost.Version), fmt.Sprintln(duration, ttft, r.Status, r.Attempts, r.Backend, r.UpstreamModel),
			witness, want[id][3]}
		if diff := cmp.Diff(want[id], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want[id][3], diff)
		}
	}
	if n != len(want) {
		t.Errorf("%d rows of %d requests", n, len(want))
	}
}

func TestABadRowCostsItselfAlone(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		s.refuse(t, "model", "bad")
		var rows []*gateway.Row
		bad := map[uuid.UUID]bool{}
		for n := range 100 {
			r := row()
			if n == 0 || n == 41 || n == 99 {
				r.Model = "bad"
				bad[r.ID] = true
			}
			rows = append(rows, r)
		}
		at := gateway.LogPosition{File: 3, Offset: 4000}
		refused, err := s.Write(t.Context(), rows, writer, at)
		do(t, err)
		for _, r := range refused {
			if !bad[r.ID] || r.Err == nil {
				t.Errorf("row %s is refused: %v", r.ID, r.Err)
			}
		}
		if n, prompts, attempts := s.count(t, "requests"), s.count(t, "prompts"), s.count(t, "attempts"); len(refused) != 3 || n != 97 || prompts != 97 || attempts != 2*97 {
			t.Errorf("%d are refused, %d requests, %d prompts and %d attempts are written", len(refused), n, prompts, attempts)
		}
		if got, err := s.Position(t.Context(), writer); err != nil || got != at {
			t.Errorf("the position is %+v, %v; want %+v", got, err, at)
		}
	})
}

// refuse has the database refuse rows of requests with a value.
func (s *testStore) refuse(t *testing.T, column, value string) {
	t.Helper()
	if s.db.DriverName() == "postgres" {
		s.db.MustExec(fmt.Sprintf(`ALTER TABLE requests ADD CONSTRAINT refused CHECK (%s <> '%s')`, column, value))
		return
	}
	s.db.MustExec(fmt.Sprintf(`CREATE TRIGGER refused BEFORE INSERT ON requests WHEN NEW.%s = '%s' BEGIN SELECT RAISE(ABORT, 'refused'); END`, column, value))
}

func TestAFailureThatIsNoRowsFaultWritesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		s.db.MustExec(`ALTER TABLE attempts RENAME TO hidden`)
		if refused, err := s.Write(t.Context(), []*gateway.Row{row(), row()}, writer, gateway.LogPosition{File: 1, Offset: 2}); err == nil || len(refused) > 0 {
			t.Errorf("without a table it writes: %v, refused %v", err, refused)
		}
		at, err := s.Position(t.Context(), writer)
		if n := s.count(t, "requests"); n != 0 || err != nil || at != (gateway.LogPosition{}) {
			t.Errorf("%d rows are written, the position is %+v, %v", n, at, err)
		}
		s.db.MustExec(`ALTER TABLE hidden RENAME TO attempts`)
		write(t, s, row(), row())
	})
}

// TestASQLiteFileWithoutRoomTakesAllOfABatchOrNothing has SQLite itself say that it is full, on
// each connection.
func TestASQLiteFileWithoutRoomTakesAllOfABatchOrNothing(t *testing.T) {
	s := newSQLiteStore(t)
	write(t, s, row())
	rows := make([]*gateway.Row, 500)
	for n := range rows {
		rows[n] = row()
	}
	s.limitPages(t, 1) // as many as there are
	refused, err := s.Write(t.Context(), rows, writer, gateway.LogPosition{File: 12})
	if err == nil || !strings.Contains(err.Error(), "full") || len(refused) > 0 {
		t.Errorf("without room: %v, %d are refused", err, len(refused))
	}
	if n := s.count(t, "requests"); n != 1 {
		t.Errorf("%d requests are written", n)
	}
	s.limitPages(t, 1<<20)
	write(t, s, rows...)
	if requests, attempts := s.count(t, "requests"), s.count(t, "attempts"); requests != 501 || attempts != 2*501 {
		t.Errorf("with room there are %d requests and %d attempts", requests, attempts)
	}
}

// limitPages bounds the file for all connections of the store.
func (s *testStore) limitPages(t *testing.T, pages int) {
	t.Helper()
	o, err := s.open(t.Context())
	do(t, err)
	for range sqliteConnections {
		c, err := o.db.Connx(t.Context())
		do(t, err)
		defer c.Close() // at the end, so that each is another one
		_, err = c.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		do(t, err)
	}
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
				write(b, s, rows...)
			}
			b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func TestARequestThatIsTwiceInABatchIsOneRow(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		gateways, envoys := row(), row()
		gateways.Witness, gateways.Outcome, gateways.Status = gateway.ByGateway, gateway.ClientClosed, 0
		envoys.StartedAt, envoys.ID, envoys.Witness = gateways.StartedAt, gateways.ID, gateway.ByEnvoy
		write(t, s, gateways, envoys)
		r, err := s.Request(t.Context(), gateways.ID)
		if err != nil || r.Outcome != gateway.OK.String() || r.Witness != gateway.ByBoth.String() || r.Status != 200 {
			t.Errorf("%v, the row is %s by %s with status %d", err, r.Outcome, r.Witness, r.Status)
		}
		if n := s.count(t, "requests"); n != 1 {
			t.Errorf("there are %d rows", n)
		}
	})
}
