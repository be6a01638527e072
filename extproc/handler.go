package extproc

import (
	"bytes"
	"runtime/debug"

	"google.golang.org/grpc/codes"

	"ai-gateway/extproc/transport"
)

const (
	// inlineSize is the largest message that is read while all other streams wait, in bytes:
	// chunks of streams excepted, of which Envoy's buffers hold no more than twice as much.
	inlineSize = 32 << 10
	// inlineCount is the longest text that is counted while all other streams wait, in bytes.
	inlineCount = 2 << 10
	// headerCount is the longest text that is counted while a JSON answer waits for its
	// X-Cost-USD, in bytes. What is longer is counted after the end, and the header says unknown.
	headerCount = 64 << 10
	// maxUncounted is how many bytes of texts may wait to be counted, of all exchanges that have
	// ended. Beyond it, tokens are estimated from the size of the text.
	maxUncounted = 64 << 20
)

// Class says which kind of goroutine must do a job. It reads small JSON answers to find out whether
// their tokens have to be counted.
func (x *exchange) Class(j transport.Job) (c transport.Class) {
	defer func() {
		if recover() != nil {
			c = transport.Inline // Do gets the same error, and reports it
		}
	}()
	switch {
	case j.Closes():
		return x.closeClass(j.Reason)
	case x.state == awaitRequestHeaders && (bytes.Contains(j.Message, []byte("/responses/")) || x.mayPass(j.Message)): // which may have no body
		if x.headPrepared {
			return transport.Disk
		}
		return transport.Remote
	case x.state == awaitRequestBody && !isRequestBody(j.Message):
		return transport.Inline // Envoy refuses the request: preparing would never end
	case x.state == awaitRequestBody && len(j.Message) > inlineSize && x.request == nil:
		return transport.CPU
	case x.state == awaitRequestBody && x.mayWait() && !x.limitsAsked && (x.request == nil || x.request.refusal == nil):
		return transport.Remote
	case x.state == awaitRequestBody:
		return transport.Disk
	case x.state == awaitJSON && !x.prepared:
		return x.jsonClass(j.Message)
	}
	return transport.Inline
}

func isRequestBody(msg []byte) bool {
	m, err := parse(msg)
	return err == nil && m.kind == requestBody
}

func (x *exchange) jsonClass(msg []byte) transport.Class {
	if len(msg) > inlineSize {
		return transport.CPU
	}
	m, err := parse(msg)
	if err != nil || m.kind != responseBody {
		return transport.Inline // where it is refused
	}
	x.readAnswer(m.body)
	if n := x.read.Uncounted(); n > inlineCount && n <= headerCount {
		return transport.CPU
	}
	return transport.Inline
}

// mayWait reports whether limits, budgets and the look-up of a response may have to wait for another process.
func (x *exchange) mayWait() bool {
	return x.c.ReserveBlocks || x.budgeted || x.head.endpoint.IsResponses()
}

// closeClass notes why and when the exchange ends.
func (x *exchange) closeClass(why transport.CloseReason) transport.Class {
	if x.ended.IsZero() {
		x.reason, x.ended, x.prepared = why, x.c.Now(), false
	}
	switch {
	case !x.planned || x.leftToEnvoy():
		return transport.Inline
	case x.prepared:
		return transport.Disk
	case x.needsCount() || x.needsClean():
		return transport.Background
	}
	return transport.Disk
}

// needsCount reports whether tokens have to be counted, and if so, adds the texts to the total that
// waits for it.
func (x *exchange) needsCount() bool {
	x.readNothing()
	if x.read == nil || x.read.Uncounted() <= inlineCount {
		return false
	}
	x.waiting = int64(x.read.Uncounted())
	if x.uncounted.Add(x.waiting) > maxUncounted {
		x.haste = true
	}
	return !x.haste
}

// needsClean reports whether a long text has to be cleaned.
func (x *exchange) needsClean() bool {
	return x.rules.Clean != nil && len(x.prompt)+len(x.answered.Text) > inlineSize
}

// Prepare reads a large body, asks limits that another process counts, or counts the tokens of an
// exchange that ends.
func (x *exchange) Prepare(j transport.Job, haste bool) (code codes.Code) {
	defer x.recovered(&code)
	x.haste = x.haste || haste
	if j.Closes() {
		x.prepared = true // also if it panics
		x.sumUp()
		x.cleanTexts()
		return codes.OK
	}
	m, err := parse(j.Message)
	x.headPrepared = true // the first message is the headers
	switch {
	case err != nil: // which Do reports
	case x.state == awaitRequestHeaders && m.kind == requestHeaders:
		if x.readHeaders(m); x.request != nil {
			x.reserve(x.request)
		}
	case x.state == awaitRequestBody && m.kind == requestBody:
		x.prepareRequest(m, len(j.Message) > inlineSize)
	case x.state == awaitJSON && m.kind == responseBody:
		x.readAnswer(m.body)
		x.countUpTo(headerCount)
	}
	x.prepared = x.state == awaitJSON
	return codes.OK
}

// prepareRequest reads a large body first, and asks the limits in a second step, because reading
// needs the processor and asking waits for another process.
func (x *exchange) prepareRequest(m message, large bool) {
	if x.request == nil {
		x.request = x.readRequest(m)
		if large {
			return
		}
	}
	if x.mayWait() {
		x.reserve(x.request)
	}
}

// Do answers a message, or ends the exchange. A panic stays within its exchange.
func (x *exchange) Do(j transport.Job, reply []byte) (out []byte, code codes.Code) {
	defer x.recovered(&code)
	if j.Closes() {
		x.end()
		return nil, codes.OK
	}
	x.planning = x.state == awaitRequestBody
	out, err := x.answer(j.Message, reply)
	if err != nil {
		x.c.Log.Warn("a message of Envoy's cannot be answered", "request_id", x.head.requestID, "error", err)
		return nil, codes.InvalidArgument
	}
	return out, codes.OK
}

// Dropped notes that the plan did not reach Envoy, if that was the last reply.
func (x *exchange) Dropped() { x.unsent = x.unsent || x.planning }

func (x *exchange) recovered(code *codes.Code) {
	if fault := recover(); fault != nil {
		x.c.Log.Error("an exchange panicked", "request_id", x.head.requestID, "fault", fault, "stack", string(debug.Stack()))
		*code = codes.Internal
	}
}
