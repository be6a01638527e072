package pricing

import (
	"math/big"
	"testing"

	"ai-gateway/gateway"
)

func TestPricesAreExactNanoDollars(t *testing.T) {
	for model, want := range map[gateway.Model]gateway.Price{
		"gpt-4o":                 {Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000},
		"gpt-4o-mini-2024-07-18": {Input: 150_000_000, CachedInput: 75_000_000, Output: 600_000_000},
		"gpt-5-nano":             {Input: 50_000_000, CachedInput: 5_000_000, Output: 400_000_000},
		"gpt-4o-2024-05-13":      {Input: 5_000_000_000, CachedInput: 5_000_000_000, Output: 15_000_000_000},
		"gpt-4o-2024-08-06":      {Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000},
		"text-embedding-3-small": {Input: 20_000_000, CachedInput: 20_000_000},
		"demo":                   {},
	} {
		if got, ok := Default().Price(model); !ok || got != want {
			t.Errorf("price of %s: %+v, %v, want %+v", model, got, ok, want)
		}
	}
}

func TestAnUnknownModelHasNoPrice(t *testing.T) {
	for _, model := range []gateway.Model{"", "gpt-4o-audio", "GPT-4o", "gpt-4o-24-08-06", "llama3:8b", "gpt-4o ", "gpt-4o-2024-13-01",
		"gpt-4o-2024-08-06-x", "gpt-4o-2024-08-06-2024-08-06", "-2024-08-06", "ft:gpt-4o-2024-08-06:acme"} {
		if p, ok := Default().Price(model); ok {
			t.Errorf("price of %q is %+v", model, p)
		}
	}
}

func TestAmountsAreReadExactlyOrRefused(t *testing.T) {
	for text, want := range map[string]gateway.Money{"0": 0, "12": 12_000_000_000, "0.000000001": 1, "1.5": 1_500_000_000} {
		if got, err := parseUSD(text); err != nil || got != want {
			t.Errorf("parseUSD(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1e3", "1.0000000001", "1.-5", "a", "99999999999"} {
		if got, err := parseUSD(text); err == nil {
			t.Errorf("parseUSD(%q) = %d, want an error", text, got)
		}
	}
}

func TestATableWithAFaultIsRefused(t *testing.T) {
	for _, table := range []string{"a,1,1\n", "a,1,1,x\n", "a,1,1,1\na,2,2,2\n"} {
		if _, err := parse(table); err == nil {
			t.Errorf("table %q is accepted", table)
		}
	}
}

func TestNoCachedTokenCostsMoreThanAnother(t *testing.T) {
	for model, p := range Default().prices {
		if p.CachedInput > p.Input || p.Input < 0 || p.Output < 0 {
			t.Errorf("price of %q is %+v", model, p)
		}
	}
}

func FuzzAnAmountIsReadExactlyOrRefused(f *testing.F) {
	f.Add("2.50")
	f.Add("0.000000001")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseUSD(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || want.Cmp(big.NewRat(int64(got), int64(gateway.USD))) != 0 {
			t.Errorf("parseUSD(%q) = %d", text, got)
		}
	})
}
