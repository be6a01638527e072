package transport

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

func TestAMessageThatComesByteByByteIsAnsweredWhenItIsWhole(t *testing.T) {
	p := connect(t, &log{})
	p.open(1)
	message := packed("hello")
	for i := range message {
		p.must(p.WriteDataPadded(1, false, message[i:i+1], []byte{0, 0, 0}))
	}
	p.expect("HEADERS")
	p.expectReply(1, "hello")
}

func TestMessagesInOneFrameAreAnsweredInTheirOrder(t *testing.T) {
	p := connect(t, &log{cpu: func(string) {}})
	p.open(1)
	messages := []string{"one", "disk two", "three", "cpu four", "five"}
	p.send(1, messages...)
	p.expect("HEADERS")
	for _, m := range messages {
		p.expectReply(1, m)
	}
}

func TestAReplyIsSentAsThePeersWindowsAllow(t *testing.T) {
	p := connect(t, &log{})
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	p.expect("SETTINGS")
	p.open(1)
	p.send(1, "hello")
	p.expect("HEADERS")
	var got []byte
	for want := packed("hello"); len(got) < len(want); {
		p.must(p.WriteWindowUpdate(1, 3))
		piece := p.expect("DATA").(*http2.DataFrame).Data()
		if len(piece) > 3 {
			t.Errorf("%d bytes came, the window was 3", len(piece))
		}
		got = append(got, piece...)
	}
	if string(got) != string(packed("hello")) {
		t.Errorf("got %q", got)
	}
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	p.expect("SETTINGS")
	p.send(1, "wide")
	p.expectReply(1, "wide")
}

func TestALargeReplyComesInFramesOfTheSizeThatThePeerTakes(t *testing.T) {
	p := connect(t, &log{})
	p.open(1)
	p.send(1, "long")
	p.expect("HEADERS")
	for got := 0; got < messageHeaderSize+30_000; {
		piece := p.expect("DATA").(*http2.DataFrame).Data()
		if len(piece) > defaultMaxFrame {
			t.Errorf("a frame has %d bytes", len(piece))
		}
		got += len(piece)
	}
}

// blocked is a function that waits for each of two channels.
func blocked() (f func(string), entered, goOn chan string) {
	entered, goOn = make(chan string), make(chan string)
	return func(m string) { entered <- m; <-goOn }, entered, goOn
}

func TestAWorkersJobHoldsUpNoOtherStreamAndNoRecording(t *testing.T) {
	cpu, entered, goOn := blocked()
	p := connect(t, &log{cpu: func(m string) {
		if m != "" {
			cpu(m)
		}
	}})
	p.begin(1)
	p.begin(3)
	p.send(1, "cpu", "after")
	<-entered
	p.send(3, "disk", "inline")
	p.expectReply(3, "disk")
	p.expectReply(3, "inline")
	goOn <- ""
	p.expectReply(1, "cpu")
	p.expectReply(1, "after")
}

// A disk that hangs delays what is recorded, and nothing else.
func TestARecordingThatHangsHoldsUpNoOtherJobs(t *testing.T) {
	disk, entered, goOn := blocked()
	p := connect(t, &log{disk: disk, cpu: func(string) {}})
	for _, id := range []uint32{1, 3, 5} {
		p.begin(id)
	}
	p.sendTogether(map[uint32]string{1: "disk", 3: "disk"})
	<-entered
	for range 3 {
		p.send(5, "inline", "cpu")
		p.expectReply(5, "inline")
		p.expectReply(5, "cpu")
	}
	goOn <- ""
	<-entered // and the next one hangs: the one before is answered meanwhile
	p.expect("DATA")
	goOn <- ""
	p.expect("DATA")
}

func TestMoreRecordingsThanMayWaitFailAndLoseNoClose(t *testing.T) {
	const over = 10
	l := &log{}
	disk, entered, goOn := blocked()
	hangs := sync.OnceFunc(func() { disk("") })
	l.disk = func(string) { hangs() }
	p := connect(t, l)
	var writer sync.WaitGroup
	writer.Go(func() {
		for id := uint32(1); id < 2*(maxRecordings+over); id += 2 {
			p.open(id)
			p.send(id, "disk")
			if id == 1 {
				<-entered
			}
		}
	})
	for range over {
		p.expectEnd(codes.ResourceExhausted)
	}
	writer.Wait()
	p.conn.Close()
	close(goOn)
	deadline := time.Now().Add(testTimeout)
	for got := l.seen(); len(got.Closed) < maxRecordings+over; got = l.seen() {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams closed", len(got.Closed))
		}
		time.Sleep(time.Millisecond)
	}
	if got := len(l.seen().Done); got > maxRecordings {
		t.Errorf("%d messages were done, want at most %d", got, maxRecordings)
	}
}

