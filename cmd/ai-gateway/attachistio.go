package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"ai-gateway/envoy"
	"ai-gateway/xds"
)

//go:embed mesh/istio.yaml.tmpl
var istioTemplate string

func (w world) attachIstioCommand() *cobra.Command {
	m := mesh{attachment: attachment{world: w}}
	var labels, context string
	cmd := &cobra.Command{
		Use:   "istio",
		Short: "Print the EnvoyFilter and the sidecar that add the gateway to an Envoy of Istio's",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return m.istio(labels, context) },
	}
	m.meshFlags(cmd)
	m.loopbackFlag(cmd)
	cmd.Flags().StringVar(&labels, "labels", "istio: ingressgateway", "labels of the workload, as YAML has them")
	cmd.Flags().StringVar(&context, "context", "GATEWAY", "GATEWAY, or SIDECAR_INBOUND for an Envoy next to a service")
	return cmd
}

func (w world) attachContourCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "contour",
		Short: "Say why the gateway cannot be added to an Envoy of Contour's",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("the gateway cannot be added to an Envoy of Contour's: its ExtensionServices are for authorization and rate limits alone, " +
				"and nothing in its API adds ext_proc, a route that matches the plan, or an access log of ours. Have an HTTPProxy route to a gateway of its own instead (docs/attach.md)")
		},
	}
}

// envoyFilterPatch is one of an EnvoyFilter's.
// Source: https://istio.io/latest/docs/reference/config/networking/envoy-filter/
type envoyFilterPatch struct {
	ApplyTo string         `json:"applyTo"`
	Match   map[string]any `json:"match,omitempty"`
	Patch   filterPatch    `json:"patch"`
}

type filterPatch struct {
	Operation string          `json:"operation"`
	Value     json.RawMessage `json:"value"`
}

func (m *mesh) istio(labels, context string) error {
	if !slices.Contains([]string{"GATEWAY", "SIDECAR_INBOUND"}, context) {
		return fmt.Errorf("--context %q must be GATEWAY or SIDECAR_INBOUND", context)
	}
	m.gateway, m.section = m.name, m.name // Istio's are found by labels
	if err := errors.Join(m.check(), checkLabels(labels)); err != nil {
		return err
	}
	if m.accessLog == "" {
		m.accessLog = stateFiles(m.runFolder + "/state").accessLog()
	}
	pieces, err := m.pieces("")
	if err != nil {
		return err
	}
	text, err := json.Marshal(istioPatches(pieces, context))
	if err != nil {
		return err
	}
	patches, err := envoy.YAML(text)
	if err != nil {
		return err
	}
	return m.print(istioTemplate, map[string]any{
		"Name": m.name, "Namespace": m.namespace, "Labels": labels, "Image": m.image, "RunFolder": m.runFolder, "Loopback": m.loopback,
		"Patches": "  " + strings.ReplaceAll(strings.TrimRight(patches, "\n"), "\n", "\n  "),
	})
}

// checkLabels refuses what is no mapping in one line.
func checkLabels(labels string) error {
	var all map[string]string
	if err := yaml.Unmarshal([]byte("{"+labels+"}"), &all); err != nil || len(all) == 0 || slices.Contains(slices.Collect(maps.Values(all)), "") || strings.ContainsAny(labels, "\r\n") {
		return fmt.Errorf("--labels %q must be labels as YAML has them, such as \"istio: ingressgateway\" or \"app: edge, tier: front\"", labels)
	}
	return nil
}

func istioPatches(p xds.Pieces, context string) []envoyFilterPatch {
	var all []envoyFilterPatch
	for _, c := range append(p.Clusters, p.Backends...) {
		all = append(all, envoyFilterPatch{"CLUSTER", map[string]any{"context": context}, filterPatch{"ADD", c}})
	}
	manager := map[string]any{"name": "envoy.filters.network.http_connection_manager"}
	listener := func(filter map[string]any) map[string]any {
		return map[string]any{"context": context, "listener": map[string]any{"filterChain": map[string]any{"filter": filter}}}
	}
	router := map[string]any{"name": manager["name"], "subFilter": map[string]any{"name": "envoy.filters.http.router"}}
	for _, f := range p.Filters {
		all = append(all, envoyFilterPatch{"HTTP_FILTER", listener(router), filterPatch{"INSERT_BEFORE", f}})
	}
	all = append(all, envoyFilterPatch{"NETWORK_FILTER", listener(manager), filterPatch{"MERGE", managerAdditions(p)}})
	for _, r := range slices.Backward(p.Routes) { // each comes to stand before the others
		all = append(all, envoyFilterPatch{"HTTP_ROUTE", map[string]any{"context": context}, filterPatch{"INSERT_FIRST", r}})
	}
	return append(all, envoyFilterPatch{"BOOTSTRAP", nil, filterPatch{"MERGE", envoy.RuntimeLayer()}})
}

// managerAdditions are what comes into the connection manager beside filters and routes.
func managerAdditions(p xds.Pieces) json.RawMessage {
	joined := func(items [][]byte) json.RawMessage {
		var parts []string
		for _, item := range items {
			parts = append(parts, string(item))
		}
		return json.RawMessage("[" + strings.Join(parts, ",") + "]")
	}
	value, _ := json.Marshal(map[string]any{"typed_config": map[string]any{ // it holds nothing that cannot be written
		"@type":              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"access_log":         joined(p.AccessLogs),
		"local_reply_config": map[string]any{"mappers": joined(p.Replies)},
	}})
	return value
}
