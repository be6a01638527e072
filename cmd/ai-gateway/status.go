package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (w world) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the health of the gateway that runs here, Envoy's last refusal included; fails unless all is well",
		Long: `Show the health of the gateway that runs here, Envoy's last refusal included.

Its exit status is 0 if the health is "ok", and 1 if it is "degraded" or "unavailable",
or if no gateway answers.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := w.load()
			if err != nil {
				return err
			}
			return w.status(cmd.Context(), healthURL(cfg))
		},
	}
}

func (w world) status(ctx context.Context, url string) error {
	body, err := get(ctx, tcpClient(), url)
	if body == nil {
		return fmt.Errorf("asking the gateway: %w: is it running, and with the same PORT and AI_GATEWAY_BIND?", err)
	}
	var health struct{ Status string }
	var pretty bytes.Buffer
	if json.Unmarshal(body, &health) != nil || json.Indent(&pretty, body, "", "  ") != nil || err == nil && health.Status == "" {
		return fmt.Errorf("what answers at %s is no AI Gateway", url)
	}
	fmt.Fprintln(w.stdout, pretty.String())
	if err == nil && health.Status != "ok" {
		err = fmt.Errorf("the gateway is %s: its parts say why", health.Status)
	}
	return err
}
