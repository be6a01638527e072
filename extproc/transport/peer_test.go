package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

const testTimeout = 20 * time.Second

// echo is a handler that answers a message with itself. The first word of a message names
// its class; the message "fail" fails, "long" is answered with 30,000 bytes.
type echo struct {
	of       *log
	id       int
	prepared bool
	why      CloseReason
}

// log is what the handlers of a server were told, and what their slow jobs wait for.
type log struct {
	disk, cpu func(message string) // called by jobs of these classes; nil does nothing

	mu      sync.Mutex
	opened  int
	done    []string
	dropped int
	closed  []CloseReason
}

func (l *log) open() Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	return &echo{of: l, id: l.opened}
}

func (e *echo) Class(j Job) Class {
	e.why = j.Reason
	switch word, _, _ := strings.Cut(string(j.Message), " "); {
	case j.Closes() && !e.prepared && e.of.cpu != nil:
		return Background
	case j.Closes() || word == "disk":
		return Disk
	case word == "cpu" && !e.prepared:
		return CPU
	}
	return Inline
}

func (e *echo) Prepare(j Job, haste bool) codes.Code {
	e.prepared = j.Closes()
	if haste {
		return codes.OK
	}
	e.of.cpu(string(j.Message))
	e.prepared = true
	return codes.OK
}

func (e *echo) Do(j Job, reply []byte) ([]byte, codes.Code) {
	message := string(j.Message)
	if strings.HasPrefix(message, "disk") && e.of.disk != nil {
		e.of.disk(message)
	}
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	if j.Closes() {
		e.of.closed = append(e.of.closed, j.Reason)
		return nil, codes.OK
	}
	e.prepared = false
	e.of.done = append(e.of.done, message)
	switch message {
	case "fail":
		return nil, codes.Aborted
	case "long":
		return append(reply, make([]byte, 30_000)...), codes.OK
	}
	return append(reply, message...), codes.OK
}

func (e *echo) Dropped() {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	e.of.dropped++
}

// seen is what handlers were told.
type seen struct {
	Done    []string
	Dropped int
	Closed  []CloseReason
}

func (l *log) seen() seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seen{append([]string(nil), l.done...), l.dropped, append([]CloseReason(nil), l.closed...)}
}

// waitFor waits until the handlers were told what is wanted.
func (l *log) waitFor(t *testing.T, want seen) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !cmp.Equal(want, l.seen()) {
		if time.Now().After(deadline) {
			t.Fatal(cmp.Diff(want, l.seen()))
		}
		time.Sleep(time.Millisecond)
	}
}

// peer is the other side of a connection, frame by frame.
type peer struct {
	*http2.Framer
	conn net.Conn
	t    testing.TB
}

// connect runs a server with one connection, over a pipe that has no buffer: what is not
// read blocks.
func connect(t testing.TB, l *log) *peer {
	t.Helper()
	ours, its := net.Pipe()
	p := &peer{Framer: http2.NewFramer(ours, ours), conn: ours, t: t}
	p.SetMaxReadFrameSize(1 << 20)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		serve(l, its)
	}()
	t.Cleanup(func() {
		ours.Close()
		<-ended
	})
	p.must(ours.SetDeadline(time.Now().Add(testTimeout)))
	_, err := io.WriteString(ours, preface)
	p.must(err)
	p.expect("SETTINGS")
	p.expect("WINDOW_UPDATE")
	return p
}

// serve runs one connection to its end.
func serve(l *log, conn io.ReadWriter) error {
	s := New(Config{Open: l.open, Log: slog.New(slog.DiscardHandler)})
	var running sync.WaitGroup
	defer running.Wait()
	s.workers.start(&running)
	defer s.workers.stop()
	return newConnection(s, conn).run()
}

// expect reads the next frame, which has to be of a kind.
func (p *peer) expect(kind string) http2.Frame {
	p.t.Helper()
	f, err := p.ReadFrame()
	if err != nil {
		p.t.Fatalf("%s expected: %v", kind, err)
	}
	if f.Header().Type.String() != kind {
		p.t.Fatalf("%v came, %s expected", f, kind)
	}
	return f
}

// expectEnd reads the next frame, which has to end a stream with a status.
func (p *peer) expectEnd(status codes.Code) {
	p.t.Helper()
	want := fmt.Sprint(uint32(status))
	if f := p.expect("HEADERS").(*http2.HeadersFrame); !f.StreamEnded() || !strings.HasSuffix(string(f.HeaderBlockFragment()), want) {
		p.t.Errorf("%v ended with %q, want %s", f, f.HeaderBlockFragment(), want)
	}
}

// expectReply reads the next frame, which has to be a stream's whole reply.
func (p *peer) expectReply(stream uint32, want string) {
	p.t.Helper()
	f := p.expect("DATA").(*http2.DataFrame)
	if got := f.Data(); f.StreamID != stream || string(got) != string(packed(want)) {
		p.t.Errorf("stream %d was answered %q, want stream %d, %q", f.StreamID, got, stream, want)
	}
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// open begins a stream, with headers that nobody is to read.
func (p *peer) open(stream uint32) {
	p.t.Helper()
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte("no HPACK"), EndHeaders: true}))
}

// send sends messages in one frame.
func (p *peer) send(stream uint32, messages ...string) {
	p.t.Helper()
	p.must(p.WriteData(stream, false, packed(messages...)))
}

// sendTogether sends a message on each of some streams so that they are read at one time.
func (p *peer) sendTogether(messages map[uint32]string) {
	p.t.Helper()
	var frames bytes.Buffer
	w := http2.NewFramer(&frames, nil)
	for stream, m := range messages {
		p.must(w.WriteData(stream, false, packed(m)))
	}
	_, err := p.conn.Write(frames.Bytes())
	p.must(err)
}

// begin opens a stream with a first message that is answered.
func (p *peer) begin(stream uint32) {
	p.t.Helper()
	p.open(stream)
	p.send(stream, "hello")
	p.expect("HEADERS")
	p.expectReply(stream, "hello")
}

// ping waits until all that was sent before has been read.
func (p *peer) ping() {
	p.t.Helper()
	p.must(p.WritePing(false, [8]byte{1}))
	p.expect("PING")
}

// packed are gRPC messages.
func packed(messages ...string) (b []byte) {
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(append(b, 0), uint32(len(m))), m...)
	}
	return b
}
