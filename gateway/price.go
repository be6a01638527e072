package gateway

import (
	"math"
	"math/bits"
	"time"
)

// Rates are what a model's tokens cost, in nano-dollars per million tokens. Zero is
// free.
type Rates struct {
	Input       Money // prompt tokens that no cache had a part in
	CachedInput Money // prompt tokens that were read from a cache
	CacheWrite  Money // prompt tokens that were written into one
	Output      Money // completion tokens without reasoning
	Reasoning   Money // completion tokens of reasoning

	CacheWriteHour Money // prompt tokens that were written into one which keeps them for an hour
}

// Price is what a model costs. A model whose price is not known has no Price at all.
type Price struct {
	Rates                       // of every request that is in no tier
	Tiers        []Tier         // by rising Above; none for most models
	ServiceTiers []ServicePrice // by name, each once; none for most models
	Version      string         // of the price book or of the override that it stands in
}

// ServicePrice is what a model costs in a service tier other than the standard one.
type ServicePrice struct {
	Name  string // "flex", as ServiceTier writes it
	Rates        // in place of the price's own
	Tiers []Tier // likewise
}

// Tier is the rates of long requests. They hold for the whole request, not only for
// the tokens beyond its border: so providers bill.
// Source: https://ai.google.dev/gemini-api/docs/pricing
type Tier struct {
	Above int64 // prompt tokens, cached ones included, that a request must exceed
	Rates
}

// Override is a price that stands in place of the price book's for one model, from some
// time on.
type Override struct {
	Model Model
	From  time.Time // zero for all time; before it the book's price holds, if it has one
	Rates           // zero is free; nothing is taken over from the book
	Tiers []Tier    // by rising Above

	ServiceTiers []ServicePrice // by name, each once
}

// Cost is the price of a usage in a service tier, rounded to the nearest nano-dollar. What is
// beyond all bounds costs the largest amount that there is. It is not known in a tier that
// has no price.
func (p *Price) Cost(u Usage, serviceTier string) (cost Money, known bool) {
	prompt, completion := max(u.Prompt, 0), max(u.Completion, 0)
	cached := part(u.Cached, prompt)
	written := part(u.CacheWrite, prompt-cached)
	hour := part(u.CacheWriteHour, written)
	reasoning := part(u.Reasoning, completion)
	r := p.ratesFor(prompt, serviceTier)
	if r == nil {
		return 0, false
	}
	return wide{}.
		plus(prompt-cached-written, r.Input).
		plus(cached, r.CachedInput).
		plus(written-hour, r.CacheWrite).
		plus(hour, r.CacheWriteHour).
		plus(completion-reasoning, r.Output).
		plus(reasoning, r.Reasoning).
		perMillion(), true
}

// Worst is the most that a request can cost of which the sizes of prompt and answer are known,
// whatever part of it a cache or reasoning has: in the service tier that was asked for, and in
// the standard one, by which providers bill instead where they have no room.
func (p *Price) Worst(prompt, completion int64, serviceTier string) (cost Money, known bool) {
	tiers := []string{serviceTier, ""}
	if serviceTier == "auto" { // it is the provider's choice
		for i := range p.ServiceTiers {
			tiers = append(tiers, p.ServiceTiers[i].Name)
		}
	}
	for _, tier := range tiers {
		r := p.ratesFor(max(prompt, 0), tier)
		if r == nil {
			return 0, false
		}
		cost = max(cost, wide{}.
			plus(max(prompt, 0), max(r.Input, r.CachedInput, r.CacheWrite, r.CacheWriteHour)).
			plus(max(completion, 0), max(r.Output, r.Reasoning)).
			perMillion())
	}
	return cost, true
}

// PriceLine is one kind of tokens of a usage, and what it costs.
type PriceLine struct {
	Kind   string // "input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning"
	Tokens int64
	Rate   Money // per million tokens
	Cost   Money // rounded by itself: the lines' sum may differ from Cost by some nano-dollars
}

// Lines splits the cost of a usage in a service tier by kinds of tokens, without those that it
// has none of. There are none in a tier that has no price.
func (p Price) Lines(u Usage, serviceTier string) []PriceLine {
	prompt, completion := max(u.Prompt, 0), max(u.Completion, 0)
	cached := part(u.Cached, prompt)
	written := part(u.CacheWrite, prompt-cached)
	hour := part(u.CacheWriteHour, written)
	reasoning := part(u.Reasoning, completion)
	r := p.ratesFor(prompt, serviceTier)
	if r == nil {
		return nil
	}
	all := []PriceLine{
		{"input", prompt - cached - written, r.Input, 0}, {"cached_input", cached, r.CachedInput, 0}, {"cache_write", written - hour, r.CacheWrite, 0},
		{"cache_write_1h", hour, r.CacheWriteHour, 0},
		{"output", completion - reasoning, r.Output, 0}, {"reasoning", reasoning, r.Reasoning, 0},
	}
	var lines []PriceLine
	for _, l := range all {
		if l.Tokens > 0 {
			l.Cost = wide{}.plus(l.Tokens, l.Rate).perMillion()
			lines = append(lines, l)
		}
	}
	return lines
}

// ratesFor returns the rates of a request, nil where they are not known. A price for a tier
// by its name comes before the standard one.
func (p *Price) ratesFor(prompt int64, serviceTier string) *Rates {
	for i := range p.ServiceTiers {
		if s := &p.ServiceTiers[i]; s.Name == serviceTier {
			return tiered(&s.Rates, s.Tiers, prompt)
		}
	}
	if !isListPrice(serviceTier) {
		return nil
	}
	return tiered(&p.Rates, p.Tiers, prompt)
}

// tiered returns the rates of a prompt's length.
func tiered(r *Rates, tiers []Tier, prompt int64) *Rates {
	for i := range tiers {
		if prompt > tiers[i].Above {
			r = &tiers[i].Rates
		}
	}
	return r
}

// part is n as a part of a whole, whatever nonsense n is.
func part(n, whole int64) int64 { return min(max(n, 0), whole) }

// wide is an unsigned number of 128 bits: a cost in it takes 6 ns, in big.Int 190.
type wide struct{ hi, lo uint64 }

// plus adds tokens at a rate. It cannot overflow: the parts of two counts below 2^63,
// at rates below 2^63, come to less than 2^127.
func (w wide) plus(tokens int64, rate Money) wide {
	hi, lo := bits.Mul64(uint64(tokens), uint64(max(rate, 0)))
	lo, carry := bits.Add64(w.lo, lo, 0)
	hi, _ = bits.Add64(w.hi, hi, carry)
	return wide{hi, lo}
}

const million = 1_000_000

// perMillion divides by a million and rounds to the nearest.
func (w wide) perMillion() Money {
	lo, carry := bits.Add64(w.lo, million/2, 0)
	hi := w.hi + carry
	if hi >= million { // the quotient would not fit
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(hi, lo, million)
	return Money(min(quotient, math.MaxInt64))
}
