package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ai-gateway/auth"
	"ai-gateway/config"
	"ai-gateway/gateway"
	ratelimitconfig "ai-gateway/ratelimit-config"
	"ai-gateway/store"
	"ai-gateway/usage/ledger"
	"ai-gateway/xds"
)

// limits applies the configuration's limits, and keeps the limiter's counters in line with the
// store.
type limits struct {
	*ratelimitconfig.Limiter // nil until start

	log    *slog.Logger
	keys   *auth.Gate
	tables *store.Store
	begun  time.Time
	listen string // where a service gets its configuration; "" serves none

	restoring sync.Mutex
	restored  bool // the counters include what was used before
}

const (
	restoreTimeout = 5 * time.Second // while others wait for it
	restoreLong    = time.Minute     // else: a day may have many millions of rows
	restoreRetry   = time.Second
	listenRetry    = time.Second
	prepareEvery   = 100 * time.Millisecond
	rowTimeout     = 2 * time.Second
)

// start makes the limiter with the present limits and counts.
func (l *limits) start(ctx context.Context, c config.Config, tables *store.Store) error {
	limiter, err := ratelimitconfig.New(ratelimitconfig.Config{Service: c.LimitService.Address, TLS: c.LimitService.TLS, Now: time.Now, Log: l.log})
	if err != nil {
		return err
	}
	l.Limiter, l.tables, l.begun = limiter, tables, time.Now()
	if limiter.Blocks() {
		l.listen = c.LimitConfigListen
	}
	set, err := limiter.Compile(c.Limits)
	if err == nil {
		err = limiter.Use(ctx, set)
	}
	if err != nil {
		return err
	}
	if err := limiter.Prepare(ctx, l.keys.AllLimits()); err != nil {
		return err
	}
	if _, err := l.restore(ctx, restoreTimeout); err != nil {
		l.log.Warn("the counters of hour and day limits could not be restored; that is tried again", "error", err)
	}
	return nil
}

// check returns an error if limits cannot take effect.
func (l *limits) check(c config.Config) error {
	if l.Limiter == nil {
		return nil // start compiles them
	}
	_, err := l.Compile(c.Limits)
	return err
}

// use applies limits from now on.
func (l *limits) use(ctx context.Context, c config.Config) {
	if l.Limiter == nil {
		return
	}
	set, err := l.Compile(c.Limits)
	if err == nil {
		err = l.Use(ctx, set)
	}
	if err != nil { // check has compiled them before
		l.log.Error("the changed limits are not in force; those before stay so", "error", err)
	}
}

// run keeps the limiter going until ctx ends.
func (l *limits) run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return l.Run(ctx) })
	group.Go(func() error { l.restoreLater(ctx); return nil })
	if l.Blocks() {
		group.Go(func() error { l.prepareChanged(ctx); return nil })
	}
	if l.listen != "" {
		group.Go(func() error { return l.serveConfig(ctx) })
	}
	return group.Wait()
}

// serveConfig serves the configuration of limits to the service that counts.
func (l *limits) serveConfig(ctx context.Context) error {
	for failed := false; ; failed = true {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.listen)
		if err == nil {
			return xds.Serve(ctx, listener, l.Register)
		}
		if !failed {
			l.log.Error("the rate limit service cannot get its configuration here, at RATE_LIMIT_CONFIG_LISTEN (limits.service_config); that is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenRetry):
		}
	}
}

// prepareChanged tells the service of the limits of keys that were made or changed, even if their
// requests only come to other gateways.
func (l *limits) prepareChanged(ctx context.Context) {
	tick := time.NewTicker(prepareEvery)
	defer tick.Stop()
	for prepared := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changes := l.keys.Changes()
		if changes == prepared {
			continue
		}
		if err := l.Prepare(ctx, l.keys.AllLimits()); err != nil && ctx.Err() == nil {
			l.log.Error("the limits of changed keys could not be sent to the rate limit service", "error", err)
		}
		prepared = changes
	}
}

