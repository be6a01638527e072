package ratelimitconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	rlsconfig "github.com/envoyproxy/go-control-plane/ratelimit/config/ratelimit/v3"
	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

var noon = time.Date(2026, 11, 29, 12, 0, 30, 250_000_000, time.UTC)

// clock is a time that tests set.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(noon)
	return c
}

func (c *clock) set(t time.Time)     { c.at.Store(t.UnixNano()) }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d)) }
func (c *clock) now() time.Time      { return time.Unix(0, c.at.Load()).UTC() }

func limit(by gateway.LimitBy, of gateway.LimitMetric, per gateway.LimitPeriod, most uint32) gateway.Limit {
	return gateway.Limit{LimitRule: gateway.LimitRule{By: by, Of: of, Per: per}, Max: most}
}

// newLimiter counts in memory.
func newLimiter(t testing.TB, c *clock, limits gateway.Limits) *Limiter {
	t.Helper()
	l, err := New(Config{Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	use(t, l, limits)
	return l
}

func use(t testing.TB, l *Limiter, limits gateway.Limits) {
	t.Helper()
	set, err := l.Compile(limits)
	if err == nil {
		err = l.Use(t.Context(), set)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rules(all ...gateway.Limit) gateway.Limits { return gateway.Limits{Rules: all} }

func number(n int64) *int64 { return &n }

// passed counts how many of n requests pass that come at once.
func passed(l *Limiter, n int, r gateway.LimitedRequest) int {
	var all sync.WaitGroup
	var count atomic.Int64
	for range n {
		all.Go(func() {
			if _, refusal := l.Admit(&r); refusal == nil {
				count.Add(1)
			}
		})
	}
	all.Wait()
	return int(count.Load())
}

func admit(t *testing.T, l *Limiter, r gateway.LimitedRequest) gateway.Reservation {
	t.Helper()
	a, refusal := l.Admit(&r)
	if refusal != nil {
		t.Fatalf("refused: %s", refusal.Message)
	}
	return a
}

func refusal(t *testing.T, l *Limiter, r gateway.LimitedRequest) *gateway.Error {
	t.Helper()
	_, e := l.Admit(&r)
	if e == nil {
		t.Fatal("the request passed")
	}
	return e
}

var byAlice = gateway.LimitedRequest{Key: "key_a", User: "alice", Client: "192.0.2.1", Model: "gpt-4o", Tokens: 500}

func TestOfTwoHundredRequestsAtOnceExactlySixtyPass(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 60)))
	if n := passed(l, 200, byAlice); n != 60 {
		t.Errorf("%d passed, want 60", n)
	}
	if n := l.Stats().Refused; n != 140 {
		t.Errorf("%d are counted as refused, want 140", n)
	}
}

func TestALimitThatRefusesChargesNoOther(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1),
		limit(gateway.ByModel, gateway.Requests, gateway.PerDay, 10)))
	admit(t, l, byAlice)
	refusal(t, l, byAlice)
	refusal(t, l, byAlice)
	bob := byAlice
	bob.Key = "key_b"
	got := admit(t, l, bob).Standing()
	want := gateway.LimitState{Limit: limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1), Reset: noon.Truncate(time.Minute).Add(time.Minute)}
	if diff := cmp.Diff(want, got.Nearest); diff != "" {
		t.Error(diff)
	}
	carol := byAlice
	carol.Key = "key_c"
	admit(t, l, carol)
	if n := passed(l, 50, gateway.LimitedRequest{Client: "192.0.2.9", Model: "gpt-4o"}); n != 1 {
		t.Errorf("%d passed by address, want the one of its minute", n)
	}
	states, err := l.backend.pass(l.inForce.Load().tier(ownOf(nil)), &subjects{model: "gpt-4o"})
	if err != nil || len(states) != 1 || states[0].Remaining != 5 {
		t.Errorf("%v %v: five requests have passed, so 5 must be left of the model's 10", states, err)
	}
}

