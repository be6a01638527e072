package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ai-gateway/envoy"
	"ai-gateway/gateway"
	"ai-gateway/test/program"
	"ai-gateway/xds"
)

const heardWithin = 10 * time.Second

// TestAConfigurationThatEnvoyRefusesIsToldAndLeavesTrafficAsItWas publishes to a
// real Envoy what only Envoy finds wrong: a file of authorities that is not there.
func TestAConfigurationThatEnvoyRefusesIsToldAndLeavesTrafficAsItWas(t *testing.T) {
	var log program.Output
	control := xds.New(slog.New(slog.NewTextHandler(&log, nil)))
	files := runFiles(program.Folder(t))
	good := snapshotConfig(t, files)
	publish(t, control, good)
	serveXDS(t, control, files)
	startEnvoy(t, files)
	waitFor(t, "Envoy answers", func() bool { return unknownURL(good.Port) })

	bad := good
	bad.CAFile = "/nowhere/ca.pem"
	bad.Routes.Backends = []gateway.Backend{{Name: "upstream", BaseURL: &url.URL{Scheme: "https", Host: "127.0.0.1:1"}}}
	publish(t, control, bad)
	if err := accepted(t, control); !errors.Is(err, xds.ErrRejected) {
		t.Fatalf("Envoy's word is %v", err)
	}
	if told := control.Status().Rejected.Reason; !strings.Contains(told, bad.CAFile) || !strings.Contains(log.String(), bad.CAFile) {
		t.Errorf("the status says %q, the log %s", told, log.String())
	}
	if !unknownURL(good.Port) {
		t.Error("traffic is not as it was")
	}

	publish(t, control, good)
	if err := accepted(t, control); err != nil {
		t.Error(err)
	}
	if r := control.Status().Rejected; r != nil {
		t.Errorf("the refusal is still told: %v", r)
	}
}

func accepted(t *testing.T, control *xds.Server) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), heardWithin)
	defer cancel()
	return control.Accepted(ctx)
}

func snapshotConfig(t *testing.T, files runFiles) xds.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return xds.Config{
		Bind: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, MaxBody: 1 << 20,
		ExtProcSocket: files.extProc(), APISocket: files.apiSocket(), Journal: files.path("journal.log"),
		Routes: gateway.Routes{Default: "upstream", Backends: []gateway.Backend{
			{Name: "upstream", BaseURL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}},
		}},
	}
}

func publish(t *testing.T, control *xds.Server, c xds.Config) {
	t.Helper()
	snapshot, err := xds.Build(c)
	if err == nil {
		err = control.Publish(t.Context(), snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func serveXDS(t *testing.T, control *xds.Server, files runFiles) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveSocket(ctx, files.xdsSocket(), control.Serve) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func startEnvoy(t *testing.T, files runFiles) {
	t.Helper()
	binary, err := envoy.Find(t.Context(), os.Getenv)
	if err != nil {
		t.Fatalf("this test needs Envoy: %v", err)
	}
	bootstrap, err := envoy.Bootstrap{AdminSocket: files.adminSocket(), XDSSocket: files.xdsSocket(), MaxHeapBytes: 1 << 30, MaxConnections: 1000}.YAML()
	if err == nil {
		err = os.WriteFile(files.bootstrap(), bootstrap, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	program.Start(t, exec.Command(binary.Path, "--config-path", files.bootstrap(), "--disable-hot-restart", "--log-level", "warning"))
}

// unknownURL reports whether Envoy answers, in the envelope, by its routes alone.
func unknownURL(port int) bool {
	client := tcpClient()
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/nothing", port))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusNotFound && bytes.Contains(body, []byte(`"unknown_url"`))
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(heardWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %s: %s", heardWithin, what)
}
