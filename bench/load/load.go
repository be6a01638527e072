// Package load is the load generator: it makes chat completions over plain
// HTTP/1.1, checks every answer and reports what it saw. It writes requests that were
// made before and reads answers only as far as checking them needs, so that little
// of a machine goes into asking.
package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/bench/chat"
)

// Plan says what is asked, how often and how long.
type Plan struct {
	chat.Ask
	Address     string
	Connections int
	Ramp        time.Duration // in which the connections begin, one after another
	Once        bool          // each connection makes one request, which outlasts the measurement
	WarmUp      time.Duration // after the ramp
	For         time.Duration // the measurement itself
}

// Mark is a moment at which a generator reports its progress.
type Mark string

// The marks, in their order.
const (
	Began Mark = "began" // the measurement
	Ended Mark = "ended" // the measurement; what runs is still carried to its end
	Done  Mark = "done"
)

// Report is what a generator says at a mark, a line of JSON each.
type Report struct {
	Mark     Mark
	Requests int64   // answered since Began; at Began, before; at Done, in all
	Chunks   float64 // arrived since Began; at Began, before
	Seconds  float64 // the same of time

	// Of the answers between Began and Ended; reported at Done.
	Latency    Quantiles // to the last byte
	FirstChunk Quantiles // to the first byte of the body

	Errors     int    // of all requests, also of those that were not measured
	FirstError string // "" for none
}

// Quantiles are microseconds.
type Quantiles struct{ P50, P99 float64 }

// grace is how long requests may run beyond what their own pace makes them last.
const grace = 20 * time.Second

// generator carries a plan out.
type generator struct {
	Plan
	request []byte
	size    int // of each answer's body
	chunk   int // of each chunk
	out     *json.Encoder

	begin     time.Time    // of the measurement
	end       time.Time    // of the measurement
	requests  atomic.Int64 // answered
	bytes     atomic.Int64 // of bodies that arrived
	streaming atomic.Int64 // requests whose answer has begun and not ended
	mu        sync.Mutex
	latency   []time.Duration
	first     []time.Duration
	errors    int
	firstErr  error
}

// Run carries the plan out and writes a report at each mark.
func Run(ctx context.Context, p Plan, out io.Writer) error {
	g := &generator{Plan: p, request: request(p), size: p.Size(), chunk: len(chat.Chunk()), out: json.NewEncoder(out)}
	g.begin = time.Now().Add(p.Ramp + p.WarmUp)
	g.end = g.begin.Add(p.For)
	ctx, cancel := context.WithDeadline(ctx, g.end.Add(time.Duration(p.Chunks)*p.Pace+grace))
	defer cancel()
	var all sync.WaitGroup
	for i := range p.Connections {
		start := time.Now().Add(p.Ramp * time.Duration(i) / time.Duration(p.Connections))
		all.Go(func() { g.note(g.connection(ctx, start)) })
	}
	err := g.measure(ctx)
	all.Wait()
	if err != nil {
		return err
	}
	return g.done()
}

func request(p Plan) []byte {
	body := p.Body()
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-bench-0123456789abcdef\r\n"+
		"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// measure reports when the measurement begins and ends.
func (g *generator) measure(ctx context.Context) error {
	if !sleep(ctx, g.begin) {
		return ctx.Err()
	}
	began := g.report(Began, Report{})
	if err := g.out.Encode(began); err != nil {
		return err
	}
	if !sleep(ctx, g.end) {
		return ctx.Err()
	}
	return g.out.Encode(g.report(Ended, began))
}

// report reports the progress since the last report.
func (g *generator) report(at Mark, before Report) Report {
	if running := g.streaming.Load(); g.Once && running != int64(g.Connections) {
		g.note(fmt.Errorf("%d of %d streams run when the measurement %s", running, g.Connections, at))
	}
	return Report{
		Mark:     at,
		Requests: g.requests.Load() - before.Requests,
		Chunks:   float64(g.bytes.Load())/float64(g.chunk) - before.Chunks,
		Seconds:  time.Since(g.begin).Seconds() - before.Seconds,
	}
}

// done reports the figures of single answers.
func (g *generator) done() error {
	r := Report{Mark: Done, Requests: g.requests.Load(), Latency: quantiles(g.latency), FirstChunk: quantiles(g.first), Errors: g.errors}
	if g.firstErr != nil {
		r.FirstError = g.firstErr.Error()
	}
	return g.out.Encode(r)
}

// quantiles sorts what it is given.
func quantiles(of []time.Duration) Quantiles {
	if len(of) == 0 {
		return Quantiles{}
	}
	slices.Sort(of)
	at := func(q float64) float64 { return float64(of[int(q*float64(len(of)-1))].Nanoseconds()) / 1e3 }
	return Quantiles{P50: at(0.5), P99: at(0.99)}
}

// note counts an error.
func (g *generator) note(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errors++
	if g.firstErr == nil {
		g.firstErr = err
	}
}

// connection makes requests, one after another, until the measurement ends.
func (g *generator) connection(ctx context.Context, start time.Time) error {
	sleep(ctx, start)
	c, err := new(net.Dialer).DialContext(ctx, "tcp", g.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	a := newAnswer(c, g)
	for time.Now().Before(g.end) {
		if err := g.exchange(c, a); err != nil || g.Once {
			return err
		}
	}
	return nil
}

// exchange makes one request.
func (g *generator) exchange(c net.Conn, a *answer) error {
	began := time.Now()
	if _, err := c.Write(g.request); err != nil {
		return fmt.Errorf("writing a request: %w", err)
	}
	if err := a.read(); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	now := time.Now()
	g.requests.Add(1)
	if now.Before(g.begin) || now.After(g.end) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.latency = append(g.latency, now.Sub(began))
	g.first = append(g.first, a.firstByte.Sub(began))
	return nil
}

// sleep reports whether a moment came before ctx ended.
func sleep(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
