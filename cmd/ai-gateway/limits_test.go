package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/auth"
	"ai-gateway/config"
	"ai-gateway/gateway"
	ratelimitconfig "ai-gateway/ratelimit-config"
	"ai-gateway/store"
	"ai-gateway/test/program"
	"ai-gateway/test/stock"
	"ai-gateway/usage/ledger"
)

// byKeyPerDay are limits of a day, for each key.
func byKeyPerDay(requests, tokens uint32) gateway.Limits {
	rule := func(of gateway.LimitMetric, most uint32) gateway.Limit {
		return gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: of, Per: gateway.PerDay}, Max: most}
	}
	return gateway.Limits{Rules: []gateway.Limit{rule(gateway.Requests, requests), rule(gateway.Tokens, tokens)}}
}

const limitedKey = gateway.KeyID("key_0123456789abcdef")

// usedRow is a row of a request with the limited key.
func usedRow(at time.Time, tokens int64) *gateway.Row {
	return &gateway.Row{ID: uuid.Must(uuid.NewV7()), StartedAt: at.UTC().Truncate(time.Microsecond), KeyID: limitedKey, Endpoint: gateway.ChatCompletions,
		Model: "m", Backend: "b", UpstreamModel: "m", Status: 200, Outcome: gateway.OK, Source: gateway.FromProvider, Witness: gateway.ByBoth,
		Usage: gateway.Usage{Prompt: tokens}}
}

// left is what a request with the limited key finds left of its limits.
func (l *limits) left(t *testing.T) (requests, tokens int64) {
	t.Helper()
	a, refusal := l.Admit(&gateway.LimitedRequest{Key: limitedKey, Model: "m", Tokens: 1})
	if refusal != nil {
		t.Fatal(refusal)
	}
	a.Settle(0)
	return a.Standing().Requests.Remaining, a.Standing().Tokens.Remaining
}

