package store

import (
	"context"
	"fmt"
	"time"
)

// removeAtOnce is how many rows are removed with one statement, so that others can write
// in between.
const removeAtOnce = 1000

// RemovePrompts removes the prompts of requests that started before a time.
func (s *Store) RemovePrompts(ctx context.Context, before time.Time) error {
	for {
		result, err := s.db.ExecContext(ctx, s.db.Rebind(`DELETE FROM prompts WHERE (started_at, id) IN
			(SELECT started_at, id FROM prompts WHERE started_at < ? LIMIT ?)`), stamp(before), removeAtOnce)
		if err != nil {
			return fmt.Errorf("removing old prompts: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n < removeAtOnce {
			return err
		}
	}
}
