package provider

import "bytes"

// withoutUsage removes the usage from the data of the last event of an answer, if the client did
// not ask for it. It changes nothing unless the event has a usage and no choices. It returns nil if
// the usage was the only content. Other members, such as timings, citations or search results,
// stay.
func withoutUsage(data []byte) (rest []byte, changed bool) {
	c := cursor{data: data}
	if c.kind() != '{' {
		return nil, false
	}
	c.enter()
	r := remover{rest: append(make([]byte, 0, len(data)), data[:c.pos]...)}
	for c.more('}') {
		r.member(&c)
	}
	c.end()
	switch {
	case c.fault != "" || r.choices || !r.usage:
		return nil, false
	case !r.others:
		return nil, true
	}
	return append(r.rest, '}'), true
}

// remover copies an object without its usage.
type remover struct {
	rest    []byte
	copied  bool // a member
	usage   bool // there was one
	choices bool // there is at least one
	others  bool // there are members that a client may want without a usage
}

func (r *remover) member(c *cursor) {
	c.kind()
	from := c.pos
	name := c.name()
	first := c.kind()
	at := c.pos
	c.skip()
	switch {
	case string(name) == "usage" && first == '{':
		r.usage = true
		return
	case string(name) == "choices":
		r.choices = r.choices || first != 'n' && !isEmptyArray(c.data[at:c.pos])
	case first != 'n' && !isOfEnvelope(name):
		r.others = true
	}
	if r.copied {
		r.rest = append(r.rest, ',')
	}
	r.copied = true
	r.rest = append(r.rest, c.data[from:c.pos]...)
}

func isEmptyArray(value []byte) bool {
	c := cursor{data: value}
	if c.kind() != '[' {
		return false
	}
	c.enter()
	return !c.more(']')
}

// isOfEnvelope reports whether a member only says what every event of the stream says.
// Source: https://platform.openai.com/docs/api-reference/chat-streaming
func isOfEnvelope(name []byte) bool {
	switch string(name) {
	case "id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation":
		return true
	}
	return false
}

// appendEvent appends the bytes of an event with other data: its data lines become those of
// the data, the others stay.
func appendEvent(out, event, data []byte) []byte {
	for len(event) > 0 {
		text, end := cutLine(event)
		event = event[len(text)+len(end):]
		if _, ok := dataOffset(text); !ok {
			out = append(append(out, text...), end...)
		} else if data != nil {
			out = appendData(out, data, end)
			data = nil
		}
	}
	return out
}

// appendData appends data lines, each with the end that the event's lines have.
func appendData(out, data, end []byte) []byte {
	between := end
	if len(between) == 0 { // the stream broke off within the line
		between = []byte("\n")
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if i > 0 {
			out = append(out, between...)
		}
		out = append(append(out, "data: "...), line...)
	}
	return append(out, end...)
}

// cutLine returns the first line's text and its end: CR, LF, CR LF or, at the end, nothing.
func cutLine(b []byte) (text, end []byte) {
	at := bytes.IndexAny(b, "\r\n")
	switch {
	case at < 0:
		return b, nil
	case bytes.HasPrefix(b[at:], []byte("\r\n")):
		return b[:at], b[at : at+2]
	}
	return b[:at], b[at : at+1]
}
