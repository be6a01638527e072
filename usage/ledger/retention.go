package ledger

import (
	"context"
	"time"

	"ai-gateway/gateway"
)

const (
	maintainEvery   = time.Minute
	maintainTimeout = 10 * time.Second
)

// maintain has the store make room and remove what is old, once a minute.
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
	l.went(maintaining, l.c.Store.Maintain(ctx, now, keep))
}
