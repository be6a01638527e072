package ledger

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
	"ai-gateway/usage/accesslog"
)

func TestBothWitnessesMakeOneRowWhicheverSpeaksFirst(t *testing.T) {
	for _, journalFirst := range []bool{true, false} {
		b := newBooks(t)
		i := intent()
		b.plan(i)
		say := []func(){func() { b.settle(i) }, func() { b.journalize(line(i)) }}
		if journalFirst {
			say[0], say[1] = say[1], say[0]
		}
		say[0]()
		time.Sleep(3 * round / 2)
		say[1]()
		b.eventually("both witnesses have reported", func() bool { return b.requests(1)[0].Witness == "both" })
		r := b.requests(1)[0]
		if r.UsageSource != "provider" || r.Outcome != "ok" || r.Attempts != 2 || r.DurationMS != 1234 ||
			*r.TTFTMS != 100 || r.PromptTokens != 1000 || r.CompletionTokens != 100 || *r.CostNanoUSD != 3_500_000 || *r.PriceVersion != "v1" ||
			r.ID != i.ID.String() || r.StartedAt != stamp(i.StartedAt) || r.Endpoint != "/v1/chat/completions" || !r.Stream || r.ErrorCode != nil {
			t.Errorf("journal first: %v: row %+v", journalFirst, r)
		}
	}
}

func TestARequestThatRunsHasNoRow(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.journalize(line(i)) // the gateway is about to speak
	time.Sleep(b.grace + 3*round)
	b.requests(0)
	b.settle(i)
	b.requests(1)
}

func TestARequestThatEnvoyAloneSawEndIsEstimated(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.crash()
	b.journalize(line(i))
	r := b.requests(1)[0]
	if r.Witness != "envoy" || r.UsageSource != "estimated" || r.PromptTokens != 9 || r.CompletionTokens != 4000/eventBytesPerToken || r.Outcome != "ok" {
		t.Errorf("row %+v", r)
	}
}

func TestTheUsageThatEnvoyAloneSawIsTheProviders(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.crash()
	b.journalize(line(i, "usage", "1000 400 100 7"))
	r := b.requests(1)[0]
	if r.Witness != "envoy" || r.UsageSource != "envoy" || r.PromptTokens != 1000 || r.CachedTokens != 400 || r.CompletionTokens != 100 || *r.CostNanoUSD != 3_000_000 {
		t.Errorf("row %+v", r)
	}
}

func TestARequestThatTheGatewayAloneSawEndHasItsUsage(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.settle(i)
	if r := b.requests(1)[0]; r.Witness != "gateway" || r.UsageSource != "provider" || r.Outcome != "ok" || r.PromptTokens != 1000 {
		t.Errorf("row %+v", r)
	}
}

func TestARequestThatNobodySawEndIsClosedAsEstimated(t *testing.T) {
	b := newBooks(t)
	b.orphanGrace = 50 * time.Millisecond
	i := intent()
	b.plan(i)
	time.Sleep(b.orphanGrace + 3*round)
	b.requests(0) // it may still run
	b.crash()
	if r := b.requests(1)[0]; r.Witness != "none" || r.UsageSource != "estimated" || r.Outcome != "unknown" || r.PromptTokens != 9 || r.Status != 0 {
		t.Errorf("row %+v", r)
	}
	b.crash()
	b.journalize(line(i, "usage", "1000 0 100 0")) // Envoy had carried it on
	b.eventually("Envoy's word replaces the estimate", func() bool { return b.requests(1)[0].UsageSource == "envoy" })
	if r := b.requests(1)[0]; r.Witness != "envoy" || r.Outcome != "ok" || r.Attempts != 2 {
		t.Errorf("row %+v", r)
	}
}

func TestALateWordCompletesARow(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.settle(i)
	if r := b.requests(1)[0]; r.Witness != "gateway" || r.Attempts != 1 {
		t.Fatalf("row %+v", r)
	}
	b.journalize(line(i, "usage", "5 0 5 0"))
	b.eventually("both witnesses have reported", func() bool { return b.requests(1)[0].Witness == "both" })
	if r := b.requests(1)[0]; r.UsageSource != "provider" || r.PromptTokens != 1000 || r.Attempts != 2 || *r.CostNanoUSD != 3_500_000 {
		t.Errorf("row %+v", r)
	}
}

func TestTheBackendThatWasCalledLastServedIt(t *testing.T) {
	b := newBooks(t)
	i := intent()
	i.Steps = append(i.Steps, gateway.Step{Backend: "second", UpstreamModel: "m"})
	b.whole(i, "backend", "second")
	if r := b.requests(1)[0]; r.Backend != "second" {
		t.Errorf("row %+v", r)
	}
}

