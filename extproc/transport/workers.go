package transport

import (
	"runtime"
	"sync"
)

// The most that may wait for the workers, of all connections together. Beyond that a message
// fails with RESOURCE_EXHAUSTED, and a close is prepared in haste.
const (
	maxMessages   = 1024
	maxBackground = 1024
	maxRemote     = 4096 // these are not queued: each has a goroutine
)

// workers prepare jobs that need the processor for long, first those for which a peer waits. At
// most half of them do work that nobody waits for.
type workers struct {
	mu         sync.Mutex
	changed    *sync.Cond
	messages   []task
	background []task
	inBack     int // workers that do work nobody waits for
	remote     int // goroutines that wait for other processes
	running    *sync.WaitGroup
	hurried    bool
	stopped    bool
}

// task is a job that waits for a worker.
type task struct {
	of  *connection
	st  *stream
	job job
}

func newWorkers() *workers {
	w := &workers{}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// count is the number of workers: one for each processor, and at least two.
func (w *workers) count() int { return max(runtime.GOMAXPROCS(0), 2) }

func (w *workers) start(running *sync.WaitGroup) {
	w.running = running
	for range w.count() {
		running.Go(w.work)
	}
}

// stop ends the workers. Their queues must be empty.
func (w *workers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.changed.Broadcast()
}

// hurry makes work that nobody waits for be done in haste from now on.
func (w *workers) hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurried = true
}

// add queues a task, unless its queue is full.
func (w *workers) add(t task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue, limit := &w.messages, maxMessages
	if t.job.Closes() {
		queue, limit = &w.background, maxBackground
	}
	if len(*queue) >= limit {
		return false
	}
	*queue = append(*queue, t)
	w.changed.Signal()
	return true
}

// addRemote starts a task that may wait for another process, unless too many do already.
func (w *workers) addRemote(t task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.remote >= maxRemote {
		return false
	}
	w.remote++
	w.running.Go(func() {
		code := t.st.handler.Prepare(t.job.Job, false)
		w.mu.Lock()
		w.remote--
		w.mu.Unlock()
		t.of.prepared(t.st, t.job, code)
	})
	return true
}

func (w *workers) work() {
	for {
		t, haste, ok := w.next()
		if !ok {
			return
		}
		code := t.st.handler.Prepare(t.job.Job, haste)
		w.finished(t)
		t.of.prepared(t.st, t.job, code)
	}
}

// next waits for a task; it returns none once the workers are stopped.
func (w *workers) next() (t task, haste, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case len(w.messages) > 0:
			return pop(&w.messages), false, true
		case len(w.background) > 0 && w.inBack < w.count()/2:
			w.inBack++
			return pop(&w.background), w.hurried, true
		case w.stopped:
			return task{}, false, false
		}
		w.changed.Wait()
	}
}

func (w *workers) finished(t task) {
	if !t.job.Closes() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inBack--
	w.changed.Signal()
}

func pop(queue *[]task) task {
	t := (*queue)[0]
	(*queue)[0] = task{}
	*queue = (*queue)[1:]
	return t
}
