package config

import (
	"bytes"
	"cmp"
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
	// maxValues bounds the values of a file with its aliases followed: each of a few hundred
	// thousand aliases may stand for as much as the rest of the file.
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
	case r.text != nil: // the file's present content does not matter
	case err != nil:
		r.fault(whole, "%v", err)
		return
	default:
		r.text = content
	}
	r.folder = filepath.Dir(path)
	if root := r.parse(r.text, whole); root != nil {
		r.read(root, field{into: group{at: d, fields: d.fields()}}, whole)
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
		r.fault(at, "a second document begins here: a file must have one")
		return nil
	case !errors.Is(err, io.EOF):
		r.misspelt(content, err)
		return nil
	}
	return first.Content[0]
}

// misspelt reports what is not YAML.
func (r *reader) misspelt(content []byte, err error) {
	at := place{from: inFile}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		r.fault(at, "is not YAML: %v", err)
		return
	}
	at.line, at.column = load.Mark.Line, load.Mark.Column
	switch begun := load.ContextMark; {
	case tabAt(content, at):
		r.fault(at, "has a tab where YAML only allows spaces")
	case load.ContextMsg != "" && (begun.Line != at.line || begun.Column != at.column):
		r.fault(at, "is not YAML: %s %s that begins at line %d", load.Message, load.ContextMsg, begun.Line)
	default:
		r.fault(at, "is not YAML: %s", load.Message)
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

// read reads a value into its field. The place has the line of the group or list around it,
// and already the path of the value itself.
func (r *reader) read(n *yaml.Node, f field, at place) {
	at.line, at.column = n.Line, n.Column
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if key := f.into.key(); key != nil {
		r.said[key] = mention{at, n.Value}
	}
	r.values++
	switch {
	case r.values > maxValues:
		if r.values == maxValues+1 {
			r.fault(at, "from here on there are too many values: a file may have %d, with its aliases followed", maxValues)
		}
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(at, "must not have a tag (%s)", n.Tag)
	case n.Tag == "!!null":
		r.fault(at, "has no value: give it one, or remove the line")
	default:
		r.readInto(n, f, at)
	}
}

func (r *reader) readInto(n *yaml.Node, f field, at place) {
	switch into := f.into.(type) {
	case single:
		r.readSingle(n, into, f, at)
	case list:
		r.readList(n, into, f, at)
	case group:
		r.readGroup(n, into, at)
	}
}

func (r *reader) readSingle(n *yaml.Node, into single, f field, at place) {
	shape, words := into.describe()
	if n.Kind != yaml.ScalarNode {
		r.fault(at, "must be a single value (%s), not %s", words, kindOf(n))
		return
	}
	r.said[into.key()] = mention{at, n.Value}
	if err := cmp.Or(notTemplated(n.Value), into.read(n.Value)); err != nil {
		r.fault(at, "%s %v", quoted(into, n.Value), err)
		return
	}
	if text := wrongTag(n, shape, words); text != "" {
		r.fault(at, "%s %s", quoted(into, n.Value), text)
	}
	into.resolve(r.folder)
}

// tagTypes are the types of JSON that YAML's tags stand for. A date counts as a string.
var tagTypes = map[string]string{"!!str": "string", "!!timestamp": "string", "!!int": "integer", "!!float": "number", "!!bool": "boolean"}

// wrongTag describes a value that is written as one of another type.
func wrongTag(n *yaml.Node, wanted schema, words string) string {
	found := tagTypes[n.Tag]
	switch {
	case wanted.is(found) || found == "integer" && wanted.is("number"):
		return ""
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return "is in quotes: write it without them"
	case wanted.is("string"):
		return "is read as a number, or as true or false: write it in quotes"
	}
	return "must be " + words
}

func (r *reader) readList(n *yaml.Node, into list, f field, at place) {
	switch {
	case n.Kind == yaml.SequenceNode:
		into.make(len(n.Content))
		for i, item := range into.items() {
			r.read(n.Content[i], field{into: item}, at.below("["+strconv.Itoa(i)+"]"))
		}
	case f.lone && n.Kind == yaml.MappingNode:
		into.make(1)
		r.read(n, field{into: into.items()[0]}, at)
	default:
		r.fault(at, "must be a list, not %s", kindOf(n))
	}
}

func (r *reader) readGroup(n *yaml.Node, into group, at place) {
	fields := into.fields
	if into.short && n.Kind == yaml.ScalarNode {
		r.readInto(n, fields[0], at)
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(at, "must be a group of fields (%s), not %s", strings.Join(names(fields), ", "), kindOf(n))
		return
	}
	first := map[string]int{} // line of each name
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.readField(n.Content[i], n.Content[i+1], fields, first, at)
	}
	r.checkPresence(into, first, at)
}

// checkPresence refuses a group without a required field, or with two fields of which only
// one is allowed.
func (r *reader) checkPresence(g group, there map[string]int, at place) {
	for _, f := range g.fields {
		if _, ok := there[f.name]; f.required && !ok {
			r.fault(at, "has no %s (%s)", f.name, f.doc)
		}
	}
	if g.oneOf && len(there) != 1 {
		r.fault(at, "must have exactly one of %s", strings.Join(names(g.fields), ", "))
	}
}

func (r *reader) readField(key, value *yaml.Node, fields []field, first map[string]int, at place) {
	at.line, at.column = key.Line, key.Column
	if key.Kind != yaml.ScalarNode {
		r.fault(at, "must be the name of a field, not %s", kindOf(key))
		return
	}
	under := at.below(pathPart(key.Value))
	f, ok := find(fields, key.Value)
	line, twice := first[key.Value]
	switch {
	case key.Tag == "!!merge":
		r.fault(under, "merge keys are not supported: write the fields out")
	case !ok:
		r.fault(under, "is not a field%s", hint(key.Value, "fields are", names(fields)))
	case twice:
		r.fault(under, "is given twice, first at line %d", line)
	default:
		first[key.Value] = key.Line
		r.read(value, f, under)
	}
}

var plainField = regexp.MustCompile(`^[A-Za-z0-9_.<-]{1,64}$`)

// pathPart is a field's name in a path, quoted and shortened if it has unusual characters.
func pathPart(name string) string {
	if plainField.MatchString(name) {
		return name
	}
	return strconv.QuoteToGraphic(cut(name))
}

// quoted is a value as faults show it.
func quoted(into single, text string) string {
	if into.secret() {
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
