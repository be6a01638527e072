package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// removeAtOnce is how many rows are removed with one statement, so that others can write
// in between.
const removeAtOnce = 1000

// RemovePrompts removes the prompts of requests that started before a time.
func (s *Store) RemovePrompts(ctx context.Context, before time.Time) error {
	for more := true; more; {
		err := s.transact(ctx, "removing old prompts", func(tx *sqlx.Tx) error {
			result, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM prompts WHERE (started_at, id) IN
				(SELECT started_at, id FROM prompts WHERE started_at < ? LIMIT ?)`), moment(before), removeAtOnce)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			more = n == removeAtOnce
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
