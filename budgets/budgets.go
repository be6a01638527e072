// Package budgets holds requests to amounts of money. What was spent is the store's to know;
// each gateway leases small parts of a budget from there, and holds in memory, out of what it
// has leased, the worst that each running request may cost. So requests that come at once, at
// one gateway or at many, never spend more than there is, and hardly any of them waits for
// the store: more is leased ahead of its need.
//
// A request's cost moves from its lease into what was spent in the transaction that writes its
// row. What a killed process held stays leased until the rows of all that it left are written.
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

// Store keeps the books. Its methods fail while it is away.
type Store interface {
	// Lease grants parts of budgets, each ask once however often it is repeated.
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
	// Inherited reports whether requests of earlier processes of this gateway may still get
	// their rows.
	Inherited func() bool
	Now       func() time.Time
	Log       *slog.Logger
}

// Budgets say which requests pass. They may be used by many goroutines at once.
type Budgets struct {
	c       Config
	session string // of this process
	inForce atomic.Pointer[rules]
	asked   chan struct{} // has a token while an account wants something of the store
	refused atomic.Int64

	mu       sync.Mutex
	accounts map[gateway.BudgetID]*account
	open     map[uuid.UUID]*hold
	away     string    // why the store cannot be asked; "" if it can
	notUntil time.Time // it is not asked before
	events   []gateway.BudgetEvent
}

// New makes budgets that let everything pass until Use tells them what to hold to.
func New(c Config) *Budgets {
	b := &Budgets{c: c, session: uuid.NewString(), asked: make(chan struct{}, 1),
		accounts: map[gateway.BudgetID]*account{}, open: map[uuid.UUID]*hold{}}
	b.inForce.Store(newRules(gateway.Budgets{}))
	return b
}

// Use holds requests to what a configuration says from now on.
func (b *Budgets) Use(c gateway.Budgets) { b.inForce.Store(newRules(c)) }

// Session names this process in the store.
func (b *Budgets) Session() string { return b.session }

// Apply reports whether any budget is for a caller, so that Reserve may have to wait.
func (b *Budgets) Apply(c *gateway.Caller) bool { return len(b.inForce.Load().of(c, time.Time{})) > 0 }

// For are the budgets that a caller has to keep to at a time, without what was spent.
func For(c gateway.Budgets, caller *gateway.Caller, at time.Time) []gateway.BudgetState {
	var states []gateway.BudgetState
	for _, bound := range newRules(c).of(caller, at) {
		states = append(states, gateway.BudgetState{BudgetID: bound.id, Amount: bound.amount})
	}
	return states
}

// Stats are how the budgets are doing.
func (b *Budgets) Stats() gateway.BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return gateway.BudgetStats{Closed: !b.inForce.Load().c.Open, Refused: b.refused.Load(), Away: b.away, Accounts: len(b.accounts), Holds: len(b.open)}
}

// Run keeps the leases in line with the store until ctx ends, and gives back then what is not
// needed any more.
func (b *Budgets) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { b.keep(ctx); return nil })
	group.Go(func() error { b.follow(ctx); return nil })
	group.Go(func() error { b.tell(ctx); return nil })
	return group.Wait()
}
