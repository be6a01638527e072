package budgets

import (
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// hold is the worst cost of a request, held in all of its budgets.
type hold struct {
	of       *Budgets
	bounds   []bound
	amount   gateway.Money
	id       uuid.UUID
	released bool
}

// patience is how long a request waits for the store if the lease is used up.
const patience = 2 * time.Second

// Reserve holds the worst cost of a request in all budgets that apply to it. The error is for
// the client. The hold is nil if no budget applies. Reserve only waits for the store if the
// lease is used up, and not for long.
func (b *Budgets) Reserve(r *gateway.BudgetedRequest) (gateway.BudgetHold, *gateway.Error) {
	rules := b.inForce.Load()
	bounds := rules.of(r.Caller, r.At)
	if len(bounds) == 0 {
		return nil, nil
	}
	h := &hold{of: b, bounds: bounds, amount: r.Worst}
	if !r.Priced {
		if !rules.c.AllowUnpriced {
			return nil, b.refuse(errUnpriced)
		}
		h.amount = 0
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		refusal, wait := b.try(h, rules)
		switch {
		case refusal != nil:
			return nil, b.refuse(refusal)
		case wait == nil:
			return h, nil
		}
		select {
		case <-wait:
		case <-deadline.C:
			b.lose("it did not answer in time")
		}
	}
}

func (b *Budgets) refuse(because *gateway.Error) *gateway.Error {
	b.refused.Add(1)
	return because
}

// try takes the hold if every budget has room for it. Otherwise it returns the refusal, or what
// to wait for.
func (b *Budgets) try(h *hold, rules *rules) (refusal *gateway.Error, wait <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	for _, bound := range h.bounds {
		refusal, waits := b.look(b.account(bound), h.amount, rules, now)
		if refusal != nil {
			return refusal, nil
		}
		if waits != nil {
			wait = waits
		}
	}
	if wait != nil {
		return nil, wait
	}
	for _, bound := range h.bounds {
		b.take(b.account(bound), h.amount, now)
	}
	return nil, nil
}

// look reports whether one budget has room: it has if there is neither a refusal nor a wait.
func (b *Budgets) look(a *account, amount gateway.Money, rules *rules, now time.Time) (*gateway.Error, <-chan struct{}) {
	a.used = now
	switch {
	case a.amount == 0:
		return errExhausted(a, amount, now), nil
	case a.free() >= amount && !a.asOf.IsZero():
		return nil, nil
	case a.exhausted(amount, now):
		b.note(a, all, now)
		return errExhausted(a, amount, now), nil
	case now.Before(b.notUntil) && rules.c.Open:
		return nil, nil
	case now.Before(b.notUntil):
		return errAway, nil
	}
	b.want(a, amount)
	return nil, a.answered
}

// Planned sets the id of the request's row.
func (h *hold) Planned(id uuid.UUID) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.id = id
	h.of.open[id] = h
}

// Extend holds more for a request that may cost more than expected. It only refuses if a budget
// is known to have no room.
func (h *hold) Extend(cost gateway.Money) (held bool, refusal *gateway.Error) {
	b := h.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.released || cost <= h.amount {
		return true, nil
	}
	more, now := cost-h.amount, b.c.Now()
	for _, bound := range h.bounds {
		if refusal, known := b.extends(b.holding(bound), more, now); refusal != nil || !known {
			return false, refusal
		}
	}
	for _, bound := range h.bounds {
		b.take(b.holding(bound), more, now)
	}
	h.amount = cost
	return true, nil
}

// extends reports whether one budget has room for more, as far as that is known.
func (b *Budgets) extends(a *account, more gateway.Money, now time.Time) (refusal *gateway.Error, known bool) {
	switch {
	case a.free() >= more:
		return nil, true
	case a.exhausted(more, now):
		b.note(a, all, now)
		return errExhausted(a, more, now), true
	case now.Before(b.notUntil) && !b.inForce.Load().c.Open:
		return errAway, true
	case a.need == 0 && a.asking == nil:
		b.want(a, more)
	}
	return nil, false
}

// Settle holds what the request has cost, until its row is written.
func (h *hold) Settle(cost gateway.Money) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.released {
		return
	}
	for _, bound := range h.bounds {
		h.of.holding(bound).held += cost - h.amount
	}
	h.amount = cost
}

// Cancel ends the hold.
func (h *hold) Cancel() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.release()
}

func (h *hold) release() {
	if h.released {
		return
	}
	h.released = true
	delete(h.of.open, h.id)
	for _, bound := range h.bounds {
		h.of.holding(bound).held -= h.amount
	}
}

// Budgets returns the budgets in which money is held.
func (b *Budgets) Budgets(id uuid.UUID) []gateway.BudgetID {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.open[id]
	if h == nil {
		return nil
	}
	ids := make([]gateway.BudgetID, len(h.bounds))
	for i, bound := range h.bounds {
		ids[i] = bound.id
	}
	return ids
}

// Written accounts for rows that are in the store now: their cost has left the leases.
func (b *Budgets) Written(rows []*gateway.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	for _, r := range rows {
		h := b.open[r.ID]
		if h == nil {
			continue
		}
		h.release()
		for _, bound := range h.bounds {
			a := b.holding(bound)
			if r.Cost.Amount != nil {
				a.leased -= *r.Cost.Amount
				a.spent += *r.Cost.Amount
			}
			b.watch(a, now)
		}
	}
}
