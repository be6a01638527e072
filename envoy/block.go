package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// blockItems are JSON values as the lines of a YAML list.
func blockItems(items [][]byte) ([]string, error) {
	var lines []string
	for _, item := range items {
		inner, err := blockLines(item)
		if err != nil {
			return nil, err
		}
		for i, line := range inner {
			switch {
			case i == 0:
				line = "- " + line
			case line != "":
				line = "  " + line
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// blockEntries are keys with their values as lines of YAML.
func blockEntries(entries []entry) ([]string, error) {
	var lines []string
	for _, e := range entries {
		whole, err := json.Marshal(map[string]json.RawMessage{e.key: e.value})
		if err != nil {
			return nil, fmt.Errorf("writing %q: %w", e.key, err)
		}
		inner, err := blockLines(whole)
		if err != nil {
			return nil, err
		}
		lines = append(lines, inner...)
	}
	return lines, nil
}

// blockLines is a JSON value as lines of YAML, in the order of its fields.
func blockLines(value []byte) ([]string, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(value, &n); err != nil {
		return nil, fmt.Errorf("reading what is to be added: %w", err)
	}
	asBlock(&n)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&n); err != nil {
		return nil, fmt.Errorf("writing what is to be added: %w", err)
	}
	return strings.Split(strings.TrimRight(out.String(), "\n"), "\n"), nil
}

// asBlock takes JSON's brackets and quotes off.
func asBlock(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, inner := range n.Content {
		asBlock(inner)
	}
}

// flowLines are JSON values, each a line that ends in a comma.
func flowLines(items [][]byte) ([]string, error) {
	var lines []string
	for _, item := range items {
		var line bytes.Buffer
		if err := json.Compact(&line, item); err != nil {
			return nil, fmt.Errorf("writing what is to be added: %w", err)
		}
		lines = append(lines, line.String()+",")
	}
	return lines, nil
}

// flowEntries are keys with their values, each a line that ends in a comma.
func flowEntries(entries []entry) ([]string, error) {
	var lines []string
	for _, e := range entries {
		value, err := flowLines([][]byte{e.value})
		if err != nil {
			return nil, err
		}
		lines = append(lines, `"`+e.key+`": `+value[0])
	}
	return lines, nil
}

// YAML writes JSON as people read it, its fields in their order.
func YAML(value []byte) (string, error) {
	lines, err := blockLines(value)
	return strings.Join(lines, "\n") + "\n", err
}
