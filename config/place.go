package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// origin is the kind of source that a value comes from.
type origin uint8

const (
	nobody origin = iota
	byDefault
	inFile
	inVariable
)

// place is where a value was found.
type place struct {
	from         origin
	line, column int    // in the file; 0 for the whole file
	path         string // in the file, "models[0].backends[1]"; "" for the whole file
	variable     string // of the environment, with a number of the entry in a list
}

// below is the place of something that is part of what is at p.
func (p place) below(part string) place {
	if p.path != "" && !strings.HasPrefix(part, "[") {
		part = "." + part
	}
	p.path += part
	return p
}

// mention is a value's text and its place.
type mention struct {
	place
	text string
}

// isSaid reports whether there is a value, be it a default.
func (m mention) isSaid() bool { return m.from != nobody }

func inEnvironment(variable string) place { return place{from: inVariable, variable: variable} }

// source describes where a value comes from.
func (r *reader) source(p place) string {
	switch p.from {
	case inFile:
		return fmt.Sprintf("%s:%d", r.file, p.line)
	case inVariable:
		return p.variable
	}
	return "default"
}

// fault is something wrong and where.
type fault struct {
	at   place
	text string
}

// maxFaults is how many faults are reported.
const maxFaults = 100

func (r *reader) fault(at place, format string, args ...any) {
	r.faults = append(r.faults, fault{at, fmt.Sprintf(format, args...)})
}

// err returns all faults, one on each line: those of the file in its order, then those of the environment.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.at.from, b.at.from), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	lines := []string{"the configuration is not valid:"}
	for _, f := range r.faults[:min(len(r.faults), maxFaults)] {
		lines = append(lines, r.line(f))
	}
	if more := len(r.faults) - maxFaults; more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", more))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// line is a fault with its place, as editors and compilers write it.
func (r *reader) line(f fault) string {
	at := f.at
	switch {
	case at.from != inFile:
		return at.variable + ": " + f.text
	case at.line == 0:
		return r.file + ": " + f.text
	case at.path == "":
		return fmt.Sprintf("%s:%d:%d: %s", r.file, at.line, at.column, f.text)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", r.file, at.line, at.column, at.path, f.text)
}
