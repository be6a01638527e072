package budgets

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
	"ai-gateway/store"
)

// books is a real store as one gateway asks it, which can be away.
type books struct {
	*store.Store
	writer uuid.UUID
	away   atomic.Bool
	asks   atomic.Int64
}

var errGone = errors.New("the store is away")

func (b *books) Lease(ctx context.Context, session string, asks []gateway.LeaseAsk) ([]gateway.LeaseGrant, error) {
	if b.away.Load() {
		return nil, errGone
	}
	b.asks.Add(1)
	return b.Store.Lease(ctx, b.writer, session, asks, time.Now())
}

func (b *books) RenewLeases(ctx context.Context, session string) error {
	return b.Store.RenewLeases(ctx, b.writer, session, time.Now())
}

func (b *books) EndLeases(ctx context.Context, session string) error {
	return b.Store.EndLeases(ctx, b.writer, session)
}

// gate is the budgets of one gateway with its store.
type gate struct {
	*Budgets
	books     *books
	inherited atomic.Bool
	stop      func()
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	tables, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "gateway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tables.Close() })
	return tables
}

// begin starts a gateway's budgets; they are ended with the test at last.
func begin(t testing.TB, tables *store.Store, writer uuid.UUID, c gateway.Budgets) *gate {
	t.Helper()
	g := &gate{books: &books{Store: tables, writer: writer}}
	g.Budgets = New(Config{Store: g.books, Events: tables, Inherited: g.inherited.Load, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	g.Use(c)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

const cent = gateway.USD / 100

func userBudget(usd gateway.Money, per gateway.BudgetPeriod) gateway.Budgets {
	return gateway.Budgets{Rules: []gateway.BudgetRule{{By: gateway.BudgetByUser, Per: per, Amount: usd}}}
}

var ada = &gateway.Caller{Key: gateway.Key{ID: "key_00000000000000aa"}, User: "ada", Team: "research", Grant: &gateway.Grant{}}

func request(worst gateway.Money) *gateway.BudgetedRequest {
	return &gateway.BudgetedRequest{Caller: ada, At: time.Now(), Worst: worst, Priced: true}
}

// passed makes requests at once, and returns the holds of those that pass.
func (g *gate) passed(t *testing.T, n int, worst gateway.Money) []gateway.BudgetHold {
	t.Helper()
	var mu sync.Mutex
	var holds []gateway.BudgetHold
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			h, refusal := g.Reserve(request(worst))
			switch {
			case refusal != nil && (refusal.Status != http.StatusTooManyRequests || refusal.Code != insufficientQuota || !refusal.Never):
				t.Errorf("refused with %+v", refusal)
			case refusal == nil:
				mu.Lock()
				defer mu.Unlock()
				holds = append(holds, h)
			}
		})
	}
	all.Wait()
	return holds
}

// write writes the row of a request that was held for.
func (g *gate) write(t *testing.T, h gateway.BudgetHold, cost gateway.Money) *gateway.Row {
	t.Helper()
	id := uuid.New()
	h.Planned(id)
	h.Settle(cost)
	r := &gateway.Row{StartedAt: time.Now().UTC().Truncate(time.Microsecond), ID: id, KeyID: ada.Key.ID, UserID: ada.User, Team: ada.Team, Model: "m",
		Endpoint: gateway.ChatCompletions, Outcome: gateway.OK, Source: gateway.FromProvider, Witness: gateway.ByBoth, Cost: gateway.Cost{Amount: &cost}}
	_, _, err := g.books.WriteHeld(t.Context(), []*gateway.Row{r}, g.books.writer, gateway.LogPosition{}, store.Held{Session: g.Session(), Budgets: g.Budgets.Budgets})
	if err != nil {
		t.Fatal(err)
	}
	g.Written([]*gateway.Row{r})
	return r
}

func (g *gate) standing(t *testing.T, c *gateway.Caller) gateway.BudgetState {
	t.Helper()
	states, err := g.books.Standings(t.Context(), For(g.inForce.Load().c, nil, c, time.Now()), time.Now())
	if err != nil || len(states) == 0 {
		t.Fatalf("%+v, %v", states, err)
	}
	return states[0]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
	}
}

func TestOfFiftyRequestsAtOnceAsManyPassAsThereIsMoneyFor(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(10*cent, gateway.BudgetMonth))
	holds := g.passed(t, 50, cent)
	if len(holds) != 10 {
		t.Fatalf("%d passed, want 10", len(holds))
	}
	for _, h := range holds[:4] {
		g.write(t, h, cent/2) // half of what was held is free again
	}
	holds[4].Cancel()
	time.Sleep(freshFor)
	if again := g.passed(t, 50, cent); len(again) != 3 {
		t.Errorf("%d passed then, want 3", len(again))
	}
}

