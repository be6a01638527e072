package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
	"ai-gateway/usage/wal"
)

func TestEnvoysWordCountsThatComesWhileTheRowWaits(t *testing.T) {
	for _, orphan := range []bool{true, false} {
		b := newBooks(t)
		b.orphanGrace = 200 * time.Millisecond
		i := intent()
		b.plan(i)
		if orphan {
			b.crash()
		} else {
			s := settlement(i)
			s.Finished, s.Answer.Source = false, gateway.Counted
			b.wal.AppendSettlement(&s)
		}
		other := openDB(t, b.database())
		other.MustExec(`ALTER TABLE requests RENAME TO hidden`)
		b.eventually("the row waits", func() bool { return b.Stats().Unwritten == 1 })
		b.journalize(line(i, "usage", "5000 0 700 0"))
		time.Sleep(3 * round)
		other.MustExec(`ALTER TABLE hidden RENAME TO requests`)
		if r := b.requests(1)[0]; r.UsageSource != "envoy" || r.PromptTokens != 5000 || r.CompletionTokens != 700 {
			t.Errorf("orphan %t: row %+v", orphan, r)
		}
	}
}

// TestALineWhoseSettlementCannotBeReadHoldsTheJournalForAWhileOnly has a process that
// lives on: nothing makes orphans of what it planned.
func TestALineWhoseSettlementCannotBeReadHoldsTheJournalForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.ID = uuid.UUID{} // makes no sense
		b.wal.AppendSettlement(&s)
		b.journalize(line(i, "usage", "5 0 5 0"))
		time.Sleep(lineGrace / 2)
		b.requests(0) // it may still be said
		time.Sleep(lineGrace)
		r := b.requests(1)[0]
		at := b.position()
		if r.Witness != "envoy" || r.PromptTokens != 5 || at.Offset == 0 {
			t.Errorf("row %+v; position %+v", r, at)
		}
		time.Sleep(keepSettled)
		if stats := b.Stats(); stats.Open != 0 || stats.Unread != 1 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestAVeryLateSettlementCompletesTheRowOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		i := intent()
		b.plan(i)
		b.journalize(line(i, "usage", "5 0 5 0"))
		time.Sleep(lineGrace + 3*round)
		if r := b.requests(1)[0]; r.Witness != "envoy" {
			t.Fatalf("row %+v", r)
		}
		b.settle(i)
		time.Sleep(3 * round)
		if r := b.requests(1)[0]; r.Witness != "both" || r.UsageSource != "provider" || r.PromptTokens != 1000 {
			t.Errorf("row %+v", r)
		}
		b.crash()
		time.Sleep(b.orphanGrace)
		b.requests(1)
	})
}

func TestTablesThatOpenLateTakeRequestsThoughNoneCame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "away", "gateway.db")
	l := overTables(t, path, retryAfter/2)
	for l.Stats().LastError == "" {
		time.Sleep(round)
	}
	do(t, os.Mkdir(filepath.Dir(path), 0o700))
	for i, since := intent(), time.Now(); l.Begin(&i) != nil || l.Stats().LastError != ""; i = intent() {
		if time.Since(since) > 10*time.Second {
			t.Fatalf("requests are refused: %v, %q", l.Begin(&i), l.Stats().LastError)
		}
		time.Sleep(retryAfter)
	}
}

// TestASettlementBeforeItsCarriedIntentCounts has a settlement written while its intent was
// carried over, and the process killed before it made a row.
func TestASettlementBeforeItsCarriedIntentCounts(t *testing.T) {
	for _, orphan := range []bool{false, true} {
		b := newBooks(t)
		b.stop()
		log := openWAL(t, b.walFolder())
		i := intent()
		s := settlement(i)
		log.AppendSettlement(&s) // the intent before it was removed with its segment
		do(t, log.Carry(wal.Unfinished{Intent: &i, Orphan: orphan}))
		do(t, log.Close())
		b.start()
		if r := b.requests(1)[0]; r.UsageSource != "provider" || r.Witness != "gateway" {
			t.Errorf("orphan %t: row %+v", orphan, r)
		}
	}
}

