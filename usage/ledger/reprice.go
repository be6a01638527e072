package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"ai-gateway/gateway"
)

// Repriced sums up how the costs of a model's rows change.
type Repriced struct {
	Model                   gateway.Model
	Rows, Changed           int64
	Before, After           gateway.Money // of the rows that have a cost
	PricedBefore, PricedNow int64         // rows that have a cost
}

// CostStore calls a func with rows, a batch at a time, and writes those that it returns.
type CostStore interface {
	Recost(ctx context.Context, from, to time.Time, write bool, compute func([]gateway.CostedRow) (changed []gateway.CostedRow)) error
}

// Reprice computes the costs of the requests that started in [from, to) again, with the price
// that held when each began. With write it writes those that changed. The sums are by model, in
// the order of their names.
func Reprice(ctx context.Context, store CostStore, from, to time.Time, price func(gateway.Model, time.Time) (gateway.Price, bool), write bool) ([]Repriced, error) {
	r := repricing{price: price, sums: map[gateway.Model]*Repriced{}}
	if err := store.Recost(ctx, from, to, write, r.batch); err != nil {
		return nil, err
	}
	var all []Repriced
	for _, sum := range r.sums {
		all = append(all, *sum)
	}
	slices.SortFunc(all, func(a, b Repriced) int { return cmp.Compare(a.Model, b.Model) })
	return all, nil
}

type repricing struct {
	price func(gateway.Model, time.Time) (gateway.Price, bool)
	sums  map[gateway.Model]*Repriced
}

// batch adds rows to the sums and returns those that changed, with their new costs.
func (p *repricing) batch(rows []gateway.CostedRow) (changed []gateway.CostedRow) {
	for _, row := range rows {
		sum := p.sums[row.Model]
		if sum == nil {
			sum = &Repriced{Model: row.Model}
			p.sums[row.Model] = sum
		}
		before := row.Cost
		row.Cost = p.cost(row)
		sum.add(before, row.Cost)
		if !equal(before.Amount, row.Cost.Amount) || before.Version != row.Cost.Version {
			sum.Changed++
			changed = append(changed, row)
		}
	}
	return changed
}

// cost computes a row's cost by the same rule as for a new row.
func (p *repricing) cost(row gateway.CostedRow) gateway.Cost {
	var price *gateway.Price
	if found, known := p.price(row.Model, row.StartedAt); known {
		price = &found
	}
	if row.Usage == (gateway.Usage{}) && row.Cost.Amount == nil {
		return unknownCostOf(price)
	}
	return costOf(price, row.Usage, row.ServiceTier)
}

func (sum *Repriced) add(before, now gateway.Cost) {
	sum.Rows++
	if before.Amount != nil {
		sum.PricedBefore++
		sum.Before += *before.Amount
	}
	if now.Amount != nil {
		sum.PricedNow++
		sum.After += *now.Amount
	}
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
