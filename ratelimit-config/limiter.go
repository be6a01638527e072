// Package ratelimitconfig holds requests to limits. It turns limits into the configuration
// of envoyproxy/ratelimit, a tier for each distinct set of them, and asks its limiter: in
// this process, with counters in memory, or as a service with Redis, which gets the same
// configuration over xDS.
//
// What limits need besides is kept here: tokens that running requests hold until they are
// settled, and requests in flight. envoyproxy/ratelimit knows neither.
package ratelimitconfig

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"ai-gateway/gateway"
)

// Config is what a Limiter needs.
type Config struct {
	Service string // "host:port" of an envoyproxy/ratelimit service; "" counts in this process
	TLS     bool   // speak TLS to the service
	Now     func() time.Time
	Log     *slog.Logger
}

// Limiter says which requests pass.
type Limiter struct {
	c         Config
	backend   backend
	remote    *remote   // the backend, if it is a service; else nil
	memory    *counters // what the backend counts in, if it counts here; else nil
	publisher *publisher
	holds     *holds
	inForce   atomic.Pointer[Set]

	refused atomic.Int64
	missed  misses
}

// New makes a limiter that lets everything pass until Use tells it what to hold to.
func New(c Config) (*Limiter, error) {
	l := &Limiter{c: c, holds: newHolds()}
	if c.Service == "" {
		l.memory = newCounters(c.Now)
		l.backend = embedded{l.memory}
	} else {
		r, err := newRemote(c)
		if err != nil {
			return nil, err
		}
		l.backend, l.remote, l.publisher = r, r, newPublisher(c.Log)
	}
	nothing, err := l.Compile(gateway.Limits{})
	if err != nil {
		return nil, err
	}
	l.inForce.Store(nothing)
	return l, nil
}

// Blocks reports whether Admit may have to wait for a service.
func (l *Limiter) Blocks() bool { return l.remote != nil }

// Run charges what is settled until ctx ends, and then what is still waiting.
func (l *Limiter) Run(ctx context.Context) error {
	if l.remote == nil {
		l.memory.watch(ctx, l.c.Log)
		return nil
	}
	return l.remote.run(ctx)
}

// takeOver is how long a service is given to take a configuration over before requests are
// held to it.
const takeOver = 300 * time.Millisecond

// Use holds requests to a set of limits from now on. A service is told of it first, and
// knows the one before until the next change: it is still asked about that meanwhile.
func (l *Limiter) Use(ctx context.Context, s *Set) error {
	if l.publisher != nil {
		if err := l.publisher.publish(ctx, s, l.inForce.Load()); err != nil {
			return err
		}
		pause(ctx, takeOver)
	}
	l.inForce.Store(s)
	return nil
}

// Prepare makes the tiers of keys before their first requests come. A service is told only of
// what is new.
func (l *Limiter) Prepare(ctx context.Context, keys iter.Seq[gateway.KeyLimits]) error {
	s := l.inForce.Load()
	distinct := map[ownLimits]bool{}
	for k := range keys {
		if own := ownOf(&k); s.tier(own) == nil {
			distinct[own] = true
		}
	}
	if len(distinct) == 0 {
		return nil
	}
	if err := s.add(slices.Collect(maps.Keys(distinct))); err != nil || l.publisher == nil {
		return err
	}
	return l.publisher.publish(ctx, s)
}

// tierOf is the tier of a key. Where it was not prepared, that is done now: a key that was
// just made or changed is held to its limits from its first request on.
func (l *Limiter) tierOf(s *Set, key *gateway.KeyLimits) (*tier, error) {
	own := ownOf(key)
	if t := s.tier(own); t != nil {
		return t, nil
	}
	if err := s.add([]ownLimits{own}); err != nil {
		return nil, err
	}
	if l.publisher != nil {
		if err := l.publisher.publish(context.Background(), s); err != nil {
			return nil, err
		}
	}
	return s.tier(own), nil
}

// Admit asks the limits of a request: those on requests in flight, on tokens and on
// requests, in this order. Only if all let it pass, any is charged. The error is what the
// client is told.
func (l *Limiter) Admit(r *gateway.LimitedRequest) (gateway.Reservation, *gateway.Error) {
	s := l.inForce.Load()
	t, err := l.tierOf(s, r.Own)
	if err != nil {
		return l.unasked(s, &grant{}, err)
	}
	g := &grant{limiter: l, own: r.Own, tier: t, subjects: newSubjects(r), estimate: max(r.Tokens, 1)}
	g.standing.At = l.c.Now()
	if refusal := g.enter(); refusal != nil {
		return l.refuse(g, refusal)
	}
	refusal, err := g.ask()
	switch {
	case err != nil:
		return l.unasked(s, g, err)
	case refusal != nil:
		return l.refuse(g, refusal)
	}
	return g, nil
}

