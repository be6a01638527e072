package provider

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested. It also bounds the recursion of skip and
// texts.
const maxDepth = 200

// cursor reads a JSON text (RFC 8259) once, from front to back. Each method passes one piece of the
// grammar. The first fault moves the cursor to the end, so that every loop ends and callers check
// for a fault once.
//
// Objects and arrays are read as
//
//	for c.enter(); c.more('}'); {
//		switch string(c.name()) { … one value is passed … }
//	}
type cursor struct {
	data   []byte
	pos    int
	depth  int
	fresh  bool   // an object or array was entered and nothing in it has been read
	strict bool   // refuse invalid UTF-8 and bare control characters in strings, too
	said   []said // what texts has found
	saying kind   // of it
	other  bool   // texts has passed an image, a sound or a file
	fault  string // what is wrong, readable for people; "" if nothing is
	at     int    // where: an offset in data
}

// fail records the first fault and ends the reading.
func (c *cursor) fail(at int, fault string) {
	if c.fault == "" {
		c.fault, c.at = fault, at
	}
	c.pos = len(c.data)
}

// expected fails at the cursor, and names what was found and what was expected.
func (c *cursor) expected(at int, what string) {
	found := "the end"
	if at < len(c.data) {
		r, _ := utf8.DecodeRune(c.data[at:])
		found = fmt.Sprintf("%q", r)
	}
	c.fail(at, "expected "+what+", found "+found)
}

// kind passes white space and returns the first byte of what follows, 0 at the end.
func (c *cursor) kind() byte {
	for ; c.pos < len(c.data); c.pos++ {
		switch b := c.data[c.pos]; b {
		case ' ', '\t', '\n', '\r':
		default:
			return b
		}
	}
	return 0
}

// enter passes the opening bracket of the object or array at the cursor.
func (c *cursor) enter() {
	if c.depth == maxDepth {
		c.fail(c.pos, fmt.Sprintf("nested deeper than %d levels", maxDepth))
		return
	}
	c.depth++
	c.pos++
	c.fresh = true
}

// more reports whether another member or element follows and passes the separator before it;
// otherwise it passes the closing bracket.
func (c *cursor) more(closing byte) bool {
	if c.fault != "" {
		return false
	}
	fresh, b := c.fresh, c.kind()
	c.fresh = false
	switch {
	case b == closing:
		c.pos++
		c.depth--
		return false
	case fresh && b != 0:
		return true
	case b == ',':
		c.pos++
		return true
	}
	c.expected(c.pos, fmt.Sprintf("',' or %q", closing))
	return false
}

// name passes a member's name and its colon and returns the name, unescaped. Of a
// name with escapes only the first maxName runes are returned.
func (c *cursor) name() []byte {
	if c.kind() != '"' {
		c.expected(c.pos, "a name in double quotes")
		return nil
	}
	raw, size := c.str()
	if c.kind() != ':' {
		c.expected(c.pos, "':'")
		return nil
	}
	c.pos++
	if size == int64(len(raw)) {
		return raw
	}
	return []byte(unescape(raw, maxName))
}

// maxName is longer than any name that is looked for.
const maxName = 64

// value passes any value and returns its bytes.
func (c *cursor) value() []byte {
	c.kind()
	from := c.pos
	c.skip()
	return c.data[from:c.pos]
}

// skip passes any value.
func (c *cursor) skip() {
	switch b := c.kind(); b {
	case '"':
		c.str()
	case '{':
		for c.enter(); c.more('}'); {
			c.name()
			c.skip()
		}
	case '[':
		for c.enter(); c.more(']'); {
			c.skip()
		}
	default:
		c.scalar(b)
	}
}

// scalar passes a number or a literal that begins with b.
func (c *cursor) scalar(b byte) {
	switch {
	case b == 't':
		c.literal("true")
	case b == 'f':
		c.literal("false")
	case b == 'n':
		c.literal("null")
	case !c.strict && c.passesNonFinite():
	case b == '-' || isDigit(b):
		c.number()
	default:
		c.expected(c.pos, "a value")
	}
}

// passesNonFinite passes what Python writes for numbers that JSON lacks, such as the logarithm of a
// probability of 0.
// Source: https://docs.python.org/3/library/json.html#infinite-and-nan-number-values
func (c *cursor) passesNonFinite() bool {
	for _, name := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(c.data[c.pos:], []byte(name)) {
			c.pos += len(name)
			return true
		}
	}
	return false
}

func (c *cursor) literal(word string) {
	end := c.pos + len(word)
	if end > len(c.data) || string(c.data[c.pos:end]) != word {
		c.expected(c.pos, word)
		return
	}
	c.pos = end
}

// number passes a number and returns its text.
func (c *cursor) number() []byte {
	from, i := c.pos, c.pos
	if c.data[i] == '-' {
		i++
	}
	if i < len(c.data) && c.data[i] == '0' {
		i++
	} else {
		i = c.digits(i)
	}
	if i < len(c.data) && c.data[i] == '.' {
		i = c.digits(i + 1)
	}
	if i < len(c.data) && (c.data[i] == 'e' || c.data[i] == 'E') {
		i++
		if i < len(c.data) && (c.data[i] == '+' || c.data[i] == '-') {
			i++
		}
		i = c.digits(i)
	}
	if c.fault == "" {
		c.pos = i
	}
	return c.data[from:c.pos]
}

// digits returns the offset behind the digits at i, of which there must be one.
func (c *cursor) digits(i int) int {
	from := i
	for i < len(c.data) && isDigit(c.data[i]) {
		i++
	}
	if i == from {
		c.expected(i, "a digit")
	}
	return i
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// end fails if anything but white space is left.
func (c *cursor) end() {
	if c.kind() != 0 || c.pos < len(c.data) {
		c.expected(c.pos, "nothing after the JSON value")
	}
}
