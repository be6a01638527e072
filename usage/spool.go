package usage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// SpoolConfig is what a Spool needs.
type SpoolConfig struct {
	Dir      string        // private; made if there is none
	MaxBytes int64         // of all segments; at the bound new requests are refused
	MaxAge   time.Duration // of what the tables did not take; at the bound new requests are refused
	// Sync is how often what was written is made to survive a power cut: 0 leaves it to
	// the system. A process that dies loses nothing either way.
	Sync time.Duration
	Log  *slog.Logger
}

// ErrSpoolFull says that a request cannot be recorded, so it must not go out.
var ErrSpoolFull = errors.New("the spool takes no more requests")

const (
	segmentSize = 8 << 20 // bytes from which on a segment is closed
	segmentLife = 5 * time.Second
	spareName   = "spare"
	lockName    = "lock"
)

// Spool is the log on disk of what the gateway knows: an intent for each request
// before it goes out, a settlement at its end. What is written once is there, whoever
// dies; it is forgotten when the tables have it.
//
// A spare segment is kept, with its room on disk taken: what has gone out can be settled
// also when the disk is full.
type Spool struct {
	c    SpoolConfig
	lock *os.File

	mu       sync.Mutex
	segments []*segment // by number; the last one is written to
	opened   time.Time  // the last one
	total    int64      // bytes of all
	spare    *os.File   // nil where the disk had no room for it
	buf      []byte
	dirty    bool
	behind   time.Time   // since when the tables have not taken what they were given; zero if they do
	broken   []uuid.UUID // of requests whose settlement could not be written
	stats    SpoolStats
}

// SpoolStats are figures for people and health checks.
type SpoolStats struct {
	Segments int
	Bytes    int64
	Refused  int64 // requests, because the spool was full
	Repaired int64 // bytes that were torn or damaged when they were read again
	Lost     int64 // settlements that could not be written
}

// OpenSpool locks the spool, and takes over and repairs what an earlier process left.
func OpenSpool(c SpoolConfig) (*Spool, error) {
	if err := os.Mkdir(c.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the spool: %w", err)
	}
	lock, err := lockSpool(filepath.Join(c.Dir, lockName))
	if err != nil {
		return nil, err
	}
	s := &Spool{c: c, lock: lock}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the spool %q: %w", c.Dir, err), s.Close())
	}
	return s, nil
}

// lockSpool keeps a second process out of the spool: the lock ends with the process.
func lockSpool(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process uses the spool %q: %w", filepath.Dir(path), err)
	}
	return f, nil
}

// begin adopts what is there and marks the start of this process.
func (s *Spool) begin() error {
	entries, err := os.ReadDir(s.c.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries { // sorted by name, so by number
		if number := segmentNumber(entry.Name()); number > 0 {
			if err := s.adopt(number); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roll(); err != nil {
		return err
	}
	return s.append(processStart, func(b []byte) []byte { return b })
}

func (s *Spool) adopt(number int64) error {
	segment, repaired, err := adopt(s.c.Dir, number)
	if err != nil {
		return err
	}
	if repaired > 0 {
		s.stats.Repaired += repaired
		s.c.Log.Warn("the end of a spool segment was torn and is cut off", "segment", number, "bytes", repaired)
	}
	s.segments = append(s.segments, segment)
	s.total += segment.size
	return nil
}

// Begin records a request that is about to go out. After an error it must not.
func (s *Spool) Begin(i *gateway.Intent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.room()
	if err == nil {
		err = s.append(intentMade, func(b []byte) []byte { return appendIntent(b, i) })
	}
	if err != nil {
		s.stats.Refused++
		return fmt.Errorf("%w: %w", ErrSpoolFull, err)
	}
	return nil
}

var (
	errBytes = errors.New("it holds as many bytes as it may, as the tables do not take them")
	errAge   = errors.New("the tables have not taken anything for too long")
)

// room reports why another request cannot be recorded, if so.
func (s *Spool) room() error {
	switch {
	case s.total >= s.c.MaxBytes:
		return errBytes
	case !s.behind.IsZero() && time.Since(s.behind) > s.c.MaxAge:
		return errAge
	}
	return s.prepare()
}

// Settle records how a request ended. It never refuses; what cannot be written is
// counted, and Envoy's journal has to tell the end.
func (s *Spool) Settle(t *gateway.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare == nil { // no room for texts: the figures matter more
		t.Prompt, t.Answer.Text = "", ""
	}
	if err := s.append(settled, func(b []byte) []byte { return appendSettlement(b, t) }); err != nil {
		s.stats.Lost++
		s.broken = append(s.broken, t.ID)
		s.c.Log.Error("a settlement could not be written; the journal has to tell", "error", err)
	}
}

// append writes one record with one write.
func (s *Spool) append(kind recordKind, payload func([]byte) []byte) error {
	s.buf = closeFrame(payload(openFrame(s.buf[:0], kind)))
	last := s.segments[len(s.segments)-1]
	if last.size > 0 && (last.size+int64(len(s.buf)) > segmentSize || time.Since(s.opened) > segmentLife) {
		if err := s.roll(); err != nil {
			return err
		}
		last = s.segments[len(s.segments)-1]
	}
	// At an offset of ours, so that the next record takes the place of a torn one.
	if _, err := last.file.WriteAt(s.buf, last.size); err != nil {
		return err
	}
	last.size += int64(len(s.buf))
	s.total += int64(len(s.buf))
	s.dirty = true
	if cap(s.buf) > keptBuffer {
		s.buf = nil
	}
	return nil
}

// keptBuffer is the largest buffer that is kept for the next record.
const keptBuffer = 64 << 10

// roll makes the spare the segment that is written to.
func (s *Spool) roll() error {
	number, err := int64(1), s.prepare()
	if n := len(s.segments); n > 0 {
		if err != nil && s.segments[n-1].size < 2*segmentSize {
			return nil // go on in the old one, as far as the disk allows
		}
		number = s.segments[n-1].number + 1
	}
	if err != nil {
		return err
	}
	if err := os.Rename(s.spare.Name(), segmentPath(s.c.Dir, number)); err != nil {
		return err
	}
	if n := len(s.segments); n > 0 {
		if err := s.segments[n-1].giveBack(); err != nil {
			s.c.Log.Warn("a spool segment takes more of the disk than it needs", "error", err)
		}
	}
	s.segments = append(s.segments, &segment{number: number, file: s.spare})
	s.spare, s.opened = nil, time.Now()
	_ = s.prepare() // what is wrong is told to the next request
	return nil
}

// prepare makes a spare segment with its room on disk taken, if there is none.
func (s *Spool) prepare() error {
	if s.spare != nil {
		return nil
	}
	path := filepath.Join(s.c.Dir, spareName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return noRoom(err)
	}
	if err := reserve(f, segmentSize); err != nil {
		f.Close()
		os.Remove(path)
		return noRoom(fmt.Errorf("reserving %d MiB for %q: %w", segmentSize>>20, path, err))
	}
	s.spare = f
	return nil
}

// noRoom says why a spare segment cannot be made, and what helps.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the disk is full, or its quota is used up: make room there: %w", err)
	}
	return fmt.Errorf("its folder takes no new file, look at who may write there and how many files may be open: %w", err)
}

// Run makes what is written survive a power cut, until ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	if s.c.Sync == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.c.Sync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.sync()
		case <-tick.C:
			if err := s.sync(); err != nil {
				s.c.Log.Error("the spool could not be made to survive a power cut", "error", err)
			}
		}
	}
}