func TestASettlementWithoutAnIntentIsForgotten(t *testing.T) {
	b := newBooks(t)
	b.stop()
	log := openWAL(t, b.walFolder())
	s := settlement(intent())
	log.AppendSettlement(&s)
	do(t, log.Close())
	b.start()
	b.whole(intent())
	b.requests(1)
	b.stop()
	if len(b.early) != 0 {
		t.Errorf("%d settlements are kept", len(b.early))
	}
	for number, segment := range b.segments {
		if segment.records != 0 {
			t.Errorf("%d records keep segment %d", segment.records, number)
		}
	}
}

func TestAnOldOrphanIsForgottenWhateverRestarts(t *testing.T) {
	b := newBooks(t)
	b.orphanGrace = 50 * time.Millisecond
	i := intent()
	i.StartedAt = time.Now().Add(-2 * keepOrphan).UTC()
	b.plan(i)
	b.crash()
	b.requests(1)
	b.eventually("it is forgotten", func() bool { return b.Stats().Open == 0 })
}

// TestALateWordCompletesWhatTheGatewayLostSightOf has Envoy carry a stream on for hours whose
// exchange with the gateway broke, also over a restart.
func TestALateWordCompletesWhatTheGatewayLostSightOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.Finished, s.Answer.Source = false, gateway.Counted
		b.wal.AppendSettlement(&s)
		time.Sleep(3 * keepAfter)
		if r := b.requests(1)[0]; r.UsageSource != "counted" || r.Outcome != "unknown" {
			t.Fatalf("row %+v", r)
		}
		if n := b.wal.Stats().Segments; n > 3 {
			t.Errorf("%d segments are kept", n)
		}
		b.crash()
		time.Sleep(3 * keepAfter)
		b.journalize(line(i, "usage", "5000 - 700 - -"))
		time.Sleep(3 * round)
		if r := b.requests(1)[0]; r.UsageSource != "envoy" || r.CompletionTokens != 700 || r.Witness != "both" || r.Outcome != "ok" {
			t.Errorf("row %+v", r)
		}
		if open := b.Stats().Open; open != 0 {
			t.Errorf("%d are open", open)
		}
	})
}

func TestAnEstimateGivesWayToOneOfWhoSawTheEnd(t *testing.T) {
	for _, c := range []struct {
		name                     string
		line                     []string
		prompt, completion, cost int64
	}{
		{"refused late", []string{"status", "500"}, 0, 0, 0},
		{"streamed to the end", []string{"bytes_sent", "30000"}, 9, 150, 9*2_500 + 150*10_000},
		{"the prompt's figure alone", []string{"usage", "50 - - - 50", "bytes_sent", "30000"}, 50, 150, 50*2_500 + 150*10_000},
	} {
		b := newBooks(t)
		b.orphanGrace = 100 * time.Millisecond
		i := intent()
		b.plan(i)
		b.crash()
		if r := b.requests(1)[0]; r.Outcome != "unknown" || r.PromptTokens != 9 {
			t.Fatalf("%s: row %+v", c.name, r)
		}
		b.journalize(line(i, c.line...))
		b.eventually(c.name, func() bool { return b.requests(1)[0].Outcome != "unknown" })
		r := b.requests(1)[0]
		if r.UsageSource != "estimated" || r.PromptTokens != c.prompt || r.CompletionTokens != c.completion || *r.CostNanoUSD != c.cost {
			t.Errorf("%s: row %+v, cost %d", c.name, r, *r.CostNanoUSD)
		}
	}
}

