//go:build mesh

package test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// TestIstioTakesTheEnvoyFilter holds what `attach istio` prints against the schema of Istio's API.
func TestIstioTakesTheEnvoyFilter(t *testing.T) {
	definitions, err := os.ReadFile(os.Getenv("ISTIO_API") + "/kubernetes/customresourcedefinitions.gen.yaml")
	if err != nil {
		t.Fatalf("%v: run `make test-mesh`", err)
	}
	schema := envoyFilterSchema(t, definitions)
	cmd := exec.Command(os.Getenv(binaryVariable), "attach", "istio")
	var messages bytes.Buffer
	cmd.Env, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH")}, &messages
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &messages)
	}
	filter, _, _ := strings.Cut(string(printed), "\n---\nspec:")
	var resource any
	if err := yaml.Unmarshal([]byte(filter), &resource); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(resource); err != nil {
		t.Error(err)
	}
}

func envoyFilterSchema(t *testing.T, definitions []byte) *jsonschema.Schema {
	t.Helper()
	for text := range strings.SplitSeq(string(definitions), "\n---\n") {
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPI any `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text), &crd); err != nil || crd.Spec.Names.Kind != "EnvoyFilter" {
			continue
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("envoyfilter.json", crd.Spec.Versions[0].Schema.OpenAPI); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile("envoyfilter.json")
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	t.Fatal("Istio's API has no EnvoyFilter")
	return nil
}
