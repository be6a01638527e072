package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

func TestTheEnvoyOfTheComposeFileIsStartedWithWhatIsPrinted(t *testing.T) {
	var printed bytes.Buffer
	err := run(t.Context(), []string{"bootstrap", "--run-folder", "/run/ai-gateway", "--memory", "768MiB", "--workers", "2"}, func(string) string { return "" }, &printed, &printed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(printed.String(), read(t, "deploy/compose/envoy.yaml")); diff != "" {
		t.Errorf("printed (-) and deploy/compose/envoy.yaml (+):\n%s", diff)
	}
	var file struct {
		Services map[string]struct{ Command []string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &file); err != nil {
		t.Fatal(err)
	}
	line := strings.Split(printed.String(), "\n")[1]
	want := strings.Fields(strings.NewReplacer("# envoy ", "", "THIS-FILE", "/etc/ai-gateway/envoy.yaml", "--concurrency 2", "--concurrency ${ENVOY_WORKERS:-2}").Replace(line))
	if diff := cmp.Diff(want, file.Services["envoy"].Command); diff != "" {
		t.Errorf("printed (-) and the command in docker-compose.yml (+):\n%s", diff)
	}
}
