package extproc

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"ai-gateway/gateway"
)

// peer is the other side of a connection, frame by frame.
type peer struct {
	*http2.Framer
	conn net.Conn
	t    testing.TB
}

// onePipe is a listener with one connection.
type onePipe struct {
	conns chan net.Conn
	close func()
}

func (l *onePipe) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *onePipe) Close() error   { l.close(); return nil }
func (l *onePipe) Addr() net.Addr { return nil }

// connect runs a server with one connection, over a pipe that has no buffer: what is not
// read blocks.
func connect(t testing.TB, config Config) *peer {
	t.Helper()
	ours, its := net.Pipe()
	p := &peer{Framer: http2.NewFramer(ours, ours), conn: ours, t: t}
	p.SetMaxReadFrameSize(1 << 20)
	l := &onePipe{conns: make(chan net.Conn, 1)}
	l.close = sync.OnceFunc(func() { close(l.conns) })
	l.conns <- its
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(config).Serve(ctx, l) }()
	t.Cleanup(func() {
		ours.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	p.must(ours.SetDeadline(time.Now().Add(testTimeout)))
	_, err := io.WriteString(ours, http2.ClientPreface)
	p.must(err)
	p.expect("SETTINGS")
	p.expect("WINDOW_UPDATE")
	return p
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

// next reads the next frame.
func (p *peer) next() http2.Frame {
	p.t.Helper()
	f, err := p.ReadFrame()
	p.must(err)
	return f
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

// packed is a gRPC message.
func packed(t testing.TB, m proto.Message) []byte {
	b := marshal(t, m)
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

// slowOn is a dialect that takes its time for bodies that begin with "slow".
func slowOn(config Config, until <-chan struct{}) {
	d := wordDialect()
	read := d.readRequest
	d.readRequest = func(e gateway.Endpoint, body []byte) (gateway.Request, error) {
		if bytes.HasPrefix(body, []byte("slow")) {
			<-until
		}
		return read(e, body)
	}
	config.Rules().Dialect = d
	config.Rules().MaxBody, config.Rules().MaxInFlight = 1<<20, 1<<24
}

var slowBody = requestBodyOf("slow "+strings.Repeat("x", inlineSize), true)

func TestALargeMessageDoesNotHoldUpOtherStreams(t *testing.T) {
	var b books
	config, quickAnswered := fakeConfig(&b), make(chan struct{})
	slowOn(config, quickAnswered)
	r := run(t, config)
	slow, _ := r.open(t)
	if _, err := exchangeAll(slow, chatHeaders()); err != nil {
		t.Fatal(err)
	}
	if err := slow.Send(slowBody); err != nil {
		t.Fatal(err)
	}
	quick, _ := r.open(t)
	if _, err := exchangeAll(quick, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	close(quickAnswered)
	if reply, err := slow.Recv(); err != nil || reply.GetRequestBody() == nil {
		t.Errorf("the large message was answered %v, %v", reply, err)
	}
}

// streaming is a peer whose stream 1 is in the middle of a streamed answer.
func streaming(t *testing.T, config Config) *peer {
	t.Helper()
	p := connect(t, config)
	p.open(1)
	for n, m := range streamed(1)[:3] {
		p.must(p.WriteData(1, false, packed(t, m)))
		if n == 0 {
			p.expect("HEADERS")
		}
		p.expect("DATA")
	}
	return p
}

func TestAResetWhileAMessageIsBeingAnsweredSettlesOnceAndSaysNothing(t *testing.T) {
	var b books
	config, recording, goOn := fakeConfig(&b), make(chan struct{}), make(chan struct{})
	config.Begin = func(i *gateway.Intent) error {
		close(recording)
		<-goOn
		return b.begin(i)
	}
	p := connect(t, config)
	p.open(1)
	p.must(p.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("gpt", true))...)))
	p.expect("HEADERS")
	p.expect("DATA")
	<-recording
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	p.must(p.WritePing(false, [8]byte{1}))
	p.expect("PING") // the reset was read
	close(goOn)
	b.waitFor(t, 1)
	p.must(p.WritePing(false, [8]byte{2}))
	p.expect("PING")
	if s := b.only(t); s.Finished || !s.Unsent {
		t.Errorf("settled %+v", s)
	}
}

func TestARequestIsNotPlannedForWhoHasLeft(t *testing.T) {
	var b books
	p := connect(t, fakeConfig(&b))
	var frames bytes.Buffer
	w := http2.NewFramer(&frames, nil)
	p.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("no HPACK"), EndHeaders: true}))
	p.must(w.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("gpt stream", true))...)))
	p.must(w.WriteRSTStream(1, http2.ErrCodeCancel))
	p.must(w.WritePing(false, [8]byte{1}))
	_, err := p.conn.Write(frames.Bytes()) // read at one time
	p.must(err)
	for p.next().Header().Type != http2.FramePing {
	}
	if len(b.intents) > 0 || len(b.all()) > 0 {
		t.Errorf("planned %+v, settled %+v", b.intents, b.all())
	}
}

func TestARequestWhosePlanReachedEnvoyIsSent(t *testing.T) {
	var b books
	p := connect(t, fakeConfig(&b))
	p.open(1)
	p.must(p.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("gpt stream", true))...)))
	p.expect("HEADERS")
	p.expect("DATA")
	p.expect("DATA")
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	b.waitFor(t, 1)
	if s := b.only(t); s.Unsent || s.Finished {
		t.Errorf("settled %+v", s)
	}
}

