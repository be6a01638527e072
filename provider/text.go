package provider

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str passes the string at the cursor and returns what stands between its quotes, still escaped,
// and how many bytes that has unescaped. Of a string that breaks off it returns the available part.
func (c *cursor) str() (raw []byte, size int64) {
	from, i, saved := c.pos+1, c.pos+1, 0
	for {
		i = ordinary(c.data, i)
		if i >= len(c.data) {
			c.fail(len(c.data), "a string is not closed")
			return c.data[from:], int64(len(c.data) - from - saved)
		}
		if c.data[i] == '"' {
			c.pos = i + 1
			return c.data[from:i], int64(i - from - saved)
		}
		length, unescaped := c.char(i)
		if length == 0 {
			return c.data[from:i], int64(i - from - saved)
		}
		i += length
		saved += length - unescaped
	}
}

// char looks at the escape, control character or non-ASCII character at i and
// returns its length and how many bytes it has unescaped; length 0 is a fault.
func (c *cursor) char(i int) (length, size int) {
	switch b := c.data[i]; {
	case b == '\\':
		return c.escape(i)
	case !c.strict:
		return 1, 1
	case b < ' ':
		c.fail(i, "a control character in a string, which has to be escaped")
		return 0, 0
	}
	r, n := utf8.DecodeRune(c.data[i:])
	if r == utf8.RuneError && n <= 1 {
		c.fail(i, "invalid UTF-8")
		return 0, 0
	}
	return n, n
}

// escape looks at the escape at i. Halves of surrogate pairs are legal alone (RFC
// 8259, section 8.2); each counts for half of its pair's four bytes.
func (c *cursor) escape(i int) (length, size int) {
	if i+1 < len(c.data) && simpleEscape(c.data[i+1]) != 0 {
		return 2, 1
	}
	unit, ok := unicodeEscape(c.data[i:])
	switch {
	case !ok:
		c.fail(i, "an escape that JSON does not know")
		return 0, 0
	case utf16.IsSurrogate(unit):
		return unicodeLen, 2
	}
	return unicodeLen, utf8.RuneLen(unit)
}

// simpleEscape returns the character that backslash and b stand for, 0 for none.
func simpleEscape(b byte) rune {
	switch b {
	case '"', '\\', '/':
		return rune(b)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unicodeLen is the length of an escape like \u00e9.
const unicodeLen = 6

// unicodeEscape returns the UTF-16 unit of the escape that b begins with.
func unicodeEscape(b []byte) (unit rune, ok bool) {
	if len(b) < unicodeLen || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, digit := range b[2:unicodeLen] {
		switch {
		case isDigit(digit):
			digit -= '0'
		case 'a' <= digit|0x20 && digit|0x20 <= 'f':
			digit = digit | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}

// ordinary returns the offset of the first byte from i on that is not plain ASCII
// text inside a string, or len(b). It looks at eight bytes at a time, as bodies are
// mostly text: https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
func ordinary(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if hit := special(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// special sets the top bit of each byte that is a quote, a backslash, a control
// character or not ASCII. Only the lowest bit set is to be relied on.
func special(word uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := word^ones*'"', word^ones*'\\'
	return (word | (word-ones*' ')&^word | (quote-ones)&^quote | (backslash-ones)&^backslash) & tops
}

// decodeRune returns the first character of a string's raw bytes and its length there. Invalid
// bytes become U+FFFD.
func decodeRune(raw []byte) (r rune, length int) {
	if raw[0] != '\\' {
		return utf8.DecodeRune(raw)
	}
	if len(raw) > 1 {
		if r := simpleEscape(raw[1]); r != 0 {
			return r, 2
		}
	}
	r, ok := unicodeEscape(raw)
	if !ok {
		return utf8.RuneError, 1
	}
	if !utf16.IsSurrogate(r) {
		return r, unicodeLen
	}
	if low, ok := unicodeEscape(raw[unicodeLen:]); ok {
		if r := utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, 2 * unicodeLen
		}
	}
	return utf8.RuneError, unicodeLen
}

// unescape returns at most limit runes of a string's raw bytes, and an ellipsis in the place
// of more.
func unescape(raw []byte, limit int) string {
	p := preview{limit: limit}
	p.add(raw)
	return p.text.String()
}

// preview is the beginning of a text that comes in pieces.
type preview struct {
	limit int // runes
	runes int
	text  strings.Builder
	cut   bool // there was more
}

// ellipsis follows a text of which there was more.
const ellipsis = "…"

// add appends a string's raw bytes. Of plain text each byte is a rune, so it is
// taken as a whole.
func (p *preview) add(raw []byte) {
	for len(raw) > 0 && !p.cut {
		if plain := ordinary(raw[:min(len(raw), p.limit-p.runes)], 0); plain > 0 {
			p.text.Grow(plain + len(ellipsis))
			p.text.Write(raw[:plain])
			p.runes += plain
			raw = raw[plain:]
			continue
		}
		r, length := decodeRune(raw)
		p.addRune(r)
		raw = raw[length:]
	}
}

func (p *preview) addRune(r rune) {
	if p.runes < p.limit {
		p.text.WriteRune(r)
		p.runes++
		return
	}
	if p.limit > 0 && !p.cut {
		p.text.WriteString(ellipsis)
	}
	p.cut = true
}

// addContent appends a message's content: a string, or the texts of its parts, one
// a line.
func (p *preview) addContent(value []byte) {
	c := cursor{data: value}
	switch c.kind() {
	case '"':
		raw, _ := c.str()
		p.add(raw)
	case '[':
		for c.enter(); c.more(']'); {
			p.addPart(&c)
		}
	}
}

// addPart appends one part of a content on a line of its own.
func (p *preview) addPart(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		if string(c.name()) != "text" || c.kind() != '"' {
			c.skip()
			continue
		}
		p.newLine()
		raw, _ := c.str()
		p.add(raw)
	}
}

// newLine separates what follows from what is there, if anything is.
func (p *preview) newLine() {
	if p.runes > 0 {
		p.addRune('\n')
	}
}

// String returns the text. NUL, which no PostgreSQL text can hold, becomes U+FFFD.
func (p *preview) String() string {
	return strings.ReplaceAll(p.text.String(), "\x00", "\uFFFD")
}
