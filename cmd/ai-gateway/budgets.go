package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ai-gateway/budgets"
	"ai-gateway/gateway"
	"ai-gateway/store"
)

// budgetBooks is the store for the budgets of one gateway.
type budgetBooks struct {
	*store.Store
	writer uuid.UUID // the identity of its write-ahead log
}

// Lease grants parts of budgets.
func (b budgetBooks) Lease(ctx context.Context, session string, asks []gateway.LeaseAsk) ([]gateway.LeaseGrant, error) {
	return b.Store.Lease(ctx, b.writer, session, asks, time.Now())
}

// RenewLeases keeps the leases of a session.
func (b budgetBooks) RenewLeases(ctx context.Context, session string) error {
	return b.Store.RenewLeases(ctx, b.writer, session, time.Now())
}

// EndLeases ends those of earlier sessions.
func (b budgetBooks) EndLeases(ctx context.Context, session string) error {
	return b.Store.EndLeases(ctx, b.writer, session)
}

// paying is the store for the ledger: writing a request's row also ends what is held for it in
// leases.
type paying struct {
	announced
	budgets *budgets.Budgets
	ended   func(*gateway.Row) // is told of each row that the end of its background response has completed
}

// Write writes rows and informs the budgets.
func (p paying) Write(ctx context.Context, rows []*gateway.Row, writer uuid.UUID, at gateway.LogPosition) ([]gateway.RefusedRow, error) {
	refused, ended, err := p.WriteHeld(ctx, rows, writer, at, store.Held{Session: p.budgets.Session(), Budgets: p.budgets.Budgets})
	if err == nil {
		p.budgets.Written(rows)
		for _, row := range ended {
			p.ended(row)
		}
	}
	return refused, err
}

// purse has the budgets of an agent, once they have started.
type purse struct {
	budgets atomic.Pointer[budgets.Budgets]
}

func (p *purse) start(c budgets.Config, inForce gateway.Budgets) *budgets.Budgets {
	b := budgets.New(c)
	b.Use(inForce)
	p.budgets.Store(b)
	return b
}

// use applies other budgets from now on.
func (p *purse) use(c gateway.Budgets) {
	if b := p.budgets.Load(); b != nil {
		b.Use(c)
	}
}

// outlive runs two services, and ends the second once the first has ended.
func outlive(first, second func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		longer, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		var group errgroup.Group
		group.Go(func() error { return second(longer) })
		err := first(ctx)
		stop()
		return errors.Join(err, group.Wait())
	}
}
