package usage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"ai-gateway/gateway"
)

const longestLine = 1 << 20 // bytes; a longer line is skipped

var errLine = errors.New("line is no journal line")

// parseLine reads a line of the journal: JSON with string, number or null values, as
// Envoy's access log writes them.
func parseLine(b []byte) (gateway.JournalLine, error) {
	var l gateway.JournalLine
	if !gjson.ValidBytes(b) { // the last object in it may follow a line that a full disk tore
		b = b[max(bytes.LastIndex(b, []byte(`{"`)), 0):]
	}
	if !gjson.ValidBytes(b) {
		return l, fmt.Errorf("%w: it is no JSON", errLine)
	}
	var usage, tries string
	gjson.ParseBytes(b).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			l.ID, _ = uuid.Parse(value.Str) // a bad one stays zero
		case "status":
			l.Status = int(count(value))
		case "duration_ms":
			l.Duration = time.Duration(count(value)) * time.Millisecond
		case "ttft_ms":
			l.TTFT = time.Duration(count(value)) * time.Millisecond
		case "attempts":
			l.Attempts = int(count(value))
		case "backend":
			l.Backend = value.Str
		case "bytes_sent":
			l.BytesSent = count(value)
		case "flags":
			l.Flags = value.Str
		case "usage":
			usage = value.Str
		case "tries":
			tries = value.Str
		}
		return true
	})
	if l.ID == (uuid.UUID{}) {
		return l, fmt.Errorf("%w: it has no id", errLine)
	}
	l.Usage, l.PromptOnly = parseUsage(usage)
	l.Tries = parseTries(tries, l)
	return l, nil
}

// count reads a number that may come as one, in a string, as null, or as "-". What is
// none, negative or beyond 2^53 counts as 0.
func count(v gjson.Result) int64 {
	n := v.Int()
	if v.Type == gjson.String {
		n, _ = strconv.ParseInt(v.Str, 10, 64) // 0 if it is none
	}
	if n < 0 || n > 1<<53 {
		return 0
	}
	return n
}

// parseUsage reads what the script of an attempt noted: "prompt cached completion
// reasoning total", "-" or "null" for what the provider did not say, and promptOnly if that is
// the completion. It returns nil for nothing, and for what cannot be true. An older
// gateway's script noted no total.
func parseUsage(text string) (usage *gateway.Usage, promptOnly bool) {
	var u gateway.Usage
	var total int64
	words := strings.Fields(text)
	counts := [...]*int64{&u.Prompt, &u.Cached, &u.Completion, &u.Reasoning, &total}
	if n := len(words); n != len(counts) && n != len(counts)-1 {
		return nil, false
	}
	for i, word := range words {
		if word == "-" || word == "null" {
			promptOnly = promptOnly || counts[i] == &u.Completion
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, false
		}
		*counts[i] = n
	}
	u = u.WithTotal(total)
	if !u.Plausible() || u.Prompt == 0 {
		return nil, false
	}
	return &u, promptOnly
}

// maxTries is more than any number of attempts that can be configured.
const maxTries = 100

// parseTries reads "|backend start" or "|backend start status headers", one a try, times
// in milliseconds since 1970. The bytes that reached the client are the last one's.
func parseTries(text string, l gateway.JournalLine) []gateway.Try {
	var tries []gateway.Try
	first := int64(0)
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "|"), "|") {
		words := strings.Fields(part)
		if len(words) != 2 && len(words) != 4 || len(tries) == maxTries {
			break
		}
		start, _ := strconv.ParseInt(words[1], 10, 64) // 0 if it is no number, as below
		if len(tries) == 0 {
			first = start
		}
		try := gateway.Try{Backend: words[0], Start: since(first, start)}
		if len(words) == 4 {
			try.Status, _ = strconv.Atoi(words[2])
			headers, _ := strconv.ParseInt(words[3], 10, 64)
			try.Duration = since(start, headers)
		}
		tries = append(tries, try)
	}
	if n := len(tries); n > 0 {
		last := &tries[n-1]
		last.Bytes, last.Duration = l.BytesSent, max(l.Duration-last.Start, 0)
	}
	return tries
}

