package ratelimitconfig

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/test/stock"
	"ai-gateway/xds"
)

// remoteLimiter asks a stock service, which gets its configuration from it.
func remoteLimiter(t *testing.T, limits gateway.Limits) (*Limiter, *stock.Service, *stock.Redis) {
	t.Helper()
	redis := stock.StartRedis(t)
	l, service := limiterOn(t, redis, limits)
	return l, service, redis
}

func limiterOn(t *testing.T, redis *stock.Redis, limits gateway.Limits) (*Limiter, *stock.Service) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := stock.StartService(t, redis, listener.Addr().String())
	l, err := New(Config{Service: service.Address, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { return xds.Serve(ctx, listener, l.Register) })
	run(t, l.Run)
	use(t, l, limits)
	service.Listening()
	return l, service
}

// run runs something until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// inOnePeriod waits for a minute that has some seconds left: a period that ends in the
// middle would let more pass.
func inOnePeriod(t *testing.T) {
	t.Helper()
	if left := time.Until(endOfPeriod(time.Now(), gateway.PerMinute)); left < 10*time.Second {
		time.Sleep(left)
	}
}

// within waits for a condition.
func within(t *testing.T, d time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

func TestTwoLimitersOnOneRedisLetExactlySixtyPass(t *testing.T) {
	redis := stock.StartRedis(t)
	limits := rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 60))
	one, _ := limiterOn(t, redis, limits)
	other, _ := limiterOn(t, redis, limits)
	inOnePeriod(t)
	for attempt := range 3 {
		r := byAlice
		r.Key = gateway.KeyID(fmt.Sprintf("key_%d", attempt))
		var both sync.WaitGroup
		var counts [2]int
		missed := one.Stats().Missed + other.Stats().Missed
		for i, l := range []*Limiter{one, other} {
			both.Go(func() { counts[i] = passed(l, 100, r) })
		}
		both.Wait()
		if one.Stats().Missed+other.Stats().Missed > missed {
			continue // this machine is so busy that calls took too long, and those requests passed
		}
		if counts[0]+counts[1] != 60 {
			t.Errorf("%d and %d passed, want 60 together", counts[0], counts[1])
		}
		return
	}
	t.Error("in each of three attempts some calls took too long")
}

func TestAServiceIsChargedNothingByWhatAnotherLimitRefuses(t *testing.T) {
	l, _, _ := remoteLimiter(t, rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 5),
		limit(gateway.ByUser, gateway.Requests, gateway.PerHour, 1000),
		limit(gateway.ByModel, gateway.Requests, gateway.PerDay, 1000)))
	inOnePeriod(t)
	if n := passed(l, 100, byAlice); n != 5 {
		t.Fatalf("%d passed, want 5", n)
	}
	other := gateway.LimitedRequest{Key: "key_b", User: "alice", Model: "gpt-4o"}
	admit(t, l, other)
	states, err := l.backend.pass(l.inForce.Load().tier(ownOf(nil)), &subjects{user: "alice", model: "gpt-4o"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Remaining != 1000-7 {
			t.Errorf("%s: %d remain of 1000 after seven requests", s.LimitRule, s.Remaining)
		}
	}
}

func TestTokensAreChargedAtTheServiceWhenTheyAreSettled(t *testing.T) {
	l, _, _ := remoteLimiter(t, rules(
		limit(gateway.ByKey, gateway.Tokens, gateway.PerDay, 1000),
		limit(gateway.ByModel, gateway.Tokens, gateway.PerDay, 5000)))
	if n := passed(l, 200, gateway.LimitedRequest{Key: "key_b", Model: "gpt-4o", Tokens: 2000}); n != 1 {
		t.Errorf("%d passed at once, want 1: it may use all", n)
	}
	a := admit(t, l, byAlice)
	a.Settle(1000)
	within(t, 2*time.Second, "the charge", func() bool {
		l.holds.mu.Lock()
		defer l.holds.mu.Unlock()
		return l.holds.tokens[counter{"key.tokens.day", "key_a"}] == 0
	})
	e := refusal(t, l, byAlice)
	if e.Type != "tokens" || !strings.Contains(e.Message, "tokens per day: limit 1000, remaining 0") {
		t.Errorf("%+v", e)
	}
	other := byAlice
	other.Key = "key_c"
	if got := admit(t, l, other).Standing().Tokens; got.By != gateway.ByModel || got.Remaining != 5000-1000-2000-500 {
		t.Errorf("%d remain of %v", got.Remaining, got.Limit)
	}
}

func TestAServiceHoldsToAChangedLimitAtOnce(t *testing.T) {
	l, service, _ := remoteLimiter(t, rules(limit(gateway.ByKey, gateway.Requests, gateway.PerHour, 5)))
	if n := passed(l, 20, byAlice); n != 5 {
		t.Fatalf("%d passed, want 5", n)
	}
	use(t, l, rules(limit(gateway.ByKey, gateway.Requests, gateway.PerHour, 7)))
	if n := passed(l, 20, byAlice); n != 7 {
		t.Errorf("%d passed, want 7: a changed limit counts anew at a service", n)
	}
	own := byAlice
	own.Own = &gateway.KeyLimits{RequestsPerHour: number(2)}
	within(t, 5*time.Second, "a key's own limit", func() bool { _, e := l.Admit(&own); return e != nil && e.Limits != nil && e.Limits.Nearest.Max == 2 })
	if s := l.Stats(); strings.Contains(service.Log(), "rror") {
		t.Errorf("%+v; the service wrote:\n%s", s, service.Log())
	}
}

