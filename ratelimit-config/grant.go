package ratelimitconfig

import (
	"fmt"
	"net/http"
	"time"

	"ai-gateway/gateway"
)

// grant is a request that has passed its limits, or is being checked.
type grant struct {
	limiter  *Limiter
	own      *gateway.KeyLimits // of the key; nil for none
	tier     *tier              // nil if the limits could not be found
	subjects subjects
	estimate int64 // tokens that are held
	entered  bool  // it has a place among the requests in flight
	held     bool
	standing gateway.LimitStanding
}

// Standing is how the limits stood when the request passed.
func (g *grant) Standing() gateway.LimitStanding { return g.standing }

// Settle charges the tokens that the request has used, to the limits in force now. The hold
// only ends after that, so that the tokens are never free in between.
func (g *grant) Settle(tokens int64) {
	held := g.held
	g.held = false
	g.release()
	if g.tier == nil {
		return
	}
	t, err := g.limiter.tierOf(g.limiter.inForce.Load(), g.own)
	if err != nil {
		t = g.tier // it was loaded, when the request came
	}
	g.limiter.charge(t, &g.subjects, tokens, func() {
		if held {
			g.eachHold(func(of counter) { g.limiter.holds.release(of, g.estimate) })
		}
	})
}

// enter takes a place among the key's requests in flight.
func (g *grant) enter() *gateway.Error {
	most := g.tier.inFlight
	if most == nil {
		return nil
	}
	if !g.limiter.holds.enter(g.subjects.key, *most) {
		return g.tooManyInFlight(*most)
	}
	g.entered = true
	return nil
}

// release ends all holds.
func (g *grant) release() {
	if g.entered {
		g.limiter.holds.leave(g.subjects.key)
		g.entered = false
	}
	if g.held {
		g.held = false
		g.eachHold(func(of counter) { g.limiter.holds.release(of, g.estimate) })
	}
}

// eachHold calls f for every counter of tokens that the request counts for.
func (g *grant) eachHold(f func(counter)) {
	for i := range g.tier.tokens {
		b := &g.tier.tokens[i]
		if subject := g.subjects.of(b.By); subject != "" {
			f(counter{b.name, subject})
		}
	}
}

// ask asks the limits on tokens, and then those on requests.
func (g *grant) ask() (*gateway.Error, error) {
	tokens, err := g.askTokens()
	if err != nil {
		return nil, err
	}
	g.keepNearest(tokens, &g.standing.Tokens)
	if refusal := g.refusal(tokens); refusal != nil {
		return refusal, nil
	}
	requests, err := g.limiter.backend.pass(g.tier, &g.subjects)
	if err != nil {
		return nil, err
	}
	g.keepNearest(requests, &g.standing.Requests)
	return g.refusal(requests), nil
}

// askTokens holds the estimate before it asks, so that concurrent requests see each other's
// holds. A request passes if anything is left besides the others' holds, because nobody knows
// how much it will use.
func (g *grant) askTokens() ([]state, error) {
	if len(g.tier.tokens) == 0 {
		return nil, nil
	}
	others := make([]int64, 0, len(g.tier.tokens))
	g.held = true
	g.eachHold(func(of counter) { others = append(others, g.limiter.holds.hold(of, g.estimate)) })
	states, err := g.limiter.backend.look(g.tier, &g.subjects)
	for i := range states {
		left := states[i].Remaining - others[i]
		states[i].refuses = left <= 0
		states[i].Remaining = max(left-g.estimate, 0)
	}
	return states, err
}

// state returns the state of a limit, and whether it refuses the request.
type state struct {
	gateway.LimitState
	refuses bool
}

// keepNearest keeps the limit of a kind that is nearest its end, and that of all.
func (g *grant) keepNearest(states []state, kind *gateway.LimitState) {
	for i := range states {
		replaceByNearer(kind, &states[i].LimitState)
		replaceByNearer(&g.standing.Nearest, &states[i].LimitState)
	}
}

// replaceByNearer replaces a limit by another if a smaller part of that is left, or an equally
// small part for a longer time.
func replaceByNearer(limit, other *gateway.LimitState) {
	theirs, ours := float64(other.Remaining)*float64(max(limit.Max, 1)), float64(limit.Remaining)*float64(max(other.Max, 1))
	if limit.Of == 0 || theirs < ours || theirs == ours && other.Reset.After(limit.Reset) {
		*limit = *other
	}
}

// refusal is the answer to the client. If several limits refuse, it names the one that does so
// for the longest time.
func (g *grant) refusal(states []state) *gateway.Error {
	var worst *state
	for i := range states {
		s := &states[i]
		if s.refuses && (worst == nil || s.Max == 0 || worst.Max != 0 && s.Reset.After(worst.Reset)) {
			worst = s
		}
	}
	if worst == nil {
		return nil
	}
	wait := max(worst.Reset.Sub(g.limiter.c.Now()).Round(time.Millisecond), time.Millisecond)
	standing := g.standing
	return &gateway.Error{
		Status: http.StatusTooManyRequests, Type: worst.Of.String(), Code: limitCode, Message: g.message(&worst.LimitState, wait),
		Wait: wait, Never: worst.Max == 0, Limits: &standing,
	}
}

// limitCode is OpenAI's code for refusals by a limit.
const limitCode = "rate_limit_exceeded"

// message is worded like OpenAI's.
func (g *grant) message(s *gateway.LimitState, wait time.Duration) string {
	if s.Max == 0 {
		return fmt.Sprintf("Rate limit reached %s: no %s are allowed.", g.whose(s.By), s.Of)
	}
	return fmt.Sprintf("Rate limit reached %s on %s per %s: limit %d, remaining %d. Please try again in %s.",
		g.whose(s.By), s.Of, s.Per, s.Max, s.Remaining, wait)
}

func (g *grant) whose(by gateway.LimitBy) string {
	switch by {
	case gateway.ByUser:
		return "for this user"
	case gateway.ByModel:
		return "for this model"
	case gateway.ByKeyModel:
		return "for this " + g.subjects.kind() + " and model"
	}
	return "for this " + g.subjects.kind()
}

// inFlightWait is when a request over the limit in flight may be retried: nobody knows when
// one of the others ends.
const inFlightWait = time.Second

func (g *grant) tooManyInFlight(most int64) *gateway.Error {
	return &gateway.Error{
		Status: http.StatusTooManyRequests, Type: gateway.Requests.String(), Code: limitCode, Wait: inFlightWait, Never: most == 0,
		Message: fmt.Sprintf("Rate limit reached for this %s on requests in flight: limit %d. Please try again when one has ended.", g.subjects.kind(), most),
	}
}
