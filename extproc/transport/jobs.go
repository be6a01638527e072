package transport

import (
	"bytes"

	"google.golang.org/grpc/codes"
)

// job is a Job on its way through the goroutines.
type job struct {
	Job
	owned bool // its message is a copy, not part of a read buffer
}

// enqueue adds a stream's next job. The stream's window bounds the queue.
func (c *connection) enqueue(st *stream, j Job) {
	if st.busy {
		st.queue = append(st.queue, st.own(job{Job: j}))
		return
	}
	c.dispatch(st, job{Job: j})
}

// dispatch does a stream's next job, or hands it to another goroutine.
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

// own returns a job that outlives the read buffer of its message.
func (st *stream) own(j job) job {
	switch {
	case j.owned:
	case len(st.in) > 0:
		st.in = nil // the message is part of it
	default:
		j.Message = bytes.Clone(j.Message)
	}
	j.owned = true
	return j
}

// prepare hands a job to a goroutine that prepares it and dispatches it again.
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
	_ = st.handler.Prepare(j.Job, true) // the stream closes in any case
	c.dispatch(st, j)
}

// prepared continues a job that a worker has prepared.
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
	_ = c.write() // the reading goroutine gets the error too
}

// next continues with the jobs that waited for a stream's last one.
func (c *connection) next(st *stream) {
	for len(st.queue) > 0 && !st.busy {
		next := st.queue[0]
		st.queue = st.queue[1:]
		c.dispatch(st, next)
	}
	c.giveBack(st)
}

// doInline does a job and appends the reply to the output.
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

// drop tells the handler that its reply is not sent, if there is one.
func (c *connection) drop(st *stream, code codes.Code) {
	st.handler.Dropped()
	if code != codes.OK {
		c.fail(st, code)
	}
}

// noHeaders reserves space for the headers of a frame and of its one message.
var noHeaders [frameHeaderSize + messageHeaderSize]byte