func TestTokensAreLookedAtBeforeRequestsAreCharged(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 5),
		limit(gateway.ByKey, gateway.Tokens, gateway.PerMinute, 1000)))
	admit(t, l, byAlice).Settle(1000) // exactly what there is
	e := refusal(t, l, byAlice)
	if e.Type != "tokens" || e.Limits.Tokens.Remaining != 0 {
		t.Errorf("refused by %+v", e)
	}
	states, _ := l.backend.pass(l.inForce.Load().tier(ownOf(nil)), &subjects{key: "key_a"})
	if states[0].Remaining != 3 {
		t.Errorf("%d requests remain of 5 after one that passed, one that was refused, and this one", states[0].Remaining)
	}
}

func TestRequestsAtOnceCannotPassAnAlmostEmptyTokenLimit(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Tokens, gateway.PerDay, 1000)))
	admit(t, l, byAlice).Settle(990)
	if n := passed(l, 200, byAlice); n != 1 {
		t.Errorf("%d passed where 10 tokens were left, want 1", n)
	}
}

func TestWhatIsHeldIsGivenBackWhenItIsSettled(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Tokens, gateway.PerDay, 1000)))
	first, second := admit(t, l, byAlice), admit(t, l, byAlice)
	if got := second.Standing().Tokens.Remaining; got != 0 {
		t.Errorf("%d tokens remain while 2 × 500 of 1000 are held", got)
	}
	refusal(t, l, byAlice)
	first.Settle(10)
	second.Settle(0) // a client that hung up before anything was sent
	if got := admit(t, l, byAlice).Standing().Tokens.Remaining; got != 490 {
		t.Errorf("%d tokens remain, want 1000 − 10 − 500", got)
	}
	if len(l.holds.tokens) != 1 {
		t.Errorf("holds of %d counters, want those of one request", len(l.holds.tokens))
	}
}

func TestAKeysOwnValueReplacesTheSameRuleAndAllOthersHold(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 2),
		limit(gateway.ByUser, gateway.Requests, gateway.PerMinute, 4)))
	own := byAlice
	own.Own = &gateway.KeyLimits{RequestsPerMinute: number(100)}
	if n := passed(l, 10, own); n != 4 {
		t.Errorf("%d passed, want 4: the key's own limit is 100, its user's still 4", n)
	}
	plain := gateway.LimitedRequest{Key: "key_b", User: "bob", Own: &gateway.KeyLimits{TokensPerDay: number(1000)}}
	if n := passed(l, 10, plain); n != 2 {
		t.Errorf("%d passed, want 2: what the key does not set is as configured", n)
	}
}

func TestZeroLetsNothingPass(t *testing.T) {
	l := newLimiter(t, newClock(), gateway.Limits{})
	for name, own := range map[string]gateway.KeyLimits{
		"requests":  {RequestsPerDay: number(0)},
		"tokens":    {TokensPerMinute: number(0)},
		"in flight": {InFlight: number(0)},
		"negative":  {RequestsPerMinute: number(-1)},
	} {
		e := refusal(t, l, gateway.LimitedRequest{Key: "key_a", Own: &own})
		if e.Status != http.StatusTooManyRequests || !e.Never {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if got := admit(t, l, byAlice).Standing(); got.Nearest.Of != 0 {
		t.Errorf("without limits: %+v", got)
	}
}

func TestAChangedLimitKeepsWhatWasCounted(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Requests, gateway.PerDay, 2)))
	if n := passed(l, 10, byAlice); n != 2 {
		t.Fatalf("%d passed, want 2", n)
	}
	use(t, l, rules(limit(gateway.ByKey, gateway.Requests, gateway.PerDay, 5)))
	if n := passed(l, 10, byAlice); n != 3 {
		t.Errorf("%d more passed, want 3 to make 5", n)
	}
}

