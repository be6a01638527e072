package xds

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// listening is an Envoy that asks for listeners and answers as the test says.
type listening struct {
	t      *testing.T
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

// serving is a server that publishes, with an Envoy that listens to it.
func serving(t *testing.T) (*Server, listening) {
	t.Helper()
	s := New(slog.New(slog.DiscardHandler))
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "xds.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	conn, err := grpc.NewClient("unix:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	e := listening{t, stream}
	e.must(err)
	e.must(stream.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "test"}, TypeUrl: resource.ListenerType}))
	return s, e
}

func (e listening) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// sent waits for the next listener, and returns what an answer to it refers to.
func (e listening) sent() (nonce string) {
	e.t.Helper()
	r, err := e.stream.Recv()
	e.must(err)
	return r.GetNonce()
}

// says accepts what has a nonce or, with a reason, refuses it.
func (e listening) says(nonce, reason string) {
	e.t.Helper()
	r := &discovery.DeltaDiscoveryRequest{TypeUrl: resource.ListenerType, ResponseNonce: nonce}
	if reason != "" {
		r.ErrorDetail = &status.Status{Message: reason}
	}
	e.must(e.stream.Send(r))
}

// publish publishes a configuration whose listener is at a port.
func publish(t *testing.T, s *Server, port int) {
	t.Helper()
	c := twoBackends(t)
	c.Port = port
	snapshot, err := Build(c)
	if err == nil {
		err = s.Publish(t.Context(), snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// accepted is what Accepted says within a while.
func accepted(t *testing.T, s *Server) error {
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	return s.Accepted(ctx)
}

func TestALateRefusalIsOfWhatItRefused(t *testing.T) {
	s, envoy := serving(t)
	publish(t, s, 1)
	first := envoy.sent()
	publish(t, s, 2)
	envoy.says(first, "port 1 is taken")
	second := envoy.sent()
	if err := accepted(t, s); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("before Envoy has said a word to the second: %v", err)
	}
	envoy.says(second, "")
	if err := s.Accepted(t.Context()); err != nil {
		t.Errorf("after it has accepted the second: %v", err)
	}
}

func TestARefusalHoldsWhileWhatWasRefusedIsPublished(t *testing.T) {
	s, envoy := serving(t)
	publish(t, s, 1)
	envoy.says(envoy.sent(), "port 1 is taken")
	for range 2 {
		if err := s.Accepted(t.Context()); !errors.Is(err, ErrRejected) {
			t.Errorf("what was refused: %v", err)
		}
		publish(t, s, 1) // Envoy is not asked again
	}
	publish(t, s, 2)
	envoy.says(envoy.sent(), "")
	if err := s.Accepted(t.Context()); err != nil || s.Status().Rejected != nil {
		t.Errorf("another: %v, status %+v", err, s.Status())
	}
}

func TestWhereNoEnvoyListensNobodyIsWaitedFor(t *testing.T) {
	s, envoy := serving(t)
	publish(t, s, 1)
	envoy.sent()
	if err := accepted(t, s); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("while Envoy is silent: %v", err)
	}
	envoy.must(envoy.stream.CloseSend())
	if err := s.Accepted(t.Context()); err != nil {
		t.Errorf("after it has left: %v", err)
	}
}