// Standing says how the limits of a request stand. It counts nothing.
func (l *Limiter) Standing(r *gateway.LimitedRequest) ([]gateway.LimitState, error) {
	t, err := l.tierOf(l.inForce.Load(), r.Own)
	if err != nil {
		return nil, err
	}
	subjects := newSubjects(r)
	requests, err := l.backend.lookRequests(t, &subjects)
	if err != nil {
		return nil, err
	}
	tokens, err := l.backend.look(t, &subjects)
	all := l.standingInFlight(t, &subjects)
	for _, s := range append(requests, tokens...) {
		all = append(all, s.LimitState)
	}
	return all, err
}

// standingInFlight says how the limit on a key's requests in flight stands at this gateway, if
// there is one.
func (l *Limiter) standingInFlight(t *tier, s *subjects) []gateway.LimitState {
	if t.inFlight == nil {
		return nil
	}
	rule := gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.InFlight}
	limit := gateway.Limit{LimitRule: rule, Max: uint32(*t.inFlight)} // at most gateway.MaxLimit
	return []gateway.LimitState{{Limit: limit, Remaining: max(*t.inFlight-l.holds.running(s.key), 0)}}
}

func (l *Limiter) refuse(g *grant, refusal *gateway.Error) (gateway.Reservation, *gateway.Error) {
	l.refused.Add(1)
	g.release()
	return nil, refusal
}

var errUnavailable = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "rate_limiter_unavailable", RetryAfter: 1,
	Message: "The gateway cannot ask its rate limiter, and is configured to let no request pass then. Try again in a moment."}

// unasked is what becomes of a request whose limits could not be asked.
func (l *Limiter) unasked(s *Set, g *grant, err error) (gateway.Reservation, *gateway.Error) {
	l.missed.note(l.c.Now(), err)
	if s.limits.Closed {
		return l.refuse(g, errUnavailable)
	}
	return g, nil
}

// Charge counts tokens of a request that nobody has charged: where the row of a request has
// more than its settlement, or none was made before the process was killed.
func (l *Limiter) Charge(r *gateway.LimitedRequest, tokens int64) error {
	t, err := l.tierOf(l.inForce.Load(), r.Own)
	if err != nil {
		return fmt.Errorf("charging a request afterwards: %w", err)
	}
	subjects := newSubjects(r)
	l.charge(t, &subjects, tokens, func() {})
	return nil
}

// Counts reports whether this process counts, so that its counters start again with it.
func (l *Limiter) Counts() bool { return l.memory != nil }

// Since is when the longest of the periods began that are counted now. What began before
// counts nowhere any more.
func (l *Limiter) Since() time.Time {
	now := l.c.Now().UTC()
	since := now
	l.inForce.Load().every(func(rule gateway.LimitRule) {
		if from := now.Truncate(rule.Per.Duration()); from.Before(since) {
			since = from
		}
	})
	return since
}

// Restore adds to the counters in memory, for the rules of all limits in force that have a
// period, what earlier processes counted in it.
func (l *Limiter) Restore(r *gateway.LimitedRequest, per gateway.LimitPeriod, requests, tokens int64) error {
	subjects := newSubjects(r)
	var faults []error
	l.inForce.Load().every(func(rule gateway.LimitRule) {
		of := counter{rule.String(), subjects.of(rule.By)}
		if rule.Per != per || of.subject == "" {
			return
		}
		hits := requests
		if rule.Of == gateway.Tokens {
			hits = tokens
		}
		faults = append(faults, l.memory.charge(of, per.Duration(), hits))
	})
	return errors.Join(faults...)
}

// charge adds tokens to all counters of a tier that count a request. Once all of them have
// them, or never will, done is called.
func (l *Limiter) charge(t *tier, s *subjects, tokens int64, done func()) {
	all := counting(t.tokens, s)
	if len(all) == 0 {
		done()
	}
	left := int64(len(all))
	for _, b := range all {
		l.backend.charge(t, b, s.of(b.By), tokens, func() {
			if atomic.AddInt64(&left, -1) == 0 {
				done()
			}
		})
	}
}
