package provider

import (
	"bytes"
	"net/http"

	"ai-gateway/gateway"
)

// Answer is what was read of a JSON response.
type Answer struct{ tally tally }

// NewAnswer reads the body of a JSON response to a request. The body may be cut off, invalid, not
// JSON at all or, if none came, empty. Then the usage is estimated from the prompt and the readable
// part. The body may also be a whole stream of events.
func (d OpenAI) NewAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) *Answer {
	if holdsEvents(body) {
		s := OpenAI{Preview: d.Preview}.NewStream(i, p, false)
		s.Next(body, true)
		return &Answer{s.tally}
	}
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	t := newTally(i, p, preview{limit: d.Preview})
	t.whole = true
	isJSON := t.read(body)
	if !t.believed && status < http.StatusBadRequest && i.Endpoint != gateway.Passed { // its texts are to be counted: read them again
		t = newTally(i, p, preview{limit: d.Preview})
		t.whole, t.counts = true, true
		t.read(body)
	}
	t.partial = opening(body) == '{' && !isJSON
	return &Answer{t}
}

// Uncounted is the number of bytes of text whose tokens Answer has to count.
func (a *Answer) Uncounted() int { return a.tally.uncounted() }

// Answer sums up the response. In haste, tokens that the provider did not report are estimated from
// the size of the text.
func (a *Answer) Answer(haste bool) gateway.Answer { return a.tally.answer(haste) }

// Response is what has been read of a response's id and state.
func (a *Answer) Response() gateway.ResponseWord { return a.tally.response }

// tally is what has been read of an answer, from one body or from a stream's events.
type tally struct {
	intent    *gateway.Intent
	prompt    gateway.PromptText
	whole     bool // one body with messages, not a stream of deltas
	counts    bool // keep texts, to count tokens if the provider reports no usage
	choices   choices
	delivered delivered
	said      []said // reused for the next event
	figures   gateway.Figures
	believed  bool // figures are the provider's
	inChoice  bool // those of this event are in a choice
	text      preview

	answered    bool   // there was an answer, or a part of one
	failed      bool   // there was an error
	complete    bool   // a stream's end was announced
	partial     bool   // not all of it is JSON
	errorCode   string // of the error
	serviceTier string
	tierOnTop   bool // the tier was next to the usage, not in it

	response gateway.ResponseWord // its id and state
}

// newTally begins to read an answer.
func newTally(i *gateway.Intent, p gateway.PromptText, preview preview) tally {
	t := tally{intent: i, prompt: p, text: preview, figures: gateway.NoFigures()}
	if i.Endpoint == gateway.Passed { // nothing says what is an answer, and what of it is text
		t.answered, t.text.limit = true, 0
	}
	return t
}

// read adds one JSON object, a body or an event's data, and reports whether it is valid.
func (t *tally) read(data []byte) (isJSON bool) {
	c := cursor{data: data, said: t.said[:0]}
	believed := false
	if c.kind() != '{' {
		return false
	}
	var envelope errorReader
	var e typedEvent
	for c.enter(); c.more('}'); {
		switch name := c.name(); string(name) {
		case "usage":
			believed = t.readUsage(&c) || believed
		case "service_tier":
			t.readServiceTier(&c)
		case "error":
			t.readError(&c)
		default:
			if !t.readMember(&c, name, &e) {
				envelope.readTopMember(&c, name)
			}
		}
	}
	if envelope.is {
		t.fail(envelope)
	}
	c.end()
	t.addEvent(&e)
	if believed || e.believed { // of the whole event, wherever in it
		t.delivered.drop()
	}
	t.keep(c.said)
	return c.fault == ""
}

// readMember reads a member that only answers of some endpoints have, and reports whether it knows
// it.
func (t *tally) readMember(c *cursor, name []byte, e *typedEvent) bool {
	switch t.intent.Endpoint {
	case gateway.DeleteResponse, gateway.ResponseInput:
		t.answered = t.answered || string(name) == "object" && c.kind() == '"'
		return false
	case gateway.Responses, gateway.Compact, gateway.FetchResponse, gateway.CancelResponse:
		return t.readResponseMember(c, name, e)
	case gateway.Messages:
		return t.readMessageMember(c, name, e)
	case gateway.Passed:
		return t.readPassedMember(c, name, e)
	case gateway.CountTokens, gateway.InputTokens:
		return t.readTokenCount(c, name)
	}
	switch string(name) {
	case "choices":
		t.inChoice = false
		t.readChoices(c)
		e.believed = t.inChoice || e.believed
	case "data":
		t.readData(c)
	case "x_groq":
		e.believed = t.readGroq(c) || e.believed
	default:
		return false
	}
	return true
}

// readTokenCount reads the answer of an endpoint that counts tokens, and reports whether the member is that.
func (t *tally) readTokenCount(c *cursor, name []byte) bool {
	if string(name) != "input_tokens" {
		return false
	}
	n := gateway.NotReported
	c.count(&n)
	t.answered = t.answered || n != gateway.NotReported
	return true
}

// maxSaid is the number of texts for which memory is kept between events.
const maxSaid = 64

