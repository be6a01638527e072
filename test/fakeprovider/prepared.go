package fakeprovider

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

// Prepared is an answer whose bytes were made before, HTTP included, so that writing it
// costs as little as can be.
type Prepared struct {
	Head   []byte // all of it, or what comes before the chunks of a stream
	Chunk  []byte
	Chunks int           // how often the chunk is written
	Pace   time.Duration // between two chunks; 0 writes them one after another
	Tail   []byte
}

// NewPrepared makes a provider for measurements: it answers each request by a function of
// its body, as cheaply as it can, and keeps no books. A request that the function does not
// know ends its connection.
func NewPrepared(answer func(body []byte) (Prepared, error)) *Provider {
	p := New()
	p.serve = func(ctx context.Context, c net.Conn) { servePrepared(ctx, c, answer) }
	return p
}

// preparedBuffer has space for a request's head and body, which are read in place.
const preparedBuffer = 8 << 10

func servePrepared(ctx context.Context, c net.Conn, answer func([]byte) (Prepared, error)) {
	r := bufio.NewReaderSize(c, preparedBuffer)
	for {
		a, err := nextPrepared(r, answer)
		if err != nil {
			return
		}
		if a.write(ctx, c) != nil {
			return
		}
	}
}

var errLength = errors.New("the request has no content-length, or one beyond what is read here")

// nextPrepared reads a request and returns its answer.
func nextPrepared(r *bufio.Reader, answer func([]byte) (Prepared, error)) (a Prepared, err error) {
	length, err := readLength(r)
	if err != nil {
		return a, err
	}
	if length < 0 || length > preparedBuffer {
		return a, errLength
	}
	body, err := r.Peek(length)
	if err != nil {
		return a, err
	}
	if a, err = answer(body); err != nil {
		return a, err
	}
	_, err = r.Discard(length)
	return a, err
}

// readLength reads a head and returns the length of the body, or -1 if the head has none.
func readLength(r *bufio.Reader) (length int, err error) {
	length = -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("content-length")) {
			continue
		}
		if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
			return 0, err
		}
	}
}

func (a Prepared) write(ctx context.Context, c net.Conn) error {
	if _, err := c.Write(a.Head); err != nil {
		return err
	}
	due := time.Now()
	for range a.Chunks {
		if _, err := c.Write(a.Chunk); err != nil {
			return err
		}
		due = due.Add(a.Pace)
		if a.Pace > 0 && !pause(ctx, time.Until(due)) {
			return ctx.Err()
		}
	}
	if len(a.Tail) == 0 {
		return nil
	}
	_, err := c.Write(a.Tail)
	return err
}
