package usage

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Repriced sums up what another price makes of a model's rows.
type Repriced struct {
	Model                   gateway.Model
	Rows, Changed           int64
	Before, After           gateway.Money // of the rows that have a cost
	PricedBefore, PricedNow int64         // rows that have a cost
}

// priced is what a row's cost depends on.
type priced struct {
	StartedAt    string        `db:"started_at"`
	ID           string        `db:"id"`
	Model        gateway.Model `db:"model"`
	Status       int           `db:"status"`
	Prompt       int64         `db:"prompt_tokens"`
	Cached       int64         `db:"cached_tokens"`
	CacheWrite   int64         `db:"cache_write_tokens"`
	Completion   int64         `db:"completion_tokens"`
	Reasoning    int64         `db:"reasoning_tokens"`
	CostNanoUSD  *int64        `db:"cost_nanousd"`
	PriceVersion *string       `db:"price_version"`
}

const selectPriced = `
SELECT started_at, id, model, status, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, cost_nanousd, price_version
FROM requests WHERE started_at >= ? AND started_at < ? AND (started_at > ? OR started_at = ? AND id > ?)
ORDER BY started_at, id LIMIT ?`

// Reprice computes the costs of the requests that started in [from, to) anew, with the
// price that was in force when each began, and writes those that changed if write. The
// sums are by model, in the order of their names.
func (s *Store) Reprice(ctx context.Context, from, to time.Time, price func(gateway.Model, time.Time) (gateway.Price, bool), write bool) ([]Repriced, error) {
	sums := map[gateway.Model]*Repriced{}
	var last priced
	for more := true; more; {
		err := s.transact(ctx, !write, func(tx *sqlx.Tx) error {
			var rows []priced
			err := tx.SelectContext(ctx, &rows, tx.Rebind(selectPriced), stamp(from), stamp(to), last.StartedAt, last.StartedAt, last.ID, maxBatch)
			if more = len(rows) > 0; err != nil || !more {
				return err
			}
			last = rows[len(rows)-1]
			changed, err := repriced(rows, sums, price)
			if err == nil && write {
				err = writePrices(ctx, tx, changed)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("computing costs anew: %w", err)
		}
	}
	var all []Repriced
	for _, sum := range sums {
		all = append(all, *sum)
	}
	slices.SortFunc(all, func(a, b Repriced) int { return cmp.Compare(a.Model, b.Model) })
	return all, nil
}

// repriced adds rows to the sums and returns those that changed, with their new costs.
func repriced(rows []priced, sums map[gateway.Model]*Repriced, price func(gateway.Model, time.Time) (gateway.Price, bool)) ([]priced, error) {
	var changed []priced
	for _, r := range rows {
		started, err := time.Parse(timeFormat, r.StartedAt)
		if err != nil {
			return nil, fmt.Errorf("reading when request %s started: %w", r.ID, err)
		}
		sum := sums[r.Model]
		if sum == nil {
			sum = &Repriced{Model: r.Model}
			sums[r.Model] = sum
		}
		now := r
		now.price(price(r.Model, started))
		sum.add(r, now)
		if !equal(r.CostNanoUSD, now.CostNanoUSD) || !equal(r.PriceVersion, now.PriceVersion) {
			sum.Changed++
			changed = append(changed, now)
		}
	}
	return changed, nil
}

// price gives a row its cost, by the same rule as a new row.
func (r *priced) price(p gateway.Price, known bool) {
	u := gateway.Usage{Prompt: r.Prompt, Cached: r.Cached, CacheWrite: r.CacheWrite, Completion: r.Completion, Reasoning: r.Reasoning}
	var of *gateway.Price
	if known {
		of = &p
	}
	r.CostNanoUSD, r.PriceVersion = costOf(of, u, r.Status)
}

// costOf is the cost of a usage and the version of its price. What was refused cost
// nothing, also where no price is known.
func costOf(p *gateway.Price, u gateway.Usage, status int) (cost *int64, version *string) {
	refused := u == gateway.Usage{} && status >= http.StatusBadRequest
	switch {
	case p != nil:
		n := int64(p.Cost(u))
		return &n, optional(p.Version)
	case refused:
		return new(int64), nil
	}
	return nil, nil
}

func (sum *Repriced) add(before, now priced) {
	sum.Rows++
	if before.CostNanoUSD != nil {
		sum.PricedBefore++
		sum.Before += gateway.Money(*before.CostNanoUSD)
	}
	if now.CostNanoUSD != nil {
		sum.PricedNow++
		sum.After += gateway.Money(*now.CostNanoUSD)
	}
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// writePrices writes new costs, of the last attempt of each request too.
func writePrices(ctx context.Context, tx *sqlx.Tx, rows []priced) error {
	for _, r := range rows {
		if err := writePrice(ctx, tx, r); err != nil {
			return fmt.Errorf("writing the cost of request %s: %w", r.ID, err)
		}
	}
	return nil
}

func writePrice(ctx context.Context, tx *sqlx.Tx, r priced) error {
	_, err := tx.NamedExecContext(ctx, `UPDATE requests SET cost_nanousd = :cost_nanousd, price_version = :price_version
		WHERE started_at = :started_at AND id = :id`, r)
	if err != nil {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `UPDATE attempts SET cost_nanousd = :cost_nanousd WHERE started_at = :started_at AND id = :id
		AND attempt = (SELECT MAX(attempt) FROM attempts WHERE started_at = :started_at AND id = :id)`, r)
	return err
}
