package ledger

import (
	"net/http"
	"slices"
	"strings"

	"ai-gateway/gateway"
)

// Sizes from which tokens are estimated when nobody read the answer.
const (
	bytesPerToken      = 4   // of plain text
	eventBytesPerToken = 200 // of a stream, where each token comes in its own chunk
)

// usageSeen is the usage that Envoy saw, and whether it is complete: it may only have seen the
// prompt's. It is zero if Envoy saw none.
func usageSeen(e gateway.Endpoint, l *gateway.JournalLine) (u gateway.Usage, whole bool) {
	if l == nil || l.Figures == nil {
		return u, false
	}
	f, whole := l.Figures.Of(e)
	return f.Usage(), whole
}

// guess estimates the usage of a request whose answer nobody read from the size in Envoy's
// line. Without a line or an answer it is the prompt's.
func guess(i *gateway.Intent, l *gateway.JournalLine) gateway.Usage {
	u := gateway.Usage{Prompt: i.PromptTokens}
	if seen, whole := usageSeen(i.Endpoint, l); seen.Prompt > 0 && !whole {
		u = seen
	}
	switch {
	case l == nil || i.Endpoint == gateway.Embeddings:
	case i.Stream:
		u.Completion = l.BytesSent / eventBytesPerToken
	default:
		u.Completion = l.BytesSent / bytesPerToken
	}
	return u
}

// Envoy's response flags, by who ended the request.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage#response-flags
var (
	upstreamFlags = []string{"UC", "UF", "UR", "UT", "URX", "UPE", "UO", "UH", "NC", "LR", "SI", "UMSDR"}
	clientFlags   = []string{"DC", "DR", "DPE"}
	gatewayFlags  = []string{"OM", "DT"} // out of memory, or a timeout of Envoy
)

// localDisconnect is Envoy's response code detail if it closed the client's connection itself,
// because it ended or its listener was replaced.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details
const localDisconnect = "downstream_local_disconnect"

// ending is how a request ended according to Envoy.
func ending(l *gateway.JournalLine) gateway.Outcome {
	flags := strings.Split(l.Flags, ",")
	has := func(names []string) bool {
		return slices.ContainsFunc(flags, func(flag string) bool { return slices.Contains(names, flag) })
	}
	switch {
	case has(gatewayFlags), strings.HasPrefix(l.Details, localDisconnect):
		return gateway.GatewayClosed
	case has(clientFlags), l.Status == 0: // 0: there was no answer, and no one else closed
		return gateway.ClientClosed
	case l.Status >= http.StatusMultipleChoices:
		return gateway.ProviderError
	case has(upstreamFlags):
		return gateway.ProviderClosed
	}
	return gateway.OK
}

// endingWithoutEnvoy is how a request ended according to the gateway, if Envoy died before it
// could write: nobody can tell who closed first.
func endingWithoutEnvoy(s *gateway.Settlement) gateway.Outcome {
	switch {
	case s == nil:
		return gateway.Unknown
	case s.Unsent:
		return gateway.ClientClosed
	case s.Status >= http.StatusMultipleChoices:
		return gateway.ProviderError
	case s.Finished:
		return gateway.OK
	}
	return gateway.Unknown
}

// verdict combines what both witnesses know of an answer.
type verdict struct {
	complete bool   // it announced its end
	failed   bool   // there is an error in it
	missing  bool   // what came is not an answer
	code     string // of the error
}

// judged returns the verdict. Only of an answer that was read can it say whether it is one.
func judged(s *gateway.Settlement, l *gateway.JournalLine) verdict {
	var v verdict
	read := s != nil && s.Answer.Source != 0 && !s.Answer.Partial
	if read {
		v = verdict{s.Answer.Complete, s.Answer.Failed, s.Answer.Missing, s.Answer.ErrorCode}
	} else if s != nil {
		v.code = s.Answer.ErrorCode
	}
	if l == nil {
		return v
	}
	v.complete, v.failed = v.complete || l.Complete, v.failed || l.Failed
	if !read {
		v.missing = l.Missing || l.BytesSent == 0
	} else if !s.Finished { // Envoy may have seen more of it
		v.missing = v.missing && (l.Missing || l.BytesSent == 0 || l.Figures == nil && ending(l) != gateway.OK)
	}
	if v.code == "" {
		v.code = l.ErrorCode
	}
	return v
}

