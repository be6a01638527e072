package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"ai-gateway/envoy"
)

func (w world) attachResourcesCommand() *cobra.Command {
	a := attachment{world: w}
	cmd := &cobra.Command{
		Use:   "resources",
		Short: "Print the pieces that another xDS server has to serve",
		Long: `Print the pieces of Envoy's configuration, in YAML, for an Envoy that gets it from an xDS server
of its own. Keys of backends are not among them: Envoy asks the agent for those.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.resources() },
	}
	a.flags(cmd)
	a.loopbackFlag(cmd)
	return cmd
}

// resources prints the pieces, each list with where it belongs.
func (a *attachment) resources() error {
	pieces, err := a.pieces("")
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name, where string
		items       [][]byte
	}{
		{"http_filters", "in the HTTP connection manager, right before envoy.filters.http.router", pieces.Filters},
		{"routes", "first in the virtual host that shall serve the gateway", pieces.Routes},
		{"access_log", "in the HTTP connection manager", pieces.AccessLogs},
		{"mappers", "first in local_reply_config of the HTTP connection manager", pieces.Replies},
		{"clusters", "of the agent, and one for each backend: print them again when you add one", append(pieces.Clusters, pieces.Backends...)},
	} {
		if err := a.printList(part.name, part.where, part.items); err != nil {
			return err
		}
	}
	layer, err := envoy.YAML(envoy.RuntimeLayer())
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.stdout, "# in the bootstrap\n", layer)
	return err
}

func (a *attachment) printList(name, where string, items [][]byte) error {
	whole, err := json.Marshal(map[string]json.RawMessage{name: bytes.Join([][]byte{{'['}, bytes.Join(items, []byte{','}), {']'}}, nil)})
	if err != nil {
		return err
	}
	text, err := envoy.YAML(whole)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "# %s\n%s", where, text)
	return err
}
