package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"ai-gateway/budgets"
	"ai-gateway/control"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/envoy"
	"ai-gateway/gateway"
	"ai-gateway/store"
	"ai-gateway/telemetry"
	"ai-gateway/xds"
)

// metricsServer serves metrics at an address.
type metricsServer struct {
	*telemetry.Telemetry
	listen string // "" serves none
	log    *slog.Logger
}

// telemetryOf counts and traces what an agent does, and shows how its parts are.
func (s *service) telemetryOf(live *control.Control, who *entry, parts telemetry.Parts) (metricsServer, error) {
	begun := live.Settings().Config
	admin, err := s.admin()
	if err != nil {
		return metricsServer{}, err
	}
	t, err := telemetry.New(telemetry.Config{
		Version: ownVersion(), Started: s.started,
		KnownModel: func(m gateway.Model) bool { return isKnown(live.Settings(), m) },
		Backends:   func() []gateway.Backend { return live.Settings().Routes.Backends },
		LiveKey:    who.gate.Works,
		Parts:      parts, EnvoyMetrics: admin.Metrics,
		Traces: telemetry.TraceConfig(begun.Traces), Log: s.log,
	})
	return metricsServer{t, begun.MetricsListen, s.log}, err
}

// isKnown reports whether a model is configured or has a price.
func isKnown(now *control.Settings, m gateway.Model) bool {
	for i := range now.Routes.Models {
		if now.Routes.Models[i].Model == m {
			return true
		}
	}
	_, priced := now.Prices.Price(m, time.Now())
	return priced
}

// run serves metrics and sends traces until ctx ends.
func (m metricsServer) run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return m.Run(ctx) })
	if m.listen != "" {
		group.Go(func() error { return m.serve(ctx) })
	}
	return group.Wait()
}

// serve waits for an address that another gateway has: requests are served meanwhile.
func (m metricsServer) serve(ctx context.Context) error {
	for failed := false; ; failed = true {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", m.listen)
		if err == nil {
			return dashboardapi.Serve(ctx, l, m.handler())
		}
		if !failed {
			m.log.Warn("metrics cannot be served here, at AI_GATEWAY_METRICS_LISTEN (metrics.listen); that is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenRetry):
		}
	}
}

func (m metricsServer) handler() http.Handler {
	at, err := netip.ParseAddrPort(m.listen)
	return m.Handler(err == nil && at.Addr().IsLoopback())
}

// partsOf are where metrics are asked for, those of the ledger and of exchanges excepted, which are made later.
func (s *service) partsOf(live *control.Control, envoys *xds.Server, tables *store.Store, who *entry, requestLimits *limits, allowed *budgets.Budgets, backends *envoy.Backends) telemetry.Parts {
	return telemetry.Parts{
		Limits: requestLimits.Stats, Budgets: allowed.Stats, Envoy: envoys.Status, Failing: backends.Failing, Ping: tables.Ping, ConfigFault: live.Fault,
		ConfigSince: func() time.Time { return live.Settings().Since }, MaxWALBytes: live.Settings().Config.Spool.MaxBytes,
		KeysFollowed: func() bool { return who.gate.Loaded() && who.gate.Fault() == nil }, Draining: s.draining.Load,
	}
}
