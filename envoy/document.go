package envoy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxConfiguration bounds, in bytes, the file that the gateway is attached to.
const maxConfiguration = 16 << 20

// document is an Envoy's configuration as text, and as nodes that know their places in it.
type document struct {
	text    []byte
	starts  []int // offsets of the lines
	root    *yaml.Node
	aliased map[*yaml.Node]int // nodes that stand for themselves elsewhere, and the line of such a place
}

// parseDocument reads a file that holds one document, a mapping.
func parseDocument(text []byte) (*document, error) {
	if len(text) > maxConfiguration {
		return nil, fmt.Errorf("the file is larger than %d MiB", maxConfiguration>>20)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not UTF-8")
	}
	d := &document{text: text, starts: lineStarts(text), aliased: map[*yaml.Node]int{}}
	if line := oddLineBreak(text); line > 0 {
		return nil, fmt.Errorf("line %d: there is a line break here that is neither LF nor CRLF: replace it", line)
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: a second document begins here: Envoy reads one", max(second.Line, 1))
	}
	d.root = first.Content[0]
	if d.root.Kind != yaml.MappingNode {
		return nil, d.refuse(d.root, "it is not a mapping, so this is not an Envoy's configuration")
	}
	d.noteAliases(d.root)
	return d, nil
}

func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// oddLineBreak is the line of a character that YAML's readers count as the end of a line, and
// editors do not; 0 for none.
func oddLineBreak(text []byte) int {
	line := 1
	for i, r := range string(text) {
		switch r {
		case '\n':
			line++
		case '\u0085', '\u2028', '\u2029':
			return line
		case '\r':
			if i+1 == len(text) || text[i+1] != '\n' {
				return line
			}
		}
	}
	return 0
}

func (d *document) noteAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		d.aliased[n.Alias] = n.Line
		return
	}
	for _, inner := range n.Content {
		d.noteAliases(inner)
	}
}

// refuse returns an error with the line of a node.
func (d *document) refuse(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...)
}

// offset is the place of a node in the text, before its anchor and its tag.
func (d *document) offset(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line > len(d.starts) {
		return 0, d.refuse(n, "this place is not found")
	}
	at := d.starts[n.Line-1]
	if n.Line == 1 && bytes.HasPrefix(d.text, []byte("\ufeff")) {
		at += len("\ufeff")
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.text[at:])
		at += size
	}
	return min(at, len(d.text)), nil
}

// line is the text of a line, from 1 on, without its line break.
func (d *document) line(n int) string {
	end := len(d.text)
	if n < len(d.starts) {
		end = d.starts[n]
	}
	return strings.TrimRight(string(d.text[d.starts[n-1]:end]), "\r\n")
}

// child is the value of a key, with the key; nil if the mapping has none. It refuses aliased
// values, because an edit would change all their uses.
func (d *document) child(m *yaml.Node, name string) (key, value *yaml.Node, err error) {
	if m.Kind != yaml.MappingNode {
		return nil, nil, d.refuse(m, "a mapping with %q is expected here", name)
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != name {
			continue
		}
		if key != nil {
			return nil, nil, d.refuse(m.Content[i], "%q is here twice", name)
		}
		key, value = m.Content[i], m.Content[i+1]
	}
	if value != nil {
		err = d.single(value)
	}
	return key, value, err
}

// single refuses aliases and the nodes that they refer to.
func (d *document) single(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		return d.refuse(n, "must not be an alias (*%s): write out its value", n.Value)
	}
	if line := d.aliased[n]; line > 0 {
		return d.refuse(n, "line %d uses this by an alias: write it out there", line)
	}
	return nil
}

// items are the elements of the list below a key; nil where there is no such key.
func (d *document) items(m *yaml.Node, name string) (list *yaml.Node, items []*yaml.Node, err error) {
	_, list, err = d.child(m, name)
	if list == nil || err != nil {
		return nil, nil, err
	}
	if list.Kind != yaml.SequenceNode {
		return nil, nil, d.refuse(list, "%q must be a list", name)
	}
	for _, item := range list.Content {
		if err := d.single(item); err != nil {
			return nil, nil, err
		}
	}
	return list, list.Content, nil
}

