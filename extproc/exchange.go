package extproc

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"ai-gateway/extproc/transport"
	"ai-gateway/gateway"
)

// exchange handles one request: it maps each message's bytes to its reply's bytes, and keeps the
// state in between. It does no I/O, so it does not depend on what carries the bytes. It is a
// transport.Handler.
type exchange struct {
	c         *Config
	rules     *Rules
	inFlight  *atomic.Int64 // bytes of all exchanges' request bodies
	uncounted *atomic.Int64 // bytes of all texts that wait to be counted
	open      *atomic.Int64 // exchanges that have not ended

	streamUsage *streamUsage
	question    question

	state     state
	started   time.Time
	head      head
	admission gateway.Admission
	held      int64        // bytes of the body that are counted in inFlight
	request   *readRequest // prepared
	planned   bool
	planning  bool // the last message that was answered was the request's body
	intent    gateway.Intent
	prompt    string
	text      gateway.PromptText // until the answer takes it
	unasked   bool               // only the gateway asked the provider for usage
	secrets   []string           // keys that the plan's backends are called with, and the client's
	mask      masker             // of what the backends answer

	limitsAsked bool                // Reserve was called
	reserved    gateway.Reservation // in its limits; nil before, without limits, and after settlement
	standing    gateway.LimitStanding

	budgeted bool               // there are budgets for the caller
	money    gateway.BudgetHold // reserved in its budgets; nil without budgets
	covered  int64              // tokens of the answer for which money is reserved; 0 if the request sets a bound
	over     *gateway.Error     // the budget that the answer has exceeded

	backend string // that answered
	learnt  bool   // its response was noted

	status   int
	ttft     time.Duration
	stream   Stream // the answer, if it is streamed
	read     Answer // the answer as far as it was read, until it is summed up
	finished bool
	unread   bool           // nothing of the answer's body was read
	partial  bool           // only a part was read
	unsent   bool           // the plan never reached Envoy
	stopped  bool           // the caller's key ended, and the answer with it
	answered gateway.Answer // its Source is 0 while nothing is known

	prepared     bool  // the next job was prepared
	headPrepared bool  // the request's headers were
	haste        bool  // estimate tokens, because too much waits to be counted
	waiting      int64 // bytes that are counted in uncounted
	cleaned      bool  // prompt and answer were cleaned for storage
	ended        time.Time
	reason       transport.CloseReason
}

// state is what an exchange waits for, in order.
type state uint8

const (
	awaitRequestHeaders state = iota
	awaitRequestBody
	awaitResponseHeaders
	awaitJSON   // the response's body, whole
	awaitEvents // the response's body, piece by piece
	awaitCut    // the next piece, to break the response off at it
	awaitNothing
)

var errOrder = errors.New("message out of order")

// answer appends the reply to a message.
func (x *exchange) answer(msg, reply []byte) ([]byte, error) {
	m, err := parse(msg)
	if err != nil {
		return nil, err
	}
	switch m.kind {
	case requestHeaders:
		return x.onRequestHeaders(m, reply)
	case requestBody:
		return x.onRequestBody(m, reply)
	case responseHeaders:
		return x.onResponseHeaders(m, reply)
	case responseBody:
		return x.onResponseBody(m, reply)
	default:
		return appendPass(reply, m.kind), nil
	}
}

// end settles a planned request and releases its reservations. It is called once, whatever ended
// the exchange: Envoy resets the stream of a finished request, and half-closes that of a client
// that hung up. If Envoy continues the request without us, the request has not ended yet: the next
// process reads its end from Envoy's access log, as if this one had been killed.
func (x *exchange) end() {
	x.open.Add(-1)
	x.inFlight.Add(-x.held)
	if x.stream != nil {
		defer x.stream.Close()
	}
	defer x.charge(gateway.Usage{}) // if nothing was charged before
	if !x.planned {
		x.release()
	}
	if !x.planned || x.leftToEnvoy() {
		return
	}
	if x.ended.IsZero() {
		x.ended = x.c.Now()
	}
	defer x.settle() // even if reading the answer panics
	if !x.prepared {
		x.sumUp()
	}
}

// leftToEnvoy reports whether Envoy continues the request without us.
func (x *exchange) leftToEnvoy() bool { return x.reason == transport.Shutdown && !x.finished }

// readAnswer reads the answer's body and releases the prompt.
func (x *exchange) readAnswer(body []byte) {
	if x.read == nil {
		text := x.text
		x.text = gateway.PromptText{}
		x.read = x.rules.Dialect.NewAnswer(&x.intent, text, x.status, body)
	}
}

// readNothing uses the prompt alone if no answer was read.
func (x *exchange) readNothing() {
	if x.answered.Source == 0 {
		x.readAnswer(nil)
	}
}

// countUpTo sums up what was read, if at most this many bytes have to be counted.
func (x *exchange) countUpTo(bytes int) {
	if x.read != nil && x.read.Uncounted() <= bytes {
		x.answered, x.read = x.read.Answer(false), nil
	}
}

// sumUp sums up what was read, however much has to be counted.
func (x *exchange) sumUp() {
	defer func() {
		x.uncounted.Add(-x.waiting)
		x.waiting = 0
	}()
	x.readNothing()
	if x.read != nil {
		x.answered, x.read = x.read.Answer(x.haste), nil
	}
}

// cleanTexts prepares prompt and answer for storage.
func (x *exchange) cleanTexts() {
	if !x.cleaned {
		x.prompt, x.answered.Text, x.cleaned = x.clean(x.prompt), x.clean(x.answered.Text), true
		x.answered.ErrorCode = newMasker(x.secrets...).hideIn(x.answered.ErrorCode)
	}
}

func (x *exchange) settle() {
	x.cleanTexts()
	answer := x.completed()
	x.learn(answer.Response, answer.Usage)
	if x.stopped && x.over != nil {
		answer.ErrorCode = x.over.Code
	}
	x.charge(answer.Usage)
	x.pay(answer)
	x.c.Settle(&gateway.Settlement{
		ID:        x.intent.ID,
		Duration:  x.ended.Sub(x.started),
		TTFT:      x.ttft,
		Status:    x.status,
		Finished:  x.finished,
		Unsent:    x.unsent,
		Stopped:   x.stopped,
		EnvoyGone: x.reason == transport.PeerLost,
		Answer:    answer,
		Prompt:    x.prompt,
	})
}

// clean prepares a text for storage: it hides the backends' keys and the client's.
func (x *exchange) clean(text string) string {
	if text == "" {
		return ""
	}
	text = newMasker(x.secrets...).hideIn(text)
	if x.rules.Clean == nil {
		return text
	}
	return x.rules.Clean(text)
}

// completed is the answer as it is billed. An error, or a complete response without an answer,
// costs nothing. A request that was cut off may have cost something. An unread answer has no usage
// here: its size decides later.
func (x *exchange) completed() gateway.Answer {
	a := x.answered
	switch {
	case a.Source == gateway.FromProvider:
	case x.status >= http.StatusBadRequest || a.Missing && x.finished && !x.partial && !x.unread:
		a.Usage, a.Source = gateway.Usage{}, gateway.Estimated
	case x.unread:
		a.Source = 0
	case x.partial && a.Source != 0: // 0: the dialect panicked
		a.Source = gateway.Estimated
	}
	a.Partial = a.Partial || x.partial
	if a.Source < gateway.FromEnvoy && x.intent.Pends(a.Response, x.status) {
		a.Usage, a.Source = x.intent.PendingUsage(a.Usage), gateway.Estimated
	}
	return a
}
