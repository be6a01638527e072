package extproc

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"ai-gateway/gateway"
)

// Names of the headers that we add.
const (
	responseTime = "x-response-time-ms"
	costHeader   = "x-cost-usd"
)

// Overrides of how Envoy sends a response's body.
var (
	inPieces = modeFor(bodyStreamed)
	asFits   = modeFor(bodyBufferedPartial)
	notAtAll = modeFor(bodyNone)
)

var unknownCost = []byte("unknown")

func (x *exchange) onResponseHeaders(m message, reply []byte) ([]byte, error) {
	code, _ := strconv.Atoi(string(m.headers.status))
	switch {
	case code/100 == 1 && code != http.StatusSwitchingProtocols: // the final response is still to come
		return appendPass(reply, m.kind), nil
	case !x.planned: // a refusal, our own or Envoy's, on its way out
		x.state = awaitNothing
		return appendChange(reply, m.kind, changes{replyMode: notAtAll}), nil
	case x.state != awaitResponseHeaders:
		return nil, errOrder
	}
	x.status, x.backend = code, x.servedBy(m.headers.server)
	if isUpgrade(code, m.headers) {
		x.status, x.finished = errUpgraded.Status, true
		x.readAnswer(errUpgraded.JSON())
		return x.refuse(reply, errUpgraded), nil
	}
	if code/100 == 3 {
		refusal := errRedirected(m.headers.server)
		x.status, x.finished = refusal.Status, true
		x.readAnswer(refusal.JSON())
		return x.refuse(reply, refusal), nil
	}
	switch {
	case code < http.StatusBadRequest:
		x.learnTaken()
	case code == http.StatusBadRequest || code == http.StatusUnprocessableEntity:
		x.question.refusedBy = string(m.headers.server)
	}
	return appendChange(reply, m.kind, x.onAnswer(m)), nil
}

// isUpgrade reports whether a provider changes the protocol, after which its answer would never
// end. The Lua script of each attempt, which also works without us, has turned the 101 into a 502.
func isUpgrade(code int, h headers) bool {
	return code == http.StatusSwitchingProtocols || code == http.StatusBadGateway && isMediaType(h.contentType, gateway.UpgradeType)
}

// onAnswer decides by an answer's headers how its body is read.
func (x *exchange) onAnswer(m message) changes {
	h := m.headers
	switch {
	case m.end:
		x.state, x.finished = awaitNothing, true
		x.readAnswer(nil)
		x.countUpTo(inlineCount)
		return changes{headers: x.ownHeaders(x.elapsed(), x.cost())}
	case !isReadable(h) || x.intent.Endpoint == gateway.Passed && !mayHaveUsage(h):
		x.state, x.unread = awaitNothing, true
		return changes{headers: x.ownHeaders(x.elapsed(), setHeader{costHeader, unknownCost}), replyMode: notAtAll}
	case x.comesInPieces(h):
		x.state = awaitEvents
		x.stream = x.rules.Dialect.NewStream(&x.intent, x.text, x.unasked)
		x.read, x.text = x.stream, gateway.PromptText{}
		c := changes{headers: x.ownHeaders(x.elapsed()), replyMode: inPieces}
		if x.unasked && len(h.contentLength) > 0 {
			c.remove = "content-length" // the usage will be removed
		}
		return c
	}
	x.state = awaitJSON
	if !x.fits(h) {
		return changes{replyMode: asFits} // an answer larger than Envoy's buffer passes unread
	}
	return changes{} // comes whole, as configured, and keeps its length
}

// isReadable reports whether an answer may be text. The Content-Type says little more: providers
// send streams and JSON as text/plain, application/octet-stream or without a type.
func isReadable(h headers) bool {
	kind, _, _ := bytes.Cut(h.contentType, []byte("/"))
	switch strings.ToLower(string(kind)) {
	case "audio", "image", "video":
		return false
	}
	return len(h.contentEncoding) == 0 || bytes.EqualFold(h.contentEncoding, []byte("identity"))
}

// comesInPieces reports whether an answer is forwarded as it comes. Its first bytes show whether it
// is a stream of events, but Envoy must know before them whether to buffer. So the client's request
// decides: a stream must not be buffered, whatever its type. The exception is JSON with a
// Content-Length: it is buffered to get X-Cost-USD.
func (x *exchange) comesInPieces(h headers) bool {
	asked := x.intent.Stream && x.status < http.StatusBadRequest
	if isMediaType(h.contentType, "text/event-stream") {
		return asked || !x.fits(h)
	}
	return asked && !(x.fits(h) && isMediaType(h.contentType, "application/json"))
}

// fits reports whether an answer says that it fits into Envoy's buffer.
func (x *exchange) fits(h headers) bool {
	n, err := strconv.ParseInt(string(h.contentLength), 10, 64)
	return err == nil && n <= x.rules.MaxBody
}

