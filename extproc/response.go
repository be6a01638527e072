package extproc

import (
	"bytes"
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

// Overrides of the way a response's body comes.
var (
	inPieces = modeFor(bodyStreamed)
	asFits   = modeFor(bodyBufferedPartial)
	notAtAll = modeFor(bodyNone)
)

var unknownCost = []byte("unknown")

func (x *exchange) onResponseHeaders(m message, reply []byte) ([]byte, error) {
	code, _ := strconv.Atoi(string(m.headers.status))
	switch {
	case code/100 == 1 && code != http.StatusSwitchingProtocols: // the answer proper is still to come
		return appendPass(reply, m.kind), nil
	case !x.planned: // a refusal, our own or Envoy's, on its way out
		x.state = awaitNothing
		return appendChange(reply, m.kind, changes{replyMode: notAtAll}), nil
	case x.state != awaitResponseHeaders:
		return nil, errOrder
	}
	x.status = code
	if isUpgrade(code, m.headers) {
		x.status, x.finished = errUpgraded.Status, true
		x.readAnswer(errUpgraded.JSON())
		return x.refuse(reply, errUpgraded), nil
	}
	return appendChange(reply, m.kind, x.onAnswer(m)), nil
}

// isUpgrade reports whether a provider changes the protocol, after which its answer has no end.
// The script of each attempt, which works without us too, has made a 502 of the 101.
func isUpgrade(code int, h headers) bool {
	return code == http.StatusSwitchingProtocols || code == http.StatusBadGateway && isMediaType(h.contentType, gateway.UpgradeType)
}

// onAnswer decides by an answer's headers how its body is read.
func (x *exchange) onAnswer(m message) changes {
	h := m.headers
	readable := len(h.contentEncoding) == 0 || bytes.EqualFold(h.contentEncoding, []byte("identity"))
	switch {
	case m.end:
		x.state, x.finished = awaitNothing, true
		x.readAnswer(nil)
		return changes{headers: []setHeader{x.elapsed(), x.cost()}}
	case readable && (isMediaType(h.contentType, "text/event-stream") || len(h.contentType) == 0 && x.intent.Stream && x.status < http.StatusBadRequest):
		x.state = awaitEvents
		x.stream = x.rules.Dialect.NewStream(&x.intent, x.text, x.unasked)
		x.text = gateway.PromptText{}
		c := changes{headers: []setHeader{x.elapsed()}, replyMode: inPieces}
		if x.unasked && len(h.contentLength) > 0 {
			c.remove = "content-length" // the usage will be taken out
		}
		return c
	case readable && (isMediaType(h.contentType, "application/json") || len(h.contentType) == 0 || x.status >= http.StatusBadRequest):
		x.state = awaitJSON
		if n, err := strconv.ParseInt(string(h.contentLength), 10, 64); err != nil || n > x.rules.MaxBody {
			return changes{replyMode: asFits} // what exceeds Envoy's buffer passes unread
		}
		return changes{} // comes whole, as configured, and keeps its length
	}
	x.state, x.unread = awaitNothing, true
	return changes{headers: []setHeader{x.elapsed(), {costHeader, unknownCost}}, replyMode: notAtAll}
}

func (x *exchange) onResponseBody(m message, reply []byte) ([]byte, error) {
	x.finished = x.finished || m.end
	if x.ttft == 0 && len(m.body) > 0 {
		x.ttft = x.c.Now().Sub(x.started)
	}
	switch x.state {
	case awaitJSON:
		return x.onJSON(m, reply), nil
	case awaitEvents:
		return x.onEvents(m, reply), nil
	case awaitNothing:
		return appendPass(reply, m.kind), nil
	}
	return nil, errOrder
}

// onJSON reads a JSON answer. Tokens that it does not tell are counted at once, so that
// X-Cost-USD is what the row says.
func (x *exchange) onJSON(m message, reply []byte) []byte {
	x.state, x.partial = awaitNothing, !m.end
	x.readAnswer(m.body)
	return appendChange(reply, m.kind, changes{headers: []setHeader{x.elapsed(), x.cost()}})
}

func (x *exchange) onEvents(m message, reply []byte) []byte {
	out, same := x.stream.Next(m.body, m.end)
	if same {
		return appendPass(reply, m.kind)
	}
	return appendChange(reply, m.kind, changes{newBody: true, body: out})
}

// elapsed is the time since the request's headers came.
func (x *exchange) elapsed() setHeader {
	ms := max(x.c.Now().Sub(x.started).Milliseconds(), 0)
	return setHeader{responseTime, strconv.AppendInt(nil, ms, 10)}
}

// cost is what the answer cost, unknown where only its beginning was read.
func (x *exchange) cost() setHeader {
	if x.partial {
		return setHeader{costHeader, unknownCost}
	}
	used := x.completed().Usage
	if used == (gateway.Usage{}) && x.status >= http.StatusBadRequest {
		return setHeader{costHeader, []byte("0")}
	}
	if x.intent.Price == nil {
		return setHeader{costHeader, unknownCost}
	}
	return setHeader{costHeader, []byte(x.intent.Price.Cost(used).String())}
}

// isUTF8 reports whether a Content-Type names no charset or UTF-8: a body in another one
// may say something else to the provider than it says here.
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
