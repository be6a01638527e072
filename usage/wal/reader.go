package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Reader reads a log from its beginning, while it is written.
type Reader struct {
	log     *Log
	segment int64 // number of the present one
	cursor
}

// NewReader returns a reader at the log's beginning.
func (l *Log) NewReader() *Reader { return &Reader{log: l} }

// Segment is the number of the present segment. It and later ones are still needed.
func (r *Reader) Segment() int64 { return r.segment }

// Next returns the next records and the number of their segment; none at the end.
func (r *Reader) Next() (records []Record, segment int64, err error) {
	for {
		now, next := r.log.segmentAt(r.segment)
		r.segment = now.number
		records, damaged, err := r.read(now.file, now.size)
		r.log.countDamage(damaged)
		switch {
		case err == nil && len(records) > 0:
			return records, r.segment, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, 0, fmt.Errorf("reading the write-ahead log: %w", err)
		case err == nil:
			continue
		case next == 0:
			return nil, 0, nil
		}
		r.segment, r.cursor = next, cursor{buffer: r.buffer}
	}
}

// segmentAt returns a copy of a segment, or of the first one after it, and the number of the
// following one, 0 if it is the last.
func (l *Log) segmentAt(number int64) (now segment, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.number >= number })
	if i < 0 {
		i = len(l.segments) - 1
	}
	if i+1 < len(l.segments) {
		next = l.segments[i+1].number
	}
	return *l.segments[i], next
}

func (l *Log) countDamage(bytes int) {
	if bytes == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Repaired += int64(bytes)
}

// ReadFolder calls take for every record in a log's folder, even while a process writes there.
// It locks and changes nothing. A missing folder is an empty log.
func ReadFolder(dir string, take func(Record)) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the write-ahead log: %w", err)
	}
	for _, entry := range entries {
		if number := segmentNumber(entry.Name()); number > 0 {
			if err := readFile(segmentPath(dir, number), take); err != nil {
				return fmt.Errorf("reading the write-ahead log: %w", err)
			}
		}
	}
	return nil
}

func readFile(path string, take func(Record)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for c := (cursor{}); ; {
		records, _, err := c.read(f, info.Size())
		for _, record := range records {
			take(record)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
