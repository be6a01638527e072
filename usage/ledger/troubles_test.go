package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/usage/accesslog"
)

func TestAJournalThatCannotBeRotatedIsToldAllTheWhileThatRowsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		b.stop()
		b.rotation = accesslog.Rotation{At: 1, Keep: 1000, Reopen: func(context.Context) error { return errors.New("it is busy") }}
		b.start()
		b.whole(intent())
		time.Sleep(2 * rotateEvery)
		for range 30 {
			b.whole(intent())
			time.Sleep(round)
			if got := b.Stats().LastError; !strings.HasPrefix(got, "the access log cannot be rotated") || !strings.HasSuffix(got, "it is busy") {
				t.Fatalf("told is %q", got)
			}
		}
		b.requests(31)
	})
}

func TestPromptsThatCouldNotBeRemovedAreRemovedAMinuteLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		old := intent()
		old.StartedAt = old.StartedAt.Add(-2 * time.Hour)
		b.whole(old)
		b.requests(1)
		b.stop()
		b.keep = time.Hour
		b.start()
		b.db.MustExec(`ALTER TABLE prompts RENAME TO hidden`)
		time.Sleep(2 * round)
		if got := b.Stats().LastError; !strings.Contains(got, "the store cannot be maintained") {
			t.Errorf("told is %q", got)
		}
		b.db.MustExec(`ALTER TABLE hidden RENAME TO prompts`)
		time.Sleep(maintainEvery)
		prompts, err := b.store.Prompts(t.Context(), gateway.PromptFilter{}, gateway.RequestPlace{}, 10)
		if err != nil || len(prompts) != 0 || b.Stats().LastError != "" {
			t.Errorf("prompts %+v, %v; told is %q", prompts, err, b.Stats().LastError)
		}
	})
}

func TestASegmentThatCannotBeRemovedIsToldUntilItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t)
		b.whole(intent())
		b.requests(1)
		path := filepath.Join(b.walFolder(), "000000000001.spool")
		do(t, os.Remove(path))
		do(t, os.MkdirAll(filepath.Join(path, "in it"), 0o700)) // which keeps it from being removed
		time.Sleep(10 * time.Second)
		b.whole(intent()) // in the next segment
		time.Sleep(3 * round)
		if got := b.Stats().LastError; !strings.HasPrefix(got, "the write-ahead log cannot be compacted") {
			t.Errorf("told is %q", got)
		}
		do(t, os.Remove(filepath.Join(path, "in it")))
		time.Sleep(2 * round)
		if stats := b.Stats(); stats.LastError != "" || stats.WAL.Segments != 1 {
			t.Errorf("stats %+v", stats)
		}
	})
}
