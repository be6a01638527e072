package provider

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// ReadAnswer reads the body of a JSON response. Providers owe us nothing: the body
// may be cut off, absurd or no JSON at all, and then what could be read of it counts.
func (d OpenAI) ReadAnswer(e gateway.Endpoint, status int, body []byte) gateway.Answer {
	t := tally{endpoint: e, whole: true, text: preview{limit: d.Preview}}
	t.read(body)
	if status >= http.StatusBadRequest {
		t.textBytes = 0
	}
	return t.answer()
}

// tally is what has been read of an answer, be it one body or a stream's events.
type tally struct {
	endpoint  gateway.Endpoint
	whole     bool // one body with messages, not a stream of deltas
	choices   choices
	textBytes int64 // of the output, unescaped
	usage     gateway.Usage
	believed  bool // usage is the provider's
	text      preview
	errorCode string
}

// shape is what tells one event of a stream from another.
type shape struct {
	noChoices bool // "choices" is []
	hasUsage  bool // "usage" is an object
	hasError  bool // "error" is not null
	isJSON    bool // one JSON object without a fault
}

// isUsageOnly reports whether an event carries the usage and nothing for a reader.
func (s shape) isUsageOnly() bool { return s.isJSON && s.noChoices && s.hasUsage && !s.hasError }

// read adds one JSON object: a body or an event's data.
func (t *tally) read(data []byte) (s shape) {
	c := cursor{data: data}
	if c.kind() != '{' {
		return s
	}
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "choices":
			s.noChoices = t.readChoices(&c)
		case "usage":
			s.hasUsage = t.readUsage(&c)
		case "error":
			s.hasError = t.readError(&c)
		default:
			c.skip()
		}
	}
	c.end()
	s.isJSON = c.fault == ""
	return s
}

// answer sums up what has been read so far.
func (t *tally) answer() gateway.Answer {
	a := gateway.Answer{Text: t.text.String(), ErrorCode: t.errorCode}
	if t.believed {
		a.Usage, a.Source = t.usage, gateway.FromProvider
		return a
	}
	a.Source = gateway.Estimated
	if t.endpoint != gateway.Embeddings {
		a.Usage.Completion = min(tokensIn(t.textBytes), gateway.MaxTokens)
	}
	return a
}

// readError reads an "error" and reports whether there is one.
func (t *tally) readError(c *cursor) bool {
	if c.kind() != '{' {
		return string(c.value()) != "null"
	}
	var code, kind string
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "code":
			code = label(c.value())
		case "type":
			kind = label(c.value())
		default:
			c.skip()
		}
	}
	if code == "" {
		code = kind
	}
	if t.errorCode == "" {
		t.errorCode = code
	}
	return true
}

// maxErrorCode is how many bytes are kept of an error's code.
const maxErrorCode = 64

// label returns the printable characters of a string or number, at most
// maxErrorCode bytes, and nothing of any other value.
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
