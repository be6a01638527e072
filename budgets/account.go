package budgets

import (
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// account is this gateway's part of a budget in one period.
type account struct {
	bound
	leased      gateway.Money // and not spent by written rows
	held        gateway.Money // for requests without a row
	spent       gateway.Money // by all gateways, as far as this one knows
	room        gateway.Money // in the store, when it was last asked
	asOf        time.Time     // when that was; zero before
	need, ahead gateway.Money // that is asked of the store
	least       gateway.Money // part of need without which a lease is of no use
	asking      *gateway.LeaseAsk
	answered    chan struct{} // closed when the store has answered
	largest     gateway.Money // of the recent holds
	used        time.Time     // last

	noted int // the last threshold that was noted
}

const (
	// freshFor is how long the store's answer that there is no room counts.
	freshFor = 500 * time.Millisecond
	// idleAfter is how long a lease is kept for further requests.
	idleAfter = 5 * time.Second
	// aheadBy is the number of requests like the largest for which is leased in advance.
	aheadBy = 2
)

// account returns the account of a budget. It needs the lock, like all methods of accounts.
func (b *Budgets) account(of bound) *account {
	a := b.accounts[of.id]
	switch {
	case a == nil:
		a = &account{bound: of, answered: make(chan struct{})}
		b.accounts[of.id] = a
	case a.amount != of.amount: // what is known of the store is of another amount
		a.bound, a.asOf, a.noted = of, time.Time{}, 0
	}
	return a
}

// holding returns the account of a hold's part.
func (b *Budgets) holding(of bound) *account {
	if a := b.accounts[of.id]; a != nil {
		return a
	}
	return b.account(of)
}

// free is what requests may still take. If the budget is overspent, because it was made
// smaller or a request cost more than expected, part of the lease cannot be used.
func (a *account) free() gateway.Money { return a.leased - a.held + min(a.room, 0) }

// want asks the store for more in the background.
func (b *Budgets) want(a *account, amount gateway.Money) {
	if a.need < 0 { // it was about to be returned
		a.leased -= a.need
		a.need = 0
	}
	need := amount
	if a.need == 0 && a.asking == nil {
		need = max(amount-a.free(), 1)
	}
	if a.need == 0 || need < a.least {
		a.least = need
	}
	a.need += need
	a.ahead = aheadBy * max(a.largest, amount)
	b.wake()
}

func (b *Budgets) wake() {
	select {
	case b.asked <- struct{}{}:
	default:
	}
}

// fresh reports whether the budget's room is known.
func (a *account) fresh(now time.Time) bool { return !a.asOf.IsZero() && now.Sub(a.asOf) < freshFor }

// exhausted reports whether there was no room for an amount when the store was last asked.
func (a *account) exhausted(amount gateway.Money, now time.Time) bool {
	return a.fresh(now) && max(a.room, 0)+a.free() < amount
}

// take holds an amount, and asks for a further lease before that is needed.
func (b *Budgets) take(a *account, amount gateway.Money, now time.Time) {
	a.held += amount
	a.used = now
	a.largest = max(a.largest, amount)
	if a.free() < a.largest && a.need == 0 && a.asking == nil && (!a.fresh(now) || a.room > 0) {
		a.ahead = aheadBy * a.largest
		b.wake()
	}
}

// surplus is what an account can return.
func (a *account) surplus(now time.Time) gateway.Money {
	keep := aheadBy * a.largest
	if now.Sub(a.used) > idleAfter {
		keep = 0
	}
	return max(a.free()-keep, 0)
}

// grant applies the store's answer.
func (b *Budgets) grant(a *account, g gateway.LeaseGrant, now time.Time) {
	a.leased += max(g.Given, 0)
	a.spent, a.room, a.asOf = g.Spent, a.amount-g.Spent-g.Leased, now
	a.asking = nil
	b.watch(a, now)
	close(a.answered)
	a.answered = make(chan struct{})
}

// Thresholds of notifications, in percent of a budget. The first refused request also crosses
// the last one: what is left is not enough.
const (
	nearly = 80
	all    = 100
)

// watch notes that a threshold was crossed.
func (b *Budgets) watch(a *account, now time.Time) {
	switch {
	case a.amount <= 0:
	case a.spent >= a.amount:
		b.note(a, all, now)
	case float64(a.spent) >= float64(a.amount)*nearly/100:
		b.note(a, nearly, now)
	}
}

// maxEvents is how many events wait to be written. Further ones are noticed again later.
const maxEvents = 1000

func (b *Budgets) note(a *account, threshold int, now time.Time) {
	if a.noted >= threshold || len(b.events) >= maxEvents {
		return
	}
	a.noted = threshold
	b.events = append(b.events, gateway.BudgetEvent{BudgetID: a.id, Event: uuid.New(), Threshold: threshold, Amount: a.amount, Spent: a.spent, At: now})
	b.wake()
}
