// Package ledger makes one row of each request. It always reads the logs of both witnesses,
// the gateway's write-ahead log and Envoy's access log, whether their writers live or were
// killed: there is no other path for the normal case. The rows go to a store, of which it
// only knows an interface.
package ledger

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
	"ai-gateway/usage/accesslog"
	"ai-gateway/usage/wal"
)

// Store takes the rows. Its methods fail while it is unavailable. A writer is known by the
// identity of its write-ahead log.
type Store interface {
	// Write writes rows and the position up to which they contain the writer's access log, in
	// one transaction. It leaves out rows that it can never take, and returns them.
	Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) ([]gateway.RefusedRow, error)
	Position(ctx context.Context, writer uuid.UUID) (gateway.LogPosition, error)
	Maintain(ctx context.Context, now time.Time, keep gateway.Retention) error
}

// Config is what a Ledger needs.
type Config struct {
	Store     Store
	WAL       *wal.Log
	AccessLog string // path; the file need not exist yet
	// MaxBytes is the greatest size of the write-ahead log, and MaxAge the longest time without
	// a row in the store. Beyond either, new requests are refused.
	MaxBytes int64
	MaxAge   time.Duration
	// Grace is how long a settlement waits for Envoy's line before its row is written without
	// it. Envoy buffers its log, so its line comes later.
	Grace time.Duration
	// OrphanGrace is how long a request of a killed process waits for Envoy's line before it is
	// closed with an estimate. Envoy may still carry it: a later line replaces the estimate.
	OrphanGrace time.Duration
	Rotation    accesslog.Rotation       // zero lets the access log grow
	Keep        func() gateway.Retention // no func keeps all
	Used        func(Used)               // is called with what requests have used, according to their rows; may be nil
	// Unreached is told, once in ten minutes, of a backend whose calls all fail without an answer. It must not wait.
	Unreached func(backend string)
	// Finished is told of each request once, when its first row was made. It must not wait, nor keep
	// the row. nil tells nobody.
	Finished func(*gateway.Row)
	Log      *slog.Logger
}

const (
	// maxHeld is how many bytes of settled requests wait in memory for the store to take their rows.
	// With more, the others stay in the write-ahead log, which after an outage holds many more.
	maxHeld      = 64 << 20
	maxBatch     = 1000 // rows of one transaction
	round        = 250 * time.Millisecond
	writeTimeout = 10 * time.Second
	drainTimeout = 2 * time.Second
	retryAfter   = time.Second // when the store cannot be written
	// lineGrace is how long Envoy's line waits for the settlement of a living process, which
	// does not come if its record is damaged.
	lineGrace = time.Minute
	// A request whose row was written with one witness missing is remembered in case that one
	// still reports: late because of a hanging disk, or at the end of a stream that Envoy
	// carries on for a process that died or lost its connection.
	keepSettled = time.Minute
	keepOrphan  = 24 * time.Hour
	// keepAfter is the age of a closed segment at which its open intents are written again, so
	// that it can be removed.
	keepAfter   = time.Minute
	rotateEvery = time.Second
	openTimeout = time.Minute // for the store to open
)

// Ledger makes the rows.
type Ledger struct {
	c Config

	reader *wal.Reader
	tail   *accesslog.Tail
	at     gateway.LogPosition // after the last line that is not needed again
	kept   gateway.LogPosition // up to which the store has the access log

	open     map[uuid.UUID]*entry
	early    map[uuid.UUID]earlySettlement
	caughtUp bool             // the write-ahead log was read to its end once
	waiting  []wait           // in the order in which they began to wait
	buffered []accesslog.Line // read before the write-ahead log's records of their requests
	lines    []pendingLine
	ready    []*entry
	held     int64              // bytes of settled requests whose rows the store has not taken
	atEnd    bool               // of the write-ahead log, at the last look
	lastRead time.Time          // when the request began whose intent was read last
	broken   []uuid.UUID        // requests whose settlement could not be written
	segments map[int64]*closing // of the write-ahead log
	backends *watch

	started     bool
	notBefore   time.Time
	looked      time.Time // at the access log's size
	maintenance time.Time // when the store is maintained next

	refusedAt atomic.Int64 // when a request was last refused, in Unix nanoseconds; 0 if requests pass again

	mu       sync.Mutex
	stats    gateway.LedgerStats
	ownOnly  bool          // all requests of earlier processes have rows
	behind   time.Time     // since when the store does not take rows; zero if it does
	troubles [tasks]string // why each task fails; "" if it does not
}

// pendingLine is a line of the access log.
type pendingLine struct {
	of  *entry // nil for a line without a request
	end gateway.LogPosition
}

// New makes a ledger.
func New(c Config) *Ledger {
	return &Ledger{c: c, reader: c.WAL.NewReader(), tail: accesslog.New(c.AccessLog),
		open: map[uuid.UUID]*entry{}, early: map[uuid.UUID]earlySettlement{}, segments: map[int64]*closing{}, backends: newWatch(c.Log, c.Unreached)}
}

