// Command ai-gateway is an OpenAI-compatible gateway on a stock Envoy.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	"ai-gateway/supervisor"
)

const unversioned = "dev"

// version is set by the linker.
var version = unversioned

func main() {
	if os.Getpid() == 1 {
		os.Exit(supervisor.RunAsInit(os.Args))
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "ai-gateway: %v\n", err)
		os.Exit(1)
	}
}

// world has everything outside the process that a command uses.
type world struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	file           *string // named by --config; "" for none
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	w := world{getenv, stdout, stderr, new(string)}
	root := &cobra.Command{
		Use:           "ai-gateway",
		Short:         "An OpenAI-compatible AI gateway on a stock Envoy",
		Version:       ownVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(w.file, "config", "", "configuration file; else the one that "+config.FileVariable+" names, if any")
	root.AddCommand(w.runCommand(), w.serveCommand(), w.bootstrapCommand(), w.statusCommand(), w.readyCommand(), w.doctorCommand(), w.configCommand(), w.checkCommand(), w.attachCommand(), w.keysCommand(), w.budgetsCommand(), w.explainCommand(),
		w.usageCommand(), w.exportCommand(), w.invoiceCommand(), w.repriceCommand(), w.reconcileCommand(), w.migrateCommand(), w.versionCommand())
	return root.ExecuteContext(ctx)
}
