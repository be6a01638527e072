package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// LedgerConfig is what a Ledger needs.
type LedgerConfig struct {
	Store   func(context.Context) (*Store, error) // may fail for a while
	Spool   *Spool
	Journal string // path of Envoy's access log; it need not exist yet
	// Grace is how long the gateway's word waits for Envoy's before its row is written
	// without it. Envoy's comes later by as much as its log is buffered.
	Grace time.Duration
	// OrphanGrace is how long a request that a killed process left waits for Envoy's word
	// before it is closed with an estimate. Envoy may still carry it: a later word
	// replaces the estimate.
	OrphanGrace time.Duration
	Rotation    Rotation             // zero lets the journal grow
	Keep        func() time.Duration // age at which prompts are removed; 0 keeps them, as does no func
	Log         *slog.Logger
}

const (
	maxReady     = 20_000 // rows that wait for the tables; with more, no more is read
	maxBatch     = 1000   // rows of one transaction
	round        = 250 * time.Millisecond
	writeTimeout = 10 * time.Second
	drainTimeout = 2 * time.Second
	retryAfter   = time.Second // when the tables cannot be written
	// lineGrace is how long Envoy's word waits for that of a gateway that lives on. It
	// does not come if its record is damaged.
	lineGrace = time.Minute
	// A request whose row was written without a witness's word is remembered in case that
	// still comes: late by a hanging disk, or at the end of a stream that Envoy carries on
	// for a process that died or that it lost touch with.
	keepSettled = time.Minute
	keepOrphan  = 24 * time.Hour
	// keepAfter is the age of a closed segment at which the intents in it that are still
	// open are written again, so that it can be forgotten.
	keepAfter = time.Minute
)

// Ledger makes the rows. It reads what both witnesses of a request wrote, the gateway's
// spool and Envoy's journal, as logs, whether their writers live or were killed: there is
// no other way for good days.
type Ledger struct {
	c LedgerConfig

	spool   place
	journal journal
	at      position // in the journal, behind the last line that needs no second look
	kept    position // what the tables have of it

	open     map[uuid.UUID]*entry
	waiting  []wait   // in the order in which they began to wait
	unheard  []lineAt // of the journal, while the spool cannot be read
	lines    []heard
	ready    []*entry
	broken   []uuid.UUID        // whose settlement could not be written
	segments map[int64]*closing // what keeps the segments of the spool

	started   bool
	notBefore time.Time
	looked    time.Time // at the journal's size
	removal   time.Time // when old prompts are removed next

	mu       sync.Mutex
	stats    Stats
	troubles [tasks]string // why each fails now; "" if it does not
}

// heard is a line of the journal.
type heard struct {
	of *entry // nil for a line that means nothing
	at position
}

// closing is what keeps a segment of the spool.
type closing struct {
	records int // that belong to entries which are not done
	since   time.Time
}

// NewLedger makes a ledger.
func NewLedger(c LedgerConfig) *Ledger {
	return &Ledger{c: c, open: map[uuid.UUID]*entry{}, segments: map[int64]*closing{}, journal: journal{path: c.Journal}}
}

// Run makes rows until ctx ends, and then writes what it has.
func (l *Ledger) Run(ctx context.Context) error {
	defer func() { _ = l.journal.close() }() // it was only read
	tick := time.NewTicker(round)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.drain(context.WithoutCancel(ctx))
		case <-tick.C:
			l.turn(ctx)
		}
	}
}

// start goes to where the tables have the journal. Until then nothing is read.
func (l *Ledger) start(ctx context.Context) error {
	store, err := l.c.Store(ctx)
	if err != nil {
		return err
	}
	at, err := store.position(ctx)
	if err == nil {
		err = l.journal.open(at)
	}
	if err != nil {
		return err
	}
	l.at, l.kept, l.started = at, at, true
	return nil
}

