package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// errTerminated is why a context ended at a SIGTERM.
var errTerminated = errors.New("SIGTERM received")

// endSignals are those that ask a process to end.
func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} }

// untilSignal returns a context that ends at the first signal that asks the process to end.
func untilSignal(ctx context.Context) (until context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals()...)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case s := <-signals:
			cancel(causeOf(s))
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		waiting.Wait()
	}
}

func causeOf(s os.Signal) error {
	if s == syscall.SIGTERM {
		return errTerminated
	}
	return context.Canceled
}

// untilDrained returns a context that ends with ctx. Where that ends by a SIGTERM, drain runs
// first; the next signal ends the context that drain is given, and so both.
func untilDrained(ctx context.Context, drain func(context.Context)) (until context.Context, stop func()) {
	until, end := context.WithCancel(context.WithoutCancel(ctx))
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer end()
		select {
		case <-until.Done():
			return
		case <-ctx.Done():
		}
		if !errors.Is(context.Cause(ctx), errTerminated) {
			return
		}
		next, stop := signal.NotifyContext(until, endSignals()...)
		defer stop()
		drain(next)
	})
	return until, func() {
		end()
		waiting.Wait()
	}
}
