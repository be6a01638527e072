package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
)

// connection carries the streams of one peer. One goroutine reads what has arrived, answers
// most of it in place, and writes all answers at once. The recorder and the workers do the
// rest, and write their answers themselves.
type connection struct {
	s    *Server
	peer io.ReadWriter
	open sync.WaitGroup // streams that are not closed

	mu       sync.Mutex // guards the fields below, the streams, and writing
	streams  map[uint32]*stream
	last     uint32 // the newest stream
	out      []byte // bytes to write
	writing  error  // the first error of a write
	window   int64  // bytes that may be sent on all streams
	initial  int64  // bytes that may be sent on a new stream
	maxFrame int
	taken    uint32      // received bytes that were not returned to the peer's window
	leaving  bool        // the connection ends with its last stream
	reason   CloseReason // of streams that close now
	recorder recorder
}

const (
	// readSize is how many bytes are read at a time, enough for the largest frame.
	readSize = 256 << 10
	// keptBuffer is the largest buffer that is kept for further use, in bytes.
	keptBuffer = 64 << 10
)

func newConnection(s *Server, peer io.ReadWriter) *connection {
	c := &connection{s: s, peer: peer, streams: map[uint32]*stream{}, reason: Normal,
		window: defaultWindow, initial: defaultWindow, maxFrame: defaultMaxFrame}
	c.recorder.wake = make(chan struct{}, 1)
	c.recorder.late = time.AfterFunc(time.Hour, c.writeLate)
	c.recorder.late.Stop()
	return c
}

// run serves the connection to its end, and then closes open streams. A peer that does not read
// blocks writing, but not for ever: it is killed for that, or run's caller closes the
// connection.
func (c *connection) run() (err error) {
	var recording sync.WaitGroup
	recording.Go(c.runRecorder)
	defer recording.Wait()
	defer close(c.recorder.wake)
	defer c.open.Wait()
	defer func() { c.abandon(reasonOf(err)) }()
	var first [len(preface)]byte
	if _, err := io.ReadFull(c.peer, first[:]); err != nil || string(first[:]) != preface {
		return errors.Join(errPreface, ended(err))
	}
	if err := c.hello(); err != nil {
		return err
	}
	return c.read()
}

// reasonOf is the reason for closing the streams of a connection that ended with an error.
func reasonOf(err error) CloseReason {
	switch {
	case err == nil, errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return PeerLost
	case errors.Is(err, os.ErrDeadlineExceeded): // only a leaving connection has a deadline
		return Shutdown
	}
	return Normal
}

// read reads and handles frames until the connection ends.
func (c *connection) read() error {
	buffer := make([]byte, readSize)
	have := 0
	for {
		n, err := c.peer.Read(buffer[have:])
		if err != nil {
			return ended(err)
		}
		rest, err := c.take(buffer[:have+n])
		if err != nil {
			return err
		}
		have = copy(buffer, rest)
	}
}

// ended returns nil if the connection ended without a fault.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (c *connection) hello() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = appendHello(c.out)
	return c.write()
}

// take answers the frames in b and returns the incomplete one at its end.
func (c *connection) take(b []byte) (rest []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ok := true; ok && err == nil; {
		var f frame
		if f, b, ok, err = nextFrame(b); ok {
			err = c.on(f)
		}
	}
	c.wakeRecorder()
	return b, errors.Join(err, c.write())
}

// write writes out. After an error it writes nothing more.
func (c *connection) write() error {
	if c.taken >= ourStreamWindow {
		c.out = appendWindow(c.out, 0, c.taken)
		c.taken = 0
	}
	if len(c.out) > 0 && c.writing == nil {
		_, c.writing = c.peer.Write(c.out)
	}
	c.out = kept(c.out)
	return ended(c.writing)
}

// kept returns b emptied for further use, or nil if it is large.
func kept(b []byte) []byte {
	if cap(b) > keptBuffer {
		return nil
	}
	return b[:0]
}

// leave asks the peer to begin no more streams, and ends the connection with the last one.
func (c *connection) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.out = appendGoodbye(c.out)
	_ = c.write() // the reading goroutine gets the error too
	c.closeIfDone()
}

func (c *connection) closeIfDone() {
	if closer, ok := c.peer.(io.Closer); ok && c.leaving && len(c.streams) == 0 {
		_ = closer.Close() // to end the reading
	}
}

// abandon closes the streams of a connection that has ended.
func (c *connection) abandon(reason CloseReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing, c.reason = net.ErrClosed, reason
	for _, st := range c.streams {
		c.forget(st)
		c.close(st)
	}
	c.wakeRecorder()
}

// on handles a frame.
func (c *connection) on(f frame) error {
	switch f.kind {
	case frameHeaders:
		return c.onHeaders(f)
	case frameData:
		return c.onData(f)
	case frameResetStream:
		if st := c.streams[f.stream]; st != nil {
			c.forget(st)
			c.close(st)
		}
	case frameSettings:
		return c.onSettings(f)
	case framePing:
		if f.flags&flagAck == 0 {
			c.out = appendFrame(c.out, framePing, flagAck, 0, f.payload)
		}
	case frameWindowUpdate:
		return c.onWindowUpdate(f)
	}
	return nil
}

