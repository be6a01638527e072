package xds

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"

	"ai-gateway/gateway"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// whole uses everything that a configuration may say.
func whole(t *testing.T) Config {
	c := twoBackends(t)
	c.Bind, c.Port, c.AnyHost, c.FailOpen = "::", 3443, true, true
	c.Certificate, c.Key = "the listener's certificate", "its key"
	c.Origins = []string{"https://app.example.com", "http://localhost:5173"}
	c.Retry = gateway.Retry{Attempts: 2, Delay: 0}
	c.ID = "0123456789abcdef"
	deployments := backend(t, "azure-eu", "https://example.openai.azure.com")
	deployments.Kind, deployments.APIVersion, deployments.Credential, deployments.Secret = gateway.Azure, "2024-10-21", gateway.OwnCredential, "azure-secret"
	private := backend(t, "private", "https://192.0.2.7:8443/llm/v1")
	private.Authorities, private.MaxConnections = "our own authority", 17
	private.ConnectTimeout, private.IdleTimeout = 1500*time.Millisecond, 90*time.Second
	private.Headers = []gateway.BackendHeader{{Name: "x-team", Value: "100% search"}, {Name: "x-gate", Secret: "header-secret"}}
	demo := backend(t, "demo", "http://demo/v1")
	demo.Socket = "/run/demo"
	c.Routes.Backends = append(c.Routes.Backends, deployments, private, demo)
	c.Routes.Models = append(c.Routes.Models, gateway.Route{Model: "both", Steps: []gateway.Step{
		{Backend: "azure-eu", UpstreamModel: "eu"}, {Backend: "private", UpstreamModel: "p"}}})
	c.Routes.Passed = []gateway.PassedPath{{Path: "/v1/moderations", Backend: "private"}}
	return c
}

// least has no certificate, no retries, no journal and no backend with a key.
func least(t *testing.T) Config {
	c := twoBackends(t)
	c.Retry, c.Journal = gateway.Retry{}, ""
	c.Routes = gateway.Routes{Backends: []gateway.Backend{backend(t, "local", "http://127.0.0.1:11434/v1")}, Default: "local"}
	return c
}

// TestEnvoyIsToldWhatTheGoldenFilesSay compares all resources with files that people can read:
// a change of what Envoy does shows in them. `go test ./xds -update` writes them anew.
func TestEnvoyIsToldWhatTheGoldenFilesSay(t *testing.T) {
	for name, config := range map[string]Config{"usual": twoBackends(t), "whole": whole(t), "least": least(t)} {
		snapshot, err := Build(config)
		if err != nil {
			t.Fatal(err)
		}
		for kind, typeURL := range map[string]string{"listener": resource.ListenerType, "routes": resource.RouteType,
			"clusters": resource.ClusterType, "secrets": resource.SecretType} {
			items := snapshot.GetResources(typeURL)
			var texts []string
			for _, item := range slices.Sorted(maps.Keys(items)) {
				data, err := protojson.Marshal(items[item])
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, readable(t, data))
			}
			golden(t, filepath.Join(name, kind+".yaml"), strings.Join(texts, "---\n"))
		}
	}
}

// readable is JSON as YAML. Of a script only what was filled in is shown: its text is a file itself.
func readable(t *testing.T, data []byte) string {
	t.Helper()
	var content any
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(shortened(content))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func shortened(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = shortened(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = shortened(inner)
		}
	case float64:
		if whole := int64(v); float64(whole) == v {
			return whole
		}
	case string:
		if strings.Contains(v, "\n") {
			return filledIn(v)
		}
	}
	return v
}

// filledIn are the lines of a script that stand in none of our files.
func filledIn(script string) []string {
	ours := map[string]bool{}
	for _, text := range []string{answerScript, attemptScript, grpcScript} {
		for line := range strings.SplitSeq(text, "\n") {
			ours[line] = true
		}
	}
	var filled []string
	for line := range strings.SplitSeq(script, "\n") {
		if !ours[line] {
			filled = append(filled, strings.TrimSpace(line))
		}
	}
	return filled
}

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (- file, + built); if that is meant, run `go test ./xds -update`:\n%s", path, diff)
	}
}