func TestWhatWasUsedIsChargedByTheLimitsThatHoldAtTheEnd(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Tokens, gateway.PerHour, 1000)))
	removed, added := admit(t, l, byAlice), admit(t, l, byAlice)
	use(t, l, rules())
	removed.Settle(300)
	use(t, l, rules(limit(gateway.ByUser, gateway.Tokens, gateway.PerHour, 1000)))
	added.Settle(400)
	if got := admit(t, l, byAlice).Standing().Tokens; got.By != gateway.ByUser || got.Remaining != 100 {
		t.Errorf("%d remain of %v, want 1000 − 400 − 500 of the user's", got.Remaining, got.Limit)
	}
	if len(l.holds.tokens) != 1 {
		t.Errorf("holds %v", l.holds.tokens)
	}
}

func TestRequestsInFlightAreBoundedByKey(t *testing.T) {
	l := newLimiter(t, newClock(), gateway.Limits{InFlight: number(2)})
	first := admit(t, l, byAlice)
	admit(t, l, byAlice)
	e := refusal(t, l, byAlice)
	if e.Code != "rate_limit_exceeded" || e.Wait != time.Second {
		t.Errorf("%+v", e)
	}
	first.Settle(5)
	admit(t, l, byAlice)
	refusal(t, l, byAlice)
	more := byAlice
	more.Own = &gateway.KeyLimits{InFlight: number(3)}
	states, err := l.Standing(&more)
	inFlight := gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.InFlight}, Max: 3}
	if diff := cmp.Diff([]gateway.LimitState{{Limit: inFlight, Remaining: 1}}, states); err != nil || diff != "" {
		t.Errorf("how it stands (-want +got), %v:\n%s", err, diff)
	}
	admit(t, l, more)
}

func TestAPeriodEndsAndAClockThatIsSetBackStartsNone(t *testing.T) {
	c := newClock()
	l := newLimiter(t, c, rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1)))
	admit(t, l, byAlice)
	e := refusal(t, l, byAlice)
	if e.Wait != 29*time.Second+750*time.Millisecond {
		t.Errorf("wait %v, want to the whole minute", e.Wait)
	}
	c.add(e.Wait)
	admit(t, l, byAlice)
	c.add(-time.Second)
	refusal(t, l, byAlice)
	c.add(-time.Hour) // a clock that was wrong altogether
	admit(t, l, byAlice)
}

func TestSubjectsAreKeptApart(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKeyModel, gateway.Requests, gateway.PerMinute, 1),
		limit(gateway.ByModel, gateway.Tokens, gateway.PerMinute, 1_000_000)))
	for _, r := range []gateway.LimitedRequest{
		{Key: "key_a", Model: "m"}, {Key: "key_a", Model: "m_60"}, {Key: "key_a", Model: "*"}, {Key: "key_a", Model: "m*"},
		{Key: "key_a", Model: gateway.Model(strings.Repeat("x", 250))}, {Key: "key_a", Model: gateway.Model(strings.Repeat("x", 249))},
		{Client: "192.0.2.1", Model: "m"}, {Client: "2001:db8:0:1::1", Model: "m"}, {Client: "2001:db8:0:2::1", Model: "m"}, {Client: "nonsense", Model: "m"},
	} {
		admit(t, l, r)
		refusal(t, l, r)
	}
	for _, same := range []string{"::ffff:192.0.2.1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::2%eth0", ""} {
		refusal(t, l, gateway.LimitedRequest{Client: same, Model: "m"})
	}
	admit(t, l, gateway.LimitedRequest{Key: "key_a"}) // of no model
}

func TestTiersThatSayTheSameAreInTheConfigurationOnce(t *testing.T) {
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 60)))
	err := l.Prepare(t.Context(), slices.Values([]gateway.KeyLimits{
		{}, {RequestsPerMinute: number(60)}, {InFlight: number(3)}, {RequestsPerMinute: number(60), InFlight: number(3)}, {TokensPerDay: number(5)}}))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(resourceOf(l.inForce.Load().all()).Descriptors); n != 2 {
		t.Errorf("%d tiers, want 2", n)
	}
}

