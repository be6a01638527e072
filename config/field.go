package config

import (
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
)

// field is one line of the tables that everything else is made from: the reader, the
// environment's precedence, `config show`, the schema and the documentation.
type field struct {
	name      string   // in the file
	into      any      // a leaf, an object or a sequence
	doc       string   // one sentence
	unset     string   // what stands where nothing is said; "" for nothing
	required  bool     // in the file, where what it belongs to is there
	variables []string // that win over the file; the first that is set counts
	unit      string   // of the variable's number; "" where it is written as in the file

	low, high int64          // bounds of a number, in the value's own unit
	pattern   *regexp.Regexp // of a text
	wanted    string         // what a text is that fits the pattern
	secret    bool           // a text that does not fit may be a key: it is not shown
	lone      bool           // of a list: a single object may stand for it
	note      string         // for `config show`, behind the source
}

// leaf is a single value.
type leaf interface {
	// set takes the value over. The error goes on where the text was quoted.
	set(text string, f field, at place) error
	where() place
	// written is the value as the file would have it.
	written() string
	// settle makes a path that is relative to the file's folder absolute.
	settle(folder string)
	shape(f field) schema
}

// object has fields of its own.
type object interface {
	fields() []field
}

// shortened is an object that may be written as a plain text: its first field.
type shortened interface{ shortened() }

// alternative is an object of which exactly one field is given.
type alternative interface{ alternative() }

// sequence is a list of leaves or objects.
type sequence interface {
	add() any
	all() iter.Seq[any]
}

// located is whatever a field is read into.
type located interface{ locate(at place) }

// spot remembers where something was said.
type spot struct{ at place }

func (s *spot) locate(at place) { s.at = at }
func (s *spot) where() place    { return s.at }

// isSaid reports whether anybody said it, a default included.
func (s *spot) isSaid() bool { return s.at.from != nobody }

// setting is a single value of the file or of the environment, or a default.
type setting[T any] struct {
	spot
	value T
	text  string // as it was said
}

// scalar reads a kind of value. Its errors go on where the text was quoted.
type scalar interface {
	read(text string, f field) error
	shape(f field) schema
}

func (s *setting[T]) scalar() scalar { return any(&s.value).(scalar) }

func (s *setting[T]) set(text string, f field, at place) error {
	s.text, s.at = text, at
	return s.scalar().read(text, f)
}

func (s *setting[T]) written() string {
	if exact, ok := any(&s.value).(fmt.Stringer); ok {
		return exact.String()
	}
	return s.text
}

// or is the value, or another one where nobody said it.
func (s *setting[T]) or(other T) T {
	if s.isSaid() {
		return s.value
	}
	return other
}

func (s *setting[T]) settle(folder string) {
	if p, ok := any(&s.value).(interface{ resolve(folder string) }); ok {
		p.resolve(folder)
	}
}

func (s *setting[T]) shape(f field) schema {
	shape := s.scalar().shape(f)
	if f.unset != "" {
		shape.Default = literal(f.unset, shape)
	}
	return shape
}

// literal is a default in JSON.
func literal(text string, shape schema) json.RawMessage {
	if shape.is("string") {
		return json.RawMessage(strconv.Quote(text))
	}
	return json.RawMessage(text)
}

// list is a list in the file.
type list[T any] struct {
	spot
	items []T
}

func (l *list[T]) add() any {
	var item T
	l.items = append(l.items, item)
	return &l.items[len(l.items)-1]
}

func (l *list[T]) all() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range l.items {
			if !yield(&l.items[i]) {
				return
			}
		}
	}
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
