package xds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// NodeID is the node id of every Envoy of this gateway; all get the same snapshot.
const NodeID = "ai-gateway"

const (
	stopTimeout   = time.Second
	pingTime      = 30 * time.Second
	maxSnapshotMB = 64
)

// Rejection is what Envoy said when it refused a resource.
type Rejection struct {
	At      time.Time
	TypeURL string
	Reason  string
}

// Server publishes snapshots over ADS.
type Server struct {
	cache cache.SnapshotCache
	log   *slog.Logger

	mu     sync.Mutex
	status Status
}

// New makes a server that has nothing to publish yet.
func New(log *slog.Logger) *Server {
	return &Server{
		cache: cache.NewSnapshotCache(true, oneNode{}, nil),
		log:   log,
	}
}

// oneNode gives every Envoy the same snapshot.
type oneNode struct{}

func (oneNode) ID(*core.Node) string { return NodeID }

// Publish makes a snapshot the one in force.
func (s *Server) Publish(ctx context.Context, snapshot *cache.Snapshot) error {
	s.mu.Lock()
	s.status.Version = Version(snapshot)
	s.mu.Unlock()
	return s.cache.SetSnapshot(ctx, NodeID, snapshot)
}

// Status is what is known of the Envoys that listen.
type Status struct {
	Version      string     // of what was published last
	Envoys       int        // connected now
	EnvoyVersion string     // of the last one that connected
	Rejected     *Rejection // the last refusal, until the same type was accepted
}

// Status tells how things stand.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Serve answers Envoys on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime}),
		grpc.MaxSendMsgSize(maxSnapshotMB<<20),
	)
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	discovery.RegisterAggregatedDiscoveryServiceServer(g, xdsserver.NewServer(streams, s.cache, s.callbacks()))
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
		DeltaStreamOpenFunc: func(context.Context, int64, string) error {
			s.count(1)
			return nil
		},
		DeltaStreamClosedFunc: func(int64, *core.Node) { s.count(-1) },
		StreamDeltaRequestFunc: func(_ int64, r *discovery.DeltaDiscoveryRequest) error {
			s.heard(r)
			return nil
		},
	}
}

func (s *Server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Envoys += n
}

// heard notes what Envoy said to the last resources of a type: nothing yet, yes or no.
func (s *Server) heard(r *discovery.DeltaDiscoveryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := r.GetNode().GetUserAgentBuildVersion().GetVersion(); v != nil {
		s.status.EnvoyVersion = fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	if r.GetResponseNonce() == "" {
		return
	}
	if detail := r.GetErrorDetail(); detail != nil {
		s.status.Rejected = &Rejection{At: time.Now(), TypeURL: r.GetTypeUrl(), Reason: detail.GetMessage()}
		s.log.Error("envoy refused a configuration; the one before stays in force",
			"type", r.GetTypeUrl(), "reason", detail.GetMessage())
		return
	}
	if last := s.status.Rejected; last != nil && last.TypeURL == r.GetTypeUrl() {
		s.status.Rejected = nil
	}
}
