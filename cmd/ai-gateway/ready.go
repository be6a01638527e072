package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"ai-gateway/config"
)

func (w world) readyCommand() *cobra.Command {
	var folder, role string
	var live bool
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Fail unless the gateway serves requests, even with degraded health; for health checks of containers",
		Long: `Fail unless the gateway serves requests, also where its health is degraded; for health
checks of containers. It prints nothing if all is well.

With --run-folder it asks the process of one role at its socket: an agent, and with it its
Envoy, or an api. With --live the agent is asked for itself alone, as Envoy may start after it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if folder != "" {
				return runFiles(folder).ready(cmd.Context(), role, live)
			}
			listener, err := config.FindListener(w.configFile(), w.getenv)
			if err != nil {
				return err
			}
			return ready(cmd.Context(), tcpClient(), healthURL(listener))
		},
	}
	cmd.Flags().StringVar(&folder, "run-folder", "", "private folder with the sockets of processes of their own; left out, the gateway is asked where it listens")
	cmd.Flags().StringVar(&role, "role", roleAgent, roleAgent+" or "+roleAPI+", with --run-folder")
	cmd.Flags().BoolVar(&live, "live", false, "with --run-folder: fail only if the process itself does not answer")
	return cmd
}

// ready asks the process of a role. The agent's health includes its Envoy's, unless it is only to be
// live; the api is ready without an agent.
func (d runFiles) ready(ctx context.Context, role string, live bool) error {
	switch {
	case role == roleAgent && live:
		return ready(ctx, unixClient(d.agentSocket()), "http://agent/livez")
	case role == roleAgent:
		return ready(ctx, unixClient(d.agentSocket()), "http://agent/health")
	case role == roleAPI:
		return ready(ctx, unixClient(d.apiSocket()), "http://api/livez")
	}
	return fmt.Errorf("--role %q must be %s or %s", role, roleAgent, roleAPI)
}

func ready(ctx context.Context, client *http.Client, url string) error {
	body, err := get(ctx, client, url)
	if err != nil && body != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	return err
}
