package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"ai-gateway/envoy"
	"ai-gateway/gateway"
	"ai-gateway/xds"
)

//go:embed mesh/envoy-gateway.yaml.tmpl
var envoyGatewayTemplate string

// mesh is an attachment by resources of Kubernetes.
type mesh struct {
	attachment
	name, namespace  string
	gateway, section string
	image            string
}

func (w world) attachEnvoyGatewayCommand() *cobra.Command {
	m := mesh{attachment: attachment{world: w}}
	cmd := &cobra.Command{
		Use:   "envoy-gateway",
		Short: "Print the resources that add the gateway to an Envoy of Envoy Gateway's",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return m.envoyGateway() },
	}
	m.meshFlags(cmd)
	cmd.Flags().StringVar(&m.gateway, "gateway", "eg", "name of the Gateway")
	cmd.Flags().StringVar(&m.section, "listener", "http", "name of the Gateway's listener")
	return cmd
}

func (m *mesh) meshFlags(cmd *cobra.Command) {
	m.flags(cmd)
	cmd.Flags().StringVar(&m.name, "name", "ai-gateway", "name of all resources")
	cmd.Flags().StringVar(&m.namespace, "namespace", "default", "their namespace")
	cmd.Flags().StringVar(&m.image, "image", "ai-gateway:"+version, "image of the agent")
}

// envoyGateway prints the resources. The filter that asks the agent is Envoy Gateway's own.
func (m *mesh) envoyGateway() error {
	if err := m.check(); err != nil {
		return err
	}
	m.single = true
	m.warn("Envoy Gateway 1.9 does not know Envoy's priority groups: a request goes to one backend, the first of its model that serves, and no other one is called within the request. " +
		"And the routes name the backends that are configured now: print them again when you add one.")
	for _, kind := range []string{"envoyextensionpolicy", ""} { // the latter in Envoy Gateway's standalone mode
		m.extProc = append(m.extProc, fmt.Sprintf("envoy.filters.http.ext_proc/%s/%s/%s/extproc/0", kind, m.namespace, m.name))
	}
	if m.accessLog == "" {
		m.accessLog = stateFiles(m.runFolder + "/state").accessLog()
	}
	pieces, err := m.pieces("")
	if err != nil {
		return err
	}
	patches, err := m.patches(pieces)
	if err != nil {
		return err
	}
	refusal := xds.Restarting()
	return m.print(envoyGatewayTemplate, map[string]any{
		"Name": m.name, "Namespace": m.namespace, "Gateway": m.gateway, "Image": m.image, "RunFolder": m.runFolder,
		"Refusal": refusal, "RefusalBody": string(refusal.JSON()), "Paths": m.paths(), "Models": m.prefix + gateway.BasePath + "/models",
		"Responses":      m.prefix + gateway.Responses.Path(),
		"PlanNamespaces": strings.Join(gateway.PlanNamespaces(), ", "), "Patches": patches,
	})
}

var (
	kubernetesName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	imageName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	plainFolder    = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
)

// check refuses what Kubernetes would, and what the templates could not hold.
func (m *mesh) check() error {
	const name = "a name as Kubernetes has them: lower case letters, digits, - and ."
	var all []error
	for _, f := range []struct {
		flag, value string
		pattern     *regexp.Regexp
		shape       string
	}{
		{"--name", m.name, kubernetesName, name}, {"--namespace", m.namespace, kubernetesName, name},
		{"--gateway", m.gateway, kubernetesName, name}, {"--listener", m.section, kubernetesName, name},
		{"--image", m.image, imageName, "an image, such as registry.example.com/ai-gateway:v1"},
		{"--run-folder", m.runFolder, plainFolder, "an absolute path, such as " + defaultRunFolder},
	} {
		if !f.pattern.MatchString(f.value) {
			all = append(all, fmt.Errorf("%s %q must be %s", f.flag, f.value, f.shape))
		}
	}
	return errors.Join(all...)
}

// paths are those of the metered endpoints.
func (m *mesh) paths() []string {
	var paths []string
	for _, e := range gateway.Endpoints() {
		paths = append(paths, m.prefix+e.Path())
	}
	return paths
}

func (m *mesh) print(text string, values map[string]any) error {
	t, err := template.New("resources").Funcs(template.FuncMap{"json": asJSON}).Parse(text)
	if err != nil {
		return fmt.Errorf("parsing the template of the resources: %w", err)
	}
	return t.Execute(m.stdout, values)
}

func asJSON(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// patch is one change of Envoy Gateway's xDS resources.
type patch struct {
	Type      string    `json:"type"`
	Name      string    `json:"name"`
	Operation operation `json:"operation"`
}

type operation struct {
	Op       string          `json:"op"`
	JSONPath string          `json:"jsonPath,omitempty"`
	Path     string          `json:"path"`
	Value    json.RawMessage `json:"value"`
}

const (
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routesType   = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
)

// patches are the pieces as changes of the Gateway's listener, of its routes, and new clusters. Routes
// come into every virtual host: without a plan they match the metered paths alone.
func (m *mesh) patches(p xds.Pieces) (string, error) {
	listener := m.namespace + "/" + m.gateway + "/" + m.section
	manager := "..filters[?(@.name=='envoy.filters.network.http_connection_manager')].typed_config"
	var all []patch
	for _, f := range p.Filters {
		all = append(all, patch{listenerType, listener, operation{"add", "..http_filters[?(@.name=='envoy.filters.http.router')]", "", f}})
	}
	for _, l := range p.AccessLogs {
		all = append(all, patch{listenerType, listener, operation{"add", manager, "/access_log/0", l}})
	}
	replies := bytes.Join([][]byte{[]byte(`{"mappers":[`), bytes.Join(p.Replies, []byte(",")), []byte("]}")}, nil)
	all = append(all, patch{listenerType, listener, operation{"add", manager, "/local_reply_config", replies}})
	for i := len(p.Routes) - 1; i >= 0; i-- { // the last one first, as each comes to stand before the others
		all = append(all, patch{routesType, listener, operation{"add", "$.virtual_hosts[*]", "/routes/0", p.Routes[i]}})
	}
	for _, c := range append(p.Clusters, p.Backends...) {
		var named struct{ Name string }
		if err := json.Unmarshal(c, &named); err != nil {
			return "", err
		}
		all = append(all, patch{clusterType, named.Name, operation{Op: "add", Value: c}})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	lines, err := envoy.YAML(text)
	return "  " + strings.ReplaceAll(strings.TrimRight(lines, "\n"), "\n", "\n  "), err
}
