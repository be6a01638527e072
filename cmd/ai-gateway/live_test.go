package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"ai-gateway/config"
	"ai-gateway/pricing"
	"ai-gateway/provider"
	"ai-gateway/xds"
)

const oneBackend = "backends: [{name: a, kind: local, base_url: \"http://127.0.0.1:1/v1\"}]\ndefault_backend: a\n"

// reloading is a gateway whose file changes, and an Envoy that says nothing by itself.
type reloading struct {
	*live
	t     *testing.T
	file  string
	envoy discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	leave func()
}

// reloads makes one in which a configuration is in force that Envoy has accepted.
func reloads(t *testing.T) *reloading {
	t.Helper()
	files := runFiles(shortFolder(t))
	g := &reloading{t: t, file: files.path("ai-gateway.yaml")}
	g.write(oneBackend)
	g.live = &live{world: world{func(string) string { return "" }, io.Discard, io.Discard, &g.file}, files: files, state: stateFiles(files),
		xds: xds.New(slog.New(slog.DiscardHandler)), book: pricing.Default(), memory: provider.NewMemory(maxEvents)}
	g.must(g.start(t.Context()))
	serveXDS(t, g.xds, files)
	waitFor(t, "the socket is there", func() bool {
		c, err := net.Dial("unix", files.xdsSocket())
		return err == nil && c.Close() == nil
	})
	conn, err := grpc.NewClient("unix:"+files.xdsSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	g.must(err)
	g.leave = func() { conn.Close() }
	t.Cleanup(g.leave)
	g.envoy, err = discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	g.must(err)
	g.must(g.envoy.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "test"}, TypeUrl: resource.ListenerType}))
	g.says(g.sent(), "")
	g.must(accepted(t, g.xds))
	return g
}

func (g *reloading) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *reloading) write(text string) {
	g.t.Helper()
	g.must(os.WriteFile(g.file, []byte(text), 0o600))
}

// sent waits for what Envoy is sent, and returns what an answer to it refers to.
func (g *reloading) sent() (nonce string) {
	g.t.Helper()
	r, err := g.envoy.Recv()
	g.must(err)
	return r.GetNonce()
}

// says has Envoy accept what it was sent or, with a reason, refuse it.
func (g *reloading) says(nonce, reason string) {
	g.t.Helper()
	r := &discovery.DeltaDiscoveryRequest{TypeUrl: resource.ListenerType, ResponseNonce: nonce}
	if reason != "" {
		r.ErrorDetail = &status.Status{Message: reason}
	}
	g.must(g.envoy.Send(r))
}

// reloadSoon reloads with an Envoy that takes its time.
func (g *reloading) reloadSoon() error {
	ctx, cancel := context.WithTimeout(g.t.Context(), 300*time.Millisecond)
	defer cancel()
	return g.reload(ctx)
}

// unconfirmed has a changed file that Envoy has got and says nothing to.
func unconfirmed(t *testing.T) (g *reloading, nonce string) {
	t.Helper()
	g = reloads(t)
	g.write(oneBackend + "listen: {port: 3999}\n")
	for range 2 { // it is tried again
		if err := g.reloadSoon(); !errors.Is(err, xds.ErrUnconfirmed) {
			t.Fatalf("Envoy says nothing, and the reload %v", err)
		}
	}
	if g.port() != 3002 {
		t.Errorf("what Envoy has not confirmed is in force: port %d", g.port())
	}
	return g, g.sent()
}

func (g *reloading) port() int { return g.now.Load().cfg.Port }

func TestWhatEnvoyConfirmsLateIsInForceFromThenOn(t *testing.T) {
	g, nonce := unconfirmed(t)
	g.says(nonce, "")
	if err := g.reload(t.Context()); err != nil || g.port() != 3999 {
		t.Errorf("%v; port %d", err, g.port())
	}
}

func TestWhatEnvoyRefusesLateIsTakenBack(t *testing.T) {
	g, nonce := unconfirmed(t)
	g.says(nonce, "the port is taken")
	if err := g.reload(t.Context()); !errors.Is(err, xds.ErrRejected) || !strings.Contains(err.Error(), "the port is taken") || g.port() != 3002 {
		t.Errorf("%v; port %d", err, g.port())
	}
	g.says(g.sent(), "")
	g.must(accepted(t, g.xds))
}

func TestWhereEnvoyIsGoneTheChangedFileIsInForce(t *testing.T) {
	g, _ := unconfirmed(t)
	g.leave()
	if err := g.reload(t.Context()); err != nil || g.port() != 3999 {
		t.Errorf("%v; port %d", err, g.port())
	}
}

func TestAFileThatTurnsBadWhileEnvoyIsSilentLeavesEnvoyWithTheOneInForce(t *testing.T) {
	g, nonce := unconfirmed(t)
	g.write("nonsense")
	if err := g.reloadSoon(); err == nil || errors.Is(err, xds.ErrUnconfirmed) {
		t.Errorf("a bad file: %v", err)
	}
	g.says(nonce, "")
	g.says(g.sent(), "")
	g.must(accepted(t, g.xds))
}

func TestAnEnvoyThatSaysNothingIsToldOnceAndOnHealth(t *testing.T) {
	t.Parallel()
	g, _ := unconfirmed(t)
	var log lines
	s := &service{world: g.world, live: g.live, log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 2 {
		if s.reload(t.Context()) {
			t.Error("it is not tried again")
		}
	}
	if strings.Count(log.String(), "envoy has not confirmed") != 1 || !strings.Contains(g.lastFault(), "envoy has not confirmed") {
		t.Errorf("health says %q, the log %s", g.lastFault(), log.String())
	}
}

func TestStorageIsComparedWithTheOneInUse(t *testing.T) {
	begun := config.Config{Spool: config.Spool{MaxBytes: 1}}
	s := &service{files: "/run", database: runFiles("/run").database(), begun: begun}
	elsewhere, larger := begun, begun
	elsewhere.DatabasePath = "/var/usage.db"
	larger.Spool.MaxBytes = 2
	if s.storesElsewhere(begun) || !s.storesElsewhere(elsewhere) || !s.storesElsewhere(larger) {
		t.Error("what is in use is taken for another storage, or another one for it")
	}
	s.database = elsewhere.DatabasePath
	if s.storesElsewhere(elsewhere) || !s.storesElsewhere(begun) {
		t.Error("the run's database is not what counts")
	}
}
