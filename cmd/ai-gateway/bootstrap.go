package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	"ai-gateway/envoy"
	"ai-gateway/supervisor"
)

// sharedConnections is how many clients an Envoy takes that somebody else starts. With a connection
// of a backend for each they need 40,000 open files.
const sharedConnections = 20_000

func (w world) bootstrapCommand() *cobra.Command {
	var f bootstrapFlags
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print the bootstrap for an Envoy that somebody else starts, next to an agent",
		Long: `Print the bootstrap for an Envoy that somebody else starts, as in a container of its own.

That Envoy and "serve --role agent" need the same --run-folder, with the sockets between
them, and the same state folder, with Envoy's access log, at the same paths. Both run as
the same user, as nobody else may use these sockets and files.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return w.bootstrap(f) },
	}
	cmd.Flags().StringVar(&f.folder, "run-folder", "", "folder with the sockets that Envoy shares with the agent")
	cmd.Flags().StringVar(&f.memory, "memory", "", "memory that Envoy may use, such as 512MiB; left out, it is limits.envoy_memory, or half of what there is here")
	cmd.Flags().IntVar(&f.workers, "workers", envoyWorkers(), "threads that serve connections, for the command to start it with")
	cmd.Flags().IntVar(&f.connections, "connections", sharedConnections, "connections of clients at one time")
	if err := cmd.MarkFlagRequired("run-folder"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// bootstrapFlags are what depends on where that Envoy runs.
type bootstrapFlags struct {
	folder, memory       string
	workers, connections int
}

func (w world) bootstrap(f bootstrapFlags) error {
	if !filepath.IsAbs(f.folder) {
		return fmt.Errorf("--run-folder %q must be an absolute path", f.folder)
	}
	if err := supervisor.CheckSocketFolder(f.folder); err != nil {
		return fmt.Errorf("--run-folder: %w", err)
	}
	heap, err := w.bootstrapMemory(f.memory)
	if err != nil {
		return err
	}
	text, err := bootstrapOf(runFiles(f.folder), heap, f.connections)
	if err != nil {
		return err
	}
	command := envoy.Command{Bootstrap: "THIS-FILE", Workers: f.workers, LogFlush: journalFlush}
	_, err = fmt.Fprintf(w.stdout, "# Start Envoy as the agent's user, with:\n# envoy %s\n#\n%s", strings.Join(command.Arguments(), " "), text)
	return err
}

// bootstrapMemory is how many bytes Envoy may use, by the flag or the configuration.
func (w world) bootstrapMemory(flag string) (int64, error) {
	if flag != "" {
		heap, err := config.EnvoyMemory(flag)
		if err != nil {
			err = fmt.Errorf("--memory %q %w", flag, err)
		}
		return heap, err
	}
	cfg, err := config.LoadKeyless(w.configFile(), w.getenv)
	return envoyMemory(cfg), err
}

// bootstrapOf is the first configuration of an Envoy with the sockets of a run folder.
func bootstrapOf(files runFiles, maxHeapBytes int64, maxConnections int) ([]byte, error) {
	return envoy.Bootstrap{
		AdminSocket: files.adminSocket(), XDSSocket: files.xdsSocket(), MaxHeapBytes: maxHeapBytes, MaxConnections: maxConnections,
	}.YAML()
}
