package gateway

import "testing"

func TestMoneyIsPrintedExactly(t *testing.T) {
	for m, want := range map[Money]string{0: "0", 1: "0.000000001", USD: "1", 12*USD + 340_000_000: "12.34", -USD / 2: "-0.5",
		-1 << 63: "-9223372036.854775808", 1<<63 - 1: "9223372036.854775807"} {
		if got := m.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(m), got, want)
		}
	}
}

func TestACostIsRoundedToTheNearestNanoDollarAndNeverOverflows(t *testing.T) {
	price := Price{Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000}
	for _, c := range []struct {
		usage Usage
		want  Money
	}{
		{Usage{}, 0},
		{Usage{Prompt: 1000, Completion: 100}, 3_500_000},
		{Usage{Prompt: 1000, Cached: 400, Completion: 0}, 2_000_000},
		{Usage{Prompt: 1, Cached: 5}, 1250},
	} {
		if got := price.Cost(c.usage); got != c.want {
			t.Errorf("cost of %+v is %d, want %d", c.usage, got, c.want)
		}
	}
	if got := (Price{Input: 1}).Cost(Usage{Prompt: 499_999}); got != 0 {
		t.Errorf("less than half a nano-dollar costs %d", got)
	}
	if got := (Price{Input: 1}).Cost(Usage{Prompt: 500_000}); got != 1 {
		t.Errorf("half a nano-dollar costs %d", got)
	}
	if got := (Price{Output: 1<<63 - 1}).Cost(Usage{Completion: 1 << 62}); got != 1<<63-1 {
		t.Errorf("a cost beyond all bounds is %d", got)
	}
}

func TestAbsurdUsageIsNotPlausible(t *testing.T) {
	for _, u := range []Usage{{Prompt: -1}, {Completion: MaxTokens + 1}, {Prompt: 1, Cached: 2}, {Completion: 1, Reasoning: 2}} {
		if u.Plausible() {
			t.Errorf("%+v is plausible", u)
		}
	}
	if !(Usage{Prompt: 10, Cached: 10, Completion: 5, Reasoning: 5}).Plausible() {
		t.Error("a usage that adds up is not plausible")
	}
}
