package gateway

import (
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var tieredPrice = Price{
	Rates: Rates{Input: 2 * USD, CachedInput: USD / 2, CacheWrite: 3 * USD, Output: 10 * USD, Reasoning: 12 * USD, CacheWriteHour: 5 * USD},
	Tiers: []Tier{
		{Above: 1000, Rates: Rates{Input: 4 * USD, CachedInput: USD, CacheWrite: 6 * USD, Output: 15 * USD, Reasoning: 18 * USD, CacheWriteHour: 7 * USD}},
		{Above: 2000, Rates: Rates{Input: 8 * USD}},
	},
}

func TestEachPartOfAUsageHasItsOwnRate(t *testing.T) {
	for _, c := range []struct {
		usage Usage
		want  Money
	}{
		{Usage{}, 0},
		{Usage{Prompt: 100}, 200_000},
		{Usage{Prompt: 100, Cached: 100}, 50_000},
		{Usage{Prompt: 100, CacheWrite: 100}, 300_000},
		{Usage{Prompt: 100, CacheWrite: 100, CacheWriteHour: 40}, 180_000 + 200_000},
		{Usage{Prompt: 100, ServerTools: 3}, 200_000},
		{Usage{Prompt: 100, Cached: 30, CacheWrite: 20}, 100_000 + 15_000 + 60_000},
		{Usage{Completion: 100}, 1_000_000},
		{Usage{Completion: 100, Reasoning: 40}, 600_000 + 480_000},
	} {
		if got, known := tieredPrice.Cost(c.usage, ""); got != c.want || !known {
			t.Errorf("cost of %+v is %d, want %d", c.usage, got, c.want)
		}
	}
}

func TestNoPartIsBilledBeyondItsWhole(t *testing.T) {
	for _, c := range []struct {
		usage Usage
		want  Money
	}{
		{Usage{Prompt: 1, Cached: 5}, 500},
		{Usage{Prompt: 10, Cached: 6, CacheWrite: 6}, 3_000 + 12_000},
		{Usage{Prompt: 10, CacheWrite: 4, CacheWriteHour: 9}, 12_000 + 20_000},
		{Usage{Completion: 1, Reasoning: 5}, 12_000},
		{Usage{Prompt: -1, Cached: -1, CacheWrite: -1, Completion: -1, Reasoning: -1}, 0},
		{Usage{Prompt: 1, Cached: -5}, 2_000},
	} {
		if got, known := tieredPrice.Cost(c.usage, ""); got != c.want || !known {
			t.Errorf("cost of %+v is %d, want %d", c.usage, got, c.want)
		}
	}
}

func TestALongPromptPutsItsWholeRequestInATier(t *testing.T) {
	for _, c := range []struct {
		usage Usage
		want  Money
	}{
		{Usage{Prompt: 1000, Cached: 400, Completion: 10, Reasoning: 5}, 1_200_000 + 200_000 + 50_000 + 60_000},
		{Usage{Prompt: 1001, Cached: 400, Completion: 10, Reasoning: 5}, 2_404_000 + 400_000 + 75_000 + 90_000},
		{Usage{Prompt: 2000}, 8_000_000},
		{Usage{Prompt: 2001}, 16_008_000},
	} {
		if got, known := tieredPrice.Cost(c.usage, ""); got != c.want || !known {
			t.Errorf("cost of %+v is %d, want %d", c.usage, got, c.want)
		}
	}
}

func TestACostIsRoundedOnceToTheNearestNanoDollar(t *testing.T) {
	input := Price{Rates: Rates{Input: 1}}
	for prompt, want := range map[int64]Money{499_999: 0, 500_000: 1, 1_499_999: 1, 1_500_000: 2} {
		if got, known := input.Cost(Usage{Prompt: prompt}, ""); got != want || !known {
			t.Errorf("%d tokens cost %d, want %d", prompt, got, want)
		}
	}
	both := Price{Rates: Rates{Input: 1, Output: 1}}
	if got, known := both.Cost(Usage{Prompt: 300_000, Completion: 300_000}, ""); got != 1 || !known {
		t.Errorf("six tenths of a nano-dollar in two parts cost %d", got)
	}
}

func TestACostBeyondAllBoundsIsTheLargest(t *testing.T) {
	for _, c := range []struct {
		price Money
		usage Usage
		want  Money
	}{
		{math.MaxInt64, Usage{Prompt: math.MaxInt64, Completion: math.MaxInt64}, math.MaxInt64},
		{math.MaxInt64, Usage{Completion: 1_000_001}, math.MaxInt64},
		{math.MaxInt64, Usage{Completion: 1_000_000}, math.MaxInt64},
		{math.MaxInt64 - 1, Usage{Completion: 1_000_000}, math.MaxInt64 - 1},
		{-1, Usage{Prompt: 1_000_000, Completion: 1_000_000}, 0},
	} {
		p := Price{Rates: Rates{Input: c.price, Output: c.price}}
		if got, known := p.Cost(c.usage, ""); got != c.want || !known {
			t.Errorf("cost of %+v at %d is %d, want %d", c.usage, c.price, got, c.want)
		}
	}
}

// serviced has tiers of its own for each service tier.
var serviced = Price{
	Rates: tieredPrice.Rates, Tiers: tieredPrice.Tiers,
	ServiceTiers: []ServicePrice{
		{Name: "flex", Rates: Rates{Input: USD}},
		{Name: "priority", Rates: Rates{Input: 20 * USD}, Tiers: []Tier{{Above: 50, Rates: Rates{Input: 30 * USD}}}},
	},
}

func TestAServiceTierHasItsOwnRatesOrNoKnownCost(t *testing.T) {
	for _, c := range []struct {
		tier   string
		prompt int64
		want   Money
		known  bool
	}{
		{"", 100, 200_000, true}, {"", 1001, 4_004_000, true},
		{"default", 100, 200_000, true},
		{"flex", 100, 100_000, true}, {"flex", 1001, 1_001_000, true},
		{"priority", 50, 1_000_000, true}, {"priority", 51, 1_530_000, true},
		{"scale", 100, 0, false},
	} {
		if got, known := serviced.Cost(Usage{Prompt: c.prompt}, c.tier); got != c.want || known != c.known {
			t.Errorf("%d tokens in tier %q cost %d (%t), want %d (%t)", c.prompt, c.tier, got, known, c.want, c.known)
		}
		if lines := serviced.Lines(Usage{Prompt: c.prompt}, c.tier); len(lines) == 1 != c.known {
			t.Errorf("%d tokens in tier %q have the lines %+v", c.prompt, c.tier, lines)
		}
	}
}

func TestACostIsSplitIntoALineForEachKindOfTokens(t *testing.T) {
	usage := Usage{Prompt: 1500, Cached: 400, CacheWrite: 300, CacheWriteHour: 100, Completion: 70, Reasoning: 20}
	want := []PriceLine{
		{"input", 800, 4 * USD, 3_200_000}, {"cached_input", 400, USD, 400_000}, {"cache_write", 200, 6 * USD, 1_200_000},
		{"cache_write_1h", 100, 7 * USD, 700_000},
		{"output", 50, 15 * USD, 750_000}, {"reasoning", 20, 18 * USD, 360_000},
	}
	got := tieredPrice.Lines(usage, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lines (- expected, + seen):\n%s", diff)
	}
	var sum Money
	for _, l := range got {
		sum += l.Cost
	}
	if cost, _ := tieredPrice.Cost(usage, ""); sum != cost {
		t.Errorf("the lines come to %d, the usage costs %d", sum, cost)
	}
	want = []PriceLine{{"input", 3, 2 * USD, 6_000}, {"reasoning", 2, 12 * USD, 24_000}}
	if diff := cmp.Diff(want, tieredPrice.Lines(Usage{Prompt: 3, Completion: 2, Reasoning: 9}, "")); diff != "" {
		t.Errorf("the lines of a part beyond its whole (- expected, + seen):\n%s", diff)
	}
	if got := tieredPrice.Lines(Usage{}, ""); got != nil {
		t.Errorf("no tokens have the lines %+v", got)
	}
}

func FuzzACostIsWhatUnboundedArithmeticSays(f *testing.F) {
	f.Add(int64(1000), int64(400), int64(100), int64(50), int64(10), int64(2_500_000_000), int64(1))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(0), int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, prompt, cached, written, completion, reasoning, a, b int64) {
		u := Usage{Prompt: prompt, Cached: cached, CacheWrite: written, Completion: completion, Reasoning: reasoning}
		for _, n := range []int64{prompt, cached, written, completion, reasoning, a, b} {
			if n < 0 {
				return // a usage is plausible before it has a price
			}
		}
		if cached > prompt || written > prompt-cached || reasoning > completion {
			return
		}
		r := Rates{Input: Money(a), CachedInput: Money(b), CacheWrite: Money(a), Output: Money(b), Reasoning: Money(a)}
		p, want := Price{Rates: r}, unbounded(r, u)
		if got, known := p.Cost(u, ""); got != want || !known {
			t.Errorf("cost of %+v at %+v is %d, want %d", u, r, got, want)
		}
	})
}

func unbounded(r Rates, u Usage) Money {
	sum := big.NewInt(million / 2)
	for _, p := range []struct {
		tokens int64
		rate   Money
	}{
		{u.Prompt - u.Cached - u.CacheWrite, r.Input}, {u.Cached, r.CachedInput}, {u.CacheWrite, r.CacheWrite},
		{u.Completion - u.Reasoning, r.Output}, {u.Reasoning, r.Reasoning},
	} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(p.tokens), big.NewInt(int64(p.rate))))
	}
	sum.Div(sum, big.NewInt(million))
	if !sum.IsInt64() {
		return math.MaxInt64
	}
	return Money(sum.Int64())
}

func BenchmarkCost(b *testing.B) {
	u := Usage{Prompt: 1500, Cached: 400, Completion: 300, Reasoning: 100}
	for b.Loop() {
		tieredPrice.Cost(u, "")
	}
}
