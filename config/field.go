package config

import (
	"encoding/json"
	"slices"
	"strconv"
)

// field is one entry of the tables in settings.go, from which everything else is made: the
// reader, the environment's precedence, `config show`, the schema and the documentation.
type field struct {
	name      string // in the file
	into      node
	doc       string   // one sentence
	unset     string   // the default, as written in the file; "" for none
	required  bool     // in the file, if its group is there
	variables []string // which override the file; the first that is set counts
	unit      string   // of the variable's number; "" if it is written as in the file
	lone      bool     // of a list: a single group may be written instead
	note      string   // for `config show`, after the source
}

// node is what a field is read into: a single, a group or a list.
type node interface {
	// key is the address of the variable, by which a reader remembers where the value comes from.
	key() any
}

// single is a single value. Its one implementation is setting.
type single interface {
	node
	read(text string) error // the error continues a sentence that began with the quoted text
	resolve(folder string)  // makes a path that is relative to the file's folder absolute
	written() string        // the value as written in the file; "" for the text that was read
	describe() (shape schema, words string)
	secret() bool
}

// setting is a variable and how its value is written.
type setting[T any] struct {
	into *T
	kind kind[T]
}

// value returns the node of a single value that is read into a variable.
func value[T any](into *T, k kind[T]) setting[T] { return setting[T]{into, k} }

func (s setting[T]) key() any { return s.into }

func (s setting[T]) read(text string) error {
	v, err := s.kind.read(text)
	if err == nil || s.kind.keep {
		*s.into = v
	}
	return err
}

func (s setting[T]) resolve(folder string) {
	if s.kind.resolve != nil {
		*s.into = s.kind.resolve(*s.into, folder)
	}
}

func (s setting[T]) written() string {
	if s.kind.write == nil {
		return ""
	}
	return s.kind.write(*s.into)
}

func (s setting[T]) describe() (schema, string) { return s.kind.shape, s.kind.words }
func (s setting[T]) secret() bool               { return s.kind.secret }

// group is fields that belong together.
type group struct {
	at     any // its address, if something asks for its place; else nil
	fields []field
	short  bool // plain text is read as its first field
	oneOf  bool // exactly one of the fields is given
}

func (g group) key() any { return g.at }

// list is a list in the file.
type list interface {
	node
	make(n int) // room for n items, whose addresses do not change
	items() []node
	item() node // an example, for the schema and the documentation
}

// values is a list of single values.
type values[T any] struct {
	into *[]T
	kind kind[T]
}

func (l values[T]) key() any   { return l.into }
func (l values[T]) make(n int) { *l.into = make([]T, n) }
func (l values[T]) item() node { return value(new(T), l.kind) }

func (l values[T]) items() []node {
	var nodes []node
	for i := range *l.into {
		nodes = append(nodes, value(&(*l.into)[i], l.kind))
	}
	return nodes
}

// groups is a list of groups.
type groups[T any] struct {
	into  *[]*T
	group func(*T) group
}

func (l groups[T]) key() any   { return l.into }
func (l groups[T]) item() node { return l.group(new(T)) }

func (l groups[T]) make(n int) {
	*l.into = make([]*T, n)
	for i := range *l.into {
		(*l.into)[i] = new(T)
	}
}

func (l groups[T]) items() []node {
	var nodes []node
	for _, item := range *l.into {
		nodes = append(nodes, l.group(item))
	}
	return nodes
}

// literal is a default in JSON.
func literal(text string, shape schema) json.RawMessage {
	if shape.is("string") {
		return json.RawMessage(strconv.Quote(text))
	}
	return json.RawMessage(text)
}

// names are the names of fields, in order.
func names(fields []field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}
