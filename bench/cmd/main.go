// Command cmd compares the gateway with a bare Envoy and no proxy at all, and is
// the fake provider and the load generator that it needs for it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"ai-gateway/bench"
	"ai-gateway/bench/chat"
	"ai-gateway/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// run measures, or is one of the processes that measuring takes.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "fake":
		return provide(ctx, stdout)
	case len(args) == 2 && args[0] == "load":
		return ask(ctx, args[1], stdout)
	case len(args) == 3:
		return measure(ctx, bench.Binaries{Gateway: args[0], Sabotage: args[1]}, args[2], stdout)
	}
	return errors.New("usage: bench AI-GATEWAY AI-GATEWAY-FOR-SABOTAGE RESULTS-FOLDER")
}

// provide runs the fake provider and prints its address.
func provide(ctx context.Context, stdout io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintln(stdout, l.Addr())
	return chat.Provider().Run(ctx, l)
}

// ask runs the load generator by a plan in JSON.
func ask(ctx context.Context, text string, stdout io.Writer) error {
	var p load.Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	return load.Run(ctx, p, stdout)
}

// measure runs everything and keeps what comes of it.
func measure(ctx context.Context, b bench.Binaries, folder string, stdout io.Writer) (err error) {
	if b.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if b.Envoy = os.Getenv("ENVOY_PATH"); b.Envoy == "" {
		return errors.New("no Envoy: set ENVOY_PATH to one, or run `make bench`")
	}
	result, err := bench.Run(ctx, b, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, result.Table())
	return result.Save(folder)
}
