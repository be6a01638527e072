package usage

import (
	"net/http"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Tokens that are guessed from the sizes of answers alone, when nobody read them.
const (
	bytesPerToken      = 4   // of plain text
	eventBytesPerToken = 200 // of a stream, where a token comes in a chunk of its own
)

// estimate guesses the usage of a request that Envoy alone saw end.
func estimate(l gateway.JournalLine) gateway.Usage {
	if l.Status == 0 || l.Status >= http.StatusBadRequest || l.BytesSent == 0 {
		return gateway.Usage{}
	}
	u := gateway.Usage{Prompt: l.PromptTokens}
	switch {
	case l.Endpoint == gateway.Embeddings:
	case l.Stream:
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
		for flag := range strings.SplitSeq(flags, ",") {
			for _, name := range names {
				if flag == name {
					return true
				}
			}
		}
		return false
	}
	switch {
	case has(clientFlags):
		return gateway.ClientClosed
	case status == 0:
		return gateway.ClientClosed // nothing was answered, and nobody else broke off
	case status >= http.StatusBadRequest:
		return gateway.ProviderError
	case has(upstreamFlags):
		return gateway.ProviderClosed
	}
	return gateway.OK
}

// endingWithoutEnvoy says how a request ended by our own account, when Envoy died
// with it or before it could write: nobody can tell who broke off.
func endingWithoutEnvoy(s gateway.Settlement) gateway.Outcome {
	switch {
	case s.Status >= http.StatusBadRequest:
		return gateway.ProviderError
	case s.Finished:
		return gateway.OK
	}
	return gateway.Unknown
}

// newRow makes the row of a request from what is known: by the gateway, by Envoy, or both.
func newRow(s *gateway.Settlement, l *gateway.JournalLine, price func(gateway.Model, time.Time) (gateway.Price, bool)) row {
	r := row{Attempts: 1}
	var started time.Time
	var used gateway.Usage
	var duration, ttft time.Duration
	if l != nil {
		r.intent(l.Intent, l.Backend)
		started, used, duration, ttft = l.StartedAt, estimate(*l), l.Duration, l.TTFT
		r.Status, r.Attempts = l.Status, l.Attempts
		r.UsageSource, r.Witness, r.Outcome = gateway.Estimated.String(), gateway.ByEnvoy.String(), ending(l.Status, l.Flags).String()
	}
	if s != nil {
		r.intent(s.Intent, r.Backend)
		started, used, ttft = s.StartedAt, s.Answer.Usage, s.TTFT
		r.UsageSource, r.Witness = s.Answer.Source.String(), gateway.ByBoth.String()
		r.Prompt, r.Answer, r.ErrorCode = s.Prompt, s.Answer.Text, optional(s.Answer.ErrorCode)
	}
	if l == nil {
		duration = s.Duration
		r.Status, r.Witness, r.Outcome = s.Status, gateway.ByGateway.String(), endingWithoutEnvoy(*s).String()
	}
	r.DurationMS = duration.Milliseconds()
	if ttft > 0 {
		ms := ttft.Milliseconds()
		r.TTFTMS = &ms
	}
	p, priced := price(gateway.Model(r.Model), started)
	r.usage(used, p, priced)
	return r
}

// intent takes over what was known before the request went out. The backend that was
// called last served it; where nobody can tell, that is the first of its steps.
func (r *row) intent(i gateway.Intent, backend string) {
	r.StartedAt, r.ID, r.RequestID = stamp(i.StartedAt), i.ID.String(), i.RequestID
	r.KeyID, r.Label, r.UserID, r.ClientIP = string(i.KeyID), i.KeyLabel, optional(i.UserID), i.ClientIP
	r.Endpoint, r.Model, r.Stream = i.Endpoint.Path(), string(i.Model), i.Stream
	step := i.Steps[0]
	for _, s := range i.Steps {
		if s.Backend == backend {
			step = s
		}
	}
	r.Backend, r.UpstreamModel = step.Backend, string(step.UpstreamModel)
}

func (r *row) usage(u gateway.Usage, p gateway.Price, priced bool) {
	r.PromptTokens, r.CachedTokens, r.CompletionTokens, r.ReasoningTokens = u.Prompt, u.Cached, u.Completion, u.Reasoning
	if priced || (u == gateway.Usage{} && r.Status >= http.StatusBadRequest) {
		cost := int64(p.Cost(u))
		r.CostNanoUSD = &cost
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
