package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/store"
)

// The pauses between attempts to reach the database at the start.
const (
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
)

// awaitStorage prepares the tables. If PostgreSQL cannot be reached, the agent waits for it, because
// its keys are there: it is live and not ready meanwhile. What waiting does not mend, such as a wrong
// password, ends it.
func (s *service) awaitStorage(ctx context.Context, cfg config.Config) error {
	err := s.prepareStorage(ctx, cfg, s.state)
	if cfg.DatabaseURL == "" || !store.IsAway(err) {
		return err
	}
	var reason atomic.Value
	reason.Store(err.Error())
	handler := dashboardapi.WaitingHandler(ownVersion(), func() string { return reason.Load().(string) }, s.log)
	ctx, done := context.WithCancel(ctx)
	defer done()
	group, ctx := errgroup.WithContext(ctx)
	s.answer(ctx, group, handler)
	group.Go(func() error {
		defer done()
		return s.retryStorage(ctx, cfg, err, func(err error) { reason.Store(err.Error()) })
	})
	return group.Wait()
}

// retryStorage tries until the database answers, or ctx ends.
func (s *service) retryStorage(ctx context.Context, cfg config.Config, err error, failed func(error)) error {
	for pause := firstRetry; store.IsAway(err); pause = min(2*pause, lastRetry) {
		s.log.Warn("the database cannot be reached: the agent waits for it and serves no requests", "error", err, "next_attempt_in", pause)
		failed(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		err = s.prepareStorage(ctx, cfg, s.state)
	}
	if err == nil {
		s.log.Info("the database can be reached")
	}
	return err
}