func TestARecordingIsDroppedOnceNobodyWaitsForIt(t *testing.T) {
	disk, entered, goOn := blocked()
	l := &log{disk: disk}
	p := connect(t, l)
	p.open(1)
	p.send(1, "disk 1")
	<-entered
	p.open(3)
	p.send(3, "disk 3")
	p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
	p.must(p.WriteRSTStream(3, http2.ErrCodeCancel))
	p.ping()
	goOn <- ""
	l.waitFor(t, seen{Done: []string{"disk 1"}, Dropped: 1, Closed: []CloseReason{Normal, Normal}})
}

func TestAFailedMessageEndsItsStreamAndClosesItOnce(t *testing.T) {
	l := &log{}
	p := connect(t, l)
	p.begin(1)
	p.send(1, "fail", "never done")
	p.expectEnd(codes.Aborted)
	l.waitFor(t, seen{Done: []string{"hello", "fail"}, Dropped: 1, Closed: []CloseReason{Normal}})
}

func TestStreamsOfAPeerThatIsGoneCloseWithThatReason(t *testing.T) {
	l := &log{}
	p := connect(t, l)
	p.begin(1)
	p.begin(3)
	p.conn.Close()
	l.waitFor(t, seen{Done: []string{"hello", "hello"}, Closed: []CloseReason{PeerLost, PeerLost}})
}

// A few closes that take the processor long leave a worker to those who wait.
func TestClosesInTheBackgroundLeaveAWorkerFree(t *testing.T) {
	goOn := make(chan struct{})
	l := &log{cpu: func(m string) {
		if m == "" {
			<-goOn
		}
	}}
	p := connect(t, l)
	const closing = 20
	for id := uint32(1); id <= 2*closing; id += 2 {
		p.begin(id)
		p.must(p.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	const id = 2*closing + 1
	p.begin(id)
	p.send(id, "cpu")
	p.expectReply(id, "cpu")
	if got := l.seen(); len(got.Closed) > 0 {
		t.Errorf("closed %v", got.Closed)
	}
	close(goOn)
}

func TestAStreamWhoseMessagesWaitIsSentNoMoreThanItsWindow(t *testing.T) {
	disk, entered, goOn := blocked()
	p := connect(t, &log{disk: disk})
	p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 21}))
	p.expect("SETTINGS")
	p.must(p.WriteWindowUpdate(0, 1<<21))
	p.begin(1)
	p.send(1, "disk")
	<-entered
	for sent := 0; sent < ourStreamWindow*3/4; sent += 16 << 10 {
		p.send(1, strings.Repeat("x", 16<<10-messageHeaderSize))
	}
	p.ping() // and no window was given back
	goOn <- ""
	for {
		f, err := p.ReadFrame()
		p.must(err)
		if f, ok := f.(*http2.WindowUpdateFrame); ok && f.StreamID == 1 {
			return
		}
	}
}

func TestACompressedMessageEndsItsStreamWithAnError(t *testing.T) {
	p := connect(t, &log{})
	p.open(1)
	p.must(p.WriteData(1, false, []byte{1, 0, 0, 0, 0}))
	p.expectEnd(codes.Internal)
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
			err := serve(&log{}, sent{strings.NewReader(c.sent), io.Discard})
			if !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Errorf("ended with %v, want %v", err, c.want)
			}
		})
	}
}

// FuzzConnection reads any bytes as frames: nothing panics, each stream closes once, and how
// the bytes were cut makes no difference.
func FuzzConnection(f *testing.F) {
	var seed bytes.Buffer
	w := http2.NewFramer(&seed, nil)
	_ = w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 40})
	for _, id := range []uint32{1, 3} {
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte("x"), EndHeaders: true})
		_ = w.WriteData(id, false, packed("inline", "disk", "cpu", "long"))
	}
	_ = w.WriteWindowUpdate(1, 1000)
	_ = w.WriteRSTStream(1, http2.ErrCodeCancel)
	_ = w.WriteData(3, true, nil)
	_ = w.WritePing(false, [8]byte{})
	f.Add(seed.Bytes(), uint16(9))
	f.Fuzz(func(t *testing.T, sent []byte, cut uint16) {
		at := min(int(cut), len(sent))
		if whole, pieces := carried(t, sent), carried(t, sent[:at], sent[at:]); whole != pieces {
			t.Errorf("%d streams, in two pieces %d", whole, pieces)
		}
	})
}

// carried has a connection read pieces, and returns how many streams it carried.
func carried(t *testing.T, pieces ...[]byte) int {
	l := &log{cpu: func(string) {}}
	readers := []io.Reader{strings.NewReader(preface)}
	for _, p := range pieces {
		readers = append(readers, bytes.NewReader(p))
	}
	_ = serve(l, sent{io.MultiReader(readers...), io.Discard}) // whatever they say
	if got := l.seen(); len(got.Closed) != l.opened {
		t.Errorf("%d streams opened, %d closed", l.opened, len(got.Closed))
	}
	return l.opened
}
