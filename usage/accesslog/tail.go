// Package accesslog reads the JSON lines of Envoy's access log as it grows, and rotates it. It
// does not interpret what the lines mean for a request.
package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ai-gateway/gateway"
)

const (
	pieceSize   = 256 << 10 // bytes that are read at a time
	longestLine = 1 << 20   // bytes; a longer line is skipped
)

// Tail reads Envoy's access log as it grows, through rotation and truncation. Rotated files
// have the log's name and a number; the oldest has the smallest.
type Tail struct {
	path    string
	file    *os.File
	inode   int64
	offset  int64  // of the first byte of rest
	rest    []byte // read, but not a complete line yet
	piece   []byte // the buffer for each read
	skipped bool   // the present line is too long
	over    bool   // another file follows this one, so this one gets no more lines
}

// files returns the log's existing files, oldest first, with their inodes.
func (t *Tail) files() (paths []string, inodes []int64, err error) {
	entries, err := os.ReadDir(filepath.Dir(t.path)) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("looking for the access log: %w", err)
	}
	for _, entry := range entries {
		if number, ok := strings.CutPrefix(entry.Name(), filepath.Base(t.path)+"."); ok && number != "" && number[0] >= '0' && number[0] <= '9' {
			paths = append(paths, t.path+"."+number)
		}
	}
	there := paths[:0]
	for _, path := range append(paths, t.path) {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was just rotated, or does not exist yet
		}
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the access log: %w", err)
		}
		there, inodes = append(there, path), append(inodes, inode(info))
	}
	return there, inodes, nil
}

// Next returns the complete lines that were appended since the last call, each with the
// position after it, at most pieceSize bytes of them. more says that another call will find
// more.
func (t *Tail) Next() (lines []Line, more bool, err error) {
	if t.file == nil {
		if err := t.Open(gateway.LogPosition{}); err != nil || t.file == nil {
			return nil, false, err
		}
	}
	if t.piece == nil {
		t.piece = make([]byte, pieceSize)
	}
	n, err := t.file.Read(t.piece)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("reading the access log: %w", err)
	}
	if n > 0 {
		t.rest = append(t.rest, t.piece[:n]...)
		return t.cut(), true, nil
	}
	more, err = t.goOn()
	return nil, more, err
}

// Line is a line without its end.
type Line struct {
	Text []byte
	End  gateway.LogPosition // after it
}

// cut takes the complete lines out of rest.
func (t *Tail) cut() []Line {
	var lines []Line
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 {
			break
		}
		t.offset += int64(i) + 1
		if !t.skipped {
			lines = append(lines, Line{t.rest[:i:i], gateway.LogPosition{File: t.inode, Offset: t.offset}})
		}
		t.skipped = false
		t.rest = t.rest[i+1:]
	}
	if len(t.rest) > longestLine {
		t.offset += int64(len(t.rest))
		t.rest, t.skipped = nil, true
	}
	return lines
}

// Open opens the file of a position, at that place. If that file is gone, it opens the oldest
// one from its beginning; lines that were read before are recognised. A log that does not exist
// yet is not an error.
func (t *Tail) Open(at gateway.LogPosition) error {
	paths, inodes, err := t.files()
	if err != nil || len(paths) == 0 {
		return err
	}
	i := slices.Index(inodes, at.File)
	if i < 0 {
		i, at = 0, gateway.LogPosition{}
	}
	return t.openFile(paths[i], at.Offset)
}

func (t *Tail) openFile(path string, offset int64) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was just rotated; the next look finds it
	}
	if err != nil {
		return fmt.Errorf("opening the access log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && offset > info.Size() {
		offset = 0
	}
	if err == nil {
		offset, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("opening the access log: %w", err)
	}
	t.file, t.inode, t.offset, t.rest, t.skipped = f, inode(info), offset, nil, false
	t.over = false
	return nil
}

// goOn is called at the end of a file. It continues with the next one if there is one, or
// with the same from its beginning if it was truncated, and reports whether there is more to
// read. After the next file was seen, the present one is read to its end once more, as Envoy
// may have written to it in between.
func (t *Tail) goOn() (bool, error) {
	paths, inodes, err := t.files()
	if err != nil || len(paths) == 0 {
		return false, err
	}
	i := slices.Index(inodes, t.inode)
	last := i+1 == len(paths)
	switch {
	case !last && !t.over:
		t.over = true
		return true, nil
	case i < 0:
		return true, errors.Join(t.Close(), t.openFile(paths[len(paths)-1], 0))
	case !last:
		return true, errors.Join(t.Close(), t.openFile(paths[i+1], 0))
	}
	info, err := t.file.Stat()
	if err != nil {
		return false, fmt.Errorf("looking at the access log: %w", err)
	}
	if info.Size() >= t.offset+int64(len(t.rest)) {
		return false, nil
	}
	return true, errors.Join(t.Close(), t.openFile(paths[len(paths)-1], 0))
}

// Close closes the present file.
func (t *Tail) Close() error {
	if t.file == nil {
		return nil
	}
	f := t.file
	t.file = nil
	return f.Close()
}

// New returns a tail of the log at a path, which may not exist yet.
func New(path string) *Tail { return &Tail{path: path} }

func inode(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(s.Ino)
	}
	return 0
}
