// Package budgets keeps requests within budgets. The store knows what was spent. Each gateway
// leases small parts of a budget from the store, and holds the worst cost of each running
// request out of its lease, in memory. So concurrent requests, at one gateway or at many, never
// spend more than the budget, and hardly any waits for the store, as more is leased in advance.
//
// A request's cost moves from the lease to what was spent in the transaction that writes its
// row. The lease of a killed process stays until all of its requests have rows.
package budgets

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ai-gateway/gateway"
)

// Store keeps what was spent and leased. Its methods fail while it is unavailable.
type Store interface {
	// Lease grants parts of budgets. A repeated ask is only granted once.
	Lease(ctx context.Context, session string, asks []gateway.LeaseAsk) ([]gateway.LeaseGrant, error)
	RenewLeases(ctx context.Context, session string) error
	// EndLeases ends the leases of this gateway's earlier sessions.
	EndLeases(ctx context.Context, session string) error
	NoteBudgetEvent(context.Context, gateway.BudgetEvent) error
}

// Config is what Budgets need.
type Config struct {
	Store  Store
	Events Events
	// Own are the budgets that were saved for a user or a team; nil where none are.
	Own OwnBudgets
	// Inherited reports whether requests of earlier processes of this gateway may still get
	// their rows.
	Inherited func() bool
	Now       func() time.Time
	Log       *slog.Logger
}

// OwnBudgets are the budgets that were saved for a user or a team, nil where none were: of each
// period they win over the configuration's.
type OwnBudgets func(by gateway.BudgetBy, name string) []gateway.KeyBudget

// Budgets decides which requests pass. It is safe for concurrent use.
type Budgets struct {
	c       Config
	session string // of this process
	inForce atomic.Pointer[rules]
	asked   chan struct{} // has a token while an account has to ask the store
	refused atomic.Int64

	mu       sync.Mutex
	accounts map[gateway.BudgetID]*account
	open     map[uuid.UUID]*hold
	turn     int64     // of the last ask for any account: one that is made anew must not repeat a turn
	away     string    // why the store is unavailable; "" if it is not
	notUntil time.Time // when it is asked again
	events   []gateway.BudgetEvent
}

// New makes Budgets that let everything pass until Use is called.
func New(c Config) *Budgets {
	b := &Budgets{c: c, session: uuid.NewString(), asked: make(chan struct{}, 1),
		accounts: map[gateway.BudgetID]*account{}, open: map[uuid.UUID]*hold{}}
	b.inForce.Store(newRules(gateway.Budgets{}, c.Own))
	return b
}

// Use applies the budgets of a configuration from now on.
func (b *Budgets) Use(c gateway.Budgets) { b.inForce.Store(newRules(c, b.c.Own)) }

// Session names this process in the store.
func (b *Budgets) Session() string { return b.session }

// Apply reports whether any budget applies to a caller, so that Reserve may have to wait.
func (b *Budgets) Apply(c *gateway.Caller) bool { return len(b.inForce.Load().of(c, time.Time{})) > 0 }

// For returns the budgets that apply to a caller at a time, without what was spent.
func For(c gateway.Budgets, own OwnBudgets, caller *gateway.Caller, at time.Time) []gateway.BudgetState {
	var states []gateway.BudgetState
	for _, bound := range newRules(c, own).of(caller, at) {
		states = append(states, gateway.BudgetState{BudgetID: bound.id, Amount: bound.amount})
	}
	return states
}

// Stats returns the present figures.
func (b *Budgets) Stats() gateway.BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return gateway.BudgetStats{Closed: !b.inForce.Load().c.Open, Refused: b.refused.Load(), Away: b.away, Accounts: len(b.accounts), Holds: len(b.open)}
}

// Run asks the store for leases until ctx ends, and then returns what is not needed.
func (b *Budgets) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { b.keep(ctx); return nil })
	group.Go(func() error { b.follow(ctx); return nil })
	group.Go(func() error { b.tell(ctx); return nil })
	return group.Wait()
}
