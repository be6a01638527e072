package ratelimitconfig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// publisher serves the configuration of limits to services of envoyproxy/ratelimit. It is
// separate from Envoy's server, because that one has the providers' keys, while other machines
// may have to reach this one.
type publisher struct {
	cache cache.SnapshotCache
	log   *slog.Logger
	mu    sync.Mutex // of publishing: a newer configuration is never replaced by an older one
}

// everyNode gives every service the same configuration, under any name.
type everyNode struct{}

const nodeID = "ratelimit"

func (everyNode) ID(*core.Node) string { return nodeID }

func newPublisher(log *slog.Logger) *publisher {
	return &publisher{cache: cache.NewSnapshotCache(true, everyNode{}, nil), log: log}
}

// publish makes the tiers of sets the configuration of services. All of them must have been
// loaded here before: a service that refuses one asks for it again without a pause.
func (p *publisher) publish(ctx context.Context, sets ...*Set) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tiers []*tier
	for _, s := range sets {
		tiers = append(tiers, s.all()...)
	}
	config := resourceOf(tiers)
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(config)
	if err != nil {
		return fmt.Errorf("writing the configuration of limits: %w", err)
	}
	sum := sha256.Sum256(text)
	snapshot := &cache.Snapshot{}
	snapshot.Resources[types.RateLimitConfig] = cache.NewResources(hex.EncodeToString(sum[:])[:12], []types.Resource{config})
	if err := p.cache.SetSnapshot(ctx, nodeID, snapshot); err != nil {
		return fmt.Errorf("publishing the configuration of limits: %w", err)
	}
	return nil
}

// Register adds the service that sends the configuration of limits to services of
// envoyproxy/ratelimit (CONFIG_TYPE=GRPC_XDS_SOTW). Its streams end with the context. It is for
// limiters with a service.
func (l *Limiter) Register(streams context.Context, g *grpc.Server) {
	discovery.RegisterAggregatedDiscoveryServiceServer(g, xdsserver.NewServer(streams, l.publisher.cache, l.publisher.callbacks()))
}

// errOtherType refuses types that only Envoy would ask for.
var errOtherType = errors.New("this server only has the configuration of rate limits")

func (p *publisher) callbacks() xdsserver.Callbacks {
	return xdsserver.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			if detail := r.GetErrorDetail(); detail != nil {
				p.log.Error("a rate limit service refused the configuration of limits; the previous one stays in force", "reason", detail.GetMessage())
			}
			if r.GetTypeUrl() != resource.RateLimitConfigType {
				return errOtherType
			}
			return nil
		},
	}
}
