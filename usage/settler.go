package usage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// SettlerConfig is what a Settler needs.
type SettlerConfig struct {
	Store   *Store
	Journal string // path of Envoy's access log; it need not exist yet
	Price   func(m gateway.Model, started time.Time) (gateway.Price, bool)
	// Grace is how long the one witness of a request waits for the other before
	// its row is written without it.
	Grace time.Duration
	Log   *slog.Logger
}

const (
	maxQueued    = 10_000  // settlements not looked at yet
	maxWaiting   = 100_000 // requests of which one witness has spoken
	maxBatch     = 500     // rows of one transaction
	round        = 100 * time.Millisecond
	writeTimeout = 10 * time.Second
	drainTimeout = 2 * time.Second
	retryAfter   = time.Second // when the tables cannot be written
)

// Settler makes the rows. It hears both witnesses of every request, the
// gateway's exchange and Envoy's journal, and writes what they say as one row.
type Settler struct {
	c     SettlerConfig
	queue chan gateway.Settlement

	waiting map[uuid.UUID]*pair
	order   []*pair // those that wait, oldest first; settled ones are skipped
	lines   []heard // lines of the journal that are not in the tables yet, in its order
	ready   []row
	journal journal
	at      position // behind the last line that needs no second look
	kept    position // what the tables have of it

	failing   bool // the last write failed
	notBefore time.Time

	mu    sync.Mutex
	stats Stats
	lost  atomic.Int64
}

// pair is what is known of a request that has no row yet.
type pair struct {
	settlement *gateway.Settlement
	line       *gateway.JournalLine
	since      time.Time
	done       bool // its row is ready
}

// heard is a line of the journal.
type heard struct {
	of  *pair
	end int64 // offset behind it
}

// Stats are figures for people and health checks.
type Stats struct {
	Queued    int    // settlements not looked at yet
	Waiting   int    // requests of which one witness has spoken
	Unwritten int    // rows that are not in the tables yet
	Written   int64  // rows since the start
	Overflown int64  // settlements dropped from a full queue; the journal has them
	Unread    int64  // lines of the journal that made no sense
	LastError string // of writing or of reading the journal; "" when all is well
}

// NewSettler makes a settler.
func NewSettler(c SettlerConfig) *Settler {
	return &Settler{c: c, queue: make(chan gateway.Settlement, maxQueued), waiting: map[uuid.UUID]*pair{}, journal: journal{path: c.Journal}}
}

// Settle hands over what the gateway saw of a request. It never blocks. When the
// queue is full the settlement is dropped and counted: the journal has the
// request, so it gets its row, with an estimate of its usage.
func (s *Settler) Settle(settlement gateway.Settlement) {
	select {
	case s.queue <- settlement:
	default:
		s.lost.Add(1)
	}
}

// Stats returns figures of a moment ago.
func (s *Settler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Queued, stats.Overflown = len(s.queue), s.lost.Load()
	return stats
}

// Run makes rows until ctx ends and then writes what it has.
func (s *Settler) Run(ctx context.Context) error {
	at, err := s.c.Store.position(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	s.at, s.kept = at, at
	if err := s.journal.open(at); err != nil {
		return err
	}
	if s.journal.file != nil {
		s.at = position{s.journal.inode, s.journal.offset}
	}
	defer func() { _ = s.journal.close() }() // it was only read
	tick := time.NewTicker(round)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.drain(context.WithoutCancel(ctx))
		case <-tick.C:
			s.turn(ctx, s.c.Grace)
		}
	}
}

// drain writes what is there. Envoy flushes its last lines when it ends, which is
// before us; what still misses its partner goes without.
func (s *Settler) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	s.notBefore = time.Time{}
	s.turn(ctx, 0)
	if n := len(s.ready); n > 0 {
		return errors.New("usage of some requests is not in the tables yet: the journal keeps it for the next start: " + s.Stats().LastError)
	}
	return nil
}

// turn takes in all that is there and writes what is ready.
func (s *Settler) turn(ctx context.Context, grace time.Duration) {
	for n := len(s.queue); n > 0 && s.room(); n-- {
		s.hear(<-s.queue)
	}
	for s.room() && s.readJournal() {
	}
	s.expire(grace)
	s.write(ctx)
	s.note()
}

// room reports whether more rows can wait for the tables.
func (s *Settler) room() bool { return len(s.ready) < maxWaiting }

