package extproc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"ai-gateway/gateway"
)

// peer is the other side of a connection, frame by frame.
type peer struct {
	*http2.Framer
	conn  net.Conn
	t     testing.TB
	ended chan error // what run returned
}

// connect runs a connection over a pipe that has no buffer: what is not read blocks.
func connect(t testing.TB, config Config) *peer {
	t.Helper()
	ours, its := net.Pipe()
	p := &peer{Framer: http2.NewFramer(ours, ours), conn: ours, t: t, ended: make(chan error, 1)}
	p.SetMaxReadFrameSize(1 << 20)
	go func() { p.ended <- newConnection(New(config), its).run() }()
	t.Cleanup(func() {
		ours.Close()
		its.Close()
		<-p.ended
	})
	if err := ours.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(ours, preface); err != nil {
		t.Fatal(err)
	}
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

// expectEnd reads the next frame, which has to end a stream with a status.
func (p *peer) expectEnd(status string) {
	p.t.Helper()
	if f := p.expect("HEADERS").(*http2.HeadersFrame); !f.StreamEnded() || !bytes.HasSuffix(f.HeaderBlockFragment(), []byte(status)) {
		p.t.Errorf("%v ended with %q", f, f.HeaderBlockFragment())
	}
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

// reply is the message in a data frame's payload.
func (p *peer) reply(payload []byte) *extprocv3.ProcessingResponse {
	p.t.Helper()
	if len(payload) < messageHeaderSize || payload[0] != 0 || int(binary.BigEndian.Uint32(payload[1:])) != len(payload)-messageHeaderSize {
		p.t.Fatalf("%q is no message", payload)
	}
	m := &extprocv3.ProcessingResponse{}
	p.must(proto.Unmarshal(payload[messageHeaderSize:], m))
	return m
}

func TestAMessageThatComesByteByByteIsAnsweredWhenItIsWhole(t *testing.T) {
	p := connect(t, fakeConfig(&books{}))
	p.open(1)
	message := packed(t, chatHeaders())
	for i := range message {
		p.must(p.WriteDataPadded(1, false, message[i:i+1], []byte{0, 0, 0}))
	}
	p.expect("HEADERS")
	if r := p.reply(p.expect("DATA").(*http2.DataFrame).Data()); r.GetRequestHeaders() == nil {
		t.Errorf("answered %v", r)
	}
}

func TestTwoMessagesInOneFrameAreAnsweredInTheirOrder(t *testing.T) {
	p := connect(t, fakeConfig(&books{}))
	p.open(1)
	p.must(p.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("gpt", true))...)))
	p.expect("HEADERS")
	if r := p.reply(p.expect("DATA").(*http2.DataFrame).Data()); r.GetRequestHeaders() == nil {
		t.Errorf("answered %v first", r)
	}
	if r := p.reply(p.expect("DATA").(*http2.DataFrame).Data()); r.GetRequestBody() == nil {
		t.Errorf("answered %v second", r)
	}
}

func TestAReplyIsSentAsThePeersWindowsAllow(t *testing.T) {
	p := connect(t, fakeConfig(&books{}))
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	p.expect("SETTINGS")
	p.open(1)
	p.must(p.WriteData(1, false, packed(t, chatHeaders())))
	p.expect("HEADERS")
	var got []byte
	for len(got) < messageHeaderSize+2 { // the smallest reply
		p.must(p.WriteWindowUpdate(1, 3))
		piece := p.expect("DATA").(*http2.DataFrame).Data()
		if len(piece) > 3 {
			t.Errorf("%d bytes came, the window was 3", len(piece))
		}
		got = append(got, piece...)
	}
	p.reply(got)
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	p.expect("SETTINGS")
	p.must(p.WriteData(1, false, packed(t, requestBodyOf("gpt", true))))
	p.reply(p.expect("DATA").(*http2.DataFrame).Data())
}

