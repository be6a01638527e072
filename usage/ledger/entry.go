package ledger

import (
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// entry is a request that the ledger has not finished.
type entry struct {
	intent     *gateway.Intent
	settlement *gateway.Settlement
	line       *gateway.JournalLine
	orphan     bool // the process that planned it died before it could settle it
	inherited  bool // another process planned it

	told     bool // that it is finished
	reported bool
	tokens   int64 // that were reported

	held     int64 // bytes that count while the store has not taken the row
	state    entryState
	row      gateway.Row
	segments []int64 // which contain its records
}

// entryState is the progress of an entry.
type entryState uint8

const (
	isOpen    entryState = iota
	isReady              // its row waits for the store
	isWritten            // its row is in the store, and a witness may still report
	isDone               // nothing more is expected
)

// wait is an entry that has waited for a report since a time.
type wait struct {
	of    *entry
	since time.Time
	until time.Duration // from since on
}

// begin makes orphans of the requests that earlier processes planned and did not settle.
func (l *Ledger) begin(now time.Time) {
	for _, e := range l.open {
		e.inherited = true
		l.orphaned(e, now)
	}
}

func (l *Ledger) orphaned(e *entry, now time.Time) {
	if e.settlement != nil || e.orphan {
		return
	}
	e.orphan = true
	l.await(e, now, l.c.OrphanGrace)
	l.judge(e)
}

func (l *Ledger) planned(i *gateway.Intent, orphan bool, segment int64) {
	l.lastRead = i.StartedAt
	e := l.open[i.ID]
	if e == nil {
		e = &entry{intent: i}
		l.open[i.ID] = e
	}
	l.hold(e, segment)
	if s, ok := l.early[i.ID]; ok {
		l.settled(s.settlement, s.segment)
		l.forgetEarly(i.ID)
	}
	if orphan {
		l.orphaned(e, time.Now())
	}
}

// earlySettlement comes before its intent, which was carried over while the settlement was
// written. Only the next process needs it: this one has the intent in memory.
type earlySettlement struct {
	settlement *gateway.Settlement
	segment    int64
}

// keepEarly keeps a settlement in case its intent follows, until the write-ahead log was read
// to its end once.
func (l *Ledger) keepEarly(s *gateway.Settlement, segment int64) {
	if l.caughtUp {
		return // its row was written before
	}
	l.forgetEarly(s.ID)
	l.early[s.ID] = earlySettlement{s, segment}
	l.segments[segment].records++
}

func (l *Ledger) forgetEarly(id uuid.UUID) {
	if s, ok := l.early[id]; ok {
		l.segments[s.segment].records--
		delete(l.early, id)
	}
}

// catchUp drops the settlements whose intent did not follow: their rows were written before.
func (l *Ledger) catchUp() {
	l.caughtUp = true
	for id := range l.early {
		l.forgetEarly(id)
	}
}

// goesOn reports whether Envoy may still carry an answer whose end the gateway did not see, and
// report its end much later.
func (e *entry) goesOn() bool {
	return !e.settlement.Finished && !e.settlement.EnvoyGone && e.settlement.Status > 0
}

// entrySize is about what a settled request takes in memory without its texts.
const entrySize = 2 << 10

// charge counts what a settled request takes in memory, until free.
func (l *Ledger) charge(e *entry) {
	e.held = entrySize + int64(len(e.settlement.Prompt)+len(e.settlement.Answer.Text))
	l.held += e.held
}

func (l *Ledger) free(e *entry) {
	l.held -= e.held
	e.held = 0
}

// settled handles a settlement.
func (l *Ledger) settled(s *gateway.Settlement, segment int64) {
	e := l.open[s.ID]
	if e == nil {
		l.keepEarly(s, segment)
		return
	}
	l.hold(e, segment)
	if e.settlement != nil {
		return // it was written again with its intent
	}
	e.settlement = s
	l.charge(e)
	l.await(e, time.Now(), l.c.Grace)
	l.judge(e)
}

// judge makes a row of an entry once it is complete: with Envoy's line, and with a settlement
// unless the process that would write it is dead.
func (l *Ledger) judge(e *entry) {
	switch {
	case e.state == isReady: // its row still waits for the store
		e.row = newRow(e.intent, e.settlement, e.line)
		l.report(e)
	case e.line != nil && (e.settlement != nil || e.orphan):
		l.finish(e)
	}
}

// await looks at an entry again after a while.
func (l *Ledger) await(e *entry, now time.Time, d time.Duration) {
	l.waiting = append(l.waiting, wait{e, now, d})
}

// expire makes rows of entries that have waited long enough, and drops those that were kept open.
func (l *Ledger) expire(now time.Time) {
	still := l.waiting[:0]
	for _, w := range l.waiting {
		switch {
		case w.of.state == isDone:
		case now.Sub(w.since) < w.until:
			still = append(still, w)
		case w.of.state == isOpen:
			l.finish(w.of)
		case w.of.state == isWritten:
			l.done(w.of)
		case w.of.state == isReady:
			still = append(still, w)
		}
	}
	clear(l.waiting[len(still):])
	l.waiting = still
}

// finish makes a row of what is known so far.
func (l *Ledger) finish(e *entry) {
	e.row = newRow(e.intent, e.settlement, e.line)
	e.state = isReady
	l.ready = append(l.ready, e)
	l.report(e)
	l.backends.note(&e.row, time.Now())
	l.tell(e)
}

// tell tells of a finished request. One that an earlier process has settled was told of by that.
func (l *Ledger) tell(e *entry) {
	if l.c.Finished == nil || e.told || e.inherited && !e.orphan {
		return
	}
	e.told = true
	l.c.Finished(&e.row)
}

func (l *Ledger) done(e *entry) {
	e.state = isDone
	l.free(e)
	delete(l.open, e.intent.ID)
	l.release(e)
}
