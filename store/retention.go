package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// removeAtOnce is how many rows one statement removes, so that others can write in between.
const removeAtOnce = 1000

// Maintain makes the partitions of coming days, and removes rows that are older than they are to
// be kept.
func (s *Store) Maintain(ctx context.Context, now time.Time, keep gateway.Retention) error {
	errs := []error{s.engine.makePartitions(ctx, s, now), s.forgetResponses(ctx, now.Add(-responsesKept))}
	if keep.Prompts > 0 {
		errs = append(errs, s.removeBefore(ctx, "prompts", now.Add(-keep.Prompts)))
	}
	if keep.Requests > 0 {
		before := s.engine.removable(now.Add(-keep.Requests))
		errs = append(errs, s.removeBefore(ctx, "attempts", before), s.removeBefore(ctx, "requests", before))
	}
	return errors.Join(errs...)
}

// removeBefore removes the rows of requests that started before a time.
func (s *Store) removeBefore(ctx context.Context, table string, before time.Time) error {
	if err := s.engine.dropPartitions(ctx, s, table, before); err != nil {
		return err
	}
	return s.removeRows(ctx, "removing old "+table, fmt.Sprintf(`DELETE FROM %[1]s WHERE (started_at, id) IN
		(SELECT started_at, id FROM %[1]s WHERE started_at < ? LIMIT ?)`, table), before)
}

// removeRows removes the rows from before a time, some at once. The statement takes the time and how many.
func (s *Store) removeRows(ctx context.Context, doing, statement string, before time.Time) error {
	for more := true; more; {
		err := s.transact(ctx, doing, func(tx *sqlx.Tx) error {
			result, err := tx.ExecContext(ctx, tx.Rebind(statement), moment(before), removeAtOnce)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			more = n >= removeAtOnce
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
