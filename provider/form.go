package provider

import (
	"bytes"
	"strings"
)

// form is the form of a body by its first bytes, whatever its headers say.
type form uint8

const (
	unknownForm form = iota // nothing but white space so far
	eventForm               // events, or something unreadable
	jsonForm
)

// padding may stand before a body: white space, and a byte order mark, which may be split.
const padding = " \t\r\n" + byteOrderMark

// formOf returns the form of a body that begins with a piece.
func formOf(piece []byte) form {
	switch rest := unpadded(piece); {
	case len(rest) == 0:
		return unknownForm
	case rest[0] == '{' || rest[0] == '[':
		return jsonForm
	}
	return eventForm
}

func unpadded(body []byte) []byte {
	for len(body) > 0 && strings.IndexByte(padding, body[0]) >= 0 {
		body = body[1:]
	}
	return body
}

// holdsEvents reports whether a whole body is a stream of events.
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
func holdsEvents(body []byte) bool {
	rest := unpadded(body)
	for _, field := range []string{"data:", "event:", "id:", "retry:", ":"} {
		if bytes.HasPrefix(rest, []byte(field)) {
			return true
		}
	}
	return false
}

// collected is a JSON body that comes in pieces, or its beginning.
type collected struct {
	bytes []byte
	short bool // there was more
}

// add keeps a piece, unless the body is larger than what is read or memory is short.
func (c *collected) add(piece []byte, memory *share) {
	if len(c.bytes) == 0 {
		piece = unpadded(piece)
	}
	size := len(c.bytes) + len(piece)
	if c.short || size > maxEvent || !memory.resize(int64(max(0, size-idleMemory))) {
		c.short = true
		return
	}
	c.bytes = append(c.bytes, piece...)
}
