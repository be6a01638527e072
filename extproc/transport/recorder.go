package transport

import (
	"time"

	"google.golang.org/grpc/codes"
)

const (
	// maxRecordings is how many messages may wait for a connection's recorder. Further ones
	// fail with RESOURCE_EXHAUSTED. Closes do not count: each stream has one.
	maxRecordings = 4096
	// patience is how long replies may wait for a recording that hangs.
	patience = 10 * time.Millisecond
)

// recorder does a connection's jobs that may wait for the disk, one after another, as the disk
// is no faster. It is woken once for all that was read together. The connection's mu guards all
// fields but wake and late.
type recorder struct {
	wake    chan struct{}
	late    *time.Timer // writes finished answers while the recorder hangs
	queue   []recording
	spare   []recording // memory for the queue
	waiting int         // messages that are queued or being recorded
	reply   []byte      // memory for the next reply
}

// recording is a job that waits for the recorder.
type recording struct {
	st  *stream
	job job
}

// record queues a job for the recorder.
func (c *connection) record(st *stream, j job) {
	if !j.Closes() {
		if c.recorder.waiting >= maxRecordings {
			c.fail(st, codes.ResourceExhausted)
			return
		}
		c.recorder.waiting++
	}
	st.busy = true
	c.recorder.queue = append(c.recorder.queue, recording{st, st.own(j)})
}

// wakeRecorder wakes the recorder if there is work for it.
func (c *connection) wakeRecorder() {
	if len(c.recorder.queue) == 0 {
		return
	}
	select {
	case c.recorder.wake <- struct{}{}:
	default: // it is awake, or has been woken
	}
}

// runRecorder records until wake is closed.
func (c *connection) runRecorder() {
	for range c.recorder.wake {
		c.recorder.late.Reset(patience)
		c.recordQueue()
		c.recorder.late.Stop()
	}
}

func (c *connection) recordQueue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.recorder.queue) > 0 {
		batch := c.recorder.queue
		c.recorder.queue = c.recorder.spare
		for _, r := range batch {
			c.recordOne(r)
		}
		clear(batch)
		c.recorder.spare = batch[:0]
		_ = c.write() // the reading goroutine gets the error too
	}
}

// recordOne does a job without mu, and continues its stream.
func (c *connection) recordOne(r recording) {
	if r.job.Closes() {
		c.mu.Unlock()
		_, code := r.st.handler.Do(r.job.Job, nil)
		c.mu.Lock()
		r.st.busy = false
		c.closed(r.st, code)
		return
	}
	if !r.st.gone {
		c.answer(r.st, r.job)
	}
	c.recorder.waiting--
	r.st.busy = false
	c.next(r.st)
}

// answer does a message's job without mu, and sends the reply.
func (c *connection) answer(st *stream, j job) {
	c.mu.Unlock()
	reply, code := st.handler.Do(j.Job, append(c.recorder.reply[:0], noHeaders[frameHeaderSize:]...))
	c.mu.Lock()
	c.recorder.reply = kept(reply)
	if code != codes.OK || st.gone {
		st.busy = false
		c.drop(st, code)
		return
	}
	if !st.begun {
		st.begun = true
		c.out = appendResponseHeaders(c.out, st.id)
	}
	setLength(reply)
	c.send(st, reply)
}

// writeLate writes finished answers while a recording hangs.
func (c *connection) writeLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.write() // the reading goroutine gets the error too
	if len(c.recorder.queue) > 0 || c.recorder.waiting > 0 {
		c.recorder.late.Reset(patience)
	}
}