// drain writes what is there. Envoy flushes its last lines when it ends, which is before
// us; what still misses its word goes without. Requests of which nobody saw the end stay
// in the spool.
func (l *Ledger) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	l.notBefore = time.Time{}
	l.turn(ctx)
	if !l.started {
		return errors.New("the usage tables could not be opened: the spool keeps what is not in them: " + l.troubles[writing])
	}
	for _, e := range l.open {
		if e.state == isOpen && e.settlement != nil {
			l.finish(e)
		}
	}
	l.write(ctx)
	l.tidy(time.Now())
	if len(l.ready) > 0 {
		return errors.New("usage of some requests is not in the tables yet: the spool keeps it for the next start: " + l.troubles[writing])
	}
	return nil
}

// turn takes in all that is there and writes what is ready.
func (l *Ledger) turn(ctx context.Context) {
	if !l.started && !l.begun(ctx) {
		return
	}
	for more := true; more && len(l.ready) < maxReady; {
		more = l.readOn()
	}
	l.expire(time.Now())
	l.write(ctx)
	l.tidy(time.Now())
	l.rotate(ctx, time.Now())
	l.removeOld(ctx, time.Now())
	l.note(time.Now())
}

// begun starts, if that is due, and reports whether it could.
func (l *Ledger) begun(ctx context.Context) bool {
	if time.Now().Before(l.notBefore) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := l.start(ctx); err != nil {
		l.refused(err)
		return false
	}
	l.taken()
	return true
}

// taken notes that the tables take what they are given.
func (l *Ledger) taken() {
	l.c.Spool.progress(true)
	l.went(writing, nil)
}

// refused notes that the tables took nothing.
func (l *Ledger) refused(err error) {
	l.c.Spool.progress(false)
	l.went(writing, err)
	l.notBefore = time.Now().Add(retryAfter)
}

// readOn takes in a piece of the journal. All of the spool comes before it is looked at:
// an intent is written before its request goes out, so before Envoy can speak of it.
func (l *Ledger) readOn() (more bool) {
	var err error
	if len(l.unheard) == 0 {
		l.unheard, more, err = l.journal.next()
	}
	if err == nil {
		err = l.readSpool()
	}
	l.went(reading, err)
	if err != nil {
		return false
	}
	l.abandon()
	for _, line := range l.unheard {
		l.readLine(line)
	}
	l.unheard = nil
	return more
}

// abandon makes orphans of requests whose settlement could not be written.
func (l *Ledger) abandon() {
	l.broken = append(l.broken, l.c.Spool.unsettled()...)
	l.broken = slices.DeleteFunc(l.broken, func(id uuid.UUID) bool {
		e := l.open[id]
		if e != nil {
			l.orphaned(e, time.Now())
		}
		return e != nil
	})
}

func (l *Ledger) readSpool() error {
	for {
		records, segment, err := l.c.Spool.read(&l.spool)
		if err != nil || records == nil {
			return err
		}
		for _, r := range records {
			if err := l.take(r, segment); err != nil {
				l.unread(err)
			}
		}
	}
}

// take takes in a record of the spool.
func (l *Ledger) take(r record, segment int64) error {
	if l.segments[segment] == nil {
		l.segments[segment] = &closing{since: time.Now()}
	}
	switch r.kind {
	case processStart:
		l.begin(time.Now())
	case intentMade, orphanKept:
		i, err := readIntent(r.payload)
		if err != nil {
			return err
		}
		l.planned(i, r.kind == orphanKept, segment)
	case settled:
		s, err := readSettlement(r.payload)
		if err != nil {
			return err
		}
		l.settled(s, segment)
	}
	return nil
}

// readLine takes Envoy's word. Without an intent, the row was written before.
func (l *Ledger) readLine(at lineAt) {
	line, err := parseLine(at.bytes)
	if err != nil {
		l.unread(err)
	}
	e := l.open[line.ID]
	l.lines = append(l.lines, heard{e, position{l.journal.inode, at.end}})
	if err != nil || e == nil || e.line != nil {
		return
	}
	e.line = &line
	if e.settlement == nil && !e.orphan {
		l.await(e, time.Now(), lineGrace)
	}
	l.judge(e)
}

