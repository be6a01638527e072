package ledger

import (
	"time"

	"ai-gateway/usage/wal"
)

// Stats are figures for people and health checks.
type Stats struct {
	Open      int           // requests that are out, or whose row a late word may still complete
	Unwritten int           // rows that are not in the tables yet
	OldestAge time.Duration // of what the write-ahead log keeps
	Written   int64         // rows since the start
	Unpriced  int64         // of them, those whose model has no price
	Unread    int64         // records and lines that made no sense
	LastError string        // what the ledger cannot do now, and why; "" when all is well
	Refused   int64         // requests that could not be recorded, or for too long could not be written
	WAL       wal.Stats
}

// Stats returns figures of a moment ago.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.WAL, stats.LastError = l.c.WAL.Stats(), l.lastError()
	return stats
}

func (l *Ledger) written(n, unpriced int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Written += int64(n)
	l.stats.Unpriced += int64(unpriced)
}

func (l *Ledger) unread(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Unread++
	if l.stats.Unread == 1 {
		l.c.Log.Error("a record makes no sense and is left out; more of them are only counted", "error", err)
	}
}

func (l *Ledger) note(now time.Time) {
	oldest := now
	for _, segment := range l.segments {
		if segment.records > 0 && segment.since.Before(oldest) {
			oldest = segment.since
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Open, l.stats.Unwritten, l.stats.OldestAge = len(l.open), len(l.ready), now.Sub(oldest)
}
