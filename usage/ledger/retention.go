package ledger

import (
	"context"
	"time"

	"ai-gateway/gateway"
)

const (
	maintainEvery   = time.Minute
	maintainAgain   = 10 * time.Second // after a failure
	maintainTimeout = 10 * time.Second
)

// maintain makes the store prepare partitions and remove old rows, once a minute, and sooner
// after a failure.
func (l *Ledger) maintain(ctx context.Context, now time.Time) {
	if now.Before(l.maintenance) || now.Before(l.notBefore) {
		return
	}
	l.maintenance = now.Add(maintainEvery)
	var keep gateway.Retention
	if l.c.Keep != nil {
		keep = l.c.Keep()
	}
	ctx, cancel := context.WithTimeout(ctx, maintainTimeout)
	defer cancel()
	err := l.c.Store.Maintain(ctx, now, keep)
	if err != nil {
		l.maintenance = now.Add(maintainAgain)
	}
	l.reportTask(maintaining, err)
}
