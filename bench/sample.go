package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ai-gateway/bench/load"
)

// Sample is what was measured of a figure and a target in one round.
type Sample struct {
	Figure  string
	Target  Target
	Round   int
	Seconds float64

	Requests   int64 // answered
	Chunks     float64
	Latency    load.Quantiles
	FirstChunk load.Quantiles
	CPU        map[string]time.Duration // by part
	Memory     map[string]int64         // by part, in bytes; of figures that ask for it
}

// sample runs a load generator against a target.
func (s *stand) sample(ctx context.Context, f Figure, to Target) (Sample, error) {
	p := f.Plan
	p.Address = s.address[to]
	told, err := json.Marshal(p)
	if err != nil {
		return Sample{}, err
	}
	generator, out, err := startTalking(self(ctx, s.Self, "load", string(told)))
	if err != nil {
		return Sample{}, err
	}
	defer out.Close()
	m := meter{pids: with(s.pids[to], map[string]int{loadPart: generator.pid()}), memory: f.Memory}
	m.Figure, m.Target = f.Name, to
	err = m.follow(json.NewDecoder(out))
	<-generator.ended
	s.answered[to] += m.all
	if err != nil {
		return Sample{}, fmt.Errorf("%s, %s: %w; the load generator printed: %s", f.Name, to, err, generator.logs)
	}
	return m.Sample, s.quiet(ctx, to)
}

// meter makes a sample of what a load generator reports.
type meter struct {
	Sample
	pids   map[string]int
	memory bool
	all    int64 // requests that were answered, the warm-up's included
}

// follow reads reports to the last.
func (m *meter) follow(reports *json.Decoder) error {
	for {
		var r load.Report
		if err := reports.Decode(&r); err != nil {
			return fmt.Errorf("reading a report of the load generator: %w", err)
		}
		if err := m.at(r); err != nil {
			return err
		}
		if r.Mark == load.Done {
			return nil
		}
	}
}

// at takes a report and, at the marks, looks at the processes.
func (m *meter) at(r load.Report) (err error) {
	switch r.Mark {
	case load.Began:
		m.CPU, err = m.clocks()
	case load.Ended:
		err = m.end(r)
	case load.Done:
		m.Latency, m.FirstChunk, m.all = r.Latency, r.FirstChunk, r.Requests
		if r.Errors > 0 {
			err = fmt.Errorf("%d errors, the first: %s", r.Errors, r.FirstError)
		}
	}
	return err
}

var errNothing = errors.New("nothing arrived while it was measured")

func (m *meter) end(r load.Report) error {
	if r.Chunks == 0 {
		return errNothing
	}
	m.Seconds, m.Requests, m.Chunks = r.Seconds, r.Requests, r.Chunks
	now, err := m.clocks()
	if err != nil {
		return err
	}
	for part, before := range m.CPU {
		m.CPU[part] = now[part] - before
	}
	if m.memory {
		m.Memory, err = m.memories()
	}
	return err
}

func (m *meter) clocks() (map[string]time.Duration, error) { return each(m.pids, cpu) }

func (m *meter) memories() (map[string]int64, error) { return each(m.pids, memory) }

// each looks at every process.
func each[T any](pids map[string]int, look func(pid int) (T, error)) (map[string]T, error) {
	seen := make(map[string]T, len(pids))
	for part, pid := range pids {
		var err error
		if seen[part], err = look(pid); err != nil {
			return nil, fmt.Errorf("%s: %w", part, err)
		}
	}
	return seen, nil
}

const (
	quietWithin = 10 * time.Second
	quietPiece  = 100 * time.Millisecond
	quietCPU    = 3 * time.Millisecond // of a piece
)

var errBusy = errors.New("what was measured does not come to rest")

// quiet waits until what a target left to do is done, so that it disturbs no other.
func (s *stand) quiet(ctx context.Context, of Target) error {
	for deadline := time.Now().Add(quietWithin); time.Now().Before(deadline); {
		before, err := each(s.pids[of], cpu)
		if err != nil {
			return err
		}
		if !sleep(ctx, quietPiece) {
			return ctx.Err()
		}
		after, err := each(s.pids[of], cpu)
		if err != nil {
			return err
		}
		if total(after)-total(before) < quietCPU {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", of, errBusy)
}

// total adds up the parts that are named, or all.
func total[T ~int64](of map[string]T, parts ...string) (sum T) {
	if len(parts) == 0 {
		for _, v := range of {
			sum += v
		}
	}
	for _, part := range parts {
		sum += of[part]
	}
	return sum
}
