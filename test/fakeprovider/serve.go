package fakeprovider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

const (
	maxHead    = 64 << 10
	maxRequest = 64 << 20
	// keptTail is how much of an answer's end is kept to read the usage from.
	keptTail = 64 << 10
	// writeTimeout bounds one write to a client that does not read.
	writeTimeout = 30 * time.Second
)

// request is one request as it was read.
type request struct {
	method, target string
	header         []Field
	body           []byte
	wanted         wanted
}

// wanted is what a request's body asks for.
type wanted struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	Background    bool   `json:"background"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// model is the model that a request asks for. One without a body may have a scenario by its
// method and path, or be for a response that is kept.
func (p *Provider) model(r request) string {
	if k := p.keptOf(r); k != nil {
		return k.wanted.Model
	}
	path, _, _ := strings.Cut(r.target, "?")
	if name := r.method + " " + path; r.wanted.Model == "" && p.scenarios[name] != nil {
		return name
	}
	return r.wanted.Model
}

// connection is one client's.
type connection struct {
	net.Conn
	p      *Provider
	reader *bufio.Reader
}

// Reasons to end a connection.
var (
	errHungUp = errors.New("the provider hung up")
	errLeft   = errors.New("the client left")
)

// serveScenarios answers the requests of a connection, one after another.
func (p *Provider) serveScenarios(ctx context.Context, conn net.Conn) {
	c := &connection{Conn: conn, p: p, reader: bufio.NewReaderSize(conn, maxHead)}
	for {
		r, err := readRequest(c.reader)
		if err != nil {
			return
		}
		if err := c.answer(ctx, r); err != nil {
			return
		}
	}
}

// readRequest reads a request's head line by line, and all of its body.
func readRequest(reader *bufio.Reader) (request, error) {
	var r request
	line, err := readLine(reader)
	if err != nil {
		return r, err
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return r, fmt.Errorf("request line %q has not three words", line)
	}
	r.method, r.target = words[0], words[1]
	if r.header, err = readHeader(reader); err != nil {
		return r, err
	}
	if r.body, err = r.readBody(reader); err != nil {
		return r, fmt.Errorf("reading the body of a request: %w", err)
	}
	_ = json.Unmarshal(r.body, &r.wanted) // a body that is no JSON names no model
	return r, nil
}

func readHeader(reader *bufio.Reader) ([]Field, error) {
	var header []Field
	for size := 0; size < maxHead; {
		line, err := readLine(reader)
		if err != nil {
			return nil, err
		}
		if line == "" {
			return header, nil
		}
		size += len(line)
		f, err := parseField(line)
		if err != nil {
			return nil, err
		}
		header = append(header, f)
	}
	return nil, errors.New("the head is too large")
}

func readLine(reader *bufio.Reader) (string, error) {
	line, err := reader.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}

func (r request) readBody(reader *bufio.Reader) ([]byte, error) {
	call := Call{Header: r.header}
	if strings.EqualFold(call.Get("transfer-encoding"), "chunked") {
		body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(reader), maxRequest))
		if err != nil {
			return nil, err
		}
		_, err = readHeader(reader) // trailers
		return body, err
	}
	length := call.Get("content-length")
	if length == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > maxRequest {
		return nil, fmt.Errorf("content-length %q", length)
	}
	var body bytes.Buffer
	_, err = io.CopyN(&body, reader, int64(n))
	return body.Bytes(), err
}

// answer answers one request; an error ends the connection.
func (c *connection) answer(ctx context.Context, r request) error {
	if path, _, _ := strings.Cut(r.target, "?"); path == "/_books" {
		return c.answerBooks(r)
	}
	call := c.p.open(r)
	reply := c.p.next(r)
	ctx, stop := c.watch(ctx)
	w := &writer{connection: c, call: call, ctx: ctx}
	err := w.reply(reply)
	stop()
	c.p.close(call, w.tail, err != nil && !errors.Is(err, errHungUp))
	return err
}

func (c *connection) answerBooks(r request) error {
	reply := Reply{Status: http.StatusOK, Header: []Field{{"content-type", "application/json"}, {"content-length", "auto"}}}
	if r.method == http.MethodDelete {
		c.p.Reset()
	}
	b, err := json.Marshal(c.p.Books())
	if err != nil {
		return err
	}
	reply.Body = []Piece{{Bytes: b}}
	w := &writer{connection: c, call: &Call{}, ctx: context.Background()}
	return w.reply(reply)
}

// watch returns a context that ends when the client leaves; stop ends the watch.
func (c *connection) watch(ctx context.Context) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.reader.Peek(1); err != nil {
			cancel()
		}
	}()
	return watched, func() {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends the reading as well
		<-done
		_ = c.SetReadDeadline(time.Time{})
		cancel()
	}
}
