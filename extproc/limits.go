package extproc

import (
	"cmp"
	"strconv"
	"time"

	"ai-gateway/gateway"
)

// likelyAnswer is the expected number of tokens of an answer whose request sets no bound.
const likelyAnswer = 1000

// longestAnswer is the highest number of tokens reserved for an answer. Models write no longer
// ones, and a client that asks for more would block others that share its limit.
const longestAnswer = 128 << 10

// reserve finds the stored response that a request is about, and asks the limits of the request and then
// its budgets, once. These are the last checks that may refuse it.
func (x *exchange) reserve(r *readRequest) {
	if x.limitsAsked || r.refusal != nil {
		return
	}
	x.limitsAsked = true
	if r.refusal = x.lookUp(r); r.refusal != nil {
		return
	}
	if r.refusal = x.askLimits(r); r.refusal == nil {
		r.refusal = x.holdBudget(r)
	}
}

// askLimits asks the limits of a request. Its possible use is reserved until the exchange ends.
func (x *exchange) askLimits(r *readRequest) (refusal *gateway.Error) {
	if x.c.Reserve == nil {
		return nil
	}
	tokens := r.PromptTokens + min(cmp.Or(r.MaxTokens, likelyAnswer), longestAnswer)
	switch {
	case x.head.endpoint == gateway.Embeddings:
		tokens = r.PromptTokens
	case x.head.endpoint.IsFree():
		tokens = 0
	}
	limited := gateway.LimitedRequest{Client: x.head.client, Model: r.plan.Model, Tokens: tokens, User: x.admission.Caller.User}
	if caller := x.admission.Caller; caller.Grant != nil {
		limited.Key, limited.Own = caller.Key.ID, &caller.Grant.Limits
	}
	if x.reserved, refusal = x.c.Reserve(&limited); refusal == nil {
		x.standing = x.reserved.Standing()
	}
	return refusal
}

// charge counts the actual use, once, and returns the reservation.
func (x *exchange) charge(u gateway.Usage) {
	if x.reserved == nil {
		return
	}
	reserved := x.reserved
	x.reserved = nil
	reserved.Settle(u.Prompt + u.Completion)
}

// ownHeaders are the headers that the gateway adds to an answer: those given, and those of
// the limits.
func (x *exchange) ownHeaders(headers ...setHeader) []setHeader {
	if x.standing.Nearest.Of == 0 {
		return headers
	}
	return append(headers, limitHeaders(&x.standing, x.c.Now())...)
}

// limitHeaders report the state of limits: three headers for the limit that is nearest to its end,
// and OpenAI's headers for requests and tokens. There are none for what has no limit.
// Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
func limitHeaders(s *gateway.LimitStanding, now time.Time) []setHeader {
	if s.Nearest.Of == 0 {
		return nil
	}
	set := []setHeader{
		{"x-ratelimit-limit", decimal(int64(s.Nearest.Max))},
		{"x-ratelimit-remaining", decimal(s.Nearest.Remaining)},
		{"x-ratelimit-reset-ms", decimal(untilReset(&s.Nearest, now).Milliseconds())},
	}
	for _, state := range []*gateway.LimitState{&s.Requests, &s.Tokens} {
		if state.Of == 0 {
			continue
		}
		kind := state.Of.String()
		set = append(set,
			setHeader{"x-ratelimit-limit-" + kind, decimal(int64(state.Max))},
			setHeader{"x-ratelimit-remaining-" + kind, decimal(state.Remaining)},
			setHeader{"x-ratelimit-reset-" + kind, []byte(untilReset(state, now).String())})
	}
	return set
}

// untilReset is in whole milliseconds, and never in the past.
func untilReset(s *gateway.LimitState, now time.Time) time.Duration {
	return max(s.Reset.Sub(now).Round(time.Millisecond), 0)
}

// longestRetry is the longest Retry-After that the official SDKs follow. They ignore a longer one
// and retry at once, so then the gateway tells them not to retry.
// Source: https://github.com/openai/openai-python, _calculate_retry_timeout
const longestRetry = time.Minute

// waitHeaders say when a request refused by a limit may be repeated, in the three forms that
// clients read.
func waitHeaders(e *gateway.Error) []setHeader {
	set := []setHeader{
		{"retry-after", decimal(int64((e.Wait + time.Second - 1) / time.Second))},
		{"retry-after-ms", decimal(int64((e.Wait + time.Millisecond - 1) / time.Millisecond))},
		{"x-should-retry", strconv.AppendBool(nil, e.Wait < longestRetry && !e.Never)},
	}
	if e.Limits == nil {
		return set
	}
	return append(set, limitHeaders(e.Limits, e.Limits.At)...)
}

func decimal(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