func TestWhoseFiguresCount(t *testing.T) {
	b := newBooks(t)
	cases := []struct {
		name            string
		finished, stale bool
		source          gateway.Source
		line            []string
		want            string
		completion      int64
	}{
		{"what the gateway could not read", true, false, gateway.Estimated, []string{"usage", "3 - 4 - 7"}, "envoy", 4},
		{"what it saw more of", true, true, gateway.Estimated, []string{"usage", "3 - 4 - 7"}, "estimated", 100},
		{"what it saw more of, till the client left", false, true, gateway.Estimated, []string{"usage", "3 - 4 - 7", "flags", "DC"}, "estimated", 100},
		{"what Envoy saw more of", false, true, gateway.Estimated, []string{"usage", "3 - 400 - 403"}, "envoy", 400},
		{"the provider's, whose end was not seen", false, false, gateway.FromProvider, []string{"bytes_sent", "300000"}, "provider", 100},
		{"what was counted until it was lost sight of", false, false, gateway.Counted, []string{"bytes_sent", "300000"}, "estimated", 1500},
		{"what was counted until the client left", false, false, gateway.Counted, []string{"bytes_sent", "300000", "flags", "DC"}, "counted", 100},
		{"reasoning that is counted beside the completion", false, false, gateway.Counted, []string{"usage", "32 - 9 94 135"}, "envoy", 103},
		{"no answer's figure", true, false, gateway.Counted, []string{"usage", "3 - - - 3"}, "counted", 100},
		{"a completion that only the total shows", true, false, gateway.Counted, []string{"usage", "3 - - - 70"}, "envoy", 67},
	}
	for _, c := range cases {
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.Finished, s.Answer.Stale, s.Answer.Source = c.finished, c.stale, c.source
		b.wal.AppendSettlement(&s)
		b.journalize(line(i, c.line...))
	}
	rows := b.requests(len(cases))
	for n, c := range cases {
		if r := rows[n]; r.UsageSource != c.want || r.CompletionTokens != c.completion || r.Witness != "both" {
			t.Errorf("%s: row %+v", c.name, r)
		}
	}
}

func TestAPlanThatNobodyHeardCostsNothing(t *testing.T) {
	b := newBooks(t)
	i := intent()
	b.plan(i)
	b.wal.AppendSettlement(&gateway.Settlement{ID: i.ID, Unsent: true, Answer: gateway.Answer{Usage: gateway.Usage{Prompt: 9}, Source: gateway.Counted}})
	if r := b.requests(1)[0]; r.Outcome != "client_closed" || r.PromptTokens != 0 || *r.CostNanoUSD != 0 || r.Attempts != 0 {
		t.Errorf("row %+v, cost %d", r, *r.CostNanoUSD)
	}
}

func TestALineBehindATornOneIsRead(t *testing.T) {
	b := newBooks(t)
	i, other := intent(), intent()
	b.plan(i)
	b.plan(other)
	b.settle(i)
	b.settle(other)
	torn := line(other)
	b.journalize(torn[:len(torn)/2] + line(i, "status", "201"))
	if r := b.requests(2)[0]; r.Status != 201 || r.Witness != "both" {
		t.Errorf("row %+v", r)
	}
}

func TestRowsWaitForAnotherFileWhenTheTablesWereRemoved(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(path string) // replaces it
		rows int
	}{
		{"nothing", func(string) {}, 1},
		{"an empty file", func(path string) { do(t, os.WriteFile(path, nil, 0o600)) }, 1},
		{"a backup", func(path string) { do(t, os.Rename(path+".backup", path)) }, 2},
	} {
		path := filepath.Join(t.TempDir(), "gateway.db")
		b := overTables(t, path, time.Hour)
		settleOne := func() {
			i := intent()
			b.plan(i)
			b.settle(i)
		}
		settleOne()
		b.eventually("a row is written", func() bool { return b.Stats().Written == 1 })
		other := openDB(t, path)
		other.MustExec(`VACUUM INTO ?`, path+".backup")
		do(t, other.Close())
		settleOne()
		b.eventually("another row is written", func() bool { return b.Stats().Written == 2 })
		do(t, os.Remove(path))
		c.with(path)
		settleOne()
		b.eventually("the file is missed", func() bool { return strings.Contains(b.Stats().LastError, path) })
		b.eventually("a row is written into "+c.name, func() bool { return b.Stats().Written == 3 })
		other = openDB(t, path)
		var n int
		do(t, other.Get(&n, `SELECT COUNT(*) FROM requests`))
		if info, err := os.Stat(path); n != c.rows || b.Stats().LastError != "" || err != nil || c.rows == 1 && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d rows, %q, %v, %v", c.name, n, b.Stats().LastError, info, err)
		}
		do(t, other.Close())
	}
}

func TestNobodyWaitsForTheWordOfAnEnvoyThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.Finished, s.EnvoyGone = false, true
		b.wal.AppendSettlement(&s)
		time.Sleep(keepSettled + 3*round)
		if open := b.Stats().Open; open != 0 {
			t.Errorf("%d are open", open)
		}
	})
}
