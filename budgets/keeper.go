package budgets

import (
	"context"
	"time"

	"ai-gateway/gateway"
)

const (
	tidyEvery   = time.Second
	renewEvery  = time.Hour
	askTimeout  = 1500 * time.Millisecond
	retryAfter  = 500 * time.Millisecond
	maxAsks     = 200 // of one transaction
	lastTimeout = 2 * time.Second
)

// keep asks the store for what accounts need, and returns what they have too much.
func (b *Budgets) keep(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.last(context.WithoutCancel(ctx))
			return
		case <-b.asked:
			b.ask(ctx)
		case <-tick.C:
			b.tidy()
			b.ask(ctx)
		}
	}
}

// last returns everything that is not held.
func (b *Budgets) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastTimeout)
	defer cancel()
	b.mu.Lock()
	for _, a := range b.accounts {
		a.largest, a.used = 0, time.Time{}
	}
	b.mu.Unlock()
	b.tidy()
	b.ask(ctx)
}

// ask asks for everything that accounts need.
func (b *Budgets) ask(ctx context.Context) {
	for {
		accounts, asks := b.wanted()
		if len(asks) == 0 {
			break
		}
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		grants, err := b.c.Store.Lease(limited, b.session, asks)
		cancel()
		if err != nil {
			b.lose(err.Error())
			return
		}
		b.granted(accounts, grants)
	}
	b.noteEvents(ctx)
}

// wanted returns the asks that are due, unanswered ones first.
func (b *Budgets) wanted() (accounts []*account, asks []gateway.LeaseAsk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c.Now().Before(b.notUntil) {
		return nil, nil
	}
	for _, a := range b.accounts {
		if len(asks) >= maxAsks {
			b.wake()
			break
		}
		if a.asking == nil && (a.need != 0 || a.ahead != 0) {
			b.turn++
			a.asking = &gateway.LeaseAsk{BudgetID: a.id, Amount: a.amount, Least: a.least, Need: a.need, Ahead: a.ahead, Turn: b.turn}
			a.need, a.ahead, a.least = 0, 0, 0
		}
		if a.asking != nil {
			accounts, asks = append(accounts, a), append(asks, *a.asking)
		}
	}
	return accounts, asks
}

func (b *Budgets) granted(accounts []*account, grants []gateway.LeaseGrant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = ""
	now := b.c.Now()
	for i, a := range accounts {
		b.grant(a, grants[i], now)
	}
}

// lose notes that the store is unavailable, and releases the requests that wait for it.
func (b *Budgets) lose(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away == "" {
		b.c.Log.Warn("the store cannot be asked about budgets; what is leased goes on", "error", why)
	}
	b.away, b.notUntil = why, b.c.Now().Add(retryAfter)
	for _, a := range b.accounts {
		close(a.answered)
		a.answered = make(chan struct{})
	}
}

// tidy makes accounts return what they do not need, and drops those of past periods.
func (b *Budgets) tidy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	for id, a := range b.accounts {
		switch {
		case a.asking != nil || a.need != 0 || a.ahead != 0:
			continue
		case a.surplus(now) > 0:
			back := a.surplus(now)
			a.leased -= back
			a.need = -back
			b.wake()
			continue
		case a.held == 0 && a.leased == 0 && now.Sub(a.used) > idleAfter:
			delete(b.accounts, id)
		}
		if now.Sub(a.used) > idleAfter {
			a.largest = 0
		}
	}
}

// noteEvents writes the waiting events.
func (b *Budgets) noteEvents(ctx context.Context) {
	for {
		b.mu.Lock()
		if len(b.events) == 0 {
			b.mu.Unlock()
			return
		}
		first := b.events[0]
		b.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		err := b.c.Store.NoteBudgetEvent(limited, first)
		cancel()
		if err != nil {
			return // the next tick tries again
		}
		b.mu.Lock()
		b.events = b.events[1:]
		b.mu.Unlock()
	}
}

// follow renews the leases, and ends those of earlier processes once all their requests have
// rows.
func (b *Budgets) follow(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	ended, renewed := false, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		if !ended && !b.c.Inherited() {
			ended = b.c.Store.EndLeases(limited, b.session) == nil
		}
		if time.Since(renewed) > renewEvery && b.c.Store.RenewLeases(limited, b.session) == nil {
			renewed = time.Now()
		}
		cancel()
	}
}
