// Package wal is a write-ahead log on local disk. It keeps the records of requests: an
// intent before each one goes out, a settlement when it ends. A written record survives the
// death of any process; a reader removes segments that it no longer needs. The package does
// not interpret records, nor decide whether another request may go out.
package wal

import (
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
	Dir string // private; made if it does not exist
	// Sync is how often written records are forced to disk, to survive a power cut; 0 leaves
	// it to the system. A process that dies loses nothing either way.
	Sync time.Duration
	Log  *slog.Logger
}

const (
	segmentSize = 8 << 20 // bytes at which a segment is closed
	segmentLife = 5 * time.Second
	spareName   = "spare"
	lockName    = "lock"
)

// Log is the log of one gateway. It keeps a spare segment with its disk space reserved, so
// that running requests can be settled even when the disk is full.
type Log struct {
	c    Config
	id   uuid.UUID
	lock *os.File

	mu        sync.Mutex
	segments  []*segment // by number; the last one is written to
	opened    time.Time  // when the last one was begun
	total     int64      // bytes of all
	spare     *os.File   // nil if the disk had no space for it
	buf       []byte
	dirty     bool        // records were written since the last sync
	renamed   bool        // a segment has its name since then
	closed    []*os.File  // segments that got records since then, and get no more
	unsettled []uuid.UUID // requests whose settlement could not be written
	stats     gateway.WALStats
}

// Open locks the log, and takes over and repairs the segments of earlier processes.
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

// lockFile keeps other processes out of the log. The lock ends with the process.
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

// start adopts the segments that exist and marks the start of this process.
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

// AppendIntent records a request before it goes out. After an error the request must not go out.
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

// AppendSettlement records how a request ended. If it cannot be written, the request is
// counted and returned by Unsettled.
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
		l.c.Log.Error("a settlement could not be written; the row is made from Envoy's access log", "error", err)
	}
}

// Unfinished is a request whose records are still needed.
type Unfinished struct {
	Intent     *gateway.Intent
	Settlement *gateway.Settlement // nil if there is none yet
	Orphan     bool                // the process that planned it died before it could settle it
}

// Carry writes the records of a request again at the end of the log, so that their segments
// can be removed. It is the only operation by which a reader writes.
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
		return errLong // a reader would not accept it
	}
	last := l.segments[len(l.segments)-1]
	if last.size > 0 && (last.size+int64(len(l.buf)) > segmentSize || time.Since(l.opened) > segmentLife) {
		if err := l.roll(); err != nil {
			return err
		}
		last = l.segments[len(l.segments)-1]
	}
	// At an explicit offset, so that the next record replaces a torn one.
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

// roll begins a new segment: the spare.
func (l *Log) roll() error {
	number, err := int64(1), l.prepareSpare()
	if n := len(l.segments); n > 0 {
		if err != nil && l.segments[n-1].size < 2*segmentSize {
			return nil // continue the old one, as far as the disk allows
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
		if l.dirty && l.c.Sync > 0 {
			l.closed = append(l.closed, l.segments[n-1].file)
		}
	}
	l.segments = append(l.segments, &segment{number: number, file: l.spare})
	l.spare, l.opened, l.renamed = nil, time.Now(), true
	_ = l.prepareSpare() // the next request gets the error
	return nil
}

// prepareSpare makes a spare segment with reserved disk space, if there is none.
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

// noRoom explains why a spare segment cannot be made, and what helps.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the disk is full, or its quota is used up: free some space: %w", err)
	}
	return fmt.Errorf("no file can be created in its folder: check its permissions and the limit on open files: %w", err)
}

// Stats returns the present figures.
func (l *Log) Stats() gateway.WALStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.Segments, stats.Bytes = len(l.segments), l.total
	return stats
}

// Close closes the log. Its files stay.
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

// Unsettled returns the requests whose settlement could not be written, each once.
func (l *Log) Unsettled() []uuid.UUID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.unsettled
	l.unsettled = nil
	return ids
}

// Remove removes a segment, unless it is the one that is written to.
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
