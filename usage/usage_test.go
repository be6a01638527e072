package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// books are a store, a journal and a settler in a folder that outlives restarts.
type books struct {
	t     testing.TB
	dir   string
	store *Store
	*Settler
	grace time.Duration
	stop  func()
}

func newBooks(t testing.TB) *books {
	b := &books{t: t, dir: t.TempDir(), grace: 50 * time.Millisecond}
	b.start()
	return b
}

func (b *books) journalPath() string { return filepath.Join(b.dir, "journal.log") }

// start opens the store and runs a settler.
func (b *books) start() {
	b.t.Helper()
	store, err := Open(b.t.Context(), filepath.Join(b.dir, "gateway.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = store
	b.Settler = NewSettler(SettlerConfig{Store: store, Journal: b.journalPath(), Price: price, Grace: b.grace, Log: slog.New(slog.DiscardHandler)})
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
			store.Close()
		})
	}
	b.t.Cleanup(b.stop)
}

// price knows gpt-4o alone: 2.5 and 10 dollars a million tokens, from 2024 on.
func price(m gateway.Model, at time.Time) (gateway.Price, bool) {
	rates := gateway.Rates{Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000}
	return gateway.Price{Rates: rates}, m == "gpt-4o" && at.Year() >= 2024
}

func intent() gateway.Intent {
	return gateway.Intent{
		ID: uuid.Must(uuid.NewV7()), RequestID: "label", StartedAt: time.Now().UTC().Truncate(time.Microsecond),
		KeyID: "k_0123456789abcdef", KeyLabel: "sk-…wxyz", ClientIP: "127.0.0.1", Endpoint: gateway.ChatCompletions,
		Model: "gpt-4o", Steps: []gateway.Step{{Backend: "upstream", UpstreamModel: "gpt-4o"}}, Stream: true, PromptTokens: 9,
	}
}

func settlement(i gateway.Intent) gateway.Settlement {
	return gateway.Settlement{
		Intent: i, Duration: time.Second, TTFT: 100 * time.Millisecond, Status: 200, Finished: true, Prompt: "hi",
		Answer: gateway.Answer{Usage: gateway.Usage{Prompt: 1000, Completion: 100}, Source: gateway.FromProvider, Text: "hello"},
	}
}

