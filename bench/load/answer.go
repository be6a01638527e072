package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"ai-gateway/bench/chat"
)

const readBuffer = 8 << 10

// answer reads the answers of a connection, one after another, and checks them.
type answer struct {
	g *generator
	r *bufio.Reader

	size      int    // of the body so far
	tail      []byte // its last bytes
	firstByte time.Time
}

func newAnswer(r io.Reader, g *generator) *answer {
	return &answer{g: g, r: bufio.NewReaderSize(r, readBuffer), tail: make([]byte, 0, 2*len(chat.End))}
}

// read reads one answer and returns an error unless it is complete and correct.
func (a *answer) read() error {
	a.size, a.tail = 0, a.tail[:0]
	length, err := a.head()
	if err != nil {
		return err
	}
	a.g.streaming.Add(1)
	defer a.g.streaming.Add(-1)
	if length == chunked {
		err = a.chunks()
	} else {
		err = a.piece(length)
	}
	if err != nil {
		return err
	}
	if a.size != a.g.size {
		return fmt.Errorf("the body has %d bytes, want %d", a.size, a.g.size)
	}
	if a.g.Chunks > 0 && string(a.tail) != chat.End {
		return fmt.Errorf("the stream ends with %q", a.tail)
	}
	return nil
}

var errEndless = errors.New("the body has neither a length nor chunks")

// chunked is the length of a body without a stated length.
const chunked = -1

// head returns the length of the body, or chunked.
func (a *answer) head() (length int, err error) {
	line, err := a.line()
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer begins with %q", line)
	}
	err = errEndless
	for {
		line, failed := a.line()
		if failed != nil {
			return 0, failed
		}
		if len(line) == 0 {
			return length, err
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "content-length":
			length, err = strconv.Atoi(string(value))
		case "transfer-encoding":
			length, err = chunked, nil
		}
	}
}

// line returns the next line without its end; it is valid until the next read.
func (a *answer) line() ([]byte, error) {
	line, err := a.r.ReadSlice('\n')
	return bytes.TrimSuffix(line, []byte("\r\n")), err
}

// chunks passes a chunked body.
func (a *answer) chunks() error {
	for {
		line, err := a.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return err
		}
		if err := a.piece(int(n)); err != nil {
			return err
		}
		if _, err := a.line(); err != nil || n == 0 {
			return err
		}
	}
}

// piece passes n bytes of the body.
func (a *answer) piece(n int) error {
	for n > 0 {
		if _, err := a.r.Peek(1); err != nil {
			return err
		}
		b, _ := a.r.Peek(min(n, a.r.Buffered())) // they are there
		a.note(b)
		n -= len(b)
		_, _ = a.r.Discard(len(b))
	}
	return nil
}

func (a *answer) note(b []byte) {
	if a.size == 0 {
		a.firstByte = time.Now()
	}
	a.size += len(b)
	a.g.bytes.Add(int64(len(b)))
	a.tail = append(a.tail, b[max(0, len(b)-len(chat.End)):]...)
	a.tail = append(a.tail[:0], a.tail[max(0, len(a.tail)-len(chat.End)):]...)
}
