package gateway

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in nano-dollars: 1 USD is 1_000_000_000.
type Money int64

// USD is one US dollar.
const USD Money = 1_000_000_000

// String returns the amount in dollars with at most nine decimals, without trailing zeros:
// "0.00042", "12", "-0.5".
func (m Money) String() string {
	sign := ""
	u := uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	s := sign + strconv.FormatUint(u/uint64(USD), 10)
	frac := u % uint64(USD)
	if frac == 0 {
		return s
	}
	digits := strconv.FormatUint(uint64(USD)+frac, 10)[1:]
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return s + "." + digits
}

const (
	decimals = 9       // of a dollar in nano-dollars
	maxUSD   = 1 << 30 // an amount beyond it is a mistake
)

// ParseUSD reads a decimal amount of dollars, such as "0.00042", exactly: without sign and
// exponent, and with at most nine decimals.
func ParseUSD(s string) (Money, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > decimals {
		return 0, fmt.Errorf("amount %q has more than %d decimals", s, decimals)
	}
	dollars, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || dollars > maxUSD {
		return 0, fmt.Errorf("amount %q must be a decimal number of dollars up to %d, such as 0.15", s, maxUSD)
	}
	nano, err := strconv.ParseUint((fraction + "000000000")[:decimals], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("amount %q must be a decimal number of dollars up to %d, such as 0.15", s, maxUSD)
	}
	return Money(dollars)*USD + Money(nano), nil
}
