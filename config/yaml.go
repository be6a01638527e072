package config

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	maxFile = 4 << 20 // bytes of a file that is read
	// maxValues bounds what a file may hold once its aliases are followed: each of a
	// few hundred thousand aliases may stand for as much as all the rest of the file.
	maxValues = 1 << 20
)

// readFile reads the configuration file into the document.
func (r *reader) readFile(d *document) {
	whole := place{from: inFile}
	path, err := filepath.Abs(r.file)
	if err != nil {
		r.fault(whole, "%v", err)
		return
	}
	content, err := r.content(path)
	switch {
	case r.text != nil: // what the file holds now does not matter
	case err != nil:
		r.fault(whole, "%v", err)
		return
	default:
		r.text = content
	}
	r.folder = filepath.Dir(path)
	if root := r.parse(r.text, whole); root != nil {
		r.read(root, field{into: d}, whole)
	}
}

// parse returns the only document's value, or nil after a fault.
func (r *reader) parse(content []byte, at place) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		r.fault(at, "%v", err)
		return nil
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		r.fault(at, "is empty: write at least one field, or start without a file")
		return nil
	case err != nil:
		r.misspelt(content, err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		at.line, at.column = second.Line, second.Column
		r.fault(at, "a second document begins here: a file holds one")
		return nil
	case !errors.Is(err, io.EOF):
		r.misspelt(content, err)
		return nil
	}
	return first.Content[0]
}

// misspelt reports what is no YAML.
func (r *reader) misspelt(content []byte, err error) {
	at := place{from: inFile}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.fault(at, "is no YAML: %v", err)
		return
	}
	at.line, at.column = load.Mark.Line, load.Mark.Column
	switch begun := load.ContextMark; {
	case tabAt(content, at):
		r.fault(at, "a tab stands where YAML allows nothing but spaces")
	case load.ContextMsg != "" && (begun.Line != at.line || begun.Column != at.column):
		r.fault(at, "is no YAML: %s %s that begins at line %d", load.Message, load.ContextMsg, begun.Line)
	default:
		r.fault(at, "is no YAML: %s", load.Message)
	}
}

func tabAt(content []byte, at place) bool {
	lines := bytes.Split(content, []byte("\n"))
	if at.line < 1 || at.line > len(lines) {
		return false
	}
	line := lines[at.line-1]
	return at.column >= 1 && at.column <= len(line) && line[at.column-1] == '\t'
}

// read reads a value into what its field says. The place is that of what holds it;
// its path is already the value's own.
func (r *reader) read(n *yaml.Node, f field, at place) {
	at.line, at.column = n.Line, n.Column
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	f.into.(located).locate(at)
	r.values++
	switch {
	case r.values > maxValues:
		if r.values == maxValues+1 {
			r.fault(at, "from here on there are too many values: a file may hold %d, its aliases followed", maxValues)
		}
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(at, "has a tag (%s), and tags mean nothing here: take it out", n.Tag)
	case n.Tag == "!!null":
		r.fault(at, "has no value: give it one, or take the line out")
	default:
		r.readInto(n, f, at)
	}
}

func (r *reader) readInto(n *yaml.Node, f field, at place) {
	switch into := f.into.(type) {
	case leaf:
		r.readLeaf(n, into, f, at)
	case sequence:
		r.readSequence(n, into, f, at)
	case object:
		r.readObject(n, into, at)
	}
}

func (r *reader) readLeaf(n *yaml.Node, into leaf, f field, at place) {
	if n.Kind != yaml.ScalarNode {
		r.fault(at, "is %s where a single value belongs: %s", kindOf(n), into.shape(f).words)
		return
	}
	if err := into.set(n.Value, f, at); err != nil {
		r.fault(at, "%s %v", f.quoted(n.Value), err)
		return
	}
	if text := wrongTag(n, into.shape(f)); text != "" {
		r.fault(at, "%s %s", f.quoted(n.Value), text)
	}
	into.settle(r.folder)
}

// tagTypes are the types of JSON that YAML's tags stand for. A day is a text.
var tagTypes = map[string]string{"!!str": "string", "!!timestamp": "string", "!!int": "integer", "!!float": "number", "!!bool": "boolean"}

// wrongTag says what is wrong with a value that is written as one of another type.
func wrongTag(n *yaml.Node, wanted schema) string {
	found := tagTypes[n.Tag]
	switch {
	case wanted.is(found) || found == "integer" && wanted.is("number"):
		return ""
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return "is in quotes: write it without them"
	case wanted.is("string"):
		return "is read as a number, or as true or false: write it in quotes"
	}
	return "is not what belongs here: " + wanted.words
}

func (r *reader) readSequence(n *yaml.Node, into sequence, f field, at place) {
	switch {
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			f.into = into.add()
			r.read(item, f, at.below("["+strconv.Itoa(i)+"]"))
		}
	case f.lone && n.Kind == yaml.MappingNode:
		f.into = into.add()
		r.read(n, f, at)
	default:
		r.fault(at, "is %s where a list belongs", kindOf(n))
	}
}

func (r *reader) readObject(n *yaml.Node, into object, at place) {
	fields := into.fields()
	if _, ok := into.(shortened); ok && n.Kind == yaml.ScalarNode {
		r.readInto(n, fields[0], at)
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(at, "is %s where fields belong: %s", kindOf(n), strings.Join(names(fields), ", "))
		return
	}
	first := map[string]int{} // line of each name
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.readField(n.Content[i], n.Content[i+1], fields, first, at)
	}
	r.checkPresence(into, fields, first, at)
}

// checkPresence refuses an object without a field that it needs, or with two of which
// it may have one.
func (r *reader) checkPresence(o object, fields []field, there map[string]int, at place) {
	for _, f := range fields {
		if _, ok := there[f.name]; f.required && !ok {
			r.fault(at, "has no %s (%s)", f.name, f.doc)
		}
	}
	if _, ok := o.(alternative); ok && len(there) != 1 {
		r.fault(at, "has not exactly one of %s", strings.Join(names(fields), ", "))
	}
}

func (r *reader) readField(key, value *yaml.Node, fields []field, first map[string]int, at place) {
	at.line, at.column = key.Line, key.Column
	if key.Kind != yaml.ScalarNode {
		r.fault(at, "holds %s where the name of a field belongs", kindOf(key))
		return
	}
	under := at.below(pathPart(key.Value))
	f, ok := find(fields, key.Value)
	line, twice := first[key.Value]
	switch {
	case key.Tag == "!!merge":
		r.fault(under, "merge keys are not read: write the fields out")
	case !ok:
		r.fault(under, "is no field%s", hint(key.Value, "there are", names(fields)))
	case twice:
		r.fault(under, "is there twice, first at line %d", line)
	default:
		first[key.Value] = key.Line
		r.read(value, f, under)
	}
}

var plainField = regexp.MustCompile(`^[A-Za-z0-9_.<-]{1,64}$`)

// pathPart is a field's name in a path, quoted and cut where it is no plain one.
func pathPart(name string) string {
	if plainField.MatchString(name) {
		return name
	}
	return strconv.QuoteToGraphic(cut(name))
}

// quoted is a value as faults show it.
func (f field) quoted(text string) string {
	if f.secret {
		return hidden
	}
	return strconv.QuoteToGraphic(cut(shown(text)))
}

const maxShown = 100 // bytes of a text in a fault

func cut(text string) string {
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + hidden
	}
	return text
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of fields"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