// line is what Envoy would write of a request.
func line(i gateway.Intent, changes ...string) string {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err)
	}
	fields := map[string]any{"intent": string(text), "status": 200, "duration_ms": 1234, "ttft_ms": 210, "attempts": 2,
		"bytes_sent": 4000, "bytes_received": 20, "flags": "-", "details": "via_upstream"}
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
	f, err := os.OpenFile(b.journalPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
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

// requests waits until there are n rows and returns them in the order of their start.
func (b *books) requests(n int) []row {
	b.t.Helper()
	var rows []row
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		rows = nil
		if err := b.store.db.Select(&rows, `SELECT * FROM requests ORDER BY started_at, id`); err != nil {
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

func TestBothWitnessesMakeOneRowWhicheverSpeaksFirst(t *testing.T) {
	for _, journalFirst := range []bool{true, false} {
		b := newBooks(t)
		b.grace = time.Hour
		i := intent()
		say := []func(){func() { b.Settle(settlement(i)) }, func() { b.journalize(line(i)) }}
		if journalFirst {
			say[0], say[1] = say[1], say[0]
		}
		say[0]()
		time.Sleep(3 * round / 2)
		say[1]()
		r := b.requests(1)[0]
		if r.Witness != "both" || r.UsageSource != "provider" || r.Outcome != "ok" || r.Attempts != 2 || r.DurationMS != 1234 ||
			*r.TTFTMS != 100 || r.PromptTokens != 1000 || r.CompletionTokens != 100 || *r.CostNanoUSD != 3_500_000 ||
			r.ID != i.ID.String() || r.StartedAt != stamp(i.StartedAt) || r.Endpoint != "/v1/chat/completions" || !r.Stream || r.ErrorCode != nil {
			t.Errorf("journal first: %v: row %+v", journalFirst, r)
		}
	}
}

func TestARequestThatEnvoyAloneSawEndIsEstimated(t *testing.T) {
	b := newBooks(t)
	b.journalize(line(intent()))
	r := b.requests(1)[0]
	if r.Witness != "envoy" || r.UsageSource != "estimated" || r.PromptTokens != 9 || r.CompletionTokens != 4000/eventBytesPerToken || r.Outcome != "ok" {
		t.Errorf("row %+v", r)
	}
}

func TestARequestThatTheGatewayAloneSawEndHasItsUsage(t *testing.T) {
	b := newBooks(t)
	b.Settle(settlement(intent()))
	if r := b.requests(1)[0]; r.Witness != "gateway" || r.UsageSource != "provider" || r.Outcome != "ok" || r.PromptTokens != 1000 {
		t.Errorf("row %+v", r)
	}
}

func TestABetterInformedRecordReplacesARowAndAWorseOneDoesNot(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.journalize(line(i))
	if r := b.requests(1)[0]; r.UsageSource != "estimated" {
		t.Fatalf("row %+v", r)
	}
	b.Settle(settlement(i))
	deadline := time.Now().Add(5 * time.Second)
	for b.requests(1)[0].UsageSource != "provider" {
		if time.Now().After(deadline) {
			t.Fatal("the provider's figures did not replace the estimate")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.journalize(line(i))
	time.Sleep(b.grace + 3*round)
	if r := b.requests(1)[0]; r.UsageSource != "provider" {
		t.Errorf("an estimate replaced the provider's figures: %+v", r)
	}
}

func TestARestartReadsNothingTwiceAndLosesNothing(t *testing.T) {
	b := newBooks(t)
	for range 20 {
		b.journalize(line(intent()))
	}
	b.requests(20)
	b.stop()
	for range 5 {
		b.journalize(line(intent()))
	}
	b.start()
	b.requests(25)
	b.stop()
	b.start()
	time.Sleep(3 * round)
	b.requests(25)
	at, err := b.store.position(t.Context())
	info, statErr := os.Stat(b.journalPath())
	if err != nil || statErr != nil || at.Offset != info.Size() {
		t.Errorf("position %+v, %v; the journal has %d bytes", at, err, info.Size())
	}
}

func TestAPositionNeverPassesALineThatHasNoRow(t *testing.T) {
	b := newBooks(t)
	b.stop()
	b.grace = time.Hour
	b.start()
	b.journalize(line(intent())) // waits for its partner
	second := intent()
	b.journalize(line(second))
	b.Settle(settlement(second))
	b.requests(1)
	at, err := b.store.position(t.Context())
	if err != nil || at.Offset != 0 {
		t.Errorf("position %+v, %v; the first line has no row yet", at, err)
	}
}

func TestATornLineWaitsForItsEnd(t *testing.T) {
	b := newBooks(t)
	text := line(intent())
	for piece := range strings.SplitAfterSeq(text, "\"") {
		b.journalize(piece)
	}
	b.journalize(text[:10])
	b.requests(1)
}

func TestARotatedOrTruncatedJournalLosesNothing(t *testing.T) {
	b := newBooks(t)
	b.journalize(line(intent()))
	b.requests(1)
	b.journalize(line(intent()))
	if err := os.Rename(b.journalPath(), b.journalPath()+".1"); err != nil {
		t.Fatal(err)
	}
	b.journalize(line(intent()) + line(intent()))
	b.requests(4)
	if err := os.Truncate(b.journalPath(), 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * round)
	b.journalize(line(intent()))
	b.requests(5)
}

func TestLinesThatMakeNoSenseAreCountedAndLeftOut(t *testing.T) {
	b := newBooks(t)
	b.journalize("not json\n{}\n\n" + strings.Repeat("x", longestLine+readPiece) + "\n" + line(intent()))
	b.requests(1)
	time.Sleep(2 * round)
	if stats := b.Stats(); stats.Unread != 3 {
		t.Errorf("%d lines were unread, want 3", stats.Unread)
	}
}

func TestTheEndOfARequestIsToldByStatusAndFlags(t *testing.T) {
	for _, c := range []struct {
		status int
		flags  string
		want   gateway.Outcome
	}{
		{200, "-", gateway.OK}, {200, "DC", gateway.ClientClosed}, {200, "UC", gateway.ProviderClosed}, {200, "UPE,UC", gateway.ProviderClosed},
		{503, "UF,URX", gateway.ProviderError}, {429, "-", gateway.ProviderError}, {0, "DC", gateway.ClientClosed}, {200, "", gateway.OK},
	} {
		if got := ending(c.status, c.flags); got != c.want {
			t.Errorf("status %d, flags %q: %s, want %s", c.status, c.flags, got, c.want)
		}
	}
}

func TestRefusedRequestsCostNothingAndUnpricedOnesCostNull(t *testing.T) {
	b := newBooks(t)
	refused := intent()
	refused.Model = "unknown"
	b.journalize(line(refused, "status", "503", "flags", "UF"))
	if r := b.requests(1)[0]; r.CostNanoUSD == nil || *r.CostNanoUSD != 0 || r.PromptTokens != 0 || r.Outcome != "provider_error" {
		t.Errorf("row of a refused request %+v", r)
	}
	unpriced := intent()
	unpriced.Model = "unknown"
	b.Settle(settlement(unpriced))
	if r := b.requests(2)[1]; r.CostNanoUSD != nil {
		t.Errorf("row of a request without a price %+v", r)
	}
}

func TestCostsAddUpByKeyAndModel(t *testing.T) {
	b := newBooks(t)
	for _, model := range []gateway.Model{"gpt-4o", "gpt-4o", "unknown"} {
		i := intent()
		i.Model = model
		b.Settle(settlement(i))
	}
	other := intent()
	other.KeyID, other.KeyLabel = gateway.AnonymousKey, "no key"
	b.Settle(settlement(other))
	b.requests(4)
	all, err := b.store.Costs(t.Context())
	if err != nil || len(all) != 2 || all[0].Key.Label != "no key" {
		t.Fatalf("costs %+v, %v", all, err)
	}
	one, err := b.store.KeyCosts(t.Context(), intent().KeyID)
	if err != nil || one.Requests != 3 || one.Cost != 7_000_000 || one.Unpriced != 1 || len(one.Models) != 2 || one.PromptTokens != 3000 {
		t.Errorf("costs of one key %+v, %v", one, err)
	}
	if _, err := b.store.KeyCosts(t.Context(), "k_none"); !errors.Is(err, ErrNoKey) {
		t.Errorf("costs of an unknown key: %v", err)
	}
}

func TestThePromptLogIsNewestFirstAndLimited(t *testing.T) {
	b := newBooks(t)
	for n := range 3 {
		one := settlement(intent())
		one.Prompt = fmt.Sprint("prompt ", n)
		b.Settle(one)
		time.Sleep(2 * time.Millisecond)
	}
	silent := settlement(intent())
	silent.Prompt, silent.Answer.Text = "", ""
	b.Settle(silent)
	b.requests(4)
	prompts, err := b.store.Prompts(t.Context(), 2)
	if err != nil || len(prompts) != 2 || prompts[0].Prompt != "prompt 2" || prompts[1].Answer != "hello" || prompts[0].Label != "sk-…wxyz" {
		t.Errorf("prompts %+v, %v", prompts, err)
	}
}

func TestManyRequestsWithTheSameLabelHaveARowEach(t *testing.T) {
	b := newBooks(t)
	const n = 2000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n / 4 {
				b.Settle(settlement(intent()))
			}
		})
	}
	all.Wait()
	b.requests(n)
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	s := NewSettler(SettlerConfig{})
	for range maxQueued + 3 {
		s.Settle(gateway.Settlement{})
	}
	if stats := s.Stats(); stats.Queued != maxQueued || stats.Overflown != 3 {
		t.Errorf("stats %+v", stats)
	}
}

func TestStoppingWritesWhatIsThere(t *testing.T) {
	b := newBooks(t)
	b.stop()
	b.grace = time.Hour
	b.start()
	b.Settle(settlement(intent()))
	b.journalize(line(intent()))
	b.stop()
	b.start()
	b.requests(2)
}

func TestAStoreThatCannotBeOpenedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	store, err := Open(t.Context(), newer)
	if err != nil {
		t.Fatal(err)
	}
	store.db.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	store.Close()
	for path, want := range map[string]string{filepath.Join(dir, "no", "such.db"): "make the folder", text: "SQLite", newer: "version 99", dir: "is a directory"} {
		if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("opening %s: %v, want an error that names it and has %q", path, err, want)
		}
	}
}

func TestAStoreWithOddCharactersInItsPathIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41.db")
	store, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func FuzzJournalLinesNeverPanic(f *testing.F) {
	f.Add(line(intent()))
	f.Add(`{"intent":"{}","status":"-","duration_ms":null,"attempts":-1}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLine([]byte(text))
		if err == nil && (l.Status < 0 || l.Attempts < 0 || l.BytesSent < 0 || l.Endpoint == 0) {
			t.Errorf("%q gives %+v", text, l)
		}
	})
}

func BenchmarkRow(b *testing.B) {
	k := newBooks(b)
	k.stop()
	store, err := Open(b.Context(), filepath.Join(k.dir, "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	rows := make([]row, maxBatch)
	for b.Loop() {
		for n := range rows {
			one := settlement(intent())
			rows[n] = newRow(&one, nil, price)
		}
		if err := store.write(b.Context(), rows, position{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*maxBatch), "µs/row")
}
