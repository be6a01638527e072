package store

import (
	"context"
	"database/sql"
	"fmt"
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
	for _, r := range changed {
		if err := writeCost(ctx, tx, r); err != nil {
			return fmt.Errorf("writing the cost of request %s: %w", r.ID, err)
		}
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

// writeCost writes a new cost, that of the last attempt too.
func writeCost(ctx context.Context, tx *sqlx.Tx, r gateway.CostedRow) error {
	at, id := moment(r.StartedAt), r.ID.String()
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE requests SET cost_nanousd = ?, price_version = ? WHERE started_at = ? AND id = ?`),
		r.Cost.Amount, optional(r.Cost.Version), at, id)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE attempts SET cost_nanousd = ? WHERE started_at = ? AND id = ?
		AND attempt = (SELECT MAX(attempt) FROM attempts WHERE started_at = ? AND id = ?)`), r.Cost.Amount, at, id, at, id)
	return err
}