func TestEachTryHasARow(t *testing.T) {
	b := newBooks(t)
	b.whole(intent())
	b.requests(1)
	var tries []struct {
		Attempt, Status, StartMS, DurationMS, Bytes int64
		Backend                                     string
		Cost                                        *int64
	}
	err := b.db.Select(&tries, `SELECT attempt, status, start_ms AS startms, duration_ms AS durationms, response_bytes AS bytes, backend,
		cost_nanousd AS cost FROM attempts ORDER BY attempt`)
	if err != nil || len(tries) != 2 {
		t.Fatalf("tries %+v, %v", tries, err)
	}
	first, second := tries[0], tries[1]
	if first.Status != 503 || first.StartMS != 0 || first.DurationMS != 50 || first.Bytes != 0 || first.Cost != nil {
		t.Errorf("first try %+v", first)
	}
	if second.Status != 200 || second.StartMS != 200 || second.DurationMS != 1034 || second.Bytes != 4000 || second.Cost == nil || *second.Cost != 3_500_000 {
		t.Errorf("second try %+v", second)
	}
}

func TestARestartReadsNothingTwiceAndLosesNothing(t *testing.T) {
	for name, next := range map[string]func(*books){"restart": (*books).restart, "crash": (*books).crash} {
		b := newBooks(t)
		for range 20 {
			b.whole(intent())
		}
		b.requests(20)
		b.stop()
		half := intent()
		b.start()
		b.plan(half)
		next(b)
		b.journalize(line(half))
		for range 5 {
			b.whole(intent())
		}
		b.requests(26)
		next(b)
		time.Sleep(3 * round)
		b.requests(26)
		at := b.position()
		info, err := os.Stat(b.accessLog())
		if err != nil || at.Offset != info.Size() {
			t.Errorf("%s: position %+v; the access log has %d bytes, %v", name, at, info.Size(), err)
		}
		if stats := b.Stats(); stats.WAL.Segments > 2 {
			t.Errorf("%s: stats %+v", name, stats)
		}
	}
}

func TestAPositionNeverPassesALineThatHasNoRow(t *testing.T) {
	b := newBooks(t)
	first, second := intent(), intent()
	b.plan(first)
	b.journalize(line(first)) // waits for the gateway's word
	b.whole(second)
	b.requests(1)
	at := b.position()
	if at.Offset != 0 {
		t.Errorf("position %+v; the first line has no row yet", at)
	}
}

func TestLinesThatMakeNoSenseAreCountedAndLeftOut(t *testing.T) {
	b := newBooks(t)
	b.journalize("not json\n{}\n\n" + strings.Repeat("x", 2<<20) + "\n")
	b.whole(intent())
	b.requests(1)
	b.eventually("the line behind them is read", func() bool { return b.requests(1)[0].Witness == "both" })
	if stats := b.Stats(); stats.Unread != 3 {
		t.Errorf("%d lines were unread, want 3", stats.Unread)
	}
}

func TestALineOfARequestThatIsNotKnownIsLeftOut(t *testing.T) {
	b := newBooks(t)
	b.journalize(line(intent()))
	b.whole(intent())
	b.requests(1)
}

func TestASettlementThatCouldNotBeWrittenLeavesTheWordToEnvoy(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	s := settlement(i)
	s.Answer.ErrorCode = strings.Repeat("x", 5<<20) // longer than a record may be
	b.wal.AppendSettlement(&s)
	b.journalize(line(i))
	if r := b.requests(1)[0]; r.Witness != "envoy" {
		t.Errorf("row %+v", r)
	}
}

func TestAnOldSegmentIsRemovedThoughARequestInItStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		running := intent()
		b.plan(running)
		const others = 16
		for range others {
			large := intent()
			large.RequestID = strings.Repeat("x", 1<<20)
			b.whole(large)
		}
		b.requests(others)
		time.Sleep(2 * keepAfter)
		if stats := b.wal.Stats(); stats.Bytes > 1<<20 {
			t.Errorf("the write-ahead log still has %d bytes", stats.Bytes)
		}
		b.crash()
		b.journalize(line(running))
		time.Sleep(3 * round)
		b.requests(others + 1)
	})
}

