package ratelimitconfig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimit "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	askTimeout    = 500 * time.Millisecond
	maxAsking     = 256 // calls at one time
	maxCharges    = 10_000
	chargeWorkers = 4
	chargeTimeout = 2 * time.Second
	chargeRetry   = 250 * time.Millisecond
	chargeUnknown = 5 * time.Second // how long a service may take to learn of a limit
	askAgain      = 50 * time.Millisecond
	chargeDrain   = 2 * time.Second
)

// remote is a service of envoyproxy/ratelimit. Several services may share a Redis.
type remote struct {
	c       Config
	conn    *grpc.ClientConn
	client  ratelimit.RateLimitServiceClient
	asking  chan struct{} // a place for each call
	charges chan charge
	pending atomic.Int64 // charges that are queued or under way
	lost    atomic.Int64 // tokens
	health  breaker
}

// charge is an addition to a counter.
type charge struct {
	tier    *tier
	bound   *bound
	subject string
	hits    uint64
	until   time.Time // when the period ends and the charge is not needed any more
	done    func()
}

func newRemote(c Config) (*remote, error) {
	secure := insecure.NewCredentials()
	if c.TLS {
		secure = credentials.NewTLS(nil)
	}
	// The longest pause between two attempts to connect is short, because requests are not
	// limited until one succeeds.
	conn, err := grpc.NewClient(c.Service, grpc.WithTransportCredentials(secure), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: time.Second,
	}))
	if err != nil {
		return nil, fmt.Errorf("preparing calls of the rate limit service %q: %w", c.Service, err)
	}
	return &remote{
		c: c, conn: conn, client: ratelimit.NewRateLimitServiceClient(conn),
		asking: make(chan struct{}, maxAsking), charges: make(chan charge, maxCharges), health: breaker{now: c.Now},
	}, nil
}

// errUnknownLimit says that the service has another configuration than we do, briefly or
// because it does not get ours.
var errUnknownLimit = errors.New("the rate limit service does not have our configuration")

// pass charges requests. The service charges every limit that a call names, even if one of them
// refuses. So if there are several, they are looked at first, and then the one that is nearest
// its end is charged first: other requests may have used it up in between.
func (r *remote) pass(t *tier, s *subjects) ([]state, error) {
	asked := counting(t.requests, s)
	if len(asked) < 2 {
		return r.ask(t, asked, s, 1)
	}
	states, err := r.ask(t, asked, s, 0)
	if err != nil {
		return nil, err
	}
	first := 0
	for i := range states {
		states[i].refuses = states[i].refuses || states[i].Remaining == 0
		if states[i].refuses {
			return states, nil
		}
		if states[i].Remaining < states[first].Remaining {
			first = i
		}
	}
	asked[0], asked[first] = asked[first], asked[0]
	states, err = r.ask(t, asked[:1], s, 1)
	if err != nil || states[0].refuses {
		return states, err
	}
	others, err := r.ask(t, asked[1:], s, 1)
	return append(states, others...), err
}

func (r *remote) look(t *tier, s *subjects) ([]state, error) {
	return r.ask(t, counting(t.tokens, s), s, 0)
}

func (r *remote) lookRequests(t *tier, s *subjects) ([]state, error) {
	return r.ask(t, counting(t.requests, s), s, 0)
}

// ask makes one call, which charges each limit by the hits.
func (r *remote) ask(t *tier, asked []*bound, s *subjects, hits uint64) ([]state, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	if err := r.health.allow(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	answer, err := r.callKnown(ctx, newRequest(t, asked, s, hits), hits == 0 || len(asked) == 1)
	r.health.note(err)
	if err != nil {
		return nil, err
	}
	return r.states(asked, answer)
}

// callKnown makes a call, and makes it again while the service does not know the limit: that of
// a key just made may still be on its way there. Nothing was counted then, unless the call also
// charges other limits: such a call is not made again.
func (r *remote) callKnown(ctx context.Context, request *ratelimit.RateLimitRequest, again bool) (*ratelimit.RateLimitResponse, error) {
	for {
		answer, err := r.call(ctx, request)
		if err != nil || !again || !isUnknown(answer) {
			return answer, err
		}
		if !pause(ctx, askAgain) {
			return nil, errUnknownLimit
		}
	}
}

// isUnknown reports whether the service does not know one of the limits.
func isUnknown(answer *ratelimit.RateLimitResponse) bool {
	return slices.ContainsFunc(answer.GetStatuses(), func(s *ratelimit.RateLimitResponse_DescriptorStatus) bool { return s.GetCurrentLimit() == nil })
}

// call waits for one of the places for calls, and makes one.
func (r *remote) call(ctx context.Context, request *ratelimit.RateLimitRequest) (*ratelimit.RateLimitResponse, error) {
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("asking the rate limit service: %d calls are already waiting for it", maxAsking)
	}
	answer, err := r.client.ShouldRateLimit(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("asking the rate limit service: %w", err)
	}
	return answer, nil
}

