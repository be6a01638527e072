package main

import (
	"context"
	"errors"
	"time"

	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/usage/ledger"
)

const pingTimeout = 500 * time.Millisecond

// api hands the rooms' figures to the HTTP API.
func (s *service) api(tables *store.Tables, books *ledger.Ledger) dashboardapi.Config {
	return dashboardapi.Config{
		Health: func(ctx context.Context) dashboardapi.Health { return s.health(ctx, tables, books) },
		Models: func() []dashboardapi.Model { return models(s.live.now.Load()) },
		Costs: func(ctx context.Context) ([]dashboardapi.Costs, error) {
			db, err := tables.Store(ctx)
			if err != nil {
				return nil, err
			}
			keys, err := db.Costs(ctx)
			costs := make([]dashboardapi.Costs, len(keys))
			for i, k := range keys {
				costs[i] = keyCosts(k)
			}
			return costs, err
		},
		KeyCosts: func(ctx context.Context, id gateway.KeyID) (dashboardapi.Costs, error) {
			db, err := tables.Store(ctx)
			if err != nil {
				return dashboardapi.Costs{}, err
			}
			k, err := db.KeyCosts(ctx, id)
			if errors.Is(err, store.ErrNoKey) {
				err = dashboardapi.ErrNoKey
			}
			return keyCosts(k), err
		},
		Prompts: func(ctx context.Context, limit int) ([]dashboardapi.Prompt, error) {
			db, err := tables.Store(ctx)
			if err != nil {
				return nil, err
			}
			rows, err := db.Prompts(ctx, limit)
			prompts := make([]dashboardapi.Prompt, len(rows))
			for i, r := range rows {
				prompts[i] = dashboardapi.Prompt{ID: r.ID, StartedAt: r.StartedAt, KeyID: r.KeyID, Label: r.Label, Model: r.Model,
					Prompt: r.Prompt, Answer: r.Answer, PromptTokens: r.PromptTokens, CompletionTokens: r.CompletionTokens}
			}
			return prompts, err
		},
		Log: s.log,
	}
}

func (s *service) health(ctx context.Context, tables *store.Tables, books *ledger.Ledger) dashboardapi.Health {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	stats := books.Stats()
	heard, now := s.live.xds.Status(), s.live.now.Load()
	h := dashboardapi.Health{
		Status: "ok", Ready: true, Version: ownVersion(), Storage: now.cfg.Storage(),
		UptimeSeconds: int64(time.Since(s.started).Seconds()),
		Parts:         map[string]string{"serve": "ok", "config": "ok", "store": "ok", "usage": "ok", "envoy": "ok"},
		Envoy:         dashboardapi.EnvoyHealth{Version: heard.EnvoyVersion, Connected: heard.Envoys, ConfigVersion: heard.Version},
		Usage:         usageHealth(stats),
	}
	if r := heard.Rejected; r != nil {
		h.Parts["envoy"] = "refused a configuration; the one before it is in force"
		h.Envoy.RejectedConfig = &dashboardapi.Rejection{At: r.At, Type: r.TypeURL, Reason: r.Reason}
	}
	degraded := func(part, what string) { h.Status, h.Parts[part] = "degraded", what }
	if err := ping(ctx, tables); err != nil {
		degraded("store", err.Error()) // requests go on, their rows wait
	}
	if stats.LastError != "" {
		degraded("usage", stats.LastError)
	}
	h.Config = dashboardapi.ConfigHealth{File: s.configFile(), Since: now.since.UTC(), Fault: s.live.lastFault()}
	if h.Config.Fault != "" {
		degraded("config", "what the files hold now is not in force; what was before is")
	}
	if heard.Envoys == 0 {
		h.Status, h.Ready, h.Parts["envoy"] = "unavailable", false, "not connected"
	}
	return h
}

func ping(ctx context.Context, tables *store.Tables) error {
	db, err := tables.Store(ctx)
	if err != nil {
		return err
	}
	return db.Ping(ctx)
}

func usageHealth(s ledger.Stats) dashboardapi.UsageHealth {
	return dashboardapi.UsageHealth{
		Open: s.Open, Unwritten: s.Unwritten, Written: s.Written, Unpriced: s.Unpriced, Unread: s.Unread, SpoolBytes: s.WAL.Bytes, SpoolSegments: s.WAL.Segments,
		OldestSeconds: s.OldestAge.Round(time.Millisecond).Seconds(), Refused: s.Refused, Repaired: s.WAL.Repaired, Lost: s.WAL.Lost,
	}
}

func keyCosts(k store.KeyCosts) dashboardapi.Costs {
	c := costs(k.Sums)
	c.KeyID, c.Label = k.Key.ID, k.Key.Label
	for _, m := range k.Models {
		of := costs(m.Sums)
		of.Model = m.Model
		c.Models = append(c.Models, of)
	}
	return c
}

func costs(s store.Sums) dashboardapi.Costs {
	return dashboardapi.Costs{
		Requests: s.Requests, PromptTokens: s.PromptTokens, CachedTokens: s.CachedTokens, CompletionTokens: s.CompletionTokens,
		TotalTokens: s.PromptTokens + s.CompletionTokens, CostUSD: s.Cost.String(), CostNanoUSD: int64(s.Cost), Unpriced: s.Unpriced,
	}
}

func models(now *settings) []dashboardapi.Model {
	list := []dashboardapi.Model{}
	for _, r := range now.routes.Models {
		for _, name := range append([]gateway.Model{r.Model}, r.Aliases...) {
			list = append(list, dashboardapi.Model{ID: name, Object: "model", Created: now.since.Unix(), OwnedBy: r.Steps[0].Backend})
		}
	}
	return list
}
