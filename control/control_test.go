package control

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"ai-gateway/config"
	"ai-gateway/pricing"
	"ai-gateway/xds"
)

const oneBackend = "backends: [{name: a, kind: local, base_url: \"http://127.0.0.1:1/v1\"}]\ndefault_backend: a\n"

// reloading is a gateway whose file changes, and an Envoy that says nothing by itself.
type reloading struct {
	*Control
	t       *testing.T
	file    string
	log     bytes.Buffer
	applied []int // ports of what came in force
	envoy   discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	leave   func()
}

// reloads makes one in which a configuration is in force that Envoy has accepted.
func reloads(t *testing.T) *reloading {
	t.Helper()
	dir := t.TempDir()
	g := &reloading{t: t, file: filepath.Join(dir, "ai-gateway.yaml")}
	g.write(oneBackend)
	none := func(string) string { return "" }
	g.Control = New(Config{
		Load:     func() (config.Config, error) { return config.Load(g.file, none) },
		LoadText: func(text []byte) (config.Config, error) { return config.LoadText(g.file, text, none) },
		GoodFile: filepath.Join(dir, "good.yaml"),
		Frame: func() (xds.Config, error) {
			return xds.Config{ExtProcSocket: "/run/e", AgentSocket: "/run/g", APISocket: "/run/a", Journal: "/run/j", CAFile: "/ca.pem"}, nil
		},
		Prices: pricing.Default(), Envoy: xds.New(slog.New(slog.DiscardHandler)), Log: slog.New(slog.NewTextHandler(&g.log, nil)),
		Apply:        func(_ context.Context, s *Settings) { g.applied = append(g.applied, s.Config.Port) },
		NeedsRestart: func(begun, now config.Config) bool { return begun.DatabasePath != now.DatabasePath },
	})
	g.must(g.Start(t.Context()))
	conn, err := grpc.NewClient("passthrough:xds", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(g.serveXDS()))
	g.must(err)
	g.leave = func() { conn.Close() }
	t.Cleanup(g.leave)
	g.envoy, err = discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	g.must(err)
	g.must(g.envoy.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "test"}, TypeUrl: resource.ListenerType}))
	g.says(g.sent(), "")
	g.must(g.accepted())
	return g
}

// serveXDS serves Envoy until the test ends, and returns how it is reached.
func (g *reloading) serveXDS() func(context.Context, string) (net.Conn, error) {
	g.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Envoy.Serve(ctx, l) }()
	g.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			g.t.Error(err)
		}
	})
	return func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
}

func (g *reloading) accepted() error {
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	return g.Envoy.Accepted(ctx)
}

// untilAlone waits until no Envoy is connected.
func (g *reloading) untilAlone() error {
	for deadline := time.Now().Add(10 * time.Second); g.Envoy.Status().Envoys > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("an Envoy is still connected")
		}
	}
	return nil
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
	return g.replace(ctx)
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

func (g *reloading) port() int { return g.Settings().Config.Port }

func TestWhatEnvoyConfirmsLateIsInForceFromThenOn(t *testing.T) {
	g, nonce := unconfirmed(t)
	g.says(nonce, "")
	if err := g.replace(t.Context()); err != nil || g.port() != 3999 {
		t.Errorf("%v; port %d", err, g.port())
	}
}

func TestWhatEnvoyRefusesLateIsTakenBack(t *testing.T) {
	g, nonce := unconfirmed(t)
	g.says(nonce, "the port is taken")
	if err := g.replace(t.Context()); !errors.Is(err, xds.ErrRejected) || !strings.Contains(err.Error(), "the port is taken") || g.port() != 3002 {
		t.Errorf("%v; port %d", err, g.port())
	}
	g.says(g.sent(), "")
	g.must(g.accepted())
}