// onHeaders begins a stream, or ends it if they are trailers.
func (c *connection) onHeaders(f frame) error {
	st := c.streams[f.stream]
	if st == nil {
		if f.stream%2 == 0 {
			return errStreamID
		}
		if f.stream <= c.last {
			return nil // trailers of a stream that has ended here
		}
		c.last = f.stream
		st = &stream{id: f.stream, handler: c.s.config.Open(), window: c.initial}
		c.streams[f.stream] = st
		c.open.Add(1)
	}
	if f.flags&flagEndStream != 0 {
		c.close(st)
	}
	return nil
}

// onData handles a piece of a stream's messages.
func (c *connection) onData(f frame) error {
	c.taken += uint32(len(f.payload))
	data, err := f.data()
	st := c.streams[f.stream]
	if err != nil || st == nil {
		return err
	}
	st.taken += uint32(len(f.payload))
	c.giveBack(st)
	for len(data) > 0 && !st.closing {
		var msg []byte
		if msg, data, err = st.next(data); err != nil {
			c.s.config.Log.Warn("a message cannot be read", "stream", st.id, "error", err)
			c.fail(st, codes.Internal)
		} else if msg != nil {
			c.enqueue(st, Job{Message: msg})
			st.in = kept(st.in)
		}
	}
	if f.flags&flagEndStream != 0 {
		c.close(st)
	}
	return nil
}

// giveBack lets the peer send more on a stream, unless its jobs or replies wait. Envoy does not
// wait for the answer to a chunk before it sends the next, so the window bounds them.
func (c *connection) giveBack(st *stream) {
	if st.taken >= ourStreamWindow/2 && !st.busy && !st.gone && len(st.unsent) < keptBuffer {
		c.out = appendWindow(c.out, st.id, st.taken)
		st.taken = 0
	}
}

func (c *connection) onSettings(f frame) error {
	if f.flags&flagAck != 0 {
		return nil
	}
	if len(f.payload)%6 != 0 {
		return errFrameSize
	}
	for p := f.payload; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case settingInitialWindowSize:
			if err := c.setInitialWindow(int64(value)); err != nil {
				return err
			}
		case settingMaxFrameSize:
			if value < defaultMaxFrame || value >= 1<<24 {
				return errFrameSize
			}
			c.maxFrame = int(value)
		}
	}
	c.out = appendFrame(c.out, frameSettings, flagAck, 0, nil)
	return nil
}

// setInitialWindow also changes the windows of running streams.
// Source: https://www.rfc-editor.org/rfc/rfc9113#section-6.9.2
func (c *connection) setInitialWindow(n int64) error {
	if n > largestWindow {
		return errWindow
	}
	for _, st := range c.streams {
		st.window += n - c.initial
		c.flush(st)
	}
	c.initial = n
	return nil
}

func (c *connection) onWindowUpdate(f frame) error {
	if len(f.payload) != 4 {
		return errFrameSize
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & largestWindow)
	if f.stream != 0 {
		if st := c.streams[f.stream]; st != nil {
			st.window += n
			c.flush(st)
			c.giveBack(st)
		}
		return nil
	}
	if c.window += n; c.window > largestWindow {
		return errWindow
	}
	for _, st := range c.streams {
		c.flush(st)
		c.giveBack(st)
	}
	return nil
}

// sendable is how many bytes one frame of a stream may have now.
func (c *connection) sendable(st *stream) int {
	return int(max(min(int64(c.maxFrame), st.window, c.window), 0))
}

// send sends a message as far as the windows allow, and keeps the rest.
func (c *connection) send(st *stream, msg []byte) {
	if len(st.unsent) > 0 {
		st.unsent = append(st.unsent, msg...)
		return
	}
	st.unsent = msg
	c.flush(st)
	st.unsent = bytes.Clone(st.unsent)
}

// flush sends kept messages as far as the windows allow.
func (c *connection) flush(st *stream) {
	for len(st.unsent) > 0 {
		n := min(len(st.unsent), c.sendable(st))
		if n == 0 {
			return
		}
		c.out = appendFrame(c.out, frameData, 0, st.id, st.unsent[:n])
		st.window -= int64(n)
		c.window -= int64(n)
		st.unsent = st.unsent[n:]
	}
	st.unsent = nil
}

// close queues the closing of a stream, once, after its other jobs.
func (c *connection) close(st *stream) {
	if !st.closing {
		st.closing = true
		c.enqueue(st, Job{Reason: c.reason})
	}
}

// closed ends a stream whose handler has closed.
func (c *connection) closed(st *stream, code codes.Code) {
	c.finish(st, code)
	c.open.Done()
}

// fail breaks a stream off. Its close comes next, even if it was already queued.
func (c *connection) fail(st *stream, code codes.Code) {
	c.finish(st, code)
	st.queue, st.closing = nil, false
	c.close(st)
}

// finish sends the status of a stream, unless the peer has ended it.
func (c *connection) finish(st *stream, code codes.Code) {
	if !st.gone {
		c.out = appendTrailers(c.out, st.id, st.begun, code)
		c.forget(st)
	}
}

// forget removes a stream.
func (c *connection) forget(st *stream) {
	st.gone, st.unsent, st.in = true, nil, nil
	delete(c.streams, st.id)
	c.closeIfDone()
}
