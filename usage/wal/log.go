// Package wal is a write-ahead log on local disk. It keeps the records of requests: an
// intent for each one before it goes out, a settlement at its end. What was written once
// is there, whoever dies; a reader removes the segments that it needs no longer. What the
// records are for, and whether another request may go out, is for others to say.
package wal

import (
	"context"
	"errors"
	"fmt"
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

// Config is what a Log needs.
type Config struct {
	Dir string // private; made if there is none
	// Sync is how often what was written is made to survive a power cut: 0 leaves it to
	// the system. A process that dies loses nothing either way.
	Sync time.Duration
	Log  *slog.Logger
}

const (
	segmentSize = 8 << 20 // bytes from which on a segment is closed
	segmentLife = 5 * time.Second
	spareName   = "spare"
	lockName    = "lock"
)

// Log is the log of one gateway. A spare segment is kept, with its room on disk taken:
// requests that have gone out can be settled also when the disk is full.
type Log struct {
	c    Config
	id   uuid.UUID
	lock *os.File

	mu        sync.Mutex
	segments  []*segment // by number; the last one is written to
	opened    time.Time  // the last one
	total     int64      // bytes of all
	spare     *os.File   // nil where the disk had no room for it
	buf       []byte
	dirty     bool
	unsettled []uuid.UUID // requests whose settlement could not be written
	stats     gateway.WALStats
}

// Open locks the log, and takes over and repairs what an earlier process left.
func Open(c Config) (*Log, error) {
	if err := os.Mkdir(c.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the folder of the write-ahead log: %w", err)
	}
	lock, err := lockFile(filepath.Join(c.Dir, lockName))
	if err != nil {
		return nil, err
	}
	l := &Log{c: c, lock: lock}
	if l.id, err = identify(c.Dir, c.Log); err == nil {
		err = l.start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the write-ahead log %q: %w", c.Dir, err), l.Close())
	}
	return l, nil
}

// lockFile keeps a second process out of the log: the lock ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the write-ahead log: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process uses the write-ahead log %q: %w", filepath.Dir(path), err)
	}
	return f, nil
}

// ID is the log's identity. It stays the same as long as the log's folder does.
func (l *Log) ID() uuid.UUID { return l.id }

