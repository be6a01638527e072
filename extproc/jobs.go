package extproc

import (
	"bytes"

	"google.golang.org/grpc/codes"
)

// job is a message to answer, or the end of the exchange.
type job struct {
	msg   []byte
	end   bool
	owned bool // msg is no part of what others are read into
}

// pace is how long a job may take.
type pace uint8

const (
	quick   pace = iota
	records      // it writes to disk, which may hang
	slow         // its work takes time
)

// pace is that of a stream's next job.
func (st *stream) pace(j job) pace {
	x := st.x
	switch {
	case j.end && !x.planned:
		return quick
	case j.end && x.light():
		return records
	case j.end || len(j.msg) > inPlace:
		return slow
	case x.state == awaitRequestBody:
		return records
	case (x.state == awaitResponseHeaders || x.state == awaitJSON) && len(x.text.Texts) > inPlace:
		return slow // the prompt's tokens may be counted
	}
	return quick
}

// owned is a job that outlives what its message was read into.
func (st *stream) owned(j job) job {
	switch {
	case j.owned:
	case len(st.in) > 0:
		st.in = nil // which the message is part of
	default:
		j.msg = bytes.Clone(j.msg)
	}
	j.owned = true
	return j
}

// do does a stream's next job, by how long it may take; or later, after one that is done
// beside. What waits for that is bounded by the stream's window.
func (c *connection) do(st *stream, j job) {
	if st.beside {
		st.waiting = append(st.waiting, st.owned(j))
		return
	}
	pace := st.pace(j)
	if pace == quick {
		c.doInPlace(st, j)
		return
	}
	st.beside = true
	j = st.owned(j)
	if pace == slow {
		c.beside.Go(func() { c.doBeside(st, j) })
		return
	}
	c.recordings = append(c.recordings, recording{st, j})
	if len(c.recordings) == 1 {
		c.beside.Go(c.record)
	}
}

// recording is a job that writes to disk.
type recording struct {
	of  *stream
	job job
}

// record does the jobs that write to disk, one after another: the disk takes them no
// faster, and while it hangs the connection's streams run on.
func (c *connection) record() {
	for {
		c.mu.Lock()
		r := c.recordings[0]
		c.mu.Unlock()
		c.doBeside(r.of, r.job)
		c.mu.Lock()
		c.recordings[0] = recording{}
		c.recordings = c.recordings[1:]
		done := len(c.recordings) == 0
		c.mu.Unlock()
		if done {
			return
		}
	}
}

// doInPlace appends the reply where it is written from.
func (c *connection) doInPlace(st *stream, j job) {
	if j.end {
		c.finish(st, c.s.end(st.x))
		return
	}
	c.begin(st)
	at := len(c.out)
	out, code := c.s.answer(st.x, j.msg, append(c.out, noHeaders[:]...))
	if code != codes.OK {
		c.fail(st, code)
		return
	}
	c.out = out
	setLength(out[at+frameHeaderSize:])
	if n := len(out) - at - frameHeaderSize; len(st.unsent) == 0 && n <= c.sendable(st) {
		appendFrameHeader(out[at:at], n, frameData, 0, st.id)
		st.window -= int64(n)
		c.window -= int64(n)
		return
	}
	st.unsent = append(st.unsent, out[at+frameHeaderSize:]...)
	c.out = out[:at]
	c.flush(st)
}

// noHeaders are the place of the headers of a frame and of its one message.
var noHeaders [frameHeaderSize + messageHeaderSize]byte

// doBeside does a job that others need not wait for.
func (c *connection) doBeside(st *stream, j job) {
	var reply []byte
	var code codes.Code
	if j.end {
		code = c.s.end(st.x)
	} else {
		reply, code = c.s.answer(st.x, j.msg, make([]byte, messageHeaderSize))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st.beside = false
	switch {
	case j.end:
		c.finish(st, code)
	case code != codes.OK:
		c.fail(st, code)
	case !st.gone:
		c.begin(st)
		setLength(reply)
		st.unsent = append(st.unsent, reply...)
		c.flush(st)
	}
	for len(st.waiting) > 0 && !st.beside {
		next := st.waiting[0]
		st.waiting = st.waiting[1:]
		c.do(st, next)
	}
	c.giveBack(st)
	_ = c.write() // whoever reads learns it too
}