// text of a scalar below a key; "" where there is none.
func (d *document) word(m *yaml.Node, name string) string {
	for i := 0; m != nil && m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name && m.Content[i+1].Kind == yaml.ScalarNode {
			return m.Content[i+1].Value
		}
	}
	return ""
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// inside is the place right behind the opening bracket of a collection.
func (d *document) inside(n *yaml.Node, bracket byte) (int, error) {
	at, err := d.offset(n)
	if err != nil {
		return 0, err
	}
	i := bytes.IndexByte(d.text[at:], bracket)
	if i < 0 || bytes.IndexByte(d.text[at:at+i], '\n') >= 0 {
		return 0, d.refuse(n, "its opening bracket is not found")
	}
	return at + i + 1, nil
}

// addItems is the insertion of elements before the one at an index of a list.
func (d *document) addItems(list *yaml.Node, index int, items [][]byte) (insertion, error) {
	if !isFlow(list) {
		return d.addBlockItems(list.Content[index], items)
	}
	at, err := d.inside(list, '[')
	if index < len(list.Content) && index > 0 {
		at, err = d.offset(list.Content[index])
	}
	lines, flowErr := flowLines(items)
	if len(list.Content) == 0 && len(lines) > 0 {
		lines[len(lines)-1] = strings.TrimSuffix(lines[len(lines)-1], ",")
	}
	return insertion{at: at, inline: true, indent: list.Column + 1, lines: lines}, errors.Join(err, flowErr)
}

var (
	dashAndItem = regexp.MustCompile(`^( *)-[ \t]+$`)
	dashAlone   = regexp.MustCompile(`^( *)-[ \t]*(#.*)?$`)
)

// addBlockItems is the insertion of elements before one that begins with a dash, and before the
// comments above that.
func (d *document) addBlockItems(before *yaml.Node, items [][]byte) (insertion, error) {
	at, err := d.offset(before)
	if err != nil {
		return insertion{}, err
	}
	number := before.Line
	found := dashAndItem.FindStringSubmatch(string(d.text[d.starts[number-1]:at]))
	for found == nil && number > 1 && strings.TrimSpace(string(d.text[d.starts[before.Line-1]:at])) == "" {
		number--
		found = dashAlone.FindStringSubmatch(d.line(number))
	}
	if found == nil {
		return insertion{}, d.refuse(before, "its dash does not begin a line: give it a line of its own")
	}
	indent := len(found[1])
	lines, err := blockItems(items)
	return insertion{at: d.above(number, indent), indent: indent, lines: lines}, err
}

// above is the start of a line, or of the comments right above it.
func (d *document) above(number, indent int) int {
	comment := strings.Repeat(" ", indent) + "#"
	for number > 1 && strings.HasPrefix(d.line(number-1), comment) {
		number--
	}
	return d.starts[number-1]
}

// entry is a key and its value, in JSON.
type entry struct {
	key   string
	value []byte
}

// addEntries is the insertion of keys into a mapping that has at least one, before the named key if
// it exists.
func (d *document) addEntries(m *yaml.Node, before string, entries ...entry) (insertion, error) {
	if isFlow(m) {
		at, err := d.inside(m, '{')
		lines, flowErr := flowEntries(entries)
		if len(m.Content) == 0 && len(lines) > 0 {
			lines[len(lines)-1] = strings.TrimSuffix(lines[len(lines)-1], ",")
		}
		return insertion{at: at, inline: true, indent: m.Column + 1, lines: lines}, errors.Join(err, flowErr)
	}
	key, err := d.lineKey(m, before)
	if err != nil {
		return insertion{}, err
	}
	lines, err := blockEntries(entries)
	return insertion{at: d.above(key.Line, key.Column-1), indent: key.Column - 1, lines: lines}, err
}

// lineKey is a key that begins a line: the named one, or else the first.
func (d *document) lineKey(m *yaml.Node, name string) (*yaml.Node, error) {
	var first *yaml.Node
	for i := 0; i < len(m.Content); i += 2 {
		key := m.Content[i]
		if at, err := d.offset(key); err != nil || strings.Trim(string(d.text[d.starts[key.Line-1]:at]), " ") != "" {
			continue
		}
		if key.Value == name {
			return key, nil
		}
		if first == nil {
			first = key
		}
	}
	if first == nil {
		return nil, d.refuse(m, "none of its keys begins a line: give one a line of its own")
	}
	return first, nil
}
