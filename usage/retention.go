package usage

import (
	"context"
	"fmt"
	"time"
)

const (
	removeEvery   = time.Minute
	removeTimeout = 10 * time.Second
	removeAtOnce  = 1000 // rows, so that others can write in between
)

// removeOld removes prompts that are older than they are to be kept, once a minute.
func (l *Ledger) removeOld(ctx context.Context, now time.Time) {
	if l.c.Keep == nil || now.Before(l.removal) || now.Before(l.notBefore) {
		return
	}
	l.removal = now.Add(removeEvery)
	l.went(removing, l.removeNow(ctx, now))
}

func (l *Ledger) removeNow(ctx context.Context, now time.Time) error {
	keep := l.c.Keep()
	if keep == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	store, err := l.c.Store(ctx)
	if err != nil {
		return err
	}
	return store.removePrompts(ctx, now.Add(-keep))
}

func (s *Store) removePrompts(ctx context.Context, before time.Time) error {
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