// sync flushes the segments that were written to since the last time; nobody waits for it.
func (s *Spool) sync() error {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = false
	last := s.segments[max(0, len(s.segments)-2):]
	files := make([]*os.File, 0, 2)
	for _, segment := range last {
		files = append(files, segment.file)
	}
	s.mu.Unlock()
	if !dirty {
		return nil
	}
	var errs []error
	for _, f := range files {
		if err := flush(f); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Stats returns figures of this moment.
func (s *Spool) Stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Segments, stats.Bytes = len(s.segments), s.total
	return stats
}

// Close lets go of the spool. What is in it stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, segment := range s.segments {
		errs = append(errs, segment.file.Close())
	}
	if s.spare != nil {
		errs = append(errs, s.spare.Close(), os.Remove(s.spare.Name()))
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// place is where a reader of the spool is.
type place struct {
	segment int64
	cursor
}

// read returns the records that follow a place, whose payloads hold until the next call,
// and the segment that they are in. It moves the place on, and returns nothing at the end.
func (s *Spool) read(at *place) (records []record, segment int64, err error) {
	for {
		now, next := s.segmentAt(at.segment)
		at.segment = now.number
		records, damaged, err := at.read(now.file, now.size)
		s.damaged(damaged)
		switch {
		case err == nil && len(records) > 0:
			return records, at.segment, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, 0, fmt.Errorf("reading the spool: %w", err)
		case err == nil:
			continue
		case next == 0:
			return nil, 0, nil
		}
		*at = place{next, cursor{buffer: at.buffer}}
	}
}

// segmentAt returns a copy of a segment, or of the first one after it, and the number of
// the next one, 0 if it is the last.
func (s *Spool) segmentAt(number int64) (now segment, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments, func(s *segment) bool { return s.number >= number })
	if i < 0 {
		i = len(s.segments) - 1
	}
	if i+1 < len(s.segments) {
		next = s.segments[i+1].number
	}
	return *s.segments[i], next
}

func (s *Spool) damaged(bytes int) {
	if bytes == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Repaired += int64(bytes)
}

// unsettled returns, once each, the requests whose settlement could not be written.
func (s *Spool) unsettled() []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.broken
	s.broken = nil
	return ids
}

// forget removes a segment. The one that is written to stays.
func (s *Spool) forget(number int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments[:len(s.segments)-1], func(s *segment) bool { return s.number == number })
	if i < 0 {
		return nil
	}
	if err := os.Remove(segmentPath(s.c.Dir, number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	gone := s.segments[i]
	s.segments = slices.Delete(s.segments, i, i+1)
	s.total -= gone.size
	return gone.file.Close()
}

// keep writes an intent again, so that the segment which it was in can be forgotten.
func (s *Spool) keep(i *gateway.Intent, orphan bool) error {
	kind := intentMade
	if orphan {
		kind = orphanKept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.append(kind, func(b []byte) []byte { return appendIntent(b, i) })
}

// progress notes whether the tables take what they are given.
func (s *Spool) progress(taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case taken:
		s.behind = time.Time{}
	case s.behind.IsZero():
		s.behind = time.Now()
	}
}
