package main

import (
	"context"
	"errors"
	"net"

	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/store"
)

// runAPI is the role that shows what is in the store. What it shows of the agent it asks
// for at the agent's socket, also where both are one process.
func (s *service) runAPI(ctx context.Context) (err error) {
	tables, err := store.New(store.Config{Path: s.database})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	handler := dashboardapi.Handler(dashboardapi.API{
		Version: ownVersion(), Started: s.started, Store: tables, AgentHealth: s.agentHealth, Log: s.log,
	})
	return serveSocket(ctx, s.files.apiSocket(), func(ctx context.Context, l net.Listener) error { return dashboardapi.Serve(ctx, l, handler) })
}

// agentHealth is what the agent answers, also where that is that it is unavailable.
func (s *service) agentHealth(ctx context.Context) ([]byte, error) {
	body, err := get(ctx, unixClient(s.files.agentSocket()), "http://agent/health")
	if body != nil {
		return body, nil
	}
	return nil, err
}
