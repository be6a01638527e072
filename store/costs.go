package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// recostBatch is how many rows are read, and written, in one transaction.
const recostBatch = 1000

const selectCosted = `
SELECT started_at, id, key_id, COALESCE(user_id, '') AS user_id, COALESCE(team, '') AS team, model, prompt_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, completion_tokens, reasoning_tokens, service_tier, cost_nanousd, price_version
FROM requests WHERE started_at >= ? AND started_at < ? AND (started_at > ? OR started_at = ? AND id > ?)
ORDER BY started_at, id LIMIT ?`

// costed is a row of what a cost depends on.
type costed struct {
	StartedAt    moment         `db:"started_at"`
	ID           uuid.UUID      `db:"id"`
	KeyID        gateway.KeyID  `db:"key_id"`
	UserID       string         `db:"user_id"`
	Team         string         `db:"team"`
	Model        gateway.Model  `db:"model"`
	Prompt       int64          `db:"prompt_tokens"`
	Cached       int64          `db:"cached_tokens"`
	CacheWrite   int64          `db:"cache_write_tokens"`
	WriteHour    int64          `db:"cache_write_1h_tokens"`
	Completion   int64          `db:"completion_tokens"`
	Reasoning    int64          `db:"reasoning_tokens"`
	ServiceTier  *string        `db:"service_tier"`
	CostNanoUSD  *gateway.Money `db:"cost_nanousd"`
	PriceVersion *string        `db:"price_version"`
}

// Recost gives compute each request that started in [from, to), in order, and writes those
// that it returns with another cost, if write. What is written goes by what was read:
// nothing comes in between.
func (s *Store) Recost(ctx context.Context, from, to time.Time, write bool, compute func([]gateway.CostedRow) (changed []gateway.CostedRow)) error {
	last := costed{StartedAt: moment(from)}
	for more := true; more; {
		err := s.transactWith(ctx, "computing costs anew", sql.TxOptions{ReadOnly: !write}, func(tx *sqlx.Tx) error {
			query := selectCosted
			if write {
				query += s.engine.forUpdate()
			}
			var rows []costed
			err := tx.SelectContext(ctx, &rows, tx.Rebind(query), moment(from), moment(to), last.StartedAt, last.StartedAt, last.ID.String(), recostBatch)
			if more = len(rows) > 0; err != nil || !more {
				return err
			}
			last = rows[len(rows)-1]
			return s.recost(ctx, tx, rows, write, compute)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) recost(ctx context.Context, tx *sqlx.Tx, read []costed, write bool, compute func([]gateway.CostedRow) []gateway.CostedRow) error {
	rows := make([]gateway.CostedRow, len(read))
	for i := range read {
		rows[i] = read[i].row()
	}
	changed := compute(rows)
	if !write {
		return nil
	}
	sums := spendings{}
	of := make(map[uuid.UUID]*costed, len(read))
	for i := range read {
		of[read[i].ID] = &read[i]
	}
	if err := s.writeCosts(ctx, tx, changed); err != nil {
		return err
	}
	for _, r := range changed {
		was := of[r.ID]
		sums.add(was.KeyID, was.UserID, was.Team, gateway.DayOf(r.StartedAt), amountOf(r.Cost.Amount)-amountOf(was.CostNanoUSD))
	}
	return s.spend(ctx, tx, sums)
}

func (c *costed) row() gateway.CostedRow {
	r := gateway.CostedRow{StartedAt: time.Time(c.StartedAt), ID: c.ID, Model: c.Model, Cost: gateway.Cost{Amount: c.CostNanoUSD},
		Usage: gateway.Usage{Prompt: c.Prompt, Cached: c.Cached, CacheWrite: c.CacheWrite, CacheWriteHour: c.WriteHour, Completion: c.Completion, Reasoning: c.Reasoning}}
	if c.PriceVersion != nil {
		r.Cost.Version = *c.PriceVersion
	}
	if c.ServiceTier != nil {
		r.ServiceTier = *c.ServiceTier
	}
	return r
}

// writeCosts writes new costs, in order, those of the last attempts too. It is one statement for
// all, so that the triggers change usage_hourly once, in the order in which writers of rows do: in
// another order they would wait for each other in a circle.
func (s *Store) writeCosts(ctx context.Context, tx *sqlx.Tx, changed []gateway.CostedRow) error {
	if len(changed) == 0 {
		return nil
	}
	row := "(" + s.engine.moment("?") + ", CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))"
	costs := "WITH costs (at, request, amount, version) AS (VALUES " + row + strings.Repeat(", "+row, len(changed)-1) + ") "
	var args []any
	for _, r := range changed {
		args = append(args, moment(r.StartedAt), r.ID.String(), r.Cost.Amount, optional(r.Cost.Version))
	}
	args = append(args, moment(changed[0].StartedAt), moment(changed[len(changed)-1].StartedAt))
	for _, update := range []string{
		`UPDATE requests SET cost_nanousd = amount, price_version = version FROM costs WHERE started_at = at AND id = request`,
		`UPDATE attempts SET cost_nanousd = amount FROM costs WHERE started_at = at AND id = request
			AND attempt = (SELECT MAX(a.attempt) FROM attempts a WHERE a.started_at = at AND a.id = request)`,
	} {
		if _, err := tx.ExecContext(ctx, tx.Rebind(costs+update+` AND started_at BETWEEN ? AND ?`), args...); err != nil {
			return fmt.Errorf("writing costs: %w", err)
		}
	}
	return nil
}
