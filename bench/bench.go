// Package bench measures what the gateway costs: side by side in one run, round
// after round, a fake provider asked directly, through an Envoy that only carries,
// and through the gateway, with its ledger and without. What counts are the ratios:
// absolute figures are those of one machine at one time. It runs built binaries and
// imports nothing of theirs.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"time"
)

const (
	rounds     = 5
	slowRounds = 2
)

// Run measures all figures, and reports its progress.
func Run(ctx context.Context, b Binaries, progress io.Writer) (Result, error) {
	r, err := newResult(ctx, b.Envoy)
	if err != nil {
		return Result{}, err
	}
	take := func(figures []Figure, targets []Target, rounds int) error {
		return onStand(ctx, b, func(s *stand) error {
			samples, err := s.measure(ctx, figures, targets, rounds, progress)
			r.Samples = append(r.Samples, samples...)
			return err
		})
	}
	if err := take(Figures(), Targets(), rounds); err != nil {
		return Result{}, err
	}
	slow := slowStreams()
	for round := range slowRounds { // each in processes that did nothing before
		if err := take([]Figure{slow}, rotated([]Target{Bare, NoLedger, Gateway}, round), 1); err != nil {
			return Result{}, err
		}
	}
	r.Rows = rows(append(Figures(), slow), r.Samples)
	return r, nil
}

// onStand does something with a stand that is there as long.
func onStand(ctx context.Context, b Binaries, do func(*stand) error) error {
	s, err := newStand(ctx, b)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.close())
}

// measure makes rounds × figures × targets samples.
func (s *stand) measure(ctx context.Context, figures []Figure, targets []Target, rounds int, progress io.Writer) (samples []Sample, err error) {
	for round := range rounds {
		fmt.Fprintf(progress, "round %d of %d\n", round+1, rounds)
		for _, f := range figures {
			for _, to := range rotated(append(slices.Clone(targets), f.Besides...), round) {
				sample, err := s.sample(ctx, f, to)
				if err != nil {
					return nil, err
				}
				sample.Round = round
				samples = append(samples, sample)
			}
		}
	}
	return samples, s.checkRows(ctx)
}

// rotated begins with another target each round: none is always the first.
func rotated(targets []Target, by int) []Target {
	by %= len(targets)
	return slices.Concat(targets[by:], targets[:by])
}

func newResult(ctx context.Context, envoy string) (Result, error) {
	memory, err := machineMemory()
	if err != nil {
		return Result{}, err
	}
	out, err := exec.CommandContext(ctx, envoy, "--version").Output()
	if err != nil {
		return Result{}, fmt.Errorf("asking %q for its version: %w", envoy, err)
	}
	return Result{
		Date:       time.Now().UTC().Format(time.DateOnly),
		Processors: runtime.NumCPU(),
		MemoryGiB:  float64(memory) / (1 << 30),
		Envoy:      string(regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out)),
	}, nil
}
