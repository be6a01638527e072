package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/pricing"
	"ai-gateway/store"
)

// runAPI is the role that shows what is in the store. What it shows of the agent it asks
// for at the agent's socket, also where both are one process.
func (s *service) runAPI(ctx context.Context, who *entry) (err error) {
	cfg, err := config.LoadGuarded(s.configFile(), s.getenv)
	switch {
	case s.role == roleAPI && err != nil:
		return err
	case err == nil:
		who.begin(cfg) // where there is an agent, it follows changes as well
	}
	tables, err := store.New(s.tables)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	handler := dashboardapi.Handler(dashboardapi.API{
		Version: ownVersion(), Started: s.started, Store: tables, AgentHealth: s.agentHealth, Configuration: s.shownConfiguration, Keys: who.keys,
		People: who.users, Doorman: doorman{s.signInOf(who, tables), who},
		Explainer: explainer{s, tables, who.gate.Protected, who.gate.Budget}, Check: s.check,
		Entry: who.forAPI(cfg.CORSOrigins), Log: s.log,
	})
	s.reseal(ctx, who.users)
	serve := answering(handler)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serveAt(ctx, s.files.apiSocket(), serve) })
	if s.role == roleAPI && cfg.APIAddress != "" {
		group.Go(func() error { return serveTCP(ctx, "api.address", cfg.APIAddress, serve) })
	}
	return group.Wait()
}

// agentHealth is what the agent answers, also where that is that it is unavailable.
func (s *service) agentHealth(ctx context.Context) ([]byte, error) {
	body, err := get(ctx, unixClient(s.files.agentSocket()), "http://agent/health")
	if body != nil {
		return body, nil
	}
	return nil, err
}

// configuration is what the files hold now. An api of its own calls no provider, and may have none
// of their keys.
func (s *service) configuration() (config.Config, error) {
	if s.role == roleAPI {
		return config.LoadKeyless(s.configFile(), s.getenv)
	}
	return s.load()
}

func (s *service) configurationText() ([]byte, error) {
	if s.role == roleAPI {
		return config.ShowKeyless(s.configFile(), s.getenv)
	}
	return config.Show(s.configFile(), s.getenv)
}

// shownConfiguration is what the files hold now, as the API shows it.
func (s *service) shownConfiguration() (dashboardapi.Configuration, error) {
	cfg, err := s.configuration()
	if err != nil {
		return dashboardapi.Configuration{}, err
	}
	text, err := s.configurationText()
	if err != nil {
		return dashboardapi.Configuration{}, err
	}
	prices, err := pricing.Default().With(cfg.Prices)
	return dashboardapi.Configuration{Text: string(text), Routes: cfg.RoutesWithDemo(s.files.demoSocket()), Price: prices.Price, LogsPrompts: cfg.PromptLog.Look() > 0}, err
}