func TestALargeReplyComesInFramesOfTheSizeThatThePeerTakes(t *testing.T) {
	config := fakeConfig(&books{})
	config.Rules().MaxBody, config.Rules().MaxInFlight = 1<<20, 1<<20
	p := connect(t, config)
	p.open(1)
	body := "gpt stream" + strings.Repeat(" ", 30_000) // small enough to be answered in place
	p.must(p.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf(body, true))...)))
	p.expect("HEADERS")
	p.expect("DATA")
	var got []byte
	for len(got) < len(body) {
		piece := p.expect("DATA").(*http2.DataFrame).Data()
		if len(piece) > defaultMaxFrame {
			t.Errorf("a frame has %d bytes", len(piece))
		}
		got = append(got, piece...)
	}
	p.reply(got)
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

var slowBody = requestBodyOf("slow "+strings.Repeat("x", inPlace), true)

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

// slowStream takes its time for each piece.
type slowStream struct {
	fakeStream
	goOn <-chan struct{}
}

func (s *slowStream) Next(piece []byte, last bool) ([]byte, bool) {
	<-s.goOn
	return s.fakeStream.Next(piece, last)
}

// busy is a peer of a connection that answers stream 1's second message when goOn is closed.
func busy(t *testing.T, b *books) (p *peer, goOn chan struct{}) {
	t.Helper()
	config, goOn := fakeConfig(b), make(chan struct{})
	slowOn(config, goOn)
	p = connect(t, config)
	p.open(1)
	p.must(p.WriteData(1, false, append(packed(t, chatHeaders()), packed(t, slowBody)...)))
	p.expect("HEADERS")
	p.expect("DATA")
	return p, goOn
}

func TestAResetWhileAMessageIsBeingAnsweredSettlesOnceAndSaysNothing(t *testing.T) {
	var b books
	p, goOn := busy(t, &b)
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

// Envoy sends a stream's pieces without waiting for the answers to those before.
func TestPiecesThatComeBehindALargeOneAreAllReadInTheirOrder(t *testing.T) {
	var b books
	p := streaming(t, fakeConfig(&b))
	var writer sync.WaitGroup
	writer.Go(func() {
		pieces := packed(t, responseBodyOf(strings.Repeat("x", inPlace+1), false))
		const many = 500
		for range many {
			pieces = append(pieces, packed(t, responseBodyOf("short", false))...)
		}
		pieces = append(pieces, packed(t, responseBodyOf("", true))...)
		for len(pieces) > 0 {
			n := min(len(pieces), 16<<10)
			if p.WriteData(1, false, pieces[:n]) != nil {
				return // the test has failed
			}
			pieces = pieces[n:]
		}
	})
	for replies := 0; replies < 502; {
		if f, ok := p.next().(*http2.DataFrame); ok {
			replies += bytes.Count(f.Data(), []byte("long"))
			if !bytes.Contains(f.Data(), []byte("long")) {
				replies++
			}
		}
	}
	writer.Wait()
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	b.waitFor(t, 1)
	if s := b.only(t); !s.Finished || s.Answer.Usage.Completion != 502 {
		t.Errorf("settled %+v", s)
	}
}

func TestAStreamWhoseMessagesWaitIsSentNoMoreThanItsWindow(t *testing.T) {
	var b books
	config, goOn := fakeConfig(&b), make(chan struct{})
	d := wordDialect()
	d.newStream = func(gateway.PromptText, bool) Stream { return &slowStream{goOn: goOn} }
	config.Rules().Dialect = d
	p := streaming(t, config)
	piece := packed(t, responseBodyOf(strings.Repeat("x", inPlace+1), false))
	for sent := 0; sent < ourStreamWindow*3/4; sent += len(piece) {
		p.must(p.WriteData(1, false, piece[:len(piece)/2]))
		p.must(p.WriteData(1, false, piece[len(piece)/2:]))
	}
	p.must(p.WritePing(false, [8]byte{1}))
	p.expect("PING") // and no window was given back
	close(goOn)
	for {
		if f, ok := p.next().(*http2.WindowUpdateFrame); ok && f.StreamID == 1 {
			return
		}
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

// Whoever reads in the place of one that waits for the disk begins where that one stopped,
// and gives way to another one when the disk hangs again.
func TestADiskThatHangsAgainAndAgainLosesNoBytes(t *testing.T) {
	var b books
	config, hangs, goOn, over := fakeConfig(&b), make(chan bool), make(chan bool), make(chan bool)
	begin := config.Begin
	config.Begin = func(i *gateway.Intent) error {
		select {
		case hangs <- true:
			select {
			case <-goOn:
			case <-over:
			}
		case <-over:
		}
		return begin(i)
	}
	p := connect(t, config)
	t.Cleanup(func() { close(over) })
	write := func(b []byte) {
		_, err := p.conn.Write(b)
		p.must(err)
	}
	answered := func(stream uint32) {
		if f := p.expect("DATA"); f.Header().StreamID != stream {
			t.Errorf("%v came, one of stream %d expected", f, stream)
		}
	}
	const rounds = 3
	for round := range uint32(rounds) {
		hanging, other := 4*round+1, 4*round+3
		var frames bytes.Buffer
		w := http2.NewFramer(&frames, nil)
		for _, id := range []uint32{hanging, other} {
			p.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte("x"), EndHeaders: true}))
		}
		p.must(w.WriteData(hanging, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("hangs", true))...)))
		p.must(w.WriteData(other, false, packed(t, chatHeaders())))
		cut := frames.Len() - 5 // in the middle of a frame
		write(frames.Next(cut))
		p.expect("HEADERS")
		answered(hanging)
		<-hangs
		write(frames.Bytes())
		p.expect("HEADERS")
		answered(other)
		goOn <- true
		answered(hanging)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.intents) != rounds {
		t.Errorf("%d requests were recorded", len(b.intents))
	}
}