func TestWhereEnvoyIsGoneTheChangedFileIsInForce(t *testing.T) {
	g, _ := unconfirmed(t)
	g.leave()
	if err := g.replace(t.Context()); err != nil || g.port() != 3999 {
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
	g.must(g.accepted())
}

func TestAnEnvoyThatSaysNothingIsReportedOnce(t *testing.T) {
	t.Parallel()
	g, _ := unconfirmed(t)
	for range 2 {
		if g.reload(t.Context()) {
			t.Error("it is not tried again")
		}
		if strings.Count(g.log.String(), "envoy has not confirmed") != 1 || !strings.Contains(g.Fault(), "envoy has not confirmed") {
			t.Errorf("the fault is %q, the log %s", g.Fault(), g.log.String())
		}
	}
}

func TestABadFileAtTheStartLeavesTheLastGoodOneInForce(t *testing.T) {
	g := reloads(t)
	g.write("nonsense")
	again := New(g.Config)
	g.must(again.Start(t.Context()))
	if again.Settings().Config.Port != 3002 || !strings.Contains(again.Fault(), "must be a group of fields") {
		t.Errorf("port %d, fault %q", again.Settings().Config.Port, again.Fault())
	}
	g.must(os.Remove(g.GoodFile))
	if err := New(g.Config).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "must be a group of fields") {
		t.Errorf("without a good one: %v", err)
	}
}

func TestWhatComesInForceIsAppliedAndBackendsOfTheOneBeforeAreKeptForEnvoy(t *testing.T) {
	g := reloads(t)
	g.leave()
	g.must(g.untilAlone())
	g.write(strings.ReplaceAll(strings.ReplaceAll(oneBackend, "name: a", "name: b"), "default_backend: a", "default_backend: b") + "listen: {port: 3999}\nstorage: {database_path: x.db}\n")
	if !g.reload(t.Context()) || g.Fault() != "" {
		t.Fatalf("fault %q", g.Fault())
	}
	var names []string
	for _, b := range g.Settings().backends {
		names = append(names, b.Name)
	}
	if diff := cmp.Diff([]string{"b", "a"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{3002, 3999}, g.applied); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(g.log.String(), "that takes effect when the gateway is started again") {
		t.Errorf("the log is %s", g.log.String())
	}
}

func TestEnvoyAcceptsEveryHostNameWhereTheGatewayIsOpenOrEverybodyNeedsAKey(t *testing.T) {
	protected := make(chan struct{})
	close(protected)
	local := config.Config{Bind: "127.0.0.1"}
	open, withKey, elsewhere := local, local, local
	open.Open, withKey.AdminKey, elsewhere.Bind = true, "agw_0123456789abcdefghijklmnopqrstuv", "192.0.2.7"
	for name, c := range map[string]struct {
		config    config.Config
		protected chan struct{}
		want      bool
	}{
		"local":                  {local, nil, false},
		"local, with a key":      {local, protected, true},
		"local, with an admin's": {withKey, nil, true},
		"open":                   {open, nil, true},
		"elsewhere":              {elsewhere, nil, true},
	} {
		if got := New(Config{Protected: c.protected}).anyHost(&Settings{Config: c.config}); got != c.want {
			t.Errorf("%s: it accepts every host name: %t", name, got)
		}
	}
}

func TestAFileIsKeptAgainOnlyWhenItHasChanged(t *testing.T) {
	c := New(Config{GoodFile: filepath.Join(t.TempDir(), "good.yaml")})
	kept := func(text string) os.FileInfo {
		t.Helper()
		if err := c.saveGood([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(c.GoodFile); err != nil || string(got) != text {
			t.Fatalf("%q is kept, %v; want %q", got, err, text)
		}
		info, err := os.Stat(c.GoodFile)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first, again, changed := kept("listen: {port: 1}"), kept("listen: {port: 1}"), kept("listen: {port: 2}")
	if !os.SameFile(first, again) || os.SameFile(again, changed) {
		t.Errorf("the same text is written again: %t; a changed one is written: %t", !os.SameFile(first, again), !os.SameFile(again, changed))
	}
}