// An Envoy that died tells no more of what it carried; one that only ended a stream does.
func TestASettlementSaysWhetherEnvoyIsGone(t *testing.T) {
	for _, gone := range []bool{true, false} {
		var b books
		p := connect(t, fakeConfig(&b))
		p.open(1)
		var messages []byte
		for _, m := range streamed(1) {
			messages = append(messages, packed(t, m)...)
		}
		p.must(p.WriteData(1, false, messages))
		p.expect("HEADERS")
		for range streamed(1) {
			p.expect("DATA")
		}
		if !gone {
			p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
			b.waitFor(t, 1)
		}
		p.conn.Close()
		b.waitFor(t, 1)
		if s := b.only(t); s.EnvoyGone != gone || s.Status != 200 || s.Finished {
			t.Errorf("gone %t: settled %+v", gone, s)
		}
	}
}

// renaming answers each piece with what it is called here, and keeps them all.
type renaming struct {
	fakeStream
	seen []string
}

// Next calls a large piece by its first letter.
func (s *renaming) Next(piece []byte, _ bool) ([]byte, bool) {
	name := string(piece)
	if len(piece) > inlineSize {
		name = name[:1]
	}
	s.seen = append(s.seen, name)
	return []byte("<" + name + ">"), false
}

// Envoy sends a stream's pieces without waiting for the answers to those before.
func TestPiecesThatComeBehindALargeOneAreAllReadInTheirOrder(t *testing.T) {
	var b books
	config, read := fakeConfig(&b), &renaming{}
	d := wordDialect()
	d.newStream = func(gateway.PromptText, bool) Stream { return read }
	config.Rules().Dialect = d
	p := streaming(t, config)
	want := []string{"x"}
	pieces := packed(t, responseBodyOf(strings.Repeat("x", inlineSize+1), false))
	for n := range 500 {
		want = append(want, fmt.Sprintf("piece %d", n))
		pieces = append(pieces, packed(t, responseBodyOf(want[n+1], false))...)
	}
	want = append(want, "last")
	pieces = append(pieces, packed(t, responseBodyOf("last", true))...)
	var writer sync.WaitGroup
	writer.Go(func() {
		for piece := range slices.Chunk(pieces, 16<<10) {
			if p.WriteData(1, false, piece) != nil {
				return // the test has failed
			}
		}
	})
	var replies []byte
	for !bytes.Contains(replies, []byte("<last>")) {
		if f, ok := p.next().(*http2.DataFrame); ok {
			replies = append(replies, f.Data()...)
		}
	}
	writer.Wait()
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	b.waitFor(t, 1)
	if s := b.only(t); !s.Finished {
		t.Errorf("settled %+v", s)
	}
	if diff := cmp.Diff(want, read.seen); diff != "" {
		t.Errorf("pieces (- sent, + read):\n%s", diff)
	}
	for _, name := range want {
		_, rest, found := bytes.Cut(replies, []byte("<"+name+">"))
		if !found {
			t.Fatalf("the answer to %s is missing or out of order", name)
		}
		replies = rest
	}
}

// A disk that hangs keeps a request from being recorded, and nothing else from going on.
func TestARequestThatCannotBeRecordedYetHoldsUpNoStream(t *testing.T) {
	var b books
	config, goOn := fakeConfig(&b), make(chan struct{})
	begin := config.Begin
	config.Begin = func(i *gateway.Intent) error {
		if i.Model == "hangs" {
			<-goOn
		}
		return begin(i)
	}
	r := run(t, config)
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	hanging, _ := r.open(t)
	if _, err := exchangeAll(hanging, chatHeaders()); err != nil {
		t.Fatal(err)
	}
	if err := hanging.Send(requestBodyOf("hangs", true)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := exchangeAll(stream, responseBodyOf("data", false)); err != nil {
			t.Fatal(err)
		}
	}
	release()
	if reply, err := hanging.Recv(); err != nil || reply.GetRequestBody() == nil {
		t.Errorf("answered %v, %v", reply, err)
	}
}

// Where an answer does not tell its tokens, those of the prompt are counted.
func TestALargePromptIsCountedBesideOtherStreams(t *testing.T) {
	var b books
	config, goOn := fakeConfig(&b), make(chan struct{})
	d := wordDialect()
	read, readAnswer := d.readRequest, d.readAnswer
	d.readRequest = func(e gateway.Endpoint, body []byte) (gateway.Request, error) {
		r, err := read(e, body)
		r.Text.Texts = strings.Repeat("x", inlineCount+1)
		return r, err
	}
	d.readAnswer = func(p gateway.PromptText, status int, body []byte) gateway.Answer {
		<-goOn
		return readAnswer(p, status, body)
	}
	config.Rules().Dialect = d
	r := run(t, config)
	large, _ := r.open(t)
	if _, err := exchangeAll(large, chatHeaders(), requestBodyOf("gpt", true),
		responseHeadersOf(false, ":status", "200", "content-type", "application/json")); err != nil {
		t.Fatal(err)
	}
	if err := large.Send(responseBodyOf("{}", true)); err != nil {
		t.Fatal(err)
	}
	other, _ := r.open(t)
	if _, err := exchangeAll(other, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if _, err := large.Recv(); err != nil {
		t.Error(err)
	}
}

func TestWhatAStreamSendsOverItsLifeIsNotBounded(t *testing.T) {
	config := fakeConfig(&books{})
	r := run(t, config)
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	piece := responseBodyOf(strings.Repeat("x", 100_000), false)
	for sent := 0; sent < 3<<20; sent += 100_000 {
		if _, err := exchangeAll(stream, piece); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServeAsksForNoMoreStreamsAndEndsWithTheLast(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	stream, cancel := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if _, err := exchangeAll(stream, responseBodyOf("", true)); err != nil {
		t.Fatalf("a running stream was cut: %v", err)
	}
	stopping := time.Now()
	cancel()
	<-r.ended
	if took := time.Since(stopping); took > stopTimeout/4 {
		t.Errorf("stopped %v after the last stream", took)
	}
	b.only(t)
}