// TestRequestsWaitUntilTheServiceKnowsTheLimitsOfAKey has them come to a gateway that does not serve the
// service's configuration, a moment before the one that does learns of the key.
func TestRequestsWaitUntilTheServiceKnowsTheLimitsOfAKey(t *testing.T) {
	limits := rules(limit(gateway.ByKey, gateway.Requests, gateway.PerDay, 1000))
	serving, service, _ := remoteLimiter(t, limits)
	l, err := New(Config{Service: service.Address, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, l.Run)
	use(t, l, limits)
	for attempt := range int64(3) {
		within(t, 10*time.Second, "the service's answer", func() bool { a, e := l.Admit(&byAlice); return e == nil && a.Standing().Nearest.Max == 1000 })
		made := byAlice
		made.Key, made.Own = gateway.KeyID(fmt.Sprintf("key_%d", attempt)), &gateway.KeyLimits{RequestsPerDay: number(5 + attempt)}
		prepared := make(chan error, 1)
		time.AfterFunc(100*time.Millisecond, func() { prepared <- serving.Prepare(t.Context(), slices.Values([]gateway.KeyLimits{*made.Own})) })
		missed := l.Stats().Missed
		n := passed(l, 100, made)
		if err := <-prepared; err != nil {
			t.Fatal(err)
		}
		if l.Stats().Missed > missed {
			continue // this machine is so busy that the service took too long to learn of the limit
		}
		if n != int(5+attempt) {
			t.Errorf("%d passed, want %d", n, 5+attempt)
		}
		return
	}
	t.Error("in each of three attempts the service took too long to learn of a limit")
}

func TestRequestsPassOrNotByTheSettingWhileTheServiceIsKilledOrHangs(t *testing.T) {
	limits := rules(limit(gateway.ByKey, gateway.Requests, gateway.PerHour, 5))
	l, service, _ := remoteLimiter(t, limits)
	admit(t, l, byAlice)
	back := func() {
		t.Helper()
		within(t, 5*time.Second, "the service's return", func() bool {
			a, e := l.Admit(&byAlice)
			return e != nil && e.Status == http.StatusTooManyRequests || e == nil && a.Standing().Nearest.Max == 5
		})
	}
	for name, leave := range map[string]func(){"killed": service.Kill, "hung": service.Hang} {
		before := l.Stats().Missed
		leave()
		if n := passed(l, 50, byAlice); n != 50 {
			t.Errorf("%s: %d of 50 passed, want all", name, n)
		}
		if s := l.Stats(); s.Missed-before != 50 || s.Away == "" {
			t.Errorf("%s: %+v", name, s)
		}
		use(t, l, gateway.Limits{Rules: limits.Rules, Closed: true})
		if e := refusal(t, l, byAlice); e.Status != http.StatusServiceUnavailable || e.RetryAfter != 1 {
			t.Errorf("%s: %+v", name, e)
		}
		use(t, l, limits)
		if name == "killed" {
			service.Start()
		} else {
			service.Resume()
		}
		back()
	}
}

func TestRedisMayGoAndComeBack(t *testing.T) {
	l, _, redis := remoteLimiter(t, rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerHour, 5),
		limit(gateway.ByKey, gateway.Tokens, gateway.PerHour, 1000)))
	a := admit(t, l, byAlice)
	redis.Kill()
	if n := passed(l, 20, byAlice); n != 20 {
		t.Errorf("%d of 20 passed, want all", n)
	}
	a.Settle(900) // which waits for Redis
	redis.Start()
	fresh := byAlice
	fresh.Key = "key_b"
	within(t, 10*time.Second, "Redis's return", func() bool {
		a, e := l.Admit(&fresh)
		return e != nil || a.Standing().Nearest.Max != 0
	})
	within(t, 10*time.Second, "the charge", func() bool { return l.Stats().Waiting == 0 })
	within(t, 10*time.Second, "the refusal of what the charge left too little for", func() bool {
		states, err := l.backend.look(l.inForce.Load().tier(ownOf(nil)), &subjects{key: "key_a"})
		return err == nil && states[0].Remaining == 100
	})
}

func TestAServiceHoldsAHundredThousandKeysInAThousandTiers(t *testing.T) {
	const keys, tiers = 100_000, 1000
	l, service, _ := remoteLimiter(t, rules(limit(gateway.ByKey, gateway.Requests, gateway.PerHour, 60)))
	own := make([]gateway.KeyLimits, keys)
	for i := range own {
		own[i] = gateway.KeyLimits{RequestsPerHour: number(int64(i%tiers) + 1), TokensPerDay: number(int64(1000 + i%tiers))}
	}
	if err := l.Prepare(t.Context(), slices.Values(own)); err != nil {
		t.Fatal(err)
	}
	held := func(i int) bool {
		a, refusal := l.Admit(&gateway.LimitedRequest{Key: gateway.KeyID(fmt.Sprintf("key_%d", i)), Own: &own[i], Tokens: 1})
		return refusal == nil && a.Standing().Requests.Max == uint32(i%tiers+1) && a.Standing().Tokens.Max == uint32(1000+i%tiers)
	}
	within(t, 5*time.Second, "the last key's limits at the service", func() bool { return held(keys - 1) })
	for i := 7; i < keys; i += keys / 500 {
		if !held(i) {
			t.Fatalf("key %d is not held to its limits", i)
		}
	}
	if strings.Contains(service.Log(), "level=error") {
		t.Errorf("the service wrote:\n%s", service.Log())
	}
}