func TestTheEndOfARequestIsToldByStatusAndFlags(t *testing.T) {
	for _, c := range []struct {
		status         int
		flags, details string
		want           gateway.Outcome
	}{
		{200, "-", "via_upstream", gateway.OK}, {200, "", "", gateway.OK}, {302, "-", "via_upstream", gateway.ProviderError},
		{200, "DC", "downstream_remote_disconnect", gateway.ClientClosed}, {0, "DC", "downstream_remote_disconnect", gateway.ClientClosed},
		{200, "DC", "downstream_local_disconnect(shutdown)", gateway.GatewayClosed}, {0, "DC", "downstream_local_disconnect", gateway.GatewayClosed},
		{200, "OM", "overload", gateway.GatewayClosed}, {200, "DT", "max_duration_timeout", gateway.GatewayClosed},
		{200, "UC", "upstream_reset_after_response_started", gateway.ProviderClosed}, {200, "UPE,UC", "", gateway.ProviderClosed},
		{503, "UF,URX", "", gateway.ProviderError}, {429, "-", "", gateway.ProviderError},
	} {
		if got := ending(&gateway.JournalLine{Status: c.status, Flags: c.flags, Details: c.details}); got != c.want {
			t.Errorf("status %d, flags %q, details %q: %s, want %s", c.status, c.flags, c.details, got, c.want)
		}
	}
}

func TestManyRequestsWithTheSameLabelHaveARowEach(t *testing.T) {
	b := newBooks(t)
	const n = 2000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n / 4 {
				i := intent()
				b.plan(i)
				b.settle(i)
			}
		})
	}
	all.Wait()
	b.requests(n)
}

func TestStoppingWritesWhatIsThere(t *testing.T) {
	b := newBooks(t)
	b.grace = time.Hour
	b.restart()
	i := intent()
	b.plan(i)
	b.settle(i)
	b.whole(intent())
	b.plan(intent())
	b.restart()
	b.requests(2)
}

func TestTablesThatCannotBeOpenedYetAreTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "away", "gateway.db")
	b := overTables(t, path, time.Hour)
	i := intent()
	b.plan(i)
	b.settle(i)
	b.eventually("the failure is told", func() bool { return b.Stats().LastError != "" })
	do(t, os.Mkdir(filepath.Dir(path), 0o700))
	b.eventually("the row is written", func() bool { return b.Stats().Written > 0 })
}

func TestWhileTheTablesTakeNothingRequestsAreKept(t *testing.T) {
	b := newBooks(t)
	b.whole(intent())
	b.requests(1)
	other := openDB(t, b.database())
	other.MustExec(`ALTER TABLE requests RENAME TO hidden`)
	for range 10 {
		b.whole(intent())
	}
	b.eventually("the failure is told", func() bool { return b.Stats().LastError != "" })
	other.MustExec(`ALTER TABLE hidden RENAME TO requests`)
	b.requests(11)
	b.eventually("the failure is over", func() bool { return b.Stats().LastError == "" })
}

func BenchmarkRow(b *testing.B) {
	i := intent()
	s := settlement(i)
	text := bytes.TrimSpace([]byte(line(i)))
	for b.Loop() {
		l, err := accesslog.Parse(text)
		do(b, err)
		_ = newRow(&i, &s, &l)
	}
}

// failing is a store that takes one batch and then fails for a while.
type failing struct {
	Store
	batches atomic.Int64 // that it was given
	sizes   chan int
}

var errBusy = errors.New("the store is busy")

// Write fails at the second and the third batch.
func (f *failing) Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) ([]gateway.RefusedRow, error) {
	if len(rows) > 0 {
		f.sizes <- len(rows)
		if n := f.batches.Add(1); n == 2 || n == 3 {
			return nil, errBusy
		}
	}
	return f.Store.Write(ctx, rows, writer, at)
}

// TestMoreRowsThanABatchAreAllWrittenOnceThoughTheStoreFailsBetween has two and a half
// batches ready when the ledger begins.
func TestMoreRowsThanABatchAreAllWrittenOnceThoughTheStoreFailsBetween(t *testing.T) {
	const rows = 2*maxBatch + maxBatch/2
	b := newBooks(t)
	b.stop()
	b.wal = openWAL(t, b.walFolder())
	var lines strings.Builder
	for range rows {
		i := intent()
		do(t, b.wal.AppendIntent(&i))
		b.settle(i)
		lines.WriteString(line(i))
	}
	do(t, b.wal.Close())
	b.journalize(lines.String())
	store := &failing{sizes: make(chan int, 100)}
	b.wrap = func(s Store) Store {
		store.Store = s
		return store
	}
	b.start()
	b.requests(rows)
	b.eventually("the position is behind the last line", func() bool { return b.position().Offset == int64(lines.Len()) })
	b.stop()
	close(store.sizes)
	var sizes []int
	for n := range store.sizes {
		sizes = append(sizes, n)
	}
	if len(sizes) < 5 || slices.Max(sizes) > maxBatch {
		t.Errorf("the store was given batches of %v rows, want at least 5 of at most %d", sizes, maxBatch)
	}
	if stats := b.Stats(); stats.Written != rows {
		t.Errorf("stats %+v", stats)
	}
}
