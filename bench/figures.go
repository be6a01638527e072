package bench

import (
	"time"

	"ai-gateway/bench/chat"
	"ai-gateway/bench/load"
)

// Figure is a load under which targets are measured.
type Figure struct {
	Name    string
	Plan    load.Plan // without the address
	Memory  bool      // memory is measured, too
	Besides []Target  // that are measured, too
	Metrics []Metric
	Heads   heads // the metrics that the plot shows
}

// heads are metrics and what is aimed at; "" where nothing is. Ratios and memory are aims
// for the gateway without its ledger; the ledger has one of its own.
type heads map[string]string

// Lengths of a measurement.
const (
	warmUp   = 500 * time.Millisecond
	measured = 2500 * time.Millisecond
)

// Figures are those that all targets are measured by, round after round.
func Figures() []Figure {
	return []Figure{
		loop("JSON, 1 connection", 1, 0, measured, heads{latency: ""}),
		itemized(loop("JSON, 16 connections", 16, 0, measured, heads{
			rate: "at least 0.42 ×", cost + "request": "at most 4.3 ×", ledger: "at most 15", promptLog: "",
		})),
		loop("streams, 1 connection", 1, shortStream, measured, heads{firstChunk: ""}),
		loop("streams, 16 connections", 16, shortStream, measured, heads{rate: ""}),
		pacedStreams(measured),
	}
}

// slowStreams are 4,000 streams with a chunk a second, once all of them run.
func slowStreams() Figure {
	const ramp, warmUp, measured = 8 * time.Second, 4 * time.Second, 10 * time.Second
	return Figure{
		Name:    "4,000 streams, a chunk a second",
		Plan:    paced(4000, time.Second, ramp, warmUp, measured),
		Memory:  true,
		Metrics: append(memoryMetrics(), cpuMetrics("chunk", chunks)...),
		Heads:   heads{held: "at most 450 MB"},
	}
}

// pacedStreams are 100 streams with a chunk every 20 ms.
func pacedStreams(d time.Duration) Figure {
	return Figure{
		Name:    "100 streams, a chunk each 20 ms",
		Plan:    paced(100, 20*time.Millisecond, 200*time.Millisecond, warmUp, d),
		Metrics: cpuMetrics("chunk", chunks),
		Heads:   heads{cost + "chunk": "at most 1.9 ×"},
	}
}

// shortStream is how many chunks the streams have that are not paced.
const shortStream = 20

// itemized splits a request's cost into the ledger's and the prompt log's,
// for which it measures another target, too.
func itemized(f Figure) Figure {
	f.Besides = []Target{NoPrompts}
	f.Metrics = append(f.Metrics, less(ledger, NoPrompts, NoLedger), less(promptLog, Gateway, NoPrompts))
	return f
}

// loop asks as fast as answers come.
func loop(name string, connections, chunks int, d time.Duration, h heads) Figure {
	metrics := []Metric{
		{Name: rate, Of: func(s Sample) float64 { return float64(s.Requests) / s.Seconds }},
		{Name: latency, Of: func(s Sample) float64 { return s.Latency.P50 }},
		{Name: "p99, µs", Of: func(s Sample) float64 { return s.Latency.P99 }},
	}
	if chunks > 0 {
		metrics = append(metrics,
			Metric{Name: firstChunk, Of: func(s Sample) float64 { return s.FirstChunk.P50 }},
			Metric{Name: "first chunk p99, µs", Of: func(s Sample) float64 { return s.FirstChunk.P99 }})
	}
	return Figure{
		Name:    name,
		Plan:    load.Plan{Ask: chat.Ask{Chunks: chunks}, Connections: connections, WarmUp: warmUp, For: d},
		Metrics: append(metrics, cpuMetrics("request", requests)...),
		Heads:   h,
	}
}

// paced are streams that begin in the ramp and outlast the measurement a little.
func paced(connections int, pace, ramp, warmUp, d time.Duration) load.Plan {
	slack := 2*pace + 300*time.Millisecond
	return load.Plan{
		Ask:         chat.Ask{Chunks: int((ramp + warmUp + d + slack) / pace), Pace: pace},
		Connections: connections, Once: true, Ramp: ramp, WarmUp: warmUp, For: d,
	}
}

// Metric is one number of a figure.
type Metric struct {
	Name string
	Of   func(Sample) float64 // 0 where the target has no such thing
	// Target and Less, "" for most metrics: what is shown is the metric of the one less that
	// of the other, in the place of the gateway's.
	Target, Less Target
}

// Names of the metrics that plots show.
const (
	rate       = "answers a second"
	latency    = "p50, µs"
	firstChunk = "first chunk p50, µs"
	cost       = "CPU µs a " // request or chunk
	ledger     = "CPU µs a request, of these the ledger"
	promptLog  = "CPU µs a request, of these the prompt log"
	held       = "memory, MB"
)

func requests(s Sample) float64 { return float64(s.Requests) }
func chunks(s Sample) float64   { return s.Chunks }

// cpuMetrics are the costs of a unit: of all that stands between the load generator
// and the fake provider, and of each part.
func cpuMetrics(unit string, count func(Sample) float64) []Metric {
	of := func(parts ...string) func(Sample) float64 {
		return func(s Sample) float64 { return float64(total(s.CPU, parts...).Nanoseconds()) / 1e3 / count(s) }
	}
	metrics := []Metric{{Name: cost + unit, Of: of(between()...)}}
	for _, part := range []string{envoyPart, servePart} {
		metrics = append(metrics, Metric{Name: "  " + part, Of: of(part)})
	}
	for _, part := range []string{fakePart, loadPart} {
		metrics = append(metrics, Metric{Name: "not of it: " + part, Of: of(part)})
	}
	return metrics
}

// less is the CPU that a request costs of one target less that of another.
func less(name string, of, other Target) Metric {
	return Metric{Name: name, Of: cpuMetrics("request", requests)[0].Of, Target: of, Less: other}
}

func memoryMetrics() []Metric {
	of := func(parts ...string) func(Sample) float64 {
		return func(s Sample) float64 { return float64(total(s.Memory, parts...)) / 1e6 }
	}
	return []Metric{{Name: held, Of: of(between()...)}, {Name: "  " + envoyPart, Of: of(envoyPart)}, {Name: "  " + servePart, Of: of(servePart)}}
}
