package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ai-gateway/config"
	"ai-gateway/store/storetest"
)

// waiter is an agent at its start.
type waiter struct {
	*service
	cfg config.Config
	log safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWaiter(t *testing.T, url string) *waiter {
	t.Helper()
	dir := t.TempDir()
	succeed(t, os.Chmod(dir, 0o700))
	w := &waiter{cfg: config.Config{DatabaseURL: config.DatabaseURL(url), StateDir: dir + "/state"}}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.service = &service{world: world{getenv: os.Getenv, stderr: &w.log}, role: roleAgent, files: runFiles(dir), state: stateFiles(dir + "/state"), log: log}
	w.at = w.files.addresses()
	succeed(t, os.Mkdir(w.cfg.StateDir, 0o700))
	return w
}

// start waits for the storage in the background.
func (w *waiter) start(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- w.awaitStorage(ctx, w.cfg) }()
	return ended
}

func (w *waiter) ask(path string) (body string, err error) {
	text, err := get(context.Background(), unixClient(w.files.agentSocket()), "http://agent"+path)
	return string(text), err
}

// waits returns once the agent says that it waits.
func (w *waiter) waits(t *testing.T, ended <-chan error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := w.ask("/livez"); err == nil {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("it does not wait: %v, %s", err, w.log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not live: %s", w.log.String())
		}
	}
}

func TestAnAgentWaitsForADatabaseThatItHasNeverReached(t *testing.T) {
	server, url := storetest.Start(t)
	succeed(t, server.Hang())
	w := newWaiter(t, url+"&connect_timeout=1")
	ended := w.start(t.Context())
	w.waits(t, ended)
	if body, err := w.ask("/health"); err == nil || !strings.Contains(body, `"status":"unavailable"`) || !strings.Contains(body, `"store":"`) {
		t.Errorf("its health is %s, %v", body, err)
	}
	if body, err := w.ask("/v1/models"); err == nil || !strings.Contains(body, "gateway_restarting") {
		t.Errorf("it answers %s, %v", body, err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/health", nil)
	succeed(t, err)
	request.Header.Set("X-Envoy-External-Address", "192.0.2.1")
	response, err := unixClient(w.files.agentSocket()).Do(request)
	succeed(t, err)
	var told bytes.Buffer
	_, err = told.ReadFrom(response.Body)
	succeed(t, err)
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || strings.Contains(told.String(), "store") {
		t.Errorf("clients learn %d %s", response.StatusCode, &told)
	}
	succeed(t, server.Resume())
	select {
	case err := <-ended:
		succeed(t, err)
	case <-time.After(time.Minute):
		t.Fatalf("it still waits: %s", w.log.String())
	}
	if !strings.Contains(w.log.String(), "the database cannot be reached: the agent waits for it") || !strings.Contains(w.log.String(), "the database can be reached") {
		t.Errorf("it says %s", w.log.String())
	}
	if !wasShared(w.cfg.DatabaseURL, w.state) {
		t.Error("the secret of the database is not there")
	}
}

func TestAnAgentThatWaitsEndsWhenItIsTold(t *testing.T) {
	server, url := storetest.Start(t)
	succeed(t, server.Stop())
	ctx, stop := context.WithCancel(t.Context())
	w := newWaiter(t, url)
	ended := w.start(ctx)
	w.waits(t, ended)
	stop()
	select {
	case err := <-ended:
		succeed(t, err)
	case <-time.After(time.Minute):
		t.Fatal("it still waits")
	}
}

func TestAnAgentDoesNotWaitForWhatWaitingDoesNotMend(t *testing.T) {
	_, url := storetest.Start(t)
	for _, c := range []struct{ url, says string }{
		{strings.Replace(url, "postgres@", "nobody@", 1), `role "nobody" does not exist`},
		{strings.Replace(url, "/gateway", "/missing", 1), `database "missing" does not exist`},
	} {
		if c.url == url {
			t.Fatalf("%q is %q", url, c.says)
		}
		if err := newWaiter(t, c.url).awaitStorage(t.Context(), config.Config{DatabaseURL: config.DatabaseURL(c.url)}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %s", err, c.says)
		}
	}
}
