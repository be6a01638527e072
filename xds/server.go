package xds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"ai-gateway/gateway"
)

// nodeID is the cache's id for every Envoy, whatever its own node id.
const nodeID = "ai-gateway"

const (
	stopTimeout   = time.Second
	askEvery      = 5 * time.Millisecond
	pingTime      = 30 * time.Second
	maxSnapshotMB = 64
)

// withPriorityGroups is the first minor version of Envoy that chooses a cluster for each attempt.
const withPriorityGroups = 40

// Server publishes snapshots over ADS.
type Server struct {
	cache cache.SnapshotCache
	log   *slog.Logger

	mu        sync.Mutex
	status    gateway.EnvoyStatus
	published *cache.Snapshot             // nil before the first
	asked     map[int64]map[string]*offer // the types that each stream has asked for
}

// offer is the last response of a type to an Envoy, and the reason if Envoy refused it.
type offer struct {
	nonce   string // "" before the first
	version string // of all resources of the type
	refused string // the reason; "" if it was not refused
}

// New makes a server that has nothing to publish yet.
func New(log *slog.Logger) *Server {
	return &Server{cache: cache.NewSnapshotCache(true, oneNode{}, nil), log: log, asked: map[int64]map[string]*offer{}}
}

// oneNode gives every Envoy the same snapshot.
type oneNode struct{}

func (oneNode) ID(*core.Node) string { return nodeID }

// Publish puts a snapshot in force.
func (s *Server) Publish(ctx context.Context, snapshot *cache.Snapshot) error {
	s.mu.Lock()
	s.status.Version, s.published = Version(snapshot), snapshot
	s.status.Secrets = len(snapshot.GetResources(resource.SecretType))
	s.mu.Unlock()
	return s.cache.SetSnapshot(ctx, nodeID, snapshot)
}

var (
	// ErrRejected says that an Envoy refused what was published.
	ErrRejected = errors.New("envoy refused the configuration")
	// ErrUnconfirmed says that an Envoy has not yet accepted or refused what was published.
	ErrUnconfirmed = errors.New("envoy has not confirmed the configuration yet")
)

// Accepted waits until every Envoy that is connected has accepted what was published
// last. It returns ErrRejected, with Envoy's reason, as soon as one has refused it, and
// ErrUnconfirmed if ctx ends before.
func (s *Server) Accepted(ctx context.Context) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		if done, err := s.accepted(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ErrUnconfirmed
		}
	}
}

// accepted reports whether every Envoy has confirmed its last responses. Each has a watch in the
// cache for every type that it asked for. A watch ends when it is answered by changed resources,
// and begins again when Envoy has accepted or refused them.
func (s *Server) accepted() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := 0
	for _, types := range s.asked {
		for typeURL, o := range types {
			if o.refused != "" && o.version == s.published.GetVersion(typeURL) {
				return false, fmt.Errorf("%w: %s", ErrRejected, o.refused)
			}
		}
		asked += len(types)
	}
	info := s.cache.GetStatusInfo(nodeID)
	return asked == 0 || info != nil && info.GetNumDeltaWatches() == asked, nil
}

// Status returns what is known of the Envoys that are connected.
func (s *Server) Status() gateway.EnvoyStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Serve answers Envoys on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return Serve(ctx, l, s.register, grpc.MaxSendMsgSize(maxSnapshotMB<<20))
}

func (s *Server) register(streams context.Context, g *grpc.Server) {
	resources := xdsserver.NewServer(streams, s.cache, s.callbacks())
	discovery.RegisterAggregatedDiscoveryServiceServer(g, resources)
	secret.RegisterSecretDiscoveryServiceServer(g, resources) // for an Envoy that gets everything else from another server
}

// Serve answers on l until ctx ends, with the discovery services that register adds. Their
// streams have to end with the context that register gets.
func Serve(ctx context.Context, l net.Listener, register func(streams context.Context, g *grpc.Server), options ...grpc.ServerOption) error {
	g := grpc.NewServer(append(options, grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime}))...)
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	register(streams, g)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	cancel()
	hard := time.AfterFunc(stopTimeout, g.Stop)
	g.GracefulStop()
	hard.Stop()
	if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func (s *Server) callbacks() xdsserver.Callbacks {
	return xdsserver.CallbackFuncs{
		DeltaStreamOpenFunc: func(_ context.Context, id int64, _ string) error {
			s.opened(id)
			return nil
		},
		DeltaStreamClosedFunc: func(id int64, _ *core.Node) { s.closed(id) },
		StreamDeltaRequestFunc: func(id int64, r *discovery.DeltaDiscoveryRequest) error {
			s.acknowledged(id, r)
			return nil
		},
		StreamDeltaResponseFunc: func(id int64, _ *discovery.DeltaDiscoveryRequest, r *discovery.DeltaDiscoveryResponse) {
			s.sent(id, r)
		},
	}
}

func (s *Server) opened(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[id] = map[string]*offer{}
	s.status.Envoys = len(s.asked)
}

func (s *Server) closed(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, id)
	s.status.Envoys = len(s.asked)
}

// sent notes a response of a type to an Envoy.
func (s *Server) sent(id int64, r *discovery.DeltaDiscoveryResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if types := s.asked[id]; types != nil {
		types[r.GetTypeUrl()] = &offer{nonce: r.GetNonce(), version: r.GetSystemVersionInfo()}
	}
}

// acknowledged notes whether Envoy accepted or refused the last resources of a type (ACK, NACK).
func (s *Server) acknowledged(id int64, r *discovery.DeltaDiscoveryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := r.GetNode().GetUserAgentBuildVersion().GetVersion(); v != nil {
		s.status.EnvoyVersion = fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
		s.status.OneBackend = v.GetMajorNumber() == 1 && v.GetMinorNumber() < withPriorityGroups
	}
	o := s.offered(id, r.GetTypeUrl())
	if r.GetResponseNonce() == "" {
		return
	}
	if detail := r.GetErrorDetail(); detail != nil {
		if r.GetResponseNonce() == o.nonce {
			o.refused = cmp.Or(detail.GetMessage(), "it gave no reason")
		}
		s.status.Rejected = &gateway.Rejection{At: time.Now(), TypeURL: r.GetTypeUrl(), Reason: detail.GetMessage()}
		s.log.Error("envoy refused a configuration; the one before stays in force",
			"type", r.GetTypeUrl(), "reason", detail.GetMessage())
		return
	}
	if last := s.status.Rejected; last != nil && last.TypeURL == r.GetTypeUrl() {
		s.status.Rejected = nil
	}
}

// offered is the last response of a type on a stream.
func (s *Server) offered(id int64, typeURL string) *offer {
	types := s.asked[id]
	if types == nil {
		return &offer{} // the stream is gone
	}
	if types[typeURL] == nil {
		types[typeURL] = &offer{}
	}
	return types[typeURL]
}
