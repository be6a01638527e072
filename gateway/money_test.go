package gateway

import (
	"math/big"
	"testing"
)

func TestMoneyIsPrintedExactly(t *testing.T) {
	for m, want := range map[Money]string{0: "0", 1: "0.000000001", USD: "1", 12*USD + 340_000_000: "12.34", -USD / 2: "-0.5",
		-1 << 63: "-9223372036.854775808", 1<<63 - 1: "9223372036.854775807"} {
		if got := m.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(m), got, want)
		}
	}
}

func TestAmountsAreReadExactlyOrRefused(t *testing.T) {
	for text, want := range map[string]Money{"0": 0, "12": 12 * USD, "0.000000001": 1, "1.5": 1_500_000_000, "2.": 2 * USD} {
		if got, err := ParseUSD(text); err != nil || got != want {
			t.Errorf("ParseUSD(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".5", "-1", "+1", "1e3", "1.0000000001", "1.-5", "1_000", "a", "99999999999"} {
		if got, err := ParseUSD(text); err == nil {
			t.Errorf("ParseUSD(%q) = %d, want an error", text, got)
		}
	}
}

func FuzzAnAmountIsReadExactlyOrRefused(f *testing.F) {
	f.Add("2.50")
	f.Add("0.000000001")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseUSD(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || want.Cmp(big.NewRat(int64(got), int64(USD))) != 0 {
			t.Errorf("ParseUSD(%q) = %d", text, got)
		}
		if again, err := ParseUSD(got.String()); err != nil || again != got {
			t.Errorf("%d is printed %s and read %d, %v", got, got, again, err)
		}
	})
}