// Run makes rows until ctx ends, and then writes what it has.
func (l *Ledger) Run(ctx context.Context) error {
	defer func() { _ = l.tail.Close() }() // it was only read
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

// start opens the access log where the store has it. Nothing is read before that.
func (l *Ledger) start(ctx context.Context) error {
	at, err := l.c.Store.Position(ctx, l.c.WAL.ID())
	if err == nil {
		err = l.tail.Open(at)
	}
	if err != nil {
		return err
	}
	l.at, l.kept, l.started = at, at, true
	return nil
}

// drain writes the rows that can be made. Envoy ends before us and then flushes its last
// lines; rows that still lack one are written without it. Requests whose end nobody saw stay
// in the write-ahead log.
func (l *Ledger) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	l.notBefore = time.Time{}
	l.turn(ctx)
	if !l.started {
		return errors.New("the store could not be opened: the write-ahead log keeps what is not in it: " + l.troubles[writing])
	}
	for _, e := range l.open {
		if e.state == isOpen && e.settlement != nil {
			l.finish(e)
		}
	}
	l.write(ctx)
	l.tidy(time.Now())
	if len(l.ready) > 0 {
		return errors.New("usage of some requests is not in the store yet: the write-ahead log keeps it for the next start: " + l.troubles[writing])
	}
	return nil
}

// turn reads everything that is new and writes the rows that are ready.
func (l *Ledger) turn(ctx context.Context) {
	if !l.started && !l.begun(ctx) {
		return
	}
	for more := true; more; {
		more = l.readOn()
	}
	l.expire(time.Now())
	l.write(ctx)
	l.tidy(time.Now())
	l.rotate(ctx, time.Now())
	l.maintain(ctx, time.Now())
	l.readmit()
	l.note(time.Now())
}

// begun starts the ledger unless it has started, and reports whether it has.
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

// taken notes that the store takes rows.
func (l *Ledger) taken() {
	l.progress(true)
	l.reportTask(writing, nil)
}

// refused notes that the store took nothing.
func (l *Ledger) refused(err error) {
	l.progress(false)
	l.reportTask(writing, err)
	l.notBefore = time.Now().Add(retryAfter)
}

// write writes the rows that are ready, and the position in the access log, which only moves
// over lines that have become rows.
func (l *Ledger) write(ctx context.Context) {
	if time.Now().Before(l.notBefore) {
		return
	}
	l.advance()
	for len(l.ready) > 0 || l.at != l.kept {
		n := min(len(l.ready), maxBatch)
		at := l.kept
		if n == len(l.ready) {
			at = l.at // the position is after the last row
		}
		unwritable, err := l.writeBatch(ctx, l.ready[:n], at)
		if err != nil {
			l.refused(err)
			return
		}
		l.wrote(n-len(unwritable), n, at)
		l.lost(unwritable)
	}
}

func (l *Ledger) writeBatch(ctx context.Context, batch []*entry, at gateway.LogPosition) ([]gateway.RefusedRow, error) {
	rows := make([]*gateway.Row, len(batch))
	for i, e := range batch {
		rows[i] = &e.row
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return l.c.Store.Write(ctx, rows, l.c.WAL.ID(), at)
}

// wrote notes that the store has the first n rows, or will never take them.
func (l *Ledger) wrote(written, n int, at gateway.LogPosition) {
	now, unpriced := time.Now(), 0
	for _, e := range l.ready[:n] {
		if e.row.Cost.Amount == nil {
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
	l.written(written, unpriced)
}

// keepOpen remembers an entry whose row is written while a witness may still report.
func (l *Ledger) keepOpen(e *entry, now time.Time) {
	e.state, e.row = isWritten, gateway.Row{}
	l.free(e)
	if e.settlement != nil { // its texts are in the store
		e.settlement.Prompt, e.settlement.Answer.Text = "", ""
	}
	switch {
	case e.line != nil && (e.settlement != nil || e.orphan):
		l.done(e)
	case e.line != nil:
		l.await(e, now, keepSettled)
	case e.settlement != nil && !e.goesOn():
		l.release(e) // the row has everything that the gateway knows
		l.await(e, now, keepSettled)
	default:
		l.await(e, now, keepOrphan-min(max(now.Sub(e.intent.StartedAt), 0), keepOrphan))
	}
}

// advance moves the position over lines whose rows are in the store or about to be.
func (l *Ledger) advance() {
	for len(l.lines) > 0 {
		first := l.lines[0]
		if first.of != nil && first.of.state == isOpen {
			return
		}
		l.at = first.end
		l.lines = l.lines[1:]
	}
}

// rotate checks the access log's size once a second.
func (l *Ledger) rotate(ctx context.Context, now time.Time) {
	if l.c.Rotation.At == 0 || now.Sub(l.looked) < rotateEvery {
		return
	}
	l.looked = now
	l.reportTask(rotating, l.tail.Rotate(ctx, l.c.Rotation, l.kept))
}
