package ledger

import (
	"context"
	"time"
)

const (
	removeEvery   = time.Minute
	removeTimeout = 10 * time.Second
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
	return l.c.Store.RemovePrompts(ctx, now.Add(-keep))
}
