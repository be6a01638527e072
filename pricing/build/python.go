package main

import (
	"fmt"
	"strings"
)

// The package's data are one Python expression: calls of constructors with named
// arguments, lists, dictionaries and constants. It is read into call, []any,
// map[string]any, string and word.

// call is a call of a constructor, Name(argument, name=argument).
type call struct {
	name  string
	args  []any
	named map[string]any
}

// word is what stands without quotes: a number, None, True or a name.
type word string

// python reads an expression. The first fault stops it.
type python struct {
	text string
	at   int
	err  error
}

// parsePython reads the expression from an offset to the end.
func parsePython(text string, at int) (any, error) {
	p := &python{text: text, at: at}
	v := p.value()
	if p.space(); p.at < len(p.text) {
		p.fail("the expression goes on")
	}
	return v, p.err
}

func (p *python) value() any {
	p.space()
	switch p.peek() {
	case '[':
		return p.list()
	case '{':
		return p.dictionary()
	case '\'', '"':
		return p.str()
	}
	w := p.word()
	if p.peek() == '(' {
		return p.call(w)
	}
	return word(w)
}

func (p *python) list() []any {
	var items []any
	p.items('[', ']', func() { items = append(items, p.value()) })
	return items
}

func (p *python) dictionary() map[string]any {
	m := map[string]any{}
	p.items('{', '}', func() {
		key := p.str()
		p.expect(':')
		m[key] = p.value()
	})
	return m
}

func (p *python) call(name string) call {
	c := call{name: name, named: map[string]any{}}
	p.items('(', ')', func() {
		v := p.value()
		w, isWord := v.(word)
		if p.space(); !isWord || p.peek() != '=' {
			c.args = append(c.args, v)
			return
		}
		p.expect('=')
		c.named[string(w)] = p.value()
	})
	return c
}

// items reads what stands between two brackets, separated by commas.
func (p *python) items(open, shut byte, item func()) {
	p.expect(open)
	for p.space(); p.err == nil && p.peek() != shut; p.space() {
		item()
		if p.space(); p.peek() != shut {
			p.expect(',')
		}
	}
	p.expect(shut)
}

// word reads a number or a name, which may have dots.
func (p *python) word() string {
	word := p.pass("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
	if word == "" {
		p.fail("a value is missing")
	}
	return word
}

// str reads a string with the few escapes that occur.
func (p *python) str() string {
	quote := p.next()
	if quote != '\'' && quote != '"' {
		p.fail("a string is missing")
	}
	var s strings.Builder
	for p.err == nil && p.peek() != quote {
		switch b := p.peek(); b {
		case 0, '\n':
			p.fail("a string does not end")
		case '\\':
			p.next()
			s.WriteByte(p.escaped())
		default:
			s.WriteByte(p.next())
		}
	}
	p.next()
	return s.String()
}

func (p *python) escaped() byte {
	switch b := p.next(); b {
	case '\\', '\'', '"':
		return b
	case 'n':
		return '\n'
	case 't':
		return '\t'
	default:
		p.fail(fmt.Sprintf("the escape \\%c is not known", b))
		return b
	}
}

func (p *python) space() { p.pass(" \t\r\n") }

// pass passes all bytes of a set that come next, and returns them.
func (p *python) pass(set string) string {
	rest := p.text[p.at:]
	passed := rest[:len(rest)-len(strings.TrimLeft(rest, set))]
	p.at += len(passed)
	return passed
}

// peek is the next byte, 0 at the end.
func (p *python) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// next passes the next byte.
func (p *python) next() byte {
	b := p.peek()
	p.at = min(p.at+1, len(p.text))
	return b
}

func (p *python) expect(b byte) {
	if p.space(); p.peek() != b {
		p.fail(fmt.Sprintf("%q is missing", b))
	}
	p.next()
}

func (p *python) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("line %d: %s", strings.Count(p.text[:p.at], "\n")+1, what)
	}
}
