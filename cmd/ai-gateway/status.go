package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ai-gateway/config"
)

func (w world) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the health of the gateway that runs here; fails unless it is ok",
		Long: `Show the health of the gateway that runs here, including Envoy's last refusal.

Its exit status is 0 if the health is "ok", and 1 if it is "degraded" or "unavailable",
if no gateway answers, or if the configuration cannot be read to find its address.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, unknown := config.FindListener(w.configFile(), w.getenv)
			if unknown != nil {
				fmt.Fprintf(w.stderr, "warning: %v\nasking at %s nevertheless\n", unknown, baseURL(listener))
			}
			err := w.status(cmd.Context(), healthURL(listener))
			if err == nil && unknown != nil {
				err = errors.New("a gateway answers and is ok, but the address of yours is not known: it may be another one")
			}
			return err
		},
	}
}

func (w world) status(ctx context.Context, url string) error {
	health, err := askHealth(ctx, url)
	if health.pretty != "" {
		fmt.Fprintln(w.stdout, health.pretty)
	}
	if err == nil && health.Status != "ok" {
		err = fmt.Errorf("the gateway is %s: see its parts", health.Status)
	}
	return err
}

// health is the answer of a gateway to /health.
type health struct {
	Status string
	Parts  map[string]string // part → "ok", or what is wrong with it
	pretty string            // the whole answer as JSON; "" if no AI Gateway answers
}

// askHealth asks the gateway at a URL. It returns an error if no AI Gateway answers, or one
// that is not ready.
func askHealth(ctx context.Context, url string) (health, error) {
	body, err := get(ctx, tcpClient(), url)
	if body == nil {
		return health{}, fmt.Errorf("asking the gateway: %w: is it running, and with the same PORT and AI_GATEWAY_BIND?", err)
	}
	var h health
	var pretty bytes.Buffer
	if json.Unmarshal(body, &h) != nil || json.Indent(&pretty, body, "", "  ") != nil || err == nil && h.Status == "" {
		return health{}, fmt.Errorf("what answers at %s is not an AI Gateway", url)
	}
	h.pretty = pretty.String()
	return h, err
}
