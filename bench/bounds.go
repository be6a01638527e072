package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Bounds are ratios of the gateway's CPU to a bare Envoy's.
type Bounds struct {
	Request float64 `json:"cpu_of_a_json_request"`
	Chunk   float64 `json:"cpu_of_a_chunk"`
}

//go:embed bounds.json
var recorded []byte

// Recorded are the bounds that this version of the gateway kept when it was measured.
func Recorded() (b Bounds, err error) {
	if err := json.Unmarshal(recorded, &b); err != nil {
		return b, fmt.Errorf("reading the recorded bounds: %w", err)
	}
	return b, nil
}

const (
	shortRounds = 2
	shortTime   = time.Second
	tries       = 3
	tolerance   = 4.0 / 3 // of what was recorded
)

// Short checks a gateway against its bounds, which takes a quarter of a minute if it keeps
// them, and returns the best that was measured.
func (b Bounds) Short(ctx context.Context, programs Binaries) (best Bounds, err error) {
	err = onStand(ctx, programs, func(s *stand) error {
		best, err = b.hold(func() (Bounds, error) { return s.short(ctx) })
		return err
	})
	return best, err
}

// short measures the bounded figures in a few seconds.
func (s *stand) short(ctx context.Context) (Bounds, error) {
	figures := []Figure{loop("JSON", 16, 0, shortTime, nil), pacedStreams(shortTime)}
	samples, err := s.measure(ctx, figures, []Target{Bare, Gateway}, shortRounds, io.Discard)
	if err != nil {
		return Bounds{}, err
	}
	found := map[string]float64{}
	for _, row := range rows(figures, samples) {
		found[row.Metric] = row.Ratio
	}
	return Bounds{Request: found[cost+"request"], Chunk: found[cost+"chunk"]}, nil
}

// hold measures until each bound was kept once, at most three times: what else a
// machine does makes a measurement worse, and seldom three in a row.
func (b Bounds) hold(measure func() (Bounds, error)) (best Bounds, err error) {
	best = Bounds{Request: math.Inf(1), Chunk: math.Inf(1)}
	for range tries {
		m, failed := measure()
		if failed != nil {
			return best, failed
		}
		best = Bounds{Request: min(best.Request, m.Request), Chunk: min(best.Chunk, m.Chunk)}
		if err = b.compare(best); err == nil {
			break
		}
	}
	return best, err
}

// compare returns an error if a ratio is more than a third worse than its bound.
func (b Bounds) compare(m Bounds) error {
	one := func(what string, measured, bound float64) error {
		if measured > 0 && measured <= bound*tolerance {
			return nil
		}
		return fmt.Errorf("%s costs %.2f times a bare Envoy's CPU; recorded is %.2f, allowed %.2f", what, measured, bound, bound*tolerance)
	}
	return errors.Join(one("a JSON request", m.Request, b.Request), one("a streamed chunk", m.Chunk, b.Chunk))
}
