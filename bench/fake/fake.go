// Package fake is the provider of the measurements. It answers chat completions as
// cheaply as it can, from bytes that were made before, so that what is measured is
// what stands before it. It keeps no books; the end-to-end tests have a provider
// that does.
package fake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"ai-gateway/bench/chat"
)

// readBuffer holds a request's head and body: both are looked at in place.
const readBuffer = 8 << 10

// Serve answers on l until ctx ends, and returns when all connections have.
func Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	context.AfterFunc(ctx, func() { l.Close() })
	answers := newAnswers()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		all.Go(func() { answers.serve(ctx, c) })
	}
}

// answers are the bytes that are written, HTTP included.
type answers struct {
	json       []byte // a whole answer
	streamHead []byte // the head of a stream
	chunk      []byte // a chunk of a stream, as an HTTP chunk
	tail       []byte // a stream's end, the last HTTP chunk included
}

func newAnswers() answers {
	head := "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nopenai-processing-ms: 1\r\nx-request-id: req_bench\r\n"
	body := chat.JSON()
	return answers{
		json:       fmt.Appendf(nil, "%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", head, len(body), body),
		streamHead: []byte(head + "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"),
		chunk:      framed(chat.Chunk()),
		tail:       append(framed(chat.Tail()), "0\r\n\r\n"...),
	}
}

func framed(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }

// serve answers the requests of a connection until it, or ctx, ends.
func (a answers) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r := bufio.NewReaderSize(c, readBuffer)
	for {
		ask, err := readAsk(r)
		if err != nil {
			return
		}
		if a.write(c, ask) != nil {
			return
		}
	}
}

var errLength = errors.New("the request has no content-length, or one beyond what is read here")

// readAsk reads a request.
func readAsk(r *bufio.Reader) (chat.Ask, error) {
	length, err := readHead(r)
	if err != nil {
		return chat.Ask{}, err
	}
	if length < 0 || length > readBuffer {
		return chat.Ask{}, errLength
	}
	body, err := r.Peek(length)
	if err != nil {
		return chat.Ask{}, err
	}
	ask, err := chat.ParseAsk(body)
	if err != nil {
		return chat.Ask{}, err
	}
	_, err = r.Discard(length)
	return ask, err
}

// readHead returns the length of the body, or -1 if the head tells none.
func readHead(r *bufio.Reader) (length int, err error) {
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

func (a answers) write(c net.Conn, ask chat.Ask) error {
	if ask.Chunks == 0 {
		_, err := c.Write(a.json)
		return err
	}
	if _, err := c.Write(a.streamHead); err != nil {
		return err
	}
	due := time.Now()
	for range ask.Chunks {
		if _, err := c.Write(a.chunk); err != nil {
			return err
		}
		due = due.Add(ask.Pace)
		if ask.Pace > 0 {
			time.Sleep(time.Until(due))
		}
	}
	_, err := c.Write(a.tail)
	return err
}