func newLimits(t testing.TB, tables *store.Store, c config.Config) *limits {
	t.Helper()
	l := &limits{log: slog.New(slog.DiscardHandler), keys: auth.NewGate(auth.GateConfig{Now: time.Now})}
	if err := l.start(t.Context(), c, tables); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestTheServiceLearnsOfAKeyWhoseRequestsComeToAnotherGateway has one gateway serve the limits, while all
// requests of a key that was just made come to another.
func TestTheServiceLearnsOfAKeyWhoseRequestsComeToAnotherGateway(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	service := stock.StartService(t, stock.StartRedis(t), free.Addr().String())
	c := config.Config{Limits: byKeyPerDay(1000, 1_000_000), LimitConfigListen: free.Addr().String()}
	c.LimitService.Address = service.Address
	l := newLimits(t, nil, c)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	service.Listening()
	other, err := ratelimitconfig.New(ratelimitconfig.Config{Service: service.Address, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	set, err := other.Compile(c.Limits)
	if err == nil {
		err = other.Use(ctx, set)
	}
	if err != nil {
		t.Fatal(err)
	}
	most := int64(7)
	made := &gateway.KeyRecord{APIKey: gateway.APIKey{ID: limitedKey, Grant: gateway.Grant{Limits: gateway.KeyLimits{RequestsPerDay: &most}}}, Version: 1}
	l.keys.Apply(made)
	program.Await(t, 20*time.Second, func() error {
		a, refusal := other.Admit(&gateway.LimitedRequest{Key: limitedKey, Own: &made.Limits, Model: "m", Tokens: 1})
		if refusal == nil && a.Standing().Requests.Max != uint32(most) {
			return fmt.Errorf("the other gateway holds the key to %+v", a.Standing().Requests)
		}
		return nil
	})
}

// limitsWithoutStore are limits whose store can be opened once its folder is there.
func limitsWithoutStore(t *testing.T) (tables *store.Store, l *limits, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "not", "there")
	tables, err := store.New(store.Config{Path: filepath.Join(dir, "gateway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tables.Close() })
	return tables, newLimits(t, tables, config.Config{Limits: byKeyPerDay(1000, 1_000_000)}), dir
}

func TestCountersGoOnFromTheStoreAsSoonAsItCanBeRead(t *testing.T) {
	tables, l, dir := limitsWithoutStore(t)
	if requests, tokens := l.left(t); requests != 999 || tokens != 999_999 {
		t.Errorf("%d requests and %d tokens are left before the store can be read", requests, tokens)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().UTC().Truncate(24 * time.Hour).Add(-time.Second)
	rows := []*gateway.Row{usedRow(l.begun.Add(-time.Millisecond), 500), usedRow(l.begun.Add(-time.Millisecond), 200), usedRow(yesterday, 9000), usedRow(l.begun.Add(time.Hour), 9000)}
	if _, err := tables.Write(t.Context(), rows, uuid.New(), gateway.LogPosition{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l.restoreLater(ctx)
	if requests, tokens := l.left(t); requests != 996 || tokens != 999_299 {
		t.Errorf("%d requests and %d tokens are left, want 1000 − 2 in the store − 2 here, and 1,000,000 − 700 − 1 held", requests, tokens)
	}
}

func TestWhatWaitedForTheStoreOverARestartIsCountedOnce(t *testing.T) {
	tables, l, dir := limitsWithoutStore(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ledgers := announced{tables, "", l.restoreFirst}
	if _, err := ledgers.Position(t.Context(), uuid.New()); err != nil {
		t.Fatal(err)
	}
	waited := usedRow(l.begun.Add(-time.Millisecond), 500)
	l.used(ledger.Used{Intent: &gateway.Intent{ID: waited.ID, StartedAt: waited.StartedAt, KeyID: limitedKey, Model: "m"}, Inherited: true, First: true, Settled: 500})
	if _, err := ledgers.Write(t.Context(), []*gateway.Row{waited}, uuid.New(), gateway.LogPosition{}); err != nil {
		t.Fatal(err)
	}
	l.restoreLater(t.Context())
	if requests, tokens := l.left(t); requests != 998 || tokens != 999_499 {
		t.Errorf("%d requests and %d tokens are left, want 1000 − 1 that waited − 1 here, and 1,000,000 − 500 − 1 held", requests, tokens)
	}
}

func TestWhatAKilledProcessLeftIsChargedOnce(t *testing.T) {
	tables, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "gateway.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	before := time.Now().UTC().Truncate(time.Microsecond)
	written := usedRow(before, 500)
	if _, err := tables.Write(t.Context(), []*gateway.Row{written}, uuid.New(), gateway.LogPosition{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
	l := newLimits(t, tables, config.Config{Limits: byKeyPerDay(1000, 1_000_000)})
	request := func(id uuid.UUID, at time.Time) *gateway.Intent {
		return &gateway.Intent{ID: id, StartedAt: at, KeyID: limitedKey, Model: "m"}
	}
	for _, u := range []ledger.Used{
		{Intent: request(written.ID, before), Inherited: true, First: true, Settled: 500},           // its row is in the store already
		{Intent: request(uuid.New(), before), Inherited: true, First: true, Settled: 100, More: 20}, // settled, and not written
		{Intent: request(uuid.New(), before), Inherited: true, First: true, More: 30},               // never settled
		{Intent: request(uuid.New(), before), Inherited: true, More: 4},                             // a late word of one that was told
		{Intent: request(uuid.New(), before), First: true, Settled: 7000},                           // of this process, which has charged it
		{Intent: request(uuid.New(), before), First: true, Settled: 7000, More: 5},                  // and of which Envoy saw more
		{Intent: request(uuid.New(), before.Add(-48*time.Hour)), Inherited: true, First: true, More: 9000},
	} {
		l.used(u)
	}
	requests, tokens := l.left(t)
	want := [2]int64{1000 - 1 - 2 - 1, 1_000_000 - 500 - 120 - 30 - 4 - 5 - 1}
	if diff := cmp.Diff(want, [2]int64{requests, tokens}); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkKeysAndLimits is what a request costs serve for knowing whose it is, and for its
// limits: the aim is less than 10 µs.
func BenchmarkKeysAndLimits(b *testing.B) {
	tables, err := store.New(store.Config{Path: filepath.Join(b.TempDir(), "gateway.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer tables.Close()
	var secret string
	gate := auth.NewGate(auth.GateConfig{Rules: func() auth.GateRules { return auth.GateRules{} }, Store: tables, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	keys := auth.Keys{Store: tables, Given: func() bool { return false }, Changed: gate.Apply, Now: time.Now}
	for i := range 1000 {
		made, err := keys.Create(b.Context(), gateway.Actor{Name: "test"}, []byte(`{"label":"`+strconv.Itoa(i)+`","limits":{"tokens_per_day":4000000000}}`))
		if err != nil {
			b.Fatal(err)
		}
		secret = made.Secret
	}
	if err := gate.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	l := newLimits(b, tables, config.Config{Limits: byKeyPerDay(gateway.MaxLimit, 1000)})
	b.ReportAllocs()
	for b.Loop() {
		admission, refusal := gate.Admit(gateway.Credentials{Authorization: "Bearer " + secret, Client: "192.0.2.1"})
		if refusal != nil {
			b.Fatal(refusal)
		}
		caller := admission.Caller
		reserved, refusal := l.Admit(&gateway.LimitedRequest{Key: caller.Key.ID, Own: &caller.Grant.Limits, User: caller.User, Client: "192.0.2.1", Model: "m", Tokens: 10})
		if refusal != nil {
			b.Fatal(refusal)
		}
		_ = reserved.Standing()
		reserved.Settle(1)
	}
}