func (x *exchange) onResponseBody(m message, reply []byte) ([]byte, error) {
	x.finished = x.finished || m.end
	if x.ttft == 0 && len(m.body) > 0 {
		x.ttft = x.c.Now().Sub(x.started)
	}
	var masked bool
	m.body, masked = x.mask.hide(m.body)
	c := changes{newBody: masked, body: m.body}
	switch x.state {
	case awaitJSON:
		return x.onJSON(m, reply, c), nil
	case awaitEvents:
		return x.onEvents(m, reply, c), nil
	case awaitCut:
		return x.refuse(reply, errKeyEnded), nil // too late for an error response: Envoy resets the stream
	case awaitNothing:
		return appendChange(reply, m.kind, c), nil
	}
	return nil, errOrder
}

// onJSON reads a JSON answer. Tokens that it does not report are counted at once, if they are not
// too many, so that X-Cost-USD agrees with the row.
func (x *exchange) onJSON(m message, reply []byte, c changes) []byte {
	x.state, x.partial = awaitNothing, !m.end
	if x.answered.Source == 0 {
		x.readAnswer(m.body)
		x.countUpTo(inlineCount)
	}
	x.noteResponse()
	x.learnRefused(m.body)
	c.headers = x.ownHeaders(x.elapsed(), x.cost())
	if out, same := x.withoutUsage(m); !same {
		c.newBody, c.body = true, out
		c.headers = append(c.headers, setHeader{"content-length", strconv.AppendInt(nil, int64(len(out)), 10)})
	}
	return appendChange(reply, m.kind, c)
}

// withoutUsage is the body of a stream that came whole, as the client asked for it.
func (x *exchange) withoutUsage(m message) (out []byte, same bool) {
	if !x.unasked || !m.end || x.status >= http.StatusBadRequest {
		return nil, true
	}
	s := x.rules.Dialect.NewStream(&x.intent, gateway.PromptText{}, true)
	defer s.Close()
	return s.Next(m.body, true)
}

// onEvents forwards a piece of a stream. If the key has ended, it replaces the piece with an error
// event, and resets the stream at the next piece. The last piece always passes.
func (x *exchange) onEvents(m message, reply []byte, c changes) []byte {
	if ended := x.admission.Ended; ended != nil && !m.end && ended(x.c.Now()) {
		x.state, x.stopped = awaitCut, true
		return appendChange(reply, m.kind, changes{newBody: true, body: errorEvent(errKeyEnded, x.head.endpoint)})
	}
	if !m.end && x.overruns() {
		x.state, x.stopped = awaitCut, true
		return appendChange(reply, m.kind, changes{newBody: true, body: errorEvent(x.over, x.head.endpoint)})
	}
	if out, same := x.stream.Next(m.body, m.end); !same {
		c.newBody, c.body = true, out
	}
	x.noteResponse()
	return appendChange(reply, m.kind, c)
}

// errorEvent is an error as an event of a stream. What came before it may be half an event,
// which the empty line ends.
func errorEvent(e *gateway.Error, of gateway.Endpoint) []byte {
	name := ""
	if of == gateway.Responses || of.API() == gateway.AnthropicAPI {
		name = "event: error\n"
	}
	return fmt.Appendf(nil, "\n\n%sdata: %s\n\n", name, e.EventFor(of))
}

// elapsed is the time since the request's headers came.
func (x *exchange) elapsed() setHeader {
	ms := max(x.c.Now().Sub(x.started).Milliseconds(), 0)
	return setHeader{responseTime, strconv.AppendInt(nil, ms, 10)}
}

// cost is the answer's cost, equal to its row's. It is unknown if only a part was read, the price
// is not known, or tokens remain to be counted.
func (x *exchange) cost() setHeader {
	if x.read != nil {
		return setHeader{costHeader, unknownCost}
	}
	a := x.completed()
	switch {
	case x.intent.Price != nil && x.intent.Price.IsFree():
		return setHeader{costHeader, []byte("0")}
	case a.Partial || a.Source == 0 || x.intent.Pends(a.Response, x.status):
		return setHeader{costHeader, unknownCost}
	case a.Usage == gateway.Usage{}:
		return setHeader{costHeader, []byte("0")}
	case x.intent.Price == nil:
		return setHeader{costHeader, unknownCost}
	}
	cost, known := x.intent.Price.Cost(a.Usage, cmp.Or(a.ServiceTier, x.intent.ServiceTier))
	if !known {
		return setHeader{costHeader, unknownCost}
	}
	return setHeader{costHeader, []byte(cost.String())}
}

// isUTF8 reports whether a Content-Type names no charset or UTF-8: in another charset, the provider
// may read a body differently from the gateway.
func isUTF8(contentType []byte) bool {
	if bytes.IndexByte(contentType, ';') < 0 {
		return true
	}
	_, parameters, err := mime.ParseMediaType(string(contentType))
	charset := parameters["charset"]
	return err == nil && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// isMediaType compares a Content-Type without its parameters.
func isMediaType(contentType []byte, want string) bool {
	kind, _, _ := bytes.Cut(contentType, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(kind), []byte(want))
}