// start adopts what is there and marks the start of this process.
func (l *Log) start() error {
	entries, err := os.ReadDir(l.c.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries { // sorted by name, so by number
		if number := segmentNumber(entry.Name()); number > 0 {
			if err := l.adopt(number); err != nil {
				return err
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.roll(); err != nil {
		return err
	}
	return l.append(StartRecord, func(b []byte) []byte { return b })
}

func (l *Log) adopt(number int64) error {
	segment, repaired, err := adopt(l.c.Dir, number)
	if err != nil {
		return err
	}
	if repaired > 0 {
		l.stats.Repaired += repaired
		l.c.Log.Warn("the end of a log segment was torn and is cut off", "segment", number, "bytes", repaired)
	}
	l.segments = append(l.segments, segment)
	l.total += segment.size
	return nil
}

// AppendIntent records a request that is about to go out. After an error it must not.
func (l *Log) AppendIntent(i *gateway.Intent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.prepareSpare(); err != nil {
		return err
	}
	return l.append(IntentRecord, func(b []byte) []byte { return appendIntent(b, i) })
}

// Room returns an error if an intent could not be appended now.
func (l *Log) Room() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prepareSpare()
}

// AppendSettlement records how a request ended. It never refuses; what cannot be written
// is counted and told by Unsettled.
func (l *Log) AppendSettlement(t *gateway.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil { // the disk is nearly full: the figures matter more than texts
		t.Prompt, t.Answer.Text = "", ""
	}
	write := func() error {
		return l.append(SettlementRecord, func(b []byte) []byte { return appendSettlement(b, t) })
	}
	err := write()
	if errors.Is(err, errLong) {
		t.Prompt, t.Answer.Text = "", ""
		err = write()
	}
	if err != nil {
		l.stats.Lost++
		l.unsettled = append(l.unsettled, t.ID)
		l.c.Log.Error("a settlement could not be written; the access log has to tell", "error", err)
	}
}

// Unfinished is what is known of a request that still needs its records.
type Unfinished struct {
	Intent     *gateway.Intent
	Settlement *gateway.Settlement // nil if there is none yet
	Orphan     bool                // the process that planned it died before it could settle it
}

// Carry writes the records of a request again at the end of the log, so that the segments
// which they were in can be removed. It is the only way in which a reader writes.
func (l *Log) Carry(u Unfinished) error {
	kind := IntentRecord
	if u.Orphan {
		kind = OrphanRecord
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.append(kind, func(b []byte) []byte { return appendIntent(b, u.Intent) })
	if err == nil && u.Settlement != nil {
		err = l.append(SettlementRecord, func(b []byte) []byte { return appendSettlement(b, u.Settlement) })
	}
	if err != nil {
		return fmt.Errorf("carrying over what is still open: %w", err)
	}
	return nil
}

var errLong = fmt.Errorf("a record is longer than %d MiB", maxRecord>>20)

// append writes one record with one write.
func (l *Log) append(kind Kind, payload func([]byte) []byte) error {
	l.buf = closeFrame(payload(openFrame(l.buf[:0], kind)))
	if len(l.buf)-frameHead > maxRecord {
		l.buf = nil
		return errLong // it could not be read again
	}
	last := l.segments[len(l.segments)-1]
	if last.size > 0 && (last.size+int64(len(l.buf)) > segmentSize || time.Since(l.opened) > segmentLife) {
		if err := l.roll(); err != nil {
			return err
		}
		last = l.segments[len(l.segments)-1]
	}
	// At an offset of ours, so that the next record takes the place of a torn one.
	if _, err := last.file.WriteAt(l.buf, last.size); err != nil {
		return err
	}
	last.size += int64(len(l.buf))
	l.total += int64(len(l.buf))
	l.dirty = true
	if cap(l.buf) > keptBuffer {
		l.buf = nil
	}
	return nil
}

// keptBuffer is the largest buffer that is kept for the next record.
const keptBuffer = 64 << 10

// roll makes the spare the segment that is written to.
func (l *Log) roll() error {
	number, err := int64(1), l.prepareSpare()
	if n := len(l.segments); n > 0 {
		if err != nil && l.segments[n-1].size < 2*segmentSize {
			return nil // go on in the old one, as far as the disk allows
		}
		number = l.segments[n-1].number + 1
	}
	if err != nil {
		return err
	}
	if err := os.Rename(l.spare.Name(), segmentPath(l.c.Dir, number)); err != nil {
		return err
	}
	if n := len(l.segments); n > 0 {
		if err := l.segments[n-1].truncate(); err != nil {
			l.c.Log.Warn("a log segment takes more of the disk than it needs", "error", err)
		}
	}
	l.segments = append(l.segments, &segment{number: number, file: l.spare})
	l.spare, l.opened = nil, time.Now()
	_ = l.prepareSpare() // what is wrong is told to the next request
	return nil
}

// prepareSpare makes a spare segment with its room on disk taken, if there is none.
func (l *Log) prepareSpare() error {
	if l.spare != nil {
		return nil
	}
	path := filepath.Join(l.c.Dir, spareName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return noRoom(err)
	}
	if err := reserve(f, segmentSize); err != nil {
		f.Close()
		os.Remove(path)
		return noRoom(fmt.Errorf("reserving %d MiB for %q: %w", segmentSize>>20, path, err))
	}
	l.spare = f
	return nil
}

// CheckRoom returns an error if a log could not begin in a folder that may not be there yet: it
// takes room for a segment and a spare. One that has a segment goes on in that.
func CheckRoom(dir string) error {
	if found, err := filepath.Glob(filepath.Join(dir, "*"+segmentName)); err != nil || len(found) > 0 {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(dir), "room-*")
	if err == nil {
		defer os.Remove(f.Name())
		err = errors.Join(reserve(f, 2*segmentSize), f.Close())
	}
	if err != nil {
		return fmt.Errorf("taking %d MiB for the write-ahead log: %w", 2*segmentSize>>20, noRoom(err))
	}
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
func (l *Log) Run(ctx context.Context) error {
	if l.c.Sync == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(l.c.Sync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.sync()
		case <-tick.C:
			if err := l.sync(); err != nil {
				l.c.Log.Error("the write-ahead log could not be made to survive a power cut", "error", err)
			}
		}
	}
}

// sync flushes the segments that were written to since the last time; nobody waits for it.
func (l *Log) sync() error {
	l.mu.Lock()
	dirty := l.dirty
	l.dirty = false
	last := l.segments[max(0, len(l.segments)-2):]
	files := make([]*os.File, 0, 2)
	for _, segment := range last {
		files = append(files, segment.file)
	}
	l.mu.Unlock()
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
func (l *Log) Stats() gateway.WALStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.Segments, stats.Bytes = len(l.segments), l.total
	return stats
}

// Close closes the log. What is in it stays.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, segment := range l.segments {
		errs = append(errs, segment.file.Close())
	}
	if l.spare != nil {
		errs = append(errs, l.spare.Close(), os.Remove(l.spare.Name()))
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// Size is how many bytes the log holds.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Unsettled returns, once each, the requests whose settlement could not be written.
func (l *Log) Unsettled() []uuid.UUID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.unsettled
	l.unsettled = nil
	return ids
}

// Remove removes a segment. The one that is written to stays.
func (l *Log) Remove(number int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments[:len(l.segments)-1], func(s *segment) bool { return s.number == number })
	if i < 0 {
		return nil
	}
	if err := os.Remove(segmentPath(l.c.Dir, number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	removed := l.segments[i]
	l.segments = slices.Delete(l.segments, i, i+1)
	l.total -= removed.size
	return removed.file.Close()
}
