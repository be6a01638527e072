// Command cmd runs the fake provider as a process of its own: it prints its
// address and ends on SIGTERM or when its standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"ai-gateway/test/fakeprovider"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "fakeprovider: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("fakeprovider", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	scenarios := flags.String("scenarios", "", "folder of scenarios; without it only generated models answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p := fakeprovider.New()
	if *scenarios != "" {
		if err := p.Load(*scenarios); err != nil {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintln(stdout, l.Addr())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go untilEnd(stdin, stop) // it may outlast Run: nothing but the process's end ends a read of stdin
	return p.Run(ctx, l)
}

func untilEnd(r io.Reader, stop func()) {
	_, _ = io.Copy(io.Discard, r) // however it ends, it has ended
	stop()
}
