package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

const (
	readPiece   = 256 << 10 // bytes read from the journal at a time
	longestLine = 1 << 20   // bytes; a longer line is skipped
)

var errLine = errors.New("line is no journal line")

// parseLine reads a line of the journal: JSON with string, number or null values,
// as Envoy's access log writes them.
func parseLine(b []byte) (gateway.JournalLine, error) {
	var raw struct {
		Intent     string `json:"intent"`
		Flags      string `json:"flags"`
		Status     loose  `json:"status"`
		DurationMS loose  `json:"duration_ms"`
		TTFTMS     loose  `json:"ttft_ms"`
		Attempts   loose  `json:"attempts"`
		Backend    string `json:"backend"`
		BytesSent  loose  `json:"bytes_sent"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return gateway.JournalLine{}, fmt.Errorf("%w: %w", errLine, err)
	}
	l := gateway.JournalLine{
		Duration:  time.Duration(raw.DurationMS) * time.Millisecond,
		TTFT:      time.Duration(raw.TTFTMS) * time.Millisecond,
		Status:    int(raw.Status),
		Attempts:  int(raw.Attempts),
		Backend:   raw.Backend,
		BytesSent: int64(raw.BytesSent),
		Flags:     raw.Flags,
	}
	if err := json.Unmarshal([]byte(raw.Intent), &l.Intent); err != nil {
		return gateway.JournalLine{}, fmt.Errorf("%w: its intent: %w", errLine, err)
	}
	if l.ID == (uuid.UUID{}) || l.StartedAt.IsZero() || l.Endpoint == 0 || len(l.Steps) == 0 {
		return gateway.JournalLine{}, fmt.Errorf("%w: its intent lacks an id, a time, an endpoint or a backend", errLine)
	}
	return l, nil
}

// loose is a count that may come as a number, as a number in a string, as null,
// or as "-". What is none of these, negative or beyond 2^31-1 counts as 0.
type loose int32

// UnmarshalJSON reads a count and never fails.
func (n *loose) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil || v < 0 || v > math.MaxInt32 {
		v = 0
	}
	*n = loose(v)
	return nil
}

// journal reads Envoy's access log as it grows, through rotation and truncation.
type journal struct {
	path    string
	file    *os.File
	inode   int64
	offset  int64  // of the first byte of rest
	rest    []byte // read, but no whole line yet
	skipped bool   // the line that is being read is too long
}

// next returns the whole lines that were appended since the last call, each with
// the offset behind it, at most readPiece bytes of them. more says that a call at
// once will find more; rotated, that the file ends here and the next call begins
// another.
func (j *journal) next() (lines []lineAt, more, rotated bool, err error) {
	if j.file == nil {
		if err := j.open(position{}); err != nil || j.file == nil {
			return nil, false, false, err
		}
	}
	piece := make([]byte, readPiece)
	n, err := j.file.Read(piece)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, false, fmt.Errorf("reading the journal: %w", err)
	}
	if n > 0 {
		j.rest = append(j.rest, piece[:n]...)
		return j.cut(), true, false, nil
	}
	rotated, err = j.replaced()
	return nil, rotated, rotated, err
}

// lineAt is a line without its end, and the offset behind it.
type lineAt struct {
	bytes []byte
	end   int64
}

// cut takes the whole lines out of rest.
func (j *journal) cut() []lineAt {
	var lines []lineAt
	for {
		i := bytes.IndexByte(j.rest, '\n')
		if i < 0 {
			break
		}
		j.offset += int64(i) + 1
		if !j.skipped {
			lines = append(lines, lineAt{j.rest[:i:i], j.offset})
		}
		j.skipped = false
		j.rest = j.rest[i+1:]
	}
	if len(j.rest) > longestLine {
		j.offset += int64(len(j.rest))
		j.rest, j.skipped = nil, true
	}
	return lines
}

// open opens the file and goes to the kept position if the file is still the same.
// A file that does not exist yet is no error.
func (j *journal) open(at position) error {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("opening the journal: %w", err)
	}
	j.file, j.inode, j.offset, j.rest, j.skipped = f, inode(info), 0, nil, false
	if at.File == j.inode && at.Offset <= info.Size() {
		if j.offset, err = f.Seek(at.Offset, io.SeekStart); err != nil {
			return fmt.Errorf("opening the journal: %w", err)
		}
	}
	return nil
}

// replaced reports whether another file has taken the journal's name, or the file
// was truncated, and lets go of it then.
func (j *journal) replaced() (bool, error) {
	info, err := os.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the journal: %w", err)
	}
	if inode(info) == j.inode && info.Size() >= j.offset+int64(len(j.rest)) {
		return false, nil
	}
	return true, j.close()
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

func inode(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(s.Ino)
	}
	return 0
}
