package provider

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// errorReader reads whether an answer is an error, and its code.
type errorReader struct {
	is         bool
	code, kind string
}

// readTopMember reads a member of an answer: some servers put an error there without an
// envelope, {"object":"error","code":…} or {"type":"error",…}.
func (e *errorReader) readTopMember(c *cursor, name []byte) {
	switch string(name) {
	case "object":
		e.is = string(c.value()) == `"error"` || e.is
	case "type":
		e.is = string(c.value()) == `"error"` || e.is
	case "code":
		e.code = label(c.value())
	default:
		c.skip()
	}
}

// readError reads an "error", which may be empty.
func (t *tally) readError(c *cursor) {
	var e errorReader
	if c.kind() == '{' {
		e.read(c)
	} else {
		switch value := c.value(); string(value) {
		case "null", "false", "0", `""`:
		default:
			e.is = len(value) > 0 && value[0] != '['
		}
	}
	if e.is {
		t.fail(e)
	}
}

// read reads the members of an error. An object without any is not an error.
func (e *errorReader) read(c *cursor) {
	for c.enter(); c.more('}'); {
		e.is = true
		switch string(c.name()) {
		case "code":
			e.code = label(c.value())
		case "type":
			e.kind = label(c.value())
		default:
			c.skip()
		}
	}
}

// fail notes an error. The first code is kept.
func (t *tally) fail(e errorReader) {
	t.failed = true
	if t.errorCode == "" {
		t.errorCode = e.code
	}
	if t.errorCode == "" {
		t.errorCode = e.kind
	}
}

// maxErrorCode is how many bytes are kept of an error's code.
const maxErrorCode = 64

// label returns the printable characters of a string or number, at most maxErrorCode bytes, and ""
// for any other value.
func label(value []byte) string {
	if len(value) == 0 || value[0] != '"' && value[0] != '-' && !isDigit(value[0]) {
		return ""
	}
	var b strings.Builder
	raw := value
	if value[0] == '"' {
		c := cursor{data: value}
		raw, _ = c.str()
	}
	for len(raw) > 0 {
		r, length := decodeRune(raw)
		if b.Len()+utf8.RuneLen(r) > maxErrorCode {
			break
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		}
		raw = raw[length:]
	}
	return b.String()
}