// outcome combines how the connection and the answer ended. A client that leaves after the
// announced end, or after an error, has received everything.
func (v verdict) outcome(ended gateway.Outcome) gateway.Outcome {
	switch {
	case v.failed && ended != gateway.ProviderClosed:
		return gateway.ProviderError
	case v.complete && (ended == gateway.ClientClosed || ended == gateway.GatewayClosed || ended == gateway.Unknown):
		ended = gateway.OK
	}
	if v.missing && ended == gateway.OK {
		return gateway.ProviderError
	}
	return ended
}

// errorCode is the provider's, or one that describes an unusable answer with a status of success.
func (v verdict) errorCode(status int, outcome gateway.Outcome) string {
	switch {
	case v.code != "" || outcome != gateway.ProviderError || status >= http.StatusBadRequest:
		return v.code
	case status >= http.StatusMultipleChoices:
		return gateway.CodeRedirect
	case v.failed:
		return gateway.CodeUpstreamError
	}
	return gateway.CodeNoAnswer
}

// newRow makes the row of a request from its intent and from its end as known by the gateway,
// by Envoy, by both or by neither.
func newRow(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) gateway.Row {
	r := planned(i)
	addEnd(&r, i, s, l)
	v := judged(s, l)
	r.Outcome = v.outcome(r.Outcome)
	if s != nil && s.Stopped && !s.Answer.Complete {
		r.Outcome = gateway.GatewayClosed
	}
	r.ErrorCode = v.errorCode(r.Status, r.Outcome)
	if s != nil {
		r.Prompt, r.Answer = s.Prompt, s.Answer.Text
	}
	addUsage(&r, i, s, l, v.missing)
	addResponse(&r, i, responseOf(i, s, l))
	addAttempts(&r, l)
	return r
}

// planned returns the part of a row that was known before the request went out.
func planned(i *gateway.Intent) gateway.Row {
	return gateway.Row{
		StartedAt: i.StartedAt, ID: i.ID, RequestID: i.RequestID, KeyID: i.KeyID, KeyLabel: i.KeyLabel, UserID: i.UserID, Team: i.Team, Tags: i.Tags,
		ClientIP: i.ClientIP, Endpoint: i.Endpoint, Passed: i.Passed, Model: i.Model, Stream: i.Stream, Backend: i.Steps[0].Backend, UpstreamModel: i.Steps[0].UpstreamModel,
	}
}

// addEnd adds the request's end, as Envoy reports it if it does.
func addEnd(r *gateway.Row, i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) {
	switch {
	case l != nil:
		addBackend(r, i, l)
		r.Duration, r.TTFT, r.Status, r.Attempts = l.Duration, l.TTFT, l.Status, l.Attempts
		r.Outcome, r.Witness = ending(l), gateway.ByEnvoy
		r.TraceParent, r.TraceState = l.TraceParent, l.TraceState
	case s != nil:
		r.Duration, r.Status, r.Attempts, r.Witness = s.Duration, s.Status, 1, gateway.ByGateway
		r.Outcome = endingWithoutEnvoy(s)
	default:
		r.Attempts, r.Outcome, r.Witness = 1, gateway.Unknown, gateway.ByNone
	}
	if s != nil {
		r.TTFT = s.TTFT
	}
	if s != nil && l != nil {
		r.Witness = gateway.ByBoth
	}
	if s != nil && s.Unsent {
		r.Attempts = 0
	}
}

// addBackend adds the backend that was called last, and the model's name there. A backend may be
// in the plan several times: each step is called once, and the last one is repeated.
func addBackend(r *gateway.Row, i *gateway.Intent, l *gateway.JournalLine) {
	last := max(min(l.Attempts, len(i.Steps))-1, 0)
	for at, step := range i.Steps {
		if step.Backend == l.Backend && (at <= last || r.Backend != l.Backend) {
			r.Backend, r.UpstreamModel = step.Backend, step.UpstreamModel
		}
	}
}

