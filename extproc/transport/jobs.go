package transport

import (
	"bytes"

	"google.golang.org/grpc/codes"
)

// job is a Job on its way through the goroutines.
type job struct {
	Job
	owned bool // its message is no part of what others are read into
}

// enqueue takes in a stream's next job. What waits behind another one is bounded by the
// stream's window.
func (c *connection) enqueue(st *stream, j Job) {
	if st.busy {
		st.queue = append(st.queue, st.own(job{Job: j}))
		return
	}
	c.dispatch(st, job{Job: j})
}

// dispatch has a stream's next job done, at once or by another goroutine.
func (c *connection) dispatch(st *stream, j job) {
	switch st.handler.Class(j.Job) {
	case Inline:
		c.doInline(st, j)
	case Disk:
		c.record(st, j)
	case CPU, Background:
		c.prepare(st, j, c.s.workers.add)
	case Remote:
		c.prepare(st, j, c.s.workers.addRemote)
	}
}

// own is a job that outlives what its message was read into.
func (st *stream) own(j job) job {
	switch {
	case j.owned:
	case len(st.in) > 0:
		st.in = nil // which the message is part of
	default:
		j.Message = bytes.Clone(j.Message)
	}
	j.owned = true
	return j
}

// prepare has another goroutine prepare a job, which is dispatched again afterwards.
func (c *connection) prepare(st *stream, j job, add func(task) bool) {
	j = st.own(j)
	st.busy = true
	if add(task{c, st, j}) {
		return
	}
	st.busy = false
	if !j.Closes() {
		c.fail(st, codes.ResourceExhausted)
		return
	}
	_ = st.handler.Prepare(j.Job, true) // it closes either way
	c.dispatch(st, j)
}

// prepared goes on with a job that a worker has prepared.
func (c *connection) prepared(st *stream, j job, code codes.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st.busy = false
	if code != codes.OK && !j.Closes() {
		st.handler.Dropped()
		c.fail(st, code)
	} else {
		c.dispatch(st, j)
	}
	c.next(st)
	c.wakeRecorder()
	_ = c.write() // the goroutine that reads meets the error, too
}

// next goes on with what waited for a stream's last job.
func (c *connection) next(st *stream) {
	for len(st.queue) > 0 && !st.busy {
		next := st.queue[0]
		st.queue = st.queue[1:]
		c.dispatch(st, next)
	}
	c.giveBack(st)
}

// doInline does a job and appends the reply where it is written from.
func (c *connection) doInline(st *stream, j job) {
	if j.Closes() {
		_, code := st.handler.Do(j.Job, nil)
		c.closed(st, code)
		return
	}
	at := len(c.out)
	if !st.begun {
		c.out = appendResponseHeaders(c.out, st.id)
	}
	from := len(c.out)
	out, code := st.handler.Do(j.Job, append(c.out, noHeaders[:]...))
	if code != codes.OK || st.gone {
		c.out = c.out[:at]
		c.drop(st, code)
		return
	}
	st.begun, c.out = true, out
	setLength(out[from+frameHeaderSize:])
	n := len(out) - from - frameHeaderSize
	if len(st.unsent) == 0 && n <= c.sendable(st) {
		appendFrameHeader(out[from:from], n, frameData, 0, st.id)
		st.window -= int64(n)
		c.window -= int64(n)
		return
	}
	st.unsent = append(st.unsent, out[from+frameHeaderSize:]...)
	c.out = out[:from]
	c.flush(st)
}

// drop says that a reply is not sent: there is none, or nobody waits for it.
func (c *connection) drop(st *stream, code codes.Code) {
	st.handler.Dropped()
	if code != codes.OK {
		c.fail(st, code)
	}
}

// noHeaders are the place of the headers of a frame and of its one message.
var noHeaders [frameHeaderSize + messageHeaderSize]byte