// hear takes the gateway's word.
func (s *Settler) hear(settlement gateway.Settlement) {
	p := s.pair(settlement.ID)
	p.settlement = &settlement
	s.join(settlement.ID, p)
}

// readJournal takes Envoy's word; more says that there is more of it.
func (s *Settler) readJournal() (more bool) {
	lines, more, rotated, err := s.journal.next()
	if err != nil {
		s.fail(err)
		return false
	}
	for _, line := range lines {
		s.read(line)
	}
	if rotated {
		// Its lines must be rows before the next file's position is kept.
		s.expireLines()
		s.lines = nil
		s.at = position{}
	}
	return more
}

func (s *Settler) read(l lineAt) {
	line, err := parseLine(l.bytes)
	if err != nil {
		s.unread(err)
		s.lines = append(s.lines, heard{&pair{done: true}, l.end})
		return
	}
	p := s.pair(line.ID)
	p.line = &line
	s.lines = append(s.lines, heard{p, l.end})
	s.join(line.ID, p)
}

// pair returns what is known of a request, or room for it. When too many wait,
// the oldest goes on without its partner.
func (s *Settler) pair(id uuid.UUID) *pair {
	if p, ok := s.waiting[id]; ok {
		return p
	}
	for len(s.waiting) >= maxWaiting {
		s.finishFirst()
	}
	p := &pair{since: time.Now()}
	s.waiting[id] = p
	s.order = append(s.order, p)
	return p
}

func (s *Settler) join(id uuid.UUID, p *pair) {
	if p.settlement != nil && p.line != nil {
		s.finish(id, p)
	}
}

// finish makes a row of what is known.
func (s *Settler) finish(id uuid.UUID, p *pair) {
	s.ready = append(s.ready, newRow(p.settlement, p.line, s.c.Price))
	p.done, p.settlement, p.line = true, nil, nil
	delete(s.waiting, id)
}

func (p *pair) id() uuid.UUID {
	if p.line != nil {
		return p.line.ID
	}
	return p.settlement.ID
}

// expire makes rows of those that waited longer than grace.
func (s *Settler) expire(grace time.Duration) {
	for len(s.order) > 0 && (s.order[0].done || time.Since(s.order[0].since) >= grace) {
		s.finishFirst()
	}
}

// finishFirst makes a row of the one that waited longest, unless it has one.
func (s *Settler) finishFirst() {
	p := s.order[0]
	s.order = s.order[1:]
	if !p.done {
		s.finish(p.id(), p)
	}
}

// expireLines makes rows of all that Envoy spoke of.
func (s *Settler) expireLines() {
	for _, line := range s.lines {
		if !line.of.done {
			s.finish(line.of.id(), line.of)
		}
	}
}

// write writes the rows that are ready, and the journal's position, which moves
// over lines that have become rows only.
func (s *Settler) write(ctx context.Context) {
	if time.Now().Before(s.notBefore) {
		return
	}
	s.advance()
	for len(s.ready) > 0 || s.at != s.kept {
		n := min(len(s.ready), maxBatch)
		at := s.kept
		if n == len(s.ready) {
			at = s.at // the position is behind the last row
		}
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		err := s.c.Store.write(ctx, s.ready[:n], at)
		cancel()
		if err != nil {
			s.fail(err)
			s.notBefore = time.Now().Add(retryAfter)
			return
		}
		s.wrote(n, at)
	}
}

func (s *Settler) wrote(n int, at position) {
	s.ready = s.ready[n:]
	if len(s.ready) == 0 {
		s.ready = nil
	}
	s.kept = at
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Written += int64(n)
	s.stats.LastError = ""
	if s.failing {
		s.failing = false
		s.c.Log.Info("usage is written again")
	}
}

// advance moves the position over the lines whose rows are ready.
func (s *Settler) advance() {
	for len(s.lines) > 0 && s.lines[0].of.done {
		s.at = position{s.journal.inode, s.lines[0].end}
		s.lines = s.lines[1:]
	}
}

func (s *Settler) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.LastError = err.Error()
	if !s.failing {
		s.failing = true
		s.c.Log.Error("usage cannot be written; it is kept and tried again", "error", err)
	}
}

func (s *Settler) unread(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Unread++
	if s.stats.Unread == 1 {
		s.c.Log.Error("a line of the journal makes no sense and is left out; more of them are only counted", "error", err)
	}
}

func (s *Settler) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Waiting, s.stats.Unwritten = len(s.waiting), len(s.ready)
}