// A disk that is slow, but does not hang, is slow for many requests together.
func TestManySlowRecordingsHoldUpNoStream(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	begin := config.Begin
	config.Begin = func(i *gateway.Intent) error {
		time.Sleep(patience / 2)
		return begin(i)
	}
	p := connect(t, config)
	var frames bytes.Buffer
	w := http2.NewFramer(&frames, nil)
	const requests = 40
	for i := range uint32(requests) {
		p.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: []byte("x"), EndHeaders: true}))
		p.must(w.WriteData(2*i+1, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf("m", true))...)))
	}
	_, err := p.conn.Write(frames.Bytes())
	p.must(err)
	pinged := make(chan error, 1)
	go func() { pinged <- p.WritePing(false, [8]byte{1}) }()
	for p.next().Header().Type != http2.FramePing {
	}
	p.must(<-pinged)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.intents) > requests/2 {
		t.Errorf("%d requests were recorded before anything else was read", len(b.intents))
	}
}

// What was recorded goes on its way while the next recording hangs.
func TestWhatIsRecordedIsToldWhileTheNextHangs(t *testing.T) {
	var b books
	config, in, goOn := fakeConfig(&b), make(chan bool, 2), map[string]chan bool{"one": make(chan bool), "two": make(chan bool)}
	begin := config.Begin
	config.Begin = func(i *gateway.Intent) error {
		in <- true
		<-goOn[string(i.Model)]
		return begin(i)
	}
	p := connect(t, config)
	t.Cleanup(func() { close(goOn["two"]) })
	first := sync.OnceFunc(func() { close(goOn["one"]) })
	t.Cleanup(first)
	for i, model := range []string{"one", "two"} {
		id := uint32(2*i + 1)
		p.open(id)
		p.must(p.WriteData(id, false, append(packed(t, chatHeaders()), packed(t, requestBodyOf(model, true))...)))
		p.expect("HEADERS")
		p.expect("DATA")
	}
	<-in
	first()
	if f := p.expect("DATA"); f.Header().StreamID != 1 {
		t.Errorf("%v came", f)
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
		r.Text.Texts = strings.Repeat("x", inPlace+1)
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
	for sent := 0; sent < 3*ourStreamWindow; sent += 100_000 {
		if _, err := exchangeAll(stream, piece); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACompressedMessageEndsItsStreamWithAnError(t *testing.T) {
	p := connect(t, fakeConfig(&books{}))
	p.open(1)
	p.must(p.WriteData(1, false, []byte{1, 0, 0, 0, 0}))
	p.expectEnd("grpc-status\x0213")
}

// sent is a peer that has sent all it will.
type sent struct {
	io.Reader
	io.Writer
}

func TestWhatIsNoHTTP2EndsTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		want error
	}{
		"another protocol":     {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", errPreface},
		"a frame too long":     {preface + "\x01\x00\x01\x00\x00\x00\x00\x00\x01", errFrameSize},
		"padding too long":     {preface + "\x00\x00\x02\x00\x08\x00\x00\x00\x01\x02x", errPadding},
		"a stream of ours":     {preface + "\x00\x00\x00\x01\x04\x00\x00\x00\x02", errStreamID},
		"cut off settings":     {preface + "\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00", errFrameSize},
		"a window too wide":    {preface + "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x80\x00\x00\x00", errWindow},
		"a window widened":     {preface + "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff", errWindow},
		"a short window":       {preface + "\x00\x00\x01\x08\x00\x00\x00\x00\x00\x7f", errFrameSize},
		"frames too small":     {preface + "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01", errFrameSize},
		"nothing":              {"", errPreface},
		"the start of a frame": {preface + "\x00\x00", nil},
		"an unknown frame":     {preface + "\x00\x00\x01\x7f\xff\x00\x00\x00\x03x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := newConnection(New(fakeConfig(&books{})), sent{strings.NewReader(c.sent), io.Discard}).run()
			if !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Errorf("ended with %v, want %v", err, c.want)
			}
		})
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
	if took := time.Since(stopping); took > stopTimeout/2 {
		t.Errorf("stopped %v after the last stream", took)
	}
	b.only(t)
}

// FuzzConnection reads any bytes as frames: nothing panics, nothing is left open, each
// planned request is settled once, and how the bytes were cut makes no difference.
func FuzzConnection(f *testing.F) {
	var seed bytes.Buffer
	w := http2.NewFramer(&seed, nil)
	_ = w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 40})
	for _, id := range []uint32{1, 3} {
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte("x"), EndHeaders: true})
		for _, m := range streamed(1) {
			_ = w.WriteData(id, false, packed(f, m))
		}
	}
	_ = w.WriteWindowUpdate(1, 1000)
	_ = w.WriteRSTStream(1, http2.ErrCodeCancel)
	_ = w.WriteData(3, true, nil)
	_ = w.WritePing(false, [8]byte{})
	f.Add(seed.Bytes(), uint16(9))
	f.Fuzz(func(t *testing.T, sent []byte, cut uint16) {
		at := min(int(cut), len(sent))
		if whole, pieces := carried(t, sent), carried(t, sent[:at], sent[at:]); whole != pieces {
			t.Errorf("%d settlements, in two pieces %d", whole, pieces)
		}
	})
}

// carried has a connection read pieces, and returns how many exchanges it settled. Those
// that were begun are settled once each.
func carried(t *testing.T, pieces ...[]byte) int {
	var b books
	readers := []io.Reader{strings.NewReader(preface)}
	for _, p := range pieces {
		readers = append(readers, bytes.NewReader(p))
	}
	c := newConnection(New(fakeConfig(&b)), sent{io.MultiReader(readers...), io.Discard})
	_ = c.run() // whatever they say
	if len(c.streams) != 0 {
		t.Errorf("%d streams are left", len(c.streams))
	}
	var begun, settled []string
	for _, i := range b.intents {
		begun = append(begun, i.ID.String())
	}
	for _, s := range b.rows {
		settled = append(settled, s.ID.String())
	}
	slices.Sort(begun)
	slices.Sort(settled)
	if !slices.Equal(begun, settled) {
		t.Errorf("begun %v, settled %v", begun, settled)
	}
	return len(settled)
}