func TestWhatWouldNotLoadIsAnErrorAndEndsNothing(t *testing.T) {
	twice := &rlsconfig.RateLimitDescriptor{Key: "tier", Value: "t", Descriptors: []*rlsconfig.RateLimitDescriptor{{Key: "k"}}}
	for name, c := range map[string]*rlsconfig.RateLimitConfig{
		"repeated":  {Name: domain, Domain: domain, Descriptors: []*rlsconfig.RateLimitDescriptor{twice, twice}},
		"no domain": {Name: domain},
		"no key":    {Name: domain, Domain: domain, Descriptors: []*rlsconfig.RateLimitDescriptor{{}}},
		"no unit": {Name: domain, Domain: domain, Descriptors: []*rlsconfig.RateLimitDescriptor{
			{Key: "k", RateLimit: &rlsconfig.RateLimitPolicy{RequestsPerUnit: 1}}}},
		"not there": {Name: domain, Domain: domain, Descriptors: []*rlsconfig.RateLimitDescriptor{nil}},
	} {
		if _, err := load(c); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	same := rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 60), limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 61))
	l := newLimiter(t, newClock(), gateway.Limits{})
	if _, err := l.Compile(same); err == nil {
		t.Error("two limits of one rule were compiled")
	}
}

func TestVariablesOfTheirServiceChangeNothing(t *testing.T) {
	for name, value := range map[string]string{"PORT": "abc", "SHADOW_MODE": "true", "QUOTA_MODE": "true", "LOG_LEVEL": "nonsense", "MERGE_DOMAIN_CONFIG": "true"} {
		t.Setenv(name, value)
	}
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1)))
	admit(t, l, byAlice)
	refusal(t, l, byAlice)
}

func TestFullCountersAreALimiterThatIsAway(t *testing.T) {
	hourly := limit(gateway.ByModel, gateway.Requests, gateway.PerHour, 1)
	l := newLimiter(t, newClock(), rules(hourly))
	l.memory.most = 10
	for i := range 20 {
		admit(t, l, gateway.LimitedRequest{Model: gateway.Model(fmt.Sprint(i))})
	}
	refusal(t, l, gateway.LimitedRequest{Model: "9"}) // those that are counted still are
	if s := l.Stats(); s.Counts != 10 || s.Missed != 10 || !strings.Contains(s.Away, errFull.Error()) {
		t.Errorf("%+v", s)
	}
	use(t, l, gateway.Limits{Rules: []gateway.Limit{hourly}, Closed: true})
	if e := refusal(t, l, gateway.LimitedRequest{Model: "20"}); e.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v", e)
	}
}

// logged is what was logged. Another goroutine writes it.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestCountersThatAreNearlyAllInUseAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines logged
		l, err := New(Config{Now: time.Now, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		use(t, l, rules(limit(gateway.ByModel, gateway.Requests, gateway.PerMinute, 1)))
		l.memory.most = 10
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		for i := range 9 {
			admit(t, l, gateway.LimitedRequest{Model: gateway.Model(fmt.Sprint(i))})
			time.Sleep(watchEvery)
		}
		if got := l.Stats().Use; got != 90 {
			t.Errorf("%d %% are in use", got)
		}
		time.Sleep(5 * watchEvery)
		synctest.Wait()
		if text := lines.String(); strings.Count(text, "nearly all in use") != 1 {
			t.Errorf("the lines are\n%s", text)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if text := lines.String(); l.Stats().Use != 0 || !strings.Contains(text, "have room again") {
			t.Errorf("after the period %d %% are in use, and the lines are\n%s", l.Stats().Use, text)
		}
		stop()
	})
}

