package extproc

import (
	"bytes"
	"slices"
	"sync"

	"ai-gateway/gateway"
)

// streamUsage remembers which backends accept the request for a stream's usage (stream_options), so
// that a backend that refuses it is asked once. A new configuration clears it, because a name may
// then mean another server.
type streamUsage struct {
	mu       sync.Mutex
	of       *Rules
	verdicts map[string]verdict // by the backend's name
}

// verdict is what is known of a backend.
type verdict uint8

const (
	notKnown verdict = iota
	takes
	refuses
)

// verdict returns what is known of a backend under the current rules.
func (u *streamUsage) verdict(rules *Rules, backend string) verdict {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of != rules {
		u.of, u.verdicts = rules, map[string]verdict{}
	}
	return u.verdicts[backend]
}

// learn keeps the first verdict of a backend, and reports whether this is the first. After a
// backend has accepted stream_options, a refusal is not believed: otherwise one client could make
// it quote the words of a refusal, and all others would be billed by estimates.
func (u *streamUsage) learn(rules *Rules, backend string, v verdict) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of != rules || u.verdicts[backend] != notKnown {
		return false
	}
	u.verdicts[backend] = v
	return true
}

// question is how a streaming request asks its backends for their usage.
type question struct {
	asked     []string // backends that are asked
	silent    []string // backends that are not asked
	teaches   bool     // a verdict is missing, and the client's own text cannot be mistaken for a refusal
	refusedBy string   // the backend that answered with 400 or 422, as Envoy's script says
}

// ask decides which backends of a plan are asked for the usage that the client did not ask for.
func (x *exchange) ask(body []byte, p gateway.Plan) (q question) {
	open := false
	for _, step := range p.Steps {
		v := x.streamUsage.verdict(x.rules, step.Backend)
		if v == refuses || slices.Contains(p.NoStreamUsage, step.Backend) {
			q.silent = append(q.silent, step.Backend)
			continue
		}
		q.asked = append(q.asked, step.Backend)
		open = open || v == notKnown
	}
	q.teaches = open && !namesOptions(body) && !hidesLetters(body)
	return q
}

// namesOptions reports whether a text names what asks for a stream's usage.
func namesOptions(text []byte) bool {
	return bytes.Contains(text, []byte("stream_options")) || bytes.Contains(text, []byte("include_usage"))
}

// hidesLetters reports whether a JSON text escapes ASCII letters, which no encoder does.
func hidesLetters(body []byte) bool {
	for {
		i := bytes.Index(body, []byte(`\u00`))
		if i < 0 || len(body) < i+5 {
			return false
		}
		if '4' <= body[i+4] && body[i+4] <= '7' {
			return true
		}
		body = body[i+4:]
	}
}

// learnTaken notes that a backend has accepted stream_options. If several backends may have
// answered, nothing is learned.
func (x *exchange) learnTaken() {
	if x.question.teaches && len(x.intent.Steps) == 1 {
		x.streamUsage.learn(x.rules, x.question.asked[0], takes)
	}
}

// learnRefused notes that a backend has refused stream_options, if its answer says so.
func (x *exchange) learnRefused(body []byte) {
	backend := x.question.refusedBy
	if !x.question.teaches || !slices.Contains(x.question.asked, backend) || !namesOptions(body) {
		return
	}
	if x.streamUsage.learn(x.rules, backend, refuses) {
		x.c.Log.Warn("a backend refuses to be asked for the usage of streams: it is not asked again before the next start or change of the configuration; "+
			"its tokens are counted or estimated. Set ask_for_usage: false for it", "backend", backend)
	}
}