// keep keeps the memory of an event's texts for reuse, but none of their content.
func (t *tally) keep(texts []said) {
	t.said = nil
	if cap(texts) <= maxSaid {
		t.said = texts[:0]
		clear(texts[:cap(texts)])
	}
}

// uncounted is the number of bytes of text that answer has to count.
func (t *tally) uncounted() int {
	switch {
	case !t.countsUsage():
		return 0
	case t.believed:
		return t.delivered.kept
	case !t.counts:
		return 0
	}
	return len(t.prompt.Texts) + t.delivered.kept
}

// answer sums up what has been read so far. It may take long unless in haste, because it counts
// tokens if the provider reported none.
func (t *tally) answer(haste bool) gateway.Answer {
	a := gateway.Answer{Text: t.text.String(), ErrorCode: t.errorCode, ServiceTier: t.serviceTier, Failed: t.failed, Partial: t.partial,
		Missing: !t.answered && !t.believed, Complete: t.complete || t.believed && t.choices.allFinished(), Response: t.response}
	if t.countsUsage() {
		e, certain := encodingOf(t.intent)
		t.sumUp(&a, counter{e, haste}, certain && !haste)
	}
	switch {
	case t.intent.Endpoint.IsStored():
		t.setFetched(&a)
	case t.intent.Endpoint.IsFree():
		a.Source = gateway.FromProvider
	}
	return a
}

// countsUsage reports whether the answer tells what was used: one that costs nothing does where it shows
// the end of a response that was made before.
func (t *tally) countsUsage() bool {
	return !t.intent.Endpoint.IsFree() || t.fetches() && t.response.State.HasEnded()
}

// sumUp adds the usage. Without the provider's figures it counts the tokens, and certain says whether that
// is exact.
func (t *tally) sumUp(a *gateway.Answer, count counter, certain bool) {
	switch {
	case t.intent.Endpoint == gateway.Passed && !t.believed: // nothing tells what was used
	case t.believed:
		a.Usage, a.Source = t.usage(), gateway.FromProvider
		if t.delivered.any() { // since then
			a.Stale = true
			a.Usage.Completion = min(a.Usage.Completion+t.delivered.count(count), gateway.MaxTokens)
			a.Source = gateway.Estimated
		}
	case !t.counts:
		a.Source = gateway.Estimated
	default:
		a.Usage, a.Source = t.count(count), gateway.Estimated
		if certain && !t.prompt.Other && !t.delivered.other && t.delivered.whole() {
			a.Source = gateway.Counted
		}
	}
}

// setFetched makes the usage that of the response that was fetched: fetching it costs nothing. A response
// that has failed is an answer like any other.
func (t *tally) setFetched(a *gateway.Answer) {
	a.Response.ServiceTier, a.Response.ErrorCode = a.ServiceTier, a.ErrorCode
	if a.Partial && !t.believed {
		a.Response.State = gateway.ResponseRuns // as far as is known
	}
	if a.Response.State.HasEnded() {
		a.Response.Usage, a.Response.Source = a.Usage, a.Source
		a.Response.Usage.Prompt = max(a.Usage.Prompt, t.intent.PromptTokens)
	}
	answered := t.answered || t.believed || t.response.State != 0
	a.Missing, a.Failed, a.Stale = !answered, t.failed && !answered, false
	if answered {
		a.ErrorCode = ""
	}
	a.Usage, a.Source, a.ServiceTier, a.Text = gateway.Usage{}, gateway.FromProvider, "", ""
}

// output is the delivered tokens without an echo of the prompt.
func (t *tally) output(delivered, prompt int64) int64 {
	if t.prompt.Mute {
		return 0
	}
	return max(delivered-t.prompt.Echoes*prompt, 0)
}

// readData reads the "data" of embeddings: the answer exists if there is one embedding.
func (t *tally) readData(c *cursor) {
	if c.kind() != '[' {
		c.skip()
		return
	}
	for c.enter(); c.more(']'); {
		t.answered = t.answered || c.kind() == '{'
		c.skip()
	}
}

// readGroq reads Groq's own member "x_groq" of a stream, and reports whether that holds a believed
// usage.
// Source: https://github.com/groq/groq-python/blob/v0.31.0/src/groq/types/chat/chat_completion_chunk.py
func (t *tally) readGroq(c *cursor) (believed bool) {
	if c.kind() != '{' {
		c.skip()
		return false
	}
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "usage":
			believed = t.readUsage(c)
		case "error":
			t.readError(c)
		default:
			c.skip()
		}
	}
	return believed
}

func (t *tally) readServiceTier(c *cursor) {
	if tier := c.serviceTier(); tier != "" {
		t.serviceTier, t.tierOnTop = tier, true
	}
}

// count is the usage if the provider reported none.
func (t *tally) count(c counter) (u gateway.Usage) {
	u = t.usage() // a message's first event reports its prompt
	if u.Prompt == 0 {
		u.Prompt = min(c.countPrompt(t.prompt), gateway.MaxTokens)
	}
	if t.intent.Endpoint != gateway.Embeddings {
		u.Completion = min(t.output(t.delivered.count(c), u.Prompt), gateway.MaxTokens)
	}
	return u
}
