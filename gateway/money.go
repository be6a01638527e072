package gateway

import (
	"math/big"
	"strconv"
)

// Money is an amount in nano-dollars: 1 USD is 1_000_000_000.
type Money int64

// USD is one US dollar.
const USD Money = 1_000_000_000

// String returns the amount in dollars with nine decimals at most and without
// trailing zeros: "0.00042", "12", "-0.5".
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

// Price is what a model's tokens cost, in nano-dollars per million tokens. Zero
// is free; a model whose price is not known has no Price at all.
type Price struct {
	Input       Money // prompt tokens that were not read from a cache
	CachedInput Money // prompt tokens that were
	Output      Money // completion tokens, reasoning included
}

// Cost is the price of a usage, rounded to the nearest nano-dollar.
func (p Price) Cost(u Usage) Money {
	cached := min(u.Cached, u.Prompt)
	sum := new(big.Int)
	for _, part := range [...]struct {
		tokens int64
		price  Money
	}{{u.Prompt - cached, p.Input}, {cached, p.CachedInput}, {u.Completion, p.Output}} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(part.tokens), big.NewInt(int64(part.price))))
	}
	sum.Add(sum, big.NewInt(perMillion/2)).Div(sum, big.NewInt(perMillion))
	if !sum.IsInt64() {
		return Money(1<<63 - 1)
	}
	return Money(sum.Int64())
}

const perMillion = 1_000_000
