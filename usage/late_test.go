package usage

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ai-gateway/gateway"
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
			b.spool.Settle(&s)
		}
		other, err := Open(t.Context(), filepath.Join(b.dir, "gateway.db"))
		do(t, err)
		defer other.Close()
		other.db.MustExec(`ALTER TABLE requests RENAME TO hidden`)
		b.eventually("the row waits", func() bool { return b.Stats().Unwritten == 1 })
		b.journalize(line(i, "usage", "5000 0 700 0"))
		time.Sleep(3 * round)
		other.db.MustExec(`ALTER TABLE hidden RENAME TO requests`)
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
		b.spool.mu.Lock()
		err := b.spool.append(settled, func(frame []byte) []byte { return append(frame, "of another version"...) })
		b.spool.mu.Unlock()
		do(t, err)
		b.journalize(line(i, "usage", "5 0 5 0"))
		time.Sleep(lineGrace / 2)
		b.requests(0) // it may still be said
		time.Sleep(lineGrace)
		r := b.requests(1)[0]
		at, err := b.store.position(t.Context())
		if r.Witness != "envoy" || r.PromptTokens != 5 || err != nil || at.Offset == 0 {
			t.Errorf("row %+v; position %+v, %v", r, at, err)
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
	spool, err := OpenSpool(SpoolConfig{Dir: t.TempDir(), MaxBytes: 1 << 30, MaxAge: retryAfter / 2, Log: slog.New(slog.DiscardHandler)})
	do(t, err)
	l := overTables(t, path, spool)
	for l.Stats().LastError == "" {
		time.Sleep(round)
	}
	do(t, os.Mkdir(filepath.Dir(path), 0o700))
	for i, since := intent(), time.Now(); spool.Begin(&i) != nil || l.Stats().LastError != ""; i = intent() {
		if time.Since(since) > 10*time.Second {
			t.Fatalf("requests are refused: %v, %q", spool.Begin(&i), l.Stats().LastError)
		}
		time.Sleep(retryAfter)
	}
}

func TestAnIntentThatIsKeptAfterItsSettlementKeepsThat(t *testing.T) {
	dir := t.TempDir()
	spool := openSpool(t, dir)
	l := NewLedger(LedgerConfig{Spool: spool, Log: slog.New(slog.DiscardHandler)})
	i := intent()
	begin(t, spool, i)
	do(t, l.readSpool())
	s := settlement(i)
	spool.Settle(&s)
	do(t, spool.keep(&i, false))
	do(t, l.readSpool())
	do(t, spool.Close())

	var kinds []recordKind
	next := openSpool(t, dir)
	for at := (place{}); ; {
		records, _, err := next.read(&at)
		do(t, err)
		if records == nil {
			break
		}
		for _, r := range records {
			kinds = append(kinds, r.kind)
		}
	}
	last := len(kinds) - 1
	if kinds[last] == processStart {
		last--
	}
	if kinds[last] != settled || kinds[last-1] != intentMade {
		t.Errorf("the spool holds %v: a next process would take the request for one that never ended", kinds)
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

func TestRotatedJournalsAreFoundInAnyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[1]*?")
	do(t, os.Mkdir(dir, 0o700))
	j := journal{path: filepath.Join(dir, "journal.log")}
	for _, name := range []string{"", ".000000002", ".000000001", ".bak"} {
		do(t, os.WriteFile(j.path+name, []byte("x\n"), 0o600))
	}
	paths, inodes, err := j.files()
	if err != nil || len(paths) != 3 || len(inodes) != 3 || paths[0] != j.path+".000000001" || paths[2] != j.path {
		t.Errorf("%v, %v", paths, err)
	}
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
		b.spool.Settle(&s)
		time.Sleep(3 * keepAfter)
		if r := b.requests(1)[0]; r.UsageSource != "counted" || r.Outcome != "unknown" {
			t.Fatalf("row %+v", r)
		}
		if n := b.spool.Stats().Segments; n > 3 {
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
		{"the prompt's figure alone", []string{"usage", "50 - - - 60", "bytes_sent", "30000"}, 50, 150, 50*2_500 + 150*10_000},
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
		{"no answer's figure", true, false, gateway.Counted, []string{"usage", "3 - - - 7"}, "counted", 100},
	}
	for _, c := range cases {
		i := intent()
		b.plan(i)
		s := settlement(i)
		s.Finished, s.Answer.Stale, s.Answer.Source = c.finished, c.stale, c.source
		b.spool.Settle(&s)
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
	b.spool.Settle(&gateway.Settlement{ID: i.ID, Unsent: true, Answer: gateway.Answer{Usage: gateway.Usage{Prompt: 9}, Source: gateway.Counted}})
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
		b := overTables(t, path, openSpool(t, t.TempDir()))
		settleOne := func() {
			i := intent()
			b.plan(i)
			b.settle(i)
		}
		settleOne()
		b.eventually("a row is written", func() bool { return b.Stats().Written == 1 })
		other, err := Open(t.Context(), path)
		do(t, err)
		other.db.MustExec(`VACUUM INTO ?`, path+".backup")
		do(t, other.Close())
		settleOne()
		b.eventually("another row is written", func() bool { return b.Stats().Written == 2 })
		do(t, os.Remove(path))
		c.with(path)
		settleOne()
		b.eventually("the file is missed", func() bool { return strings.Contains(b.Stats().LastError, path) })
		b.eventually("a row is written into "+c.name, func() bool { return b.Stats().Written == 3 })
		other, err = Open(t.Context(), path)
		do(t, err)
		var n int
		do(t, other.db.Get(&n, `SELECT COUNT(*) FROM requests`))
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
		b.spool.Settle(&s)
		time.Sleep(keepSettled + 3*round)
		if open := b.Stats().Open; open != 0 {
			t.Errorf("%d are open", open)
		}
	})
}
