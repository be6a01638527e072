package provider

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// Answer is what was read of a JSON response.
type Answer struct{ tally tally }

// NewAnswer reads the body of a JSON response to a request. Providers owe us nothing:
// the body may be cut off, absurd, no JSON at all or, if none came, empty, and then the
// prompt counts and what could be read of it. It may also be a stream of events, all at once.
func (d OpenAI) NewAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) *Answer {
	if holdsEvents(body) {
		s := OpenAI{Preview: d.Preview}.NewStream(i, p, false)
		s.Next(body, true)
		return &Answer{s.tally}
	}
	t := tally{intent: i, prompt: p, whole: true, text: preview{limit: d.Preview}}
	t.read(body)
	if !t.believed && status < http.StatusBadRequest { // its texts are to be counted: read them again
		t = tally{intent: i, prompt: p, whole: true, counts: true, text: preview{limit: d.Preview}}
		t.read(body)
	}
	return &Answer{t}
}

// Uncounted is how many bytes of text Answer has to count the tokens of.
func (a *Answer) Uncounted() int { return a.tally.uncounted() }

// Answer sums up the response. In haste, tokens that the provider did not tell are estimated
// from the size of the text.
func (a *Answer) Answer(haste bool) gateway.Answer { return a.tally.answer(haste) }

// tally is what has been read of an answer, be it one body or a stream's events.
type tally struct {
	intent    *gateway.Intent
	prompt    gateway.PromptText
	whole     bool // one body with messages, not a stream of deltas
	counts    bool // where the provider gives no figures, tokens are counted: texts are kept for that
	choices   choices
	delivered delivered
	said      []said // memory for those of the next event
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

// read adds one JSON object: a body or an event's data.
func (t *tally) read(data []byte) (s shape) {
	c := cursor{data: data, said: t.said[:0]}
	believed := false
	if c.kind() != '{' {
		return s
	}
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "choices":
			s.noChoices = t.readChoices(&c)
		case "usage":
			s.hasUsage, believed = t.readUsage(&c)
		case "error":
			s.hasError = t.readError(&c)
		default:
			c.skip()
		}
	}
	c.end()
	if believed { // of the whole event, wherever in it
		t.delivered.drop()
	}
	t.keep(c.said)
	s.isJSON = c.fault == ""
	return s
}

// maxSaid is how many texts of an event memory is kept for.
const maxSaid = 64

// keep keeps the memory of an event's texts, but nothing of the event.
func (t *tally) keep(texts []said) {
	t.said = nil
	if cap(texts) <= maxSaid {
		t.said = texts[:0]
		clear(texts[:cap(texts)])
	}
}

// uncounted is how many bytes of text answer has to count.
func (t *tally) uncounted() int {
	switch {
	case t.believed:
		return t.delivered.kept
	case !t.counts:
		return 0
	}
	return len(t.prompt.Texts) + t.delivered.kept
}

// answer sums up what has been read so far. It may take a while unless in haste: where the
// provider gave no figures, tokens are counted.
func (t *tally) answer(haste bool) gateway.Answer {
	a := gateway.Answer{Text: t.text.String(), ErrorCode: t.errorCode}
	e, certain := encodingOf(t.intent)
	count := counter{e, haste}
	switch {
	case t.believed:
		a.Usage, a.Source = t.usage, gateway.FromProvider
		if t.delivered.any() { // since then
			a.Stale = true
			a.Usage.Completion = min(a.Usage.Completion+t.delivered.count(count), gateway.MaxTokens)
			a.Source = gateway.Estimated
		}
	case !t.counts:
		a.Source = gateway.Estimated
	default:
		a.Usage, a.Source = t.count(count), gateway.Estimated
		if certain && !haste && !t.prompt.Other && !t.delivered.other && t.delivered.whole() {
			a.Source = gateway.Counted
		}
	}
	return a
}

// count is the usage where the provider gave no figures.
func (t *tally) count(c counter) (u gateway.Usage) {
	u.Prompt = min(c.countPrompt(t.prompt), gateway.MaxTokens)
	if t.intent.Endpoint != gateway.Embeddings {
		u.Completion = min(t.delivered.count(c), gateway.MaxTokens)
	}
	return u
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
