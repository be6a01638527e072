package wal

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestEachSegmentThatWasWrittenToIsFlushedHoweverManyThereAre(t *testing.T) {
	l, err := Open(Config{Dir: t.TempDir(), Sync: time.Hour, Log: slog.New(slog.DiscardHandler)})
	do(t, err)
	t.Cleanup(func() { do(t, l.Close()) })
	do(t, l.sync())
	s := settlement(intent())
	s.Prompt = strings.Repeat("x", maxRecord/2)
	for range 4 * segmentSize / len(s.Prompt) {
		l.AppendSettlement(&s)
	}
	if files, renamed := l.unsynced(); len(files) != l.Stats().Segments || len(files) < 4 || !renamed {
		t.Errorf("%d of %d segments are flushed, and their names: %t", len(files), l.Stats().Segments, renamed)
	}
	if files, _ := l.unsynced(); len(files) > 0 {
		t.Errorf("%d segments are flushed again", len(files))
	}
}
