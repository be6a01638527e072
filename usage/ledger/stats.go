package ledger

import (
	"time"

	"ai-gateway/gateway"
)

// Stats returns recent figures.
func (l *Ledger) Stats() gateway.LedgerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.WAL, stats.LastError = l.c.WAL.Stats(), l.lastError()
	if !l.behind.IsZero() {
		stats.Lag = time.Since(l.behind)
	}
	return stats
}

func (l *Ledger) written(n, unpriced int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Written += int64(n)
	l.stats.Unpriced += int64(unpriced)
}

// lost counts rows that the store always refuses.
func (l *Ledger) lost(rows []gateway.RefusedRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Rejected += int64(len(rows))
	for _, r := range rows {
		l.c.Log.Error("the store refuses a row, which is lost", "request", r.ID, "error", r.Err)
	}
}

func (l *Ledger) unread(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Unread++
	if l.stats.Unread == 1 {
		l.c.Log.Error("a record is unreadable and was skipped; further ones are only counted", "error", err)
	}
}

// Inherited reports whether requests of earlier processes may still get their first rows.
func (l *Ledger) Inherited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ownOnly
}

// hasInherited looks for requests of earlier processes that have no row yet.
func (l *Ledger) hasInherited() bool {
	if !l.caughtUp {
		return true
	}
	for _, e := range l.open {
		if e.inherited && (e.state == isOpen || e.state == isReady) {
			return true
		}
	}
	return false
}

func (l *Ledger) note(now time.Time) {
	ownOnly := l.ownOnly || !l.hasInherited()
	oldest := now
	for _, segment := range l.segments {
		if segment.records > 0 && segment.since.Before(oldest) {
			oldest = segment.since
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ownOnly = ownOnly
	l.stats.Open, l.stats.Unwritten, l.stats.OldestAge = len(l.open), len(l.ready), now.Sub(oldest)
}