// states reads an answer, which must be about the limits that were asked.
func (r *remote) states(asked []*bound, answer *ratelimit.RateLimitResponse) ([]state, error) {
	if len(answer.GetStatuses()) != len(asked) {
		return nil, errUnknownLimit
	}
	for i, s := range answer.GetStatuses() {
		if s.GetCurrentLimit() == nil || s.GetCurrentLimit().GetRequestsPerUnit() != asked[i].Max {
			return nil, errUnknownLimit
		}
	}
	return statesOf(asked, answer.GetStatuses(), r.c.Now()), nil
}

// charge queues a charge. If the queue is full, the charge is lost and counted.
func (r *remote) charge(t *tier, b *bound, subject string, hits int64, done func()) {
	if hits <= 0 {
		done()
		return
	}
	r.pending.Add(1)
	select {
	case r.charges <- charge{tier: t, bound: b, subject: subject, hits: uint64(hits), until: endOfPeriod(r.c.Now(), b.Per), done: done}:
	default:
		r.end(done, hits)
	}
}

// end notes that a charge was made, except for some tokens that are lost.
func (r *remote) end(done func(), lost int64) {
	r.lost.Add(lost)
	r.pending.Add(-1)
	done()
}

// run makes queued charges until ctx ends, and then the remaining ones as far as there is time.
func (r *remote) run(ctx context.Context) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { pause(calls, chargeDrain); cancel() })()
	var workers sync.WaitGroup
	for range chargeWorkers {
		workers.Go(func() { r.chargeAll(ctx, calls) })
	}
	workers.Wait()
	if err := r.conn.Close(); err != nil {
		return fmt.Errorf("closing the connection to the rate limit service: %w", err)
	}
	return nil
}

// chargeAll makes charges until ctx has ended and none is left.
func (r *remote) chargeAll(ctx, calls context.Context) {
	for {
		select {
		case c := <-r.charges:
			r.makeCharge(calls, c)
			continue
		default:
		}
		select {
		case c := <-r.charges:
			r.makeCharge(calls, c)
		case <-ctx.Done():
			return
		}
	}
}

// makeCharge tries until the charge is made or its period has ended. A service that hangs may
// carry out a call later that we have given up. So after a failure we only look until there is
// an answer, and then charge again: an outage may charge twice, but not more often.
func (r *remote) makeCharge(ctx context.Context, c charge) {
	entries := c.tier.entries(c.bound.name, c.subject)
	began, hits := time.Now(), c.hits
	for {
		err := r.tryCharge(ctx, entries, hits)
		switch {
		case err == nil && hits > 0:
			r.end(c.done, 0)
			return
		case err == nil:
			hits = c.hits
			continue
		}
		hits = 0
		tooLate := !r.c.Now().Before(c.until) || errors.Is(err, errUnknownLimit) && time.Since(began) > chargeUnknown
		if tooLate || !pause(ctx, chargeRetry) {
			r.end(c.done, int64(c.hits))
			return
		}
	}
}

func (r *remote) tryCharge(ctx context.Context, entries []*descriptor.RateLimitDescriptor_Entry, hits uint64) error {
	ctx, cancel := context.WithTimeout(ctx, chargeTimeout)
	defer cancel()
	answer, err := r.client.ShouldRateLimit(ctx, &ratelimit.RateLimitRequest{Domain: domain, Descriptors: []*descriptor.RateLimitDescriptor{
		{Entries: entries, HitsAddend: wrapperspb.UInt64(hits)},
	}})
	if err == nil && (len(answer.GetStatuses()) != 1 || answer.GetStatuses()[0].GetCurrentLimit() == nil) {
		return errUnknownLimit // nothing was counted
	}
	return err
}

// away is why the service cannot be asked; "" if it can.
func (r *remote) away() string { return r.health.why() }

// pause waits, and reports whether ctx did not end before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
