package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A segment is one file of the log: a sequence of records, each framed as
//
//	magic (1 byte) · length of the rest (4, little endian) · CRC-32C of the rest (4) · kind (1) · payload
//
// Bytes that do not match a checksum are skipped one by one up to the next record that does,
// so a torn record costs no other.

const (
	frameMagic  = 0xA7
	frameHead   = 9       // bytes before the kind
	maxRecord   = 4 << 20 // bytes of kind and payload
	segmentName = ".spool"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kind is the kind of a record.
type Kind byte

// The kinds of records.
const (
	StartRecord      Kind = 'P' // a process has begun: unsettled intents before it are orphans
	IntentRecord     Kind = 'I'
	OrphanRecord     Kind = 'O' // the intent of an orphan, carried over from an older segment
	SettlementRecord Kind = 'S'
)

// Record is one record. It is valid until the reader is called again.
type Record struct {
	Kind    Kind
	payload []byte
	end     int64 // offset of the next one
}

// openFrame begins a record in b; closeFrame ends it.
func openFrame(b []byte, kind Kind) []byte {
	return append(b, frameMagic, 0, 0, 0, 0, 0, 0, 0, 0, byte(kind))
}

func closeFrame(b []byte) []byte {
	rest := b[frameHead:]
	binary.LittleEndian.PutUint32(b[1:], uint32(len(rest)))
	binary.LittleEndian.PutUint32(b[5:], crc32.Checksum(rest, castagnoli))
	return b
}

// cutRecord takes the first record out of b, which begins at an offset of its segment.
// damaged is the number of unreadable bytes before it. Without ok, b has no complete record,
// and the bytes after the damaged ones may be the beginning of one.
func cutRecord(b []byte, offset int64) (r Record, damaged int, ok bool) {
	for {
		at := bytes.IndexByte(b[damaged:], frameMagic)
		if at < 0 {
			return Record{}, len(b), false
		}
		damaged += at
		switch size := frameSize(b[damaged:]); {
		case size == 0:
			return Record{}, damaged, false
		case size > 0:
			whole := b[damaged : damaged+size]
			end := offset + int64(damaged+size)
			return Record{Kind(whole[frameHead]), whole[frameHead+1:], end}, damaged, true
		}
		damaged++
	}
}

// frameSize is the size of the record that b begins with, 0 if b ends too early, and negative
// if it is not a record.
func frameSize(b []byte) int {
	if len(b) < frameHead {
		return 0
	}
	length := int(binary.LittleEndian.Uint32(b[1:]))
	if length < 1 || length > maxRecord {
		return -1
	}
	if len(b) < frameHead+length {
		return 0
	}
	if crc32.Checksum(b[frameHead:frameHead+length], castagnoli) != binary.LittleEndian.Uint32(b[5:]) {
		return -1
	}
	return frameHead + length
}

// segment is a file of the log.
type segment struct {
	number int64
	file   *os.File
	size   int64 // bytes of complete records
}

// truncate frees the reserved disk space after the last record, and cuts off a torn one.
func (s *segment) truncate() error { return s.file.Truncate(s.size) }

func segmentPath(dir string, number int64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d", number)+segmentName)
}

// segmentNumber is the number in a file's name; 0 for other files.
func segmentNumber(name string) int64 {
	text, ok := strings.CutSuffix(name, segmentName)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n < 1 {
		return 0
	}
	return n
}

// adopt opens a segment of an earlier process, and cuts off a torn record at its end.
// repaired is the number of bytes of that.
func adopt(dir string, number int64) (s *segment, repaired int64, err error) {
	file, err := os.OpenFile(segmentPath(dir, number), os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	s = &segment{number: number, file: file}
	info, err := file.Stat()
	if err == nil {
		s.size, err = lastRecord(file)
	}
	if err == nil {
		repaired = info.Size() - s.size
		err = s.truncate()
	}
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("adopting %q: %w", file.Name(), err)
	}
	return s, repaired, nil
}

// lastRecord is the offset after the last complete record.
func lastRecord(r io.ReaderAt) (int64, error) {
	end := int64(0)
	c := cursor{}
	for {
		records, _, err := c.read(r, 1<<62)
		if len(records) > 0 {
			end = records[len(records)-1].end
		}
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// pieceSize is how many bytes are read at a time.
const pieceSize = 256 << 10

// cursor is a place in a segment.
type cursor struct {
	offset int64  // of the first byte of rest
	rest   []byte // read, but not a complete record yet
	buffer []byte // which rest is part of
}

// read returns the next complete records before the offset limit, where one ends. Their
// payloads are valid until the next call. There may be none although more follow. At the
// limit it returns io.EOF.
func (c *cursor) read(r io.ReaderAt, limit int64) (records []Record, damaged int, err error) {
	n, err := c.fill(r, limit)
	switch {
	case err != nil:
		return nil, 0, err
	case n == 0 && len(c.rest) == 0:
		return nil, 0, io.EOF
	case n == 0: // the beginning of a record without an end
		c.pass(1)
		damaged = 1
	}
	for {
		record, skipped, ok := cutRecord(c.rest, c.offset)
		damaged += skipped
		if !ok {
			c.pass(int64(skipped))
			return records, damaged, nil
		}
		records = append(records, record)
		c.pass(record.end - c.offset)
	}
}

// fill reads more, and returns the number of bytes.
func (c *cursor) fill(r io.ReaderAt, limit int64) (int, error) {
	have := len(c.rest)
	from := c.offset + int64(have)
	more := int(max(0, min(pieceSize, limit-from)))
	c.buffer = slices.Grow(append(c.buffer[:0], c.rest...), more)
	n, err := r.ReadAt(c.buffer[have:have+more], from)
	c.rest = c.buffer[:have+n]
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, nil
}

func (c *cursor) pass(n int64) {
	c.rest = c.rest[n:]
	c.offset += n
}
