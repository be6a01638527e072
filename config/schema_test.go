package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("ai-gateway.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("ai-gateway.schema.json")
}

// valid is what the schema says to a file, as editors ask it; an error for no YAML, too.
func valid(schema *jsonschema.Schema, content string) error {
	var document yaml.Node
	if err := yaml.Load([]byte(content), &document); err != nil {
		return err
	}
	value, err := plain(document.Content[0], 0)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// plain is a value of YAML as one of JSON: a day is a text.
func plain(n *yaml.Node, depth int) (any, error) {
	switch n.Kind {
	case yaml.AliasNode:
		if depth > 100 {
			return nil, errors.New("a value holds itself")
		}
		return plain(n.Alias, depth+1)
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range n.Content {
			value, err := plain(item, depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, value)
		}
		return items, nil
	case yaml.MappingNode:
		return plainFields(n, depth)
	}
	if n.Tag == "!!timestamp" {
		return n.Value, nil
	}
	var value any
	err := n.Decode(&value)
	return value, err
}

func plainFields(n *yaml.Node, depth int) (any, error) {
	fields := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value, err := plain(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		fields[n.Content[i].Value] = value
	}
	return fields, nil
}

func TestTheSchemaRefusesWhatASchemaCanKnow(t *testing.T) {
	schema := compiled(t)
	for _, b := range readBad(t) {
		if err := valid(schema, b.content); (err != nil) != b.refuses {
			t.Errorf("%s: the schema says %v", b.name, err)
		}
	}
}

func TestTheSchemaIsPublished(t *testing.T) {
	published, err := os.ReadFile("../docs/ai-gateway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	made, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(published), string(made)); diff != "" {
		t.Errorf("docs/ai-gateway.schema.json is not what the code says, run `make docs`: published (-), made (+):\n%s", diff)
	}
}

func TestTheTablesOfTheDocumentationAreThoseOfTheCode(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := Document(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), filled); diff != "" {
		t.Errorf("docs/configuration.md is not what the code says, run `make docs`: published (-), made (+):\n%s", diff)
	}
	if _, err := Document("no markers"); err == nil {
		t.Error("a page without markers is filled in")
	}
}

// examples are the configuration files of the documentation.
func examples(t *testing.T) map[string]string {
	t.Helper()
	examples := map[string]string{}
	paths, err := filepath.Glob("../docs/*.*") // images are in a folder
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, path := range append(paths, "../README.md") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(path) {
		case ".yaml":
			examples[path] = string(content)
		case ".md":
			for _, match := range block.FindAllStringSubmatchIndex(string(content), -1) {
				line := strings.Count(string(content[:match[0]]), "\n") + 1
				examples[fmt.Sprintf("%s:%d", path, line)] = string(content[match[2]:match[3]])
			}
		}
	}
	return examples
}

func TestTheExamplesOfTheDocumentationAreValid(t *testing.T) {
	schema := compiled(t)
	found := examples(t)
	if len(found) < 2 {
		t.Fatalf("there are %d examples", len(found))
	}
	for where, content := range found {
		if _, err := Load(file(t, content), keys()); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if err := valid(schema, content); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}

// A field that has a default need not be in the example: the table of the documentation
// tells it.
func TestTheExampleHasEveryFieldWithoutADefault(t *testing.T) {
	content, err := os.ReadFile("../docs/ai-gateway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(fieldTable()) {
		path := regexp.MustCompile("^\\| `([^`]+)`").FindStringSubmatch(row)
		if path == nil || strings.HasPrefix(strings.Split(row, " | ")[2], "`") {
			continue
		}
		name := path[1][strings.LastIndex(path[1], ".")+1:]
		if !regexp.MustCompile(`\b` + name + `:`).Match(content) {
			t.Errorf("%s is in no example", path[1])
		}
	}
}