// write writes the rows that are ready, and the journal's position, which moves over
// lines that have become rows only.
func (l *Ledger) write(ctx context.Context) {
	if time.Now().Before(l.notBefore) {
		return
	}
	l.advance()
	for len(l.ready) > 0 || l.at != l.kept {
		n := min(len(l.ready), maxBatch)
		at := l.kept
		if n == len(l.ready) {
			at = l.at // the position is behind the last row
		}
		if err := l.writeBatch(ctx, l.ready[:n], at); err != nil {
			l.refused(err)
			return
		}
		l.wrote(n, at)
	}
}

func (l *Ledger) writeBatch(ctx context.Context, batch []*entry, at position) error {
	rows := make([]*row, len(batch))
	for i, e := range batch {
		rows[i] = &e.row
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	store, err := l.c.Store(ctx)
	if err != nil {
		return err
	}
	return store.write(ctx, rows, at)
}

func (l *Ledger) wrote(n int, at position) {
	now, unpriced := time.Now(), 0
	for _, e := range l.ready[:n] {
		if e.row.CostNanoUSD == nil {
			unpriced++
		}
		l.keepOpen(e, now)
	}
	clear(l.ready[:n])
	if l.ready = l.ready[n:]; len(l.ready) == 0 {
		l.ready = nil
	}
	l.kept = at
	l.taken()
	l.written(n, unpriced)
}

// keepOpen remembers an entry whose row is written as long as more may come of it.
func (l *Ledger) keepOpen(e *entry, now time.Time) {
	e.state, e.row = isWritten, row{}
	if e.settlement != nil { // its texts are in the tables
		e.settlement.Prompt, e.settlement.Answer.Text = "", ""
	}
	switch {
	case e.line != nil && (e.settlement != nil || e.orphan):
		l.done(e)
	case e.line != nil:
		l.await(e, now, keepSettled)
	case e.settlement != nil && !e.goesOn():
		l.release(e) // the row has all that the gateway knows
		l.await(e, now, keepSettled)
	default:
		l.await(e, now, keepOrphan-min(max(now.Sub(e.intent.StartedAt), 0), keepOrphan))
	}
}

// advance moves the position over the lines whose rows are in the tables or about to be.
func (l *Ledger) advance() {
	for len(l.lines) > 0 {
		first := l.lines[0]
		if first.of != nil && first.of.state == isOpen {
			return
		}
		l.at = first.at
		l.lines = l.lines[1:]
	}
}

// tidy forgets the segments of the spool that nothing needs.
func (l *Ledger) tidy(now time.Time) {
	var first error
	for number, segment := range l.segments {
		if number >= l.spool.segment {
			continue // it is being read
		}
		if err := l.tidySegment(number, segment, now); first == nil {
			first = err
		}
	}
	l.went(tidying, first)
}

// tidySegment forgets a segment, or writes what an old one is needed for again.
func (l *Ledger) tidySegment(number int64, segment *closing, now time.Time) error {
	switch {
	case segment.records == 0:
		if err := l.c.Spool.forget(number); err != nil {
			return err
		}
		delete(l.segments, number)
	case now.Sub(segment.since) > keepAfter:
		if err := l.keep(number); err != nil {
			return err
		}
		segment.since = now
	}
	return nil
}

// keep writes the intents again that hold a segment. Settled ones whose row is not written are
// about to be done.
func (l *Ledger) keep(segment int64) error {
	for _, e := range l.open {
		if e.settlement != nil && e.state != isWritten || len(e.segments) == 0 || e.segments[0] != segment {
			continue
		}
		if err := l.c.Spool.keep(e.intent, e.orphan); err != nil {
			return fmt.Errorf("keeping what is still open: %w", err)
		}
		if e.settlement != nil {
			l.c.Spool.Settle(e.settlement)
		}
		l.release(e) // it is held again when the spool is read on
	}
	return nil
}