// since is the time between two counts of milliseconds.
func since(from, to int64) time.Duration {
	return time.Duration(min(max(to-from, 0), int64(time.Hour/time.Millisecond)*24)) * time.Millisecond
}

// journal reads Envoy's access log as it grows, through rotation and truncation. Files
// that were rotated away have the journal's name and a number, the oldest the smallest.
type journal struct {
	path    string
	file    *os.File
	inode   int64
	offset  int64  // of the first byte of rest
	rest    []byte // read, but no whole line yet
	piece   []byte // what is read into, at each look
	skipped bool   // the line that is being read is too long
	over    bool   // another file follows this one, which then gets no more lines
}

// files are the journal's files that are there, oldest first, with their inodes.
func (j *journal) files() (paths []string, inodes []int64, err error) {
	entries, err := os.ReadDir(filepath.Dir(j.path)) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("looking for the journal: %w", err)
	}
	for _, entry := range entries {
		if number, ok := strings.CutPrefix(entry.Name(), filepath.Base(j.path)+"."); ok && number != "" && number[0] >= '0' && number[0] <= '9' {
			paths = append(paths, j.path+"."+number)
		}
	}
	there := paths[:0]
	for _, path := range append(paths, j.path) {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was just rotated away, or is not there yet
		}
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the journal: %w", err)
		}
		there, inodes = append(there, path), append(inodes, inode(info))
	}
	return there, inodes, nil
}

// next returns the whole lines that were appended since the last call, each with
// the offset behind it, at most pieceSize bytes of them. more says that a call at
// once will find more.
func (j *journal) next() (lines []lineAt, more bool, err error) {
	if j.file == nil {
		if err := j.open(position{}); err != nil || j.file == nil {
			return nil, false, err
		}
	}
	if j.piece == nil {
		j.piece = make([]byte, pieceSize)
	}
	n, err := j.file.Read(j.piece)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("reading the journal: %w", err)
	}
	if n > 0 {
		j.rest = append(j.rest, j.piece[:n]...)
		return j.cut(), true, nil
	}
	more, err = j.goOn()
	return nil, more, err
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

// open opens the file that a position is in, at that place; if it is gone, the oldest one
// from its beginning: what was read before is known. No file yet is no error.
func (j *journal) open(at position) error {
	paths, inodes, err := j.files()
	if err != nil || len(paths) == 0 {
		return err
	}
	i := slices.Index(inodes, at.File)
	if i < 0 {
		i, at = 0, position{}
	}
	return j.openFile(paths[i], at.Offset)
}

func (j *journal) openFile(path string, offset int64) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was just rotated away; the next look finds it
	}
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
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
		return fmt.Errorf("opening the journal: %w", err)
	}
	j.file, j.inode, j.offset, j.rest, j.skipped = f, inode(info), offset, nil, false
	j.over = false
	return nil
}

// goOn, at the end of a file, goes on with the next one if there is one, or with the
// same from its beginning if it was truncated. It reports whether there is more to read.
// The file is read to its end once more after the next one was seen: Envoy may have
// written to it in between.
func (j *journal) goOn() (bool, error) {
	paths, inodes, err := j.files()
	if err != nil || len(paths) == 0 {
		return false, err
	}
	i := slices.Index(inodes, j.inode)
	last := i+1 == len(paths)
	switch {
	case !last && !j.over:
		j.over = true
		return true, nil
	case i < 0:
		return true, errors.Join(j.close(), j.openFile(paths[len(paths)-1], 0))
	case !last:
		return true, errors.Join(j.close(), j.openFile(paths[i+1], 0))
	}
	info, err := j.file.Stat()
	if err != nil {
		return false, fmt.Errorf("looking at the journal: %w", err)
	}
	if info.Size() >= j.offset+int64(len(j.rest)) {
		return false, nil
	}
	return true, errors.Join(j.close(), j.openFile(paths[len(paths)-1], 0))
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
