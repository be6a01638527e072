package ledger

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"ai-gateway/usage/accesslog"
	"ai-gateway/usage/wal"
)

// readOn reads a piece of the access log, and then all of the write-ahead log before it looks
// at the piece: an intent is written before its request goes out, so before Envoy's line. While
// too much is held, it goes no further than what it has read of the write-ahead log.
func (l *Ledger) readOn() (more bool) {
	var err error
	if more = true; len(l.buffered) == 0 {
		l.buffered, more, err = l.tail.Next()
	}
	if err == nil {
		err = l.readWAL()
	}
	l.reportTask(reading, err)
	if err != nil {
		return false
	}
	l.abandon()
	for len(l.buffered) > 0 && l.readLine(l.buffered[0]) {
		l.buffered = l.buffered[1:]
	}
	return more && len(l.buffered) == 0
}

// abandon makes orphans of requests whose settlement could not be written.
func (l *Ledger) abandon() {
	l.broken = append(l.broken, l.c.WAL.Unsettled()...)
	l.broken = slices.DeleteFunc(l.broken, func(id uuid.UUID) bool {
		e := l.open[id]
		if e != nil {
			l.orphaned(e, time.Now())
		}
		return e != nil
	})
}

// readWAL reads the write-ahead log to its end, or until too much is held.
func (l *Ledger) readWAL() error {
	for l.atEnd = false; l.held < maxHeld; {
		records, segment, err := l.reader.Next()
		if err != nil {
			return err
		}
		if records == nil {
			l.atEnd = true
			l.catchUp()
			return nil
		}
		for _, r := range records {
			if err := l.take(r, segment); err != nil {
				l.unread(err)
			}
		}
	}
	return nil
}

// take handles a record of the write-ahead log.
func (l *Ledger) take(r wal.Record, segment int64) error {
	if l.segments[segment] == nil {
		l.segments[segment] = &closing{since: time.Now()}
	}
	switch r.Kind {
	case wal.StartRecord:
		l.begin(time.Now())
	case wal.IntentRecord, wal.OrphanRecord:
		i, err := r.Intent()
		if err != nil {
			return err
		}
		l.planned(i, r.Kind == wal.OrphanRecord, segment)
	case wal.SettlementRecord:
		s, err := r.Settlement()
		if err != nil {
			return err
		}
		l.settled(s, segment)
	}
	return nil
}

// readLine handles a line of Envoy, unless the gateway's records of its request may still come. If
// there is no intent, the row was written before.
func (l *Ledger) readLine(at accesslog.Line) (done bool) {
	line, err := accesslog.Parse(at.Text)
	e := l.open[line.ID]
	switch {
	case err != nil:
		l.unread(err)
	case !l.atEnd && l.mayCome(line.ID, e):
		return false
	}
	l.lines = append(l.lines, pendingLine{e, at.End})
	if err != nil || e == nil || e.line != nil {
		return true
	}
	e.line = &line
	if e.settlement == nil && !e.orphan {
		l.await(e, time.Now(), lineGrace)
	}
	l.judge(e)
	return true
}

// longestPlan is how long a request takes from its first byte to its intent, but for few bodies.
const longestPlan = time.Minute

// mayCome reports whether a request's intent or settlement may be in the unread part of the
// write-ahead log.
func (l *Ledger) mayCome(id uuid.UUID, e *entry) bool {
	if e == nil {
		return startOf(id).After(l.lastRead.Add(-longestPlan))
	}
	return e.settlement == nil && !e.orphan
}
