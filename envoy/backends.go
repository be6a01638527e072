package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/gateway"
)

const (
	// backendsEvery is how long Envoy may know of a backend's state before we do.
	backendsEvery = time.Second
	// backendsSoon is the same until Envoy has reported the state of all backends.
	backendsSoon = 100 * time.Millisecond
	// followTimeout is how long a changed configuration waits for Envoy's answer.
	followTimeout = 500 * time.Millisecond
)

// Backends follows how Envoy sees the backends: which ones its outlier detection has ejected,
// and which have no address.
type Backends struct {
	admin Admin
	log   *slog.Logger
	names atomic.Pointer[[]string]
	mu    sync.Mutex                                      // held while asking
	now   atomic.Pointer[map[string]gateway.BackendState] // of those that do not serve; nil before Envoy has answered
}

// NewBackends asks at Envoy's admin interface.
func NewBackends(admin Admin, log *slog.Logger) *Backends {
	return &Backends{admin: admin, log: log}
}

// Follow follows these backends from now on. It asks at once, so that no plan uses a backend that
// Envoy does not have yet.
func (b *Backends) Follow(ctx context.Context, all []gateway.Backend) {
	var names []string
	for _, backend := range all {
		names = append(names, backend.Name)
	}
	b.names.Store(&names)
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	_ = b.ask(ctx) // Run asks again
}

// State is the state of a backend. Until Envoy reports states, all backends serve.
func (b *Backends) State(backend string) gateway.BackendState {
	if now := b.now.Load(); now != nil {
		return (*now)[backend]
	}
	return gateway.BackendServes
}

// Failing are the states of the backends that do not serve, those left out that are about to.
func (b *Backends) Failing() map[string]gateway.BackendState {
	failing := map[string]gateway.BackendState{}
	if now := b.now.Load(); now != nil {
		maps.Copy(failing, *now)
	}
	maps.DeleteFunc(failing, func(_ string, s gateway.BackendState) bool { return s == gateway.BackendNotReady })
	return failing
}

// settled reports whether Envoy has reported the state of all backends.
func (b *Backends) settled() bool {
	now := b.now.Load()
	return now != nil && !slices.Contains(slices.Collect(maps.Values(*now)), gateway.BackendNotReady)
}

// Run asks Envoy until ctx ends.
func (b *Backends) Run(ctx context.Context) error {
	for {
		wait := backendsEvery
		_ = b.ask(ctx) // an Envoy that does not answer is reported elsewhere
		if !b.settled() {
			wait = backendsSoon
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// ask takes over the states from Envoy. If Envoy does not answer, the last ones stay valid.
func (b *Backends) ask(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := b.names.Load()
	if names == nil {
		return nil
	}
	clusters, err := b.admin.clusters(ctx)
	if err != nil {
		return err
	}
	failing := map[string]gateway.BackendState{}
	for _, name := range *names {
		state, known := clusters[gateway.ClusterOf(name)]
		if !known {
			state = gateway.BackendNotReady
		}
		if state != gateway.BackendServes {
			failing[name] = state
		}
	}
	before := b.Failing()
	b.now.Store(&failing)
	b.report(before, b.Failing())
	return nil
}

// report logs changes.
func (b *Backends) report(before, now map[string]gateway.BackendState) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != before[name] {
			b.log.Warn("a backend is passed over for the next ones of its models", "backend", name, "reason", now[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[name]; !still {
			b.log.Info("a backend is called again", "backend", name)
		}
	}
}

// clusterStatuses is the needed part of Envoy's answer.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/admin/v3/clusters.proto
type clusterStatuses struct {
	Clusters []struct {
		Name  string `json:"name"`
		Hosts []struct {
			Health struct {
				Ejected bool `json:"failed_outlier_check"`
			} `json:"health_status"`
		} `json:"host_statuses"`
	} `json:"cluster_statuses"`
}

// clusters are the states of Envoy's clusters. One that has several addresses is ejected when all
// of them are.
func (a Admin) clusters(ctx context.Context) (map[string]gateway.BackendState, error) {
	status, body, err := a.read(ctx, http.MethodGet, "/clusters?format=json")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answered %d", status)
	}
	var statuses clusterStatuses
	if err == nil {
		err = json.Unmarshal(body, &statuses)
	}
	if err != nil {
		return nil, fmt.Errorf("asking Envoy for its clusters: %w", err)
	}
	states := make(map[string]gateway.BackendState, len(statuses.Clusters))
	for _, c := range statuses.Clusters {
		states[c.Name] = gateway.BackendEjected
		for _, host := range c.Hosts {
			if !host.Health.Ejected {
				states[c.Name] = gateway.BackendServes
			}
		}
		if len(c.Hosts) == 0 {
			states[c.Name] = gateway.BackendNoHost
		}
	}
	return states, nil
}
