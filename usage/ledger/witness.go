package ledger

import (
	"net/http"
	"slices"
	"strings"

	"ai-gateway/gateway"
)

// Tokens that are guessed from the sizes of answers alone, when nobody read them.
const (
	bytesPerToken      = 4   // of plain text
	eventBytesPerToken = 200 // of a stream, where a token comes in a chunk of its own
)

// guess is the usage of a request whose answer nobody read: what Envoy's line tells of
// its size, or nothing but the prompt where there is no line, or no answer.
func guess(i *gateway.Intent, l *gateway.JournalLine) gateway.Usage {
	u := gateway.Usage{Prompt: i.PromptTokens}
	if l != nil && l.Usage != nil { // it tells of the prompt alone
		u = *l.Usage
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

// upstreamFlags are Envoy's response flags that tell of a provider's failure.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage#response-flags
var upstreamFlags = []string{"UC", "UF", "UR", "UT", "URX", "UPE", "UO", "UH", "NC", "LR", "SI", "UMSDR"}

// clientFlags are those that tell of a client that left.
var clientFlags = []string{"DC", "DR", "DPE"}

// ending says how a request ended by Envoy's account.
func ending(status int, flags string) gateway.Outcome {
	has := func(names []string) bool {
		return slices.ContainsFunc(strings.Split(flags, ","), func(flag string) bool { return slices.Contains(names, flag) })
	}
	switch {
	case has(clientFlags), status == 0: // 0: nothing was answered, and nobody else broke off
		return gateway.ClientClosed
	case status >= http.StatusBadRequest:
		return gateway.ProviderError
	case has(upstreamFlags):
		return gateway.ProviderClosed
	}
	return gateway.OK
}

// endingWithoutEnvoy says how a request ended by our own account, when Envoy died
// with it or before it could write: nobody can tell who broke off.
func endingWithoutEnvoy(s *gateway.Settlement) gateway.Outcome {
	switch {
	case s == nil:
		return gateway.Unknown
	case s.Unsent:
		return gateway.ClientClosed
	case s.Status >= http.StatusBadRequest:
		return gateway.ProviderError
	case s.Finished:
		return gateway.OK
	}
	return gateway.Unknown
}

// newRow makes the row of a request from its intent and from what is known of its end: by
// the gateway, by Envoy, by both or by neither.
func newRow(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) gateway.Row {
	r := planned(i)
	addEnd(&r, i, s, l)
	if s != nil {
		r.Prompt, r.Answer, r.ErrorCode = s.Prompt, s.Answer.Text, s.Answer.ErrorCode
	}
	addUsage(&r, i, s, l)
	addAttempts(&r, l)
	return r
}

// planned is what was known before the request went out.
func planned(i *gateway.Intent) gateway.Row {
	return gateway.Row{
		StartedAt: i.StartedAt, ID: i.ID, RequestID: i.RequestID, KeyID: i.KeyID, KeyLabel: i.KeyLabel, UserID: i.UserID, ClientIP: i.ClientIP,
		Endpoint: i.Endpoint, Model: i.Model, Stream: i.Stream, Backend: i.Steps[0].Backend, UpstreamModel: i.Steps[0].UpstreamModel,
	}
}

// addEnd adds the request's end, as Envoy has it where it spoke.
func addEnd(r *gateway.Row, i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) {
	switch {
	case l != nil:
		addBackend(r, i, l.Backend)
		r.Duration, r.TTFT, r.Status, r.Attempts = l.Duration, l.TTFT, l.Status, l.Attempts
		r.Outcome, r.Witness = ending(l.Status, l.Flags), gateway.ByEnvoy
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

// addBackend names the backend that was called last.
func addBackend(r *gateway.Row, i *gateway.Intent, backend string) {
	for _, step := range i.Steps {
		if step.Backend == backend {
			r.Backend, r.UpstreamModel = step.Backend, step.UpstreamModel
		}
	}
}

// told is the usage by the best informed witness. Of an answer that the gateway could not
// read, or had to let go of, Envoy may have seen more.
func told(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) (gateway.Usage, gateway.Source) {
	switch {
	case envoyKnows(i, s, l):
		return *l.Usage, gateway.FromEnvoy
	case s == nil:
		return guess(i, l), gateway.Estimated
	case s.Answer.Source == 0: // only the prompt could be read
		u := guess(i, l)
		u.Prompt = max(s.Answer.Usage.Prompt, u.Prompt)
		return u, gateway.Estimated
	case !s.Finished && l == nil:
		return s.Answer.Usage, min(s.Answer.Source, gateway.Counted) // it may have gone on without us
	case !s.Finished && s.Answer.Source < gateway.FromProvider && ending(l.Status, l.Flags) == gateway.OK: // it did
		u := s.Answer.Usage
		u.Completion = max(u.Completion, guess(i, l).Completion)
		return u, gateway.Estimated
	}
	return s.Answer.Usage, s.Answer.Source
}

// envoyKnows reports whether Envoy saw figures that are better than what the gateway has. It
// does not know what came after them.
func envoyKnows(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) bool {
	switch {
	case l == nil, l.Usage == nil, l.PromptOnly && i.Endpoint != gateway.Embeddings:
		return false
	case s == nil:
		return true
	case s.Answer.Stale:
		return l.Usage.Completion > s.Answer.Usage.Completion
	}
	return !s.Finished || s.Answer.Source < gateway.FromEnvoy
}

// addUsage adds the usage and what it costs, at the price that was in force when the
// request began. What never went out, and what was refused without figures, cost
// nothing, whoever tells it.
func addUsage(r *gateway.Row, i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) {
	u, source := told(i, s, l)
	if r.Attempts == 0 || r.Status >= http.StatusBadRequest && source < gateway.FromEnvoy {
		u = gateway.Usage{}
	}
	r.Usage, r.Source = u, source
	r.Cost = costOf(i.Price, u, r.Status)
}

// addAttempts adds a row for each call of a backend. Only the last one's answer reached the
// client, so only it has a cost that is known.
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

// costOf is what a usage costs. What was refused cost nothing, also where no price is known.
func costOf(p *gateway.Price, u gateway.Usage, status int) gateway.Cost {
	refused := u == gateway.Usage{} && status >= http.StatusBadRequest
	switch {
	case p != nil:
		amount := p.Cost(u)
		return gateway.Cost{Amount: &amount, Version: p.Version}
	case refused:
		return gateway.Cost{Amount: new(gateway.Money)}
	}
	return gateway.Cost{}
}