// restoreLater restores the counters once the store can be read.
func (l *limits) restoreLater(ctx context.Context) {
	tick := time.NewTicker(restoreRetry)
	defer tick.Stop()
	for {
		now, err := l.restore(ctx, restoreLong)
		if now {
			l.log.Info("the counters of hour and day limits are restored")
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// restoreFirst restores the counters before the rows of earlier processes are written: used counts
// those, and restore would count them again. What it cannot do now is done later.
func (l *limits) restoreFirst(ctx context.Context) { _, _ = l.restore(ctx, restoreTimeout) }

// restore counts what was used in the current periods before this process began, once, and reports
// whether it has done so now.
func (l *limits) restore(ctx context.Context, within time.Duration) (now bool, err error) {
	l.restoring.Lock()
	defer l.restoring.Unlock()
	if l.restored || !l.Counts() { // a service has kept counting
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	used := map[gateway.LimitPeriod][]gateway.LimitUsage{}
	for _, per := range []gateway.LimitPeriod{gateway.PerMinute, gateway.PerHour, gateway.PerDay} {
		from := l.begun.UTC().Truncate(per.Duration())
		err := l.tables.Used(ctx, from, l.begun, func(u gateway.LimitUsage) { used[per] = append(used[per], u) })
		if err != nil {
			return false, err
		}
	}
	var faults []error
	for per, all := range used {
		for _, u := range all {
			r := limitedRequest(u.Key, u.User, u.Client, u.Model)
			faults = append(faults, l.Restore(&r, per, u.Requests, u.Tokens))
		}
	}
	l.restored = true
	return true, errors.Join(faults...)
}

// used charges tokens that nobody has charged: those of requests of a killed process, and those
// in a row beyond its settlement.
func (l *limits) used(u ledger.Used) {
	r := limitedRequest(u.Intent.KeyID, u.Intent.UserID, u.Intent.ClientIP, u.Intent.Model)
	r.Own = l.keys.Limits(r.Key)
	err := l.charge(u, &r)
	if err != nil {
		l.log.Warn("a request was not counted for its limits", "id", u.Intent.ID, "error", err)
	}
}

func (l *limits) charge(u ledger.Used, r *gateway.LimitedRequest) error {
	if u.More == 0 && !u.Inherited || u.Intent.StartedAt.Before(l.Since()) {
		return nil
	}
	if !u.Inherited || !u.First {
		return l.add(r, u, 0, u.More)
	}
	ctx, cancel := context.WithTimeout(context.Background(), rowTimeout)
	defer cancel()
	there, err := l.tables.Has(ctx, u.Intent.StartedAt, u.Intent.ID)
	switch {
	case err != nil || there: // its row was restored, or charged by whoever wrote it
		return err
	case l.Counts():
		return l.add(r, u, 1, u.Settled+u.More)
	}
	return l.add(r, u, 0, u.More) // the settlement was charged by whoever settled
}

// add charges a request in the periods that it began in.
func (l *limits) add(r *gateway.LimitedRequest, u ledger.Used, requests, tokens int64) error {
	if !l.Counts() {
		return l.Charge(r, tokens)
	}
	var faults []error
	for _, per := range []gateway.LimitPeriod{gateway.PerMinute, gateway.PerHour, gateway.PerDay} {
		if !u.Intent.StartedAt.Before(time.Now().UTC().Truncate(per.Duration())) {
			faults = append(faults, l.Restore(r, per, requests, tokens))
		}
	}
	return errors.Join(faults...)
}

// limitedRequest is a recorded request in the form that limits use.
func limitedRequest(key gateway.KeyID, user, client string, model gateway.Model) gateway.LimitedRequest {
	r := gateway.LimitedRequest{User: user, Client: client, Model: model}
	if gateway.IsIssued(key) { // others stand for keys of providers, which limits do not count by
		r.Key = key
	}
	return r
}