func TestManyGatewaysShareABudget(t *testing.T) {
	tables := openStore(t)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 3 {
		g := begin(t, tables, uuid.New(), userBudget(30*cent, gateway.BudgetTotal))
		all.Go(func() {
			for _, h := range g.passed(t, 50, cent) {
				passed.Add(1)
				g.write(t, h, cent)
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n > 30 || n < 25 {
		t.Errorf("%d passed, want 30 or a few less, which another gateway had leased", n)
	}
}

func TestTheStoreIsAskedAheadOfTheNeed(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(1000*gateway.USD, gateway.BudgetDay))
	g.passed(t, 1, cent)
	eventually(t, "more is leased than is held", func() bool { return g.standing(t, ada).Held >= 2*cent })
	g.books.away.Store(true)
	if holds := g.passed(t, 1, cent); len(holds) != 1 {
		t.Error("what was leased ahead cannot be used while the store is away")
	}
}

func TestWhileTheStoreIsAwayTheSettingDecides(t *testing.T) {
	for _, open := range []bool{false, true} {
		c := userBudget(10*cent, gateway.BudgetDay)
		c.Open = open
		g := begin(t, openStore(t), uuid.New(), c)
		g.books.away.Store(true)
		h, refusal := g.Reserve(request(cent))
		if open != (refusal == nil && h != nil) || !open && refusal != errAway {
			t.Errorf("open %t: %v, %+v", open, h, refusal)
		}
		if g.Stats().Away == "" {
			t.Error("the store is not told to be away")
		}
		g.books.away.Store(false)
		eventually(t, "it is asked again", func() bool {
			_, refusal := g.Reserve(request(cent))
			return refusal == nil
		})
	}
}

func TestAKilledGatewaysMoneyStaysHeldUntilItsRowsAreWritten(t *testing.T) {
	tables, writer := openStore(t), uuid.New()
	dead := begin(t, tables, writer, userBudget(10*cent, gateway.BudgetWeek))
	if n := len(dead.passed(t, 6, cent)); n != 6 {
		t.Fatalf("%d passed", n)
	}
	next := begin(t, tables, writer, userBudget(10*cent, gateway.BudgetWeek))
	next.inherited.Store(true)
	time.Sleep(2 * tidyEvery)
	if held := next.standing(t, ada).Held; held < 6*cent {
		t.Fatalf("only %s are held for what the first process left", held)
	}
	if n := len(next.passed(t, 10, cent)); n > 4 {
		t.Errorf("%d passed while six others are held for", n)
	}
	next.inherited.Store(false)
	eventually(t, "what the first process held is free", func() bool { return len(next.passed(t, 1, 5*cent)) == 1 })
}

func TestAnOrderlyEndGivesBackWhatIsNotHeld(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(100*gateway.USD, gateway.BudgetDay))
	holds := g.passed(t, 3, cent)
	g.write(t, holds[0], cent)
	g.stop()
	if s := g.standing(t, ada); s.Spent != cent || s.Held != 2*cent {
		t.Errorf("after the end %s are spent and %s held", s.Spent, s.Held)
	}
}

func TestAllBudgetsMustHaveRoomAndTheMostParticularCounts(t *testing.T) {
	three, none := 3*cent, gateway.Money(0)
	rules := newRules(gateway.Budgets{Rules: []gateway.BudgetRule{
		{By: gateway.BudgetByKey, Per: gateway.BudgetDay, Amount: 1}, {By: gateway.BudgetByKey, Name: string(ada.Key.ID), Per: gateway.BudgetDay, Amount: 2},
		{By: gateway.BudgetByKey, Per: gateway.BudgetMonth, Amount: 4}, {By: gateway.BudgetByUser, Name: "ada", Per: gateway.BudgetDay, Amount: 5},
		{By: gateway.BudgetByUser, Name: "bob", Per: gateway.BudgetDay, Amount: 6}, {By: gateway.BudgetByTeam, Per: gateway.BudgetTotal, Amount: 7},
	}}, nil)
	own := *ada
	own.Grant = &gateway.Grant{Budget: []gateway.KeyBudget{{Per: gateway.BudgetDay, Amount: &three}, {Per: gateway.BudgetMonth}, {Per: gateway.BudgetWeek, Amount: &none}}}
	show := func(c *gateway.Caller) string {
		var all []string
		for _, b := range rules.of(c, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
			all = append(all, strings.Join([]string{b.id.By.String(), b.id.Name, b.id.Per.String(), string(b.id.Start), string(b.id.End), b.amount.String()}, " "))
		}
		return strings.Join(all, "\n")
	}
	for _, c := range []struct {
		caller *gateway.Caller
		want   string
	}{
		{ada, `key key_00000000000000aa day 2026-03-01 2026-03-02 0.000000002
key key_00000000000000aa month 2026-03-01 2026-04-01 0.000000004
user ada day 2026-03-01 2026-03-02 0.000000005
team research total 0001-01-01 9999-12-31 0.000000007`},
		{&own, `key key_00000000000000aa day 2026-03-01 2026-03-02 0.03
key key_00000000000000aa week 2026-02-23 2026-03-02 0
user ada day 2026-03-01 2026-03-02 0.000000005
team research total 0001-01-01 9999-12-31 0.000000007`},
		{&gateway.Caller{Key: gateway.Key{ID: "k_0123456789abcdef"}}, `key anonymous day 2026-03-01 2026-03-02 0.000000001
key anonymous month 2026-03-01 2026-04-01 0.000000004`},
	} {
		if got := show(c.caller); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestAStreamGoesOnAsLongAsThereIsMoney(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(10*cent, gateway.BudgetDay))
	h := g.passed(t, 1, cent)[0]
	for cost := 2 * cent; cost <= 10*cent; cost += cent {
		eventually(t, "it may cost more", func() bool { held, _ := h.Extend(cost); return held })
	}
	eventually(t, "it may not cost more than there is", func() bool {
		_, refusal := h.Extend(11 * cent)
		return refusal != nil && refusal.Code == insufficientQuota
	})
}

func TestZeroBlocksAndAnUnknownPriceIsRefused(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(0, gateway.BudgetTotal))
	if _, refusal := g.Reserve(request(0)); refusal == nil || !strings.Contains(refusal.Message, "lets nothing through") {
		t.Errorf("zero lets through: %+v", refusal)
	}
	unpriced := request(0)
	unpriced.Priced = false
	c := userBudget(cent, gateway.BudgetTotal)
	g.Use(c)
	if _, refusal := g.Reserve(unpriced); refusal != errUnpriced {
		t.Errorf("a model without a price: %+v", refusal)
	}
	c.AllowUnpriced = true
	g.Use(c)
	if _, refusal := g.Reserve(unpriced); refusal != nil {
		t.Errorf("where it is allowed: %+v", refusal)
	}
	if h, refusal := g.Reserve(&gateway.BudgetedRequest{Caller: &gateway.Caller{Key: gateway.Key{ID: gateway.AnonymousKey}}}); h != nil || refusal != nil {
		t.Errorf("a caller without a user: %v, %v", h, refusal)
	}
}

func TestThresholdsAreNotedOnce(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(10*cent, gateway.BudgetMonth))
	g.write(t, g.passed(t, 1, 8*cent)[0], 8*cent)
	thresholds := func() (all []int) {
		events, err := g.books.BudgetEvents(t.Context(), nil, gateway.RequestPlace{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			all = append(all, e.Threshold)
		}
		return all
	}
	eventually(t, "80 % is noted", func() bool { return len(thresholds()) == 1 })
	time.Sleep(freshFor)
	g.passed(t, 2, 3*cent)
	eventually(t, "100 % is noted", func() bool { return len(thresholds()) == 2 })
	g.write(t, g.passed(t, 1, cent)[0], cent)
	if all := thresholds(); len(all) != 2 || all[0]+all[1] != 180 {
		t.Errorf("noted are %v", all)
	}
}

// BenchmarkReserve measures what budgets cost a request: to hold the worst, to settle and to give back,
// out of what is leased.
func BenchmarkReserve(b *testing.B) {
	for name, rules := range map[string][]gateway.BudgetRule{
		"none":  nil,
		"one":   {{By: gateway.BudgetByUser, Per: gateway.BudgetMonth, Amount: 1_000_000 * gateway.USD}},
		"three": {{By: gateway.BudgetByUser, Per: gateway.BudgetMonth, Amount: 1_000_000 * gateway.USD}, {By: gateway.BudgetByTeam, Per: gateway.BudgetMonth, Amount: 1_000_000 * gateway.USD}, {By: gateway.BudgetByKey, Per: gateway.BudgetDay, Amount: 1_000_000 * gateway.USD}},
	} {
		b.Run(name, func(b *testing.B) {
			g := begin(b, openStore(b), uuid.New(), gateway.Budgets{Rules: rules})
			r := &gateway.BudgetedRequest{Caller: &gateway.Caller{Key: gateway.Key{ID: "key_1"}, User: "ada", Team: "research"}, At: time.Now(), Worst: 1000, Priced: true}
			id := uuid.New()
			b.ReportAllocs()
			for b.Loop() {
				h, refusal := g.Reserve(r)
				if refusal != nil {
					b.Fatal(refusal)
				}
				if h != nil {
					h.Planned(id)
					h.Settle(500)
					h.Cancel()
				}
			}
		})
	}
}

func TestALeaseIsGrantedOnceThoughItsAccountWasForgottenMeanwhile(t *testing.T) {
	g := begin(t, openStore(t), uuid.New(), userBudget(6*cent, gateway.BudgetTotal))
	g.write(t, g.passed(t, 1, 6*cent)[0], 6*cent) // costs just what was leased, as embeddings do
	eventually(t, "the account is forgotten", func() bool { return g.Stats().Accounts == 0 })
	if n := len(g.passed(t, 1, 6*cent)); n != 0 {
		t.Error("all of 6 cents are spent, and a request that may cost another 6 passed")
	}
}
