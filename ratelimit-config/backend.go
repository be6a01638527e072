package ratelimitconfig

import (
	"context"
	"fmt"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimit "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/envoyproxy/ratelimit/src/config"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

// backend counts requests and tokens: envoyproxy/ratelimit in this process, or a service.
type backend interface {
	// pass asks whether one more request passes all of the limits that count requests, and
	// charges them if none refuses.
	pass(t *tier, subjects *subjects) ([]state, error)
	// look returns the state of the limits that count tokens.
	look(t *tier, subjects *subjects) ([]state, error)
	// lookRequests returns the state of those that count requests.
	lookRequests(t *tier, subjects *subjects) ([]state, error)
	// charge adds to a counter. done is called when it has, or when it has given up.
	charge(t *tier, b *bound, subject string, hits int64, done func())
}

// embedded is envoyproxy/ratelimit's limiter in this process.
type embedded struct{ counters *counters }

func (e embedded) pass(t *tier, s *subjects) ([]state, error) {
	return e.ask(t, counting(t.requests, s), s, 1)
}

func (e embedded) look(t *tier, s *subjects) ([]state, error) {
	return e.ask(t, counting(t.tokens, s), s, 0)
}

func (e embedded) lookRequests(t *tier, s *subjects) ([]state, error) {
	return e.ask(t, counting(t.requests, s), s, 0)
}

func (e embedded) ask(t *tier, asked []*bound, s *subjects, hits uint64) (states []state, err error) {
	if len(asked) == 0 {
		return nil, nil
	}
	limits := make([]*config.RateLimit, len(asked))
	for i, b := range asked {
		limits[i] = b.loaded
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("counting for limits: %v", fault)
		}
	}()
	now := e.counters.now()
	states = statesOf(asked, e.counters.DoLimit(context.Background(), newRequest(t, asked, s, hits), limits), now)
	for i := range states { // to the millisecond; the service only knows seconds
		states[i].Reset = endOfPeriod(now, states[i].Per)
	}
	return states, nil
}

func (e embedded) charge(_ *tier, b *bound, subject string, hits int64, done func()) {
	defer done()
	_ = e.counters.charge(counter{b.name, subject}, b.Per.Duration(), hits) // the next request reports that the counters are full
}

// endOfPeriod is when the period ends that a time is in.
func endOfPeriod(now time.Time, p gateway.LimitPeriod) time.Time {
	return now.UTC().Truncate(p.Duration()).Add(p.Duration())
}

// counting returns the limits of a list that count a request.
func counting(bounds []bound, s *subjects) []*bound {
	var all []*bound
	for i := range bounds {
		if s.of(bounds[i].By) != "" {
			all = append(all, &bounds[i])
		}
	}
	return all
}

// newRequest asks limits of a tier about some hits; zero hits only look.
func newRequest(t *tier, asked []*bound, s *subjects, hits uint64) *ratelimit.RateLimitRequest {
	request := &ratelimit.RateLimitRequest{Domain: domain}
	for _, b := range asked {
		request.Descriptors = append(request.Descriptors, &descriptor.RateLimitDescriptor{
			Entries: t.entries(b.name, s.of(b.By)), HitsAddend: wrapperspb.UInt64(hits),
		})
	}
	return request
}

// statesOf reads an answer.
func statesOf(asked []*bound, answer []*ratelimit.RateLimitResponse_DescriptorStatus, now time.Time) []state {
	states := make([]state, len(asked))
	for i, status := range answer {
		states[i].LimitState = gateway.LimitState{
			Limit: asked[i].Limit, Remaining: int64(status.GetLimitRemaining()), Reset: now.Add(status.GetDurationUntilReset().AsDuration()),
		}
		states[i].refuses = status.GetCode() != ratelimit.RateLimitResponse_OK
	}
	return states
}
