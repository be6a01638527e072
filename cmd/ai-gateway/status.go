package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (w world) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the health of the gateway that runs here, Envoy's last refusal included",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := w.load()
			if err != nil {
				return err
			}
			body, err := get(cmd.Context(), tcpClient(), healthURL(cfg))
			if body == nil {
				return fmt.Errorf("asking the gateway: %w: is it running, and with the same PORT and AI_GATEWAY_BIND?", err)
			}
			var pretty bytes.Buffer
			if json.Indent(&pretty, body, "", "  ") != nil {
				return fmt.Errorf("what answers at %s is no AI Gateway", healthURL(cfg))
			}
			fmt.Fprintln(w.stdout, pretty.String())
			return err
		},
	}
}
