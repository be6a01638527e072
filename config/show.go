package config

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Show returns the effective configuration as a configuration file, each value with its
// source as a comment. It has no keys, only the places where they are read from.
func Show(path string, getenv func(string) string) ([]byte, error) {
	return newReader(path, getenv).show()
}

// ShowKeyless is as Show for a process that has no keys: it tells where they are read from alone.
func ShowKeyless(path string, getenv func(string) string) ([]byte, error) {
	r := newReader(path, getenv)
	r.keyless = true
	return r.show()
}

func (r *reader) show() ([]byte, error) {
	d := r.load()
	if err := r.err(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, remark := range r.remarks(d) {
		fmt.Fprintf(&b, "# %s\n", remark)
	}
	out, err := yaml.Dump(r.node(field{into: group{fields: d.fields()}}))
	b.Write(out)
	return b.Bytes(), err
}

// remarks are facts that no single value shows.
func (r *reader) remarks(d *document) []string {
	var remarks []string
	if r.isDemo(d) {
		remarks = append(remarks, "Nothing real is configured, so the built-in model "+string(DemoModel)+" is there.")
	}
	for _, name := range r.unused(d) {
		remarks = append(remarks, name+" is set and not used: no backend names it.")
	}
	return remarks
}

// node is a value with its source; nil if there is no value.
func (r *reader) node(f field) *yaml.Node {
	switch into := f.into.(type) {
	case single:
		return r.scalarNode(into, f)
	case list:
		return r.listNode(into)
	case group:
		return r.groupNode(into)
	}
	return nil
}

func (r *reader) scalarNode(into single, f field) *yaml.Node {
	said := r.said[into.key()]
	if !said.isSaid() {
		return nil
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: cmp.Or(into.written(), said.text), LineComment: strings.TrimSuffix("# "+r.source(said.place)+", "+f.note, ", ")}
	if shape, _ := into.describe(); len(shape.Type) == 1 && shape.is("string") {
		n.Tag = "!!str" // in quotes where it would be read as something else
	}
	return n
}

func (r *reader) listNode(into list) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range into.items() {
		n.Content = append(n.Content, r.node(field{into: item}))
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

func (r *reader) groupNode(into group) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range into.fields {
		if value := r.node(f); value != nil {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, value)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}