// resolveUsage returns the usage of the better informed witness. Of an answer that the gateway
// could not read to its end, Envoy may have seen more.
func resolveUsage(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) (gateway.Usage, gateway.Source) {
	seen, whole := usageSeen(i.Endpoint, l)
	switch {
	case i.Endpoint.IsFree():
		return gateway.Usage{}, gateway.FromProvider
	case i.Endpoint == gateway.Passed:
		return passedUsage(s, seen, whole)
	case whole && envoyKnows(i, s, seen):
		return seen, gateway.FromEnvoy
	case s == nil:
		return guess(i, l), gateway.Estimated
	case s.Answer.Source == 0: // only the prompt could be read
		u := guess(i, l)
		u.Prompt = max(s.Answer.Usage.Prompt, u.Prompt)
		return u, gateway.Estimated
	case s.Finished || s.Answer.Complete:
	case l == nil:
		return s.Answer.Usage, min(s.Answer.Source, gateway.Counted) // the stream may have gone on without us
	case s.Answer.Source < gateway.FromProvider && ending(l) == gateway.OK: // it did
		u := s.Answer.Usage
		u.Completion = max(u.Completion, guess(i, l).Completion)
		return u, gateway.Estimated
	}
	return s.Answer.Usage, s.Answer.Source
}

// envoyKnows reports whether Envoy's figures are better than the gateway's. Envoy does not know
// what came after its figures. The cost of a JSON answer was already sent to the client.
func envoyKnows(i *gateway.Intent, s *gateway.Settlement, seen gateway.Usage) bool {
	switch {
	case s == nil:
		return true
	case s.Answer.Stale:
		return seen.Completion > s.Answer.Usage.Completion
	}
	return !s.Finished || s.Answer.Source == 0 || s.Answer.Partial || i.Stream && s.Answer.Source < gateway.FromEnvoy
}

// tierOf is the service tier that is billed: the one that the provider names, else the
// requested one.
func tierOf(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) string {
	switch {
	case s != nil && s.Answer.ServiceTier != "":
		return s.Answer.ServiceTier
	case l != nil && l.ServiceTier != "":
		return l.ServiceTier
	}
	return i.ServiceTier
}

// addUsage adds the usage and its cost, at the price that held when the request began. A
// request that never went out, was refused or redirected, or got no answer costs nothing
// unless the provider gave figures.
func addUsage(r *gateway.Row, i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine, missing bool) {
	u, source := resolveUsage(i, s, l)
	missing = missing && (r.Outcome == gateway.ProviderError || r.Outcome == gateway.ProviderClosed)
	if r.Attempts == 0 || source < gateway.FromEnvoy && (missing || r.Status >= http.StatusMultipleChoices) {
		u = gateway.Usage{}
	}
	r.Usage, r.Source, r.ServiceTier = u, source, tierOf(i, s, l)
	r.Cost = costOf(i.Price, u, r.ServiceTier)
	if source == 0 && r.Attempts > 0 && r.Status < http.StatusMultipleChoices {
		r.Cost = unknownCostOf(i.Price)
	}
}

// passedUsage returns the usage of a request whose API is not known: that of the provider, or none.
func passedUsage(s *gateway.Settlement, seen gateway.Usage, whole bool) (gateway.Usage, gateway.Source) {
	switch {
	case s != nil && s.Answer.Source == gateway.FromProvider && (s.Finished || s.Answer.Complete || !whole):
		return s.Answer.Usage, gateway.FromProvider
	case whole:
		return seen, gateway.FromEnvoy
	}
	return gateway.Usage{}, 0
}

// unknownCostOf is the cost of a request whose usage nobody tells. It is known only where nothing costs
// anything.
func unknownCostOf(p *gateway.Price) gateway.Cost {
	if p == nil || !p.IsFree() {
		return gateway.Cost{}
	}
	return gateway.Cost{Amount: new(gateway.Money), Version: p.Version}
}

// addAttempts adds a row for each call of a backend. Only the last one's answer reached the
// client, so only its cost is known.
func addAttempts(r *gateway.Row, l *gateway.JournalLine) {
	if l == nil {
		return
	}
	for n, try := range l.Tries {
		a := gateway.AttemptRow{Try: try}
		if n == len(l.Tries)-1 {
			a.Cost = r.Cost.Amount
		}
		r.Tries = append(r.Tries, a)
	}
}

// costOf is the cost of a usage in a service tier. No usage costs nothing, even if no price is
// known.
func costOf(p *gateway.Price, u gateway.Usage, serviceTier string) gateway.Cost {
	if p != nil {
		if amount, known := p.Cost(u, serviceTier); known {
			return gateway.Cost{Amount: &amount, Version: p.Version}
		}
	}
	if u == (gateway.Usage{}) {
		return gateway.Cost{Amount: new(gateway.Money)}
	}
	return gateway.Cost{}
}
