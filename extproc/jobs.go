package extproc

import (
	"bytes"

	"google.golang.org/grpc/codes"
)

// job is a message to answer, or the end of the exchange.
type job struct {
	msg   []byte
	end   bool
	plans bool // msg is the request's body
	owned bool // msg is no part of what others are read into
}

// ending is how an exchange ends.
type ending uint8

const (
	byEnvoy      ending = iota // which tells the request's end in its journal, now or later
	withEnvoy                  // which is gone and tells no more
	withoutEnvoy               // which carries the request on: we leave
)

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
	case j.end && (!x.planned || x.left()):
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
	j.plans = !j.end && st.x.state == awaitRequestBody
	switch st.pace(j) {
	case quick:
		c.doInPlace(st, j)
	case records:
		st.beside = true
		if c.recording || len(st.in) > 0 { // else it is done before what its message is part of is read into again
			j = st.owned(j)
		}
		c.recordings = append(c.recordings, recording{st, j})
	case slow:
		st.beside = true
		j = st.owned(j)
		c.beside.Go(func() { c.doBeside(st, j) })
	}
}

// recording is a job that writes to disk.
type recording struct {
	of  *stream
	job job
}

// record does the jobs that write to disk, one after another, unless another goroutine is
// at it, which then does all of them: the disk takes them no faster. Meanwhile it lets go
// of mu.
func (c *connection) record() {
	if c.recording {
		return
	}
	c.recording = true
	for len(c.recordings) > 0 {
		batch := c.recordings
		c.recordings = c.spare
		for _, r := range batch {
			if r.of.gone && r.job.plans { // nobody waits for the plan any more
				c.done(r.of, r.job, nil, codes.OK)
				continue
			}
			c.mu.Unlock()
			reply, code := c.result(r.of, r.job, c.reply)
			c.mu.Lock()
			c.done(r.of, r.job, reply, code)
			c.reply = kept(reply)
		}
		clear(batch)
		c.spare = batch[:0]
	}
	c.recording = false
}

// doBeside does a job that others need not wait for.
func (c *connection) doBeside(st *stream, j job) {
	reply, code := c.result(st, j, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done(st, j, reply, code)
	c.record()
	_ = c.write() // whoever reads learns it too
}

// result does a job, whose reply takes the place of what is in a buffer.
func (c *connection) result(st *stream, j job, buffer []byte) (reply []byte, code codes.Code) {
	if j.end {
		return buffer, c.s.end(st.x)
	}
	return c.s.answer(st.x, j.msg, append(buffer[:0], noHeaders[frameHeaderSize:]...))
}

// done tells the peer what became of a job, and goes on with what waited for it.
func (c *connection) done(st *stream, j job, reply []byte, code codes.Code) {
	st.beside = false
	st.x.unsent = st.x.unsent || j.plans && (code != codes.OK || st.gone)
	switch {
	case j.end:
		c.finish(st, code)
	case code != codes.OK:
		c.fail(st, code)
	case !st.gone:
		c.begin(st)
		setLength(reply)
		c.send(st, reply)
	}
	for len(st.waiting) > 0 && !st.beside {
		next := st.waiting[0]
		st.waiting = st.waiting[1:]
		c.do(st, next)
	}
	c.giveBack(st)
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
