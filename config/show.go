package config

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Show is the effective configuration as a file that says the same, each value with
// its source as a comment. Keys are not in it, only where they are read from.
func Show(path string, getenv func(string) string) ([]byte, error) {
	r := &reader{getenv: getenv, file: path}
	d := r.load()
	if err := r.err(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, remark := range r.remarks(d) {
		fmt.Fprintf(&b, "# %s\n", remark)
	}
	out, err := yaml.Dump(r.node(field{into: d}))
	b.Write(out)
	return b.Bytes(), err
}

// remarks are what no value shows.
func (r *reader) remarks(d *document) []string {
	var remarks []string
	if d.isDemo() {
		remarks = append(remarks, "Nothing real is configured, so the built-in model "+string(DemoModel)+" is there.")
	}
	for _, name := range r.unused(d) {
		remarks = append(remarks, name+" is set and not used: no backend names it.")
	}
	return remarks
}

// node is a value with its source; nil for one that there is not.
func (r *reader) node(f field) *yaml.Node {
	switch into := f.into.(type) {
	case leaf:
		return r.scalarNode(into, f)
	case sequence:
		return r.listNode(into, f)
	case object:
		return r.objectNode(into)
	}
	return nil
}

func (r *reader) scalarNode(into leaf, f field) *yaml.Node {
	at := into.where()
	if at.from == nobody {
		return nil
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: into.written(), LineComment: strings.TrimSuffix("# "+r.source(at)+", "+f.note, ", ")}
	if shape := into.shape(f); len(shape.Type) == 1 && shape.is("string") {
		n.Tag = "!!str" // in quotes where it would be read as something else
	}
	return n
}

func (r *reader) listNode(into sequence, f field) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for item := range into.all() {
		f.into = item
		n.Content = append(n.Content, r.node(f))
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

func (r *reader) objectNode(into object) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range into.fields() {
		if value := r.node(f); value != nil {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, value)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}