func TestWhatEarlierProcessesCountedIsRestored(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerDay, 3),
		limit(gateway.ByUser, gateway.Tokens, gateway.PerDay, 1000)))
	if err := errors.Join(l.Restore(&byAlice, gateway.PerDay, 1, 300), l.Restore(&byAlice, gateway.PerHour, 1, 300), l.Charge(&byAlice, 100)); err != nil {
		t.Fatal(err)
	}
	got := admit(t, l, byAlice).Standing()
	if got.Requests.Remaining != 1 || got.Tokens.Remaining != 100 {
		t.Errorf("%d requests and %d tokens remain, want 3 − 1 − 1 and 1000 − 400 − 500", got.Requests.Remaining, got.Tokens.Remaining)
	}
}

func TestTheLongestPeriodThatIsCountedIsKnown(t *testing.T) {
	minute, hour := limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1), limit(gateway.ByModel, gateway.Tokens, gateway.PerHour, 1)
	got := []time.Time{newLimiter(t, newClock(), rules()).Since(), newLimiter(t, newClock(), rules(minute)).Since(), newLimiter(t, newClock(), rules(minute, hour)).Since()}
	if diff := cmp.Diff([]time.Time{noon, noon.Truncate(time.Minute), noon.Truncate(time.Hour)}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARefusalSaysWhichLimitAndWhen(t *testing.T) {
	l := newLimiter(t, newClock(), rules(
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1),
		limit(gateway.ByModel, gateway.Requests, gateway.PerHour, 100)))
	admit(t, l, gateway.LimitedRequest{Client: "192.0.2.1", Model: "m"})
	got := refusal(t, l, gateway.LimitedRequest{Client: "192.0.2.1", Model: "m"})
	minute := limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 1)
	state := gateway.LimitState{Limit: minute, Reset: noon.Add(29750 * time.Millisecond)}
	want := &gateway.Error{
		Status: 429, Type: "requests", Code: "rate_limit_exceeded", Wait: 29750 * time.Millisecond,
		Message: "Rate limit reached for this client address on requests per minute: limit 1, remaining 0. Please try again in 29.75s.",
		Limits:  &gateway.LimitStanding{At: noon, Nearest: state, Requests: state},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAHundredThousandKeysInAThousandTiers holds the cost of many keys to that of their tiers.
func TestAHundredThousandKeysInAThousandTiers(t *testing.T) {
	const keys, tiers = 100_000, 1000
	l := newLimiter(t, newClock(), rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 60)))
	own := make([]gateway.KeyLimits, keys)
	for i := range own {
		n := int64(i % tiers)
		own[i] = gateway.KeyLimits{RequestsPerMinute: number(n + 1), TokensPerDay: number(1000 + n)}
	}
	began := time.Now()
	if err := l.Prepare(t.Context(), slices.Values(own)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys in %d tiers are prepared in %v", keys, tiers, time.Since(began))
	if n := len(l.inForce.Load().tiers); n != tiers+1 {
		t.Errorf("%d tiers, want %d", n, tiers+1)
	}
	for i := range keys {
		r := gateway.LimitedRequest{Key: gateway.KeyID(fmt.Sprintf("key_%016x", i)), Own: &own[i], Tokens: 1}
		got := admit(t, l, r).Standing()
		if got.Requests.Max != uint32(i%tiers+1) || got.Tokens.Max != uint32(1000+i%tiers) {
			t.Fatalf("key %d is held to %+v", i, got)
		}
	}
}

func TestNoHoldIsLeftWhateverBecomesOfRequests(t *testing.T) {
	l := newLimiter(t, newClock(), gateway.Limits{InFlight: number(50), Rules: []gateway.Limit{
		limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, 100),
		limit(gateway.ByUser, gateway.Tokens, gateway.PerHour, 20_000),
		limit(gateway.ByModel, gateway.Tokens, gateway.PerHour, 100_000)}})
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			r := byAlice
			r.Key = []gateway.KeyID{"key_a", "key_b", "key_c"}[i%3]
			if a, refusal := l.Admit(&r); refusal == nil {
				a.Settle(int64(i))
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([2]int{}, [2]int{len(l.holds.tokens), len(l.holds.inFlight)}); diff != "" {
		t.Error(diff)
	}
}
