package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/test/program"
)

func TestWhyABackendIsNotReachedIsToldOfEachAddress(t *testing.T) {
	untrusted := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer untrusted.Close()
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	fine := httptest.NewServer(http.NotFoundHandler())
	defer fine.Close()
	var backends []gateway.Backend
	for name, server := range map[string]*httptest.Server{"untrusted": untrusted, "dead": dead, "fine": fine} {
		b := backendAt(t, server, "/v1")
		b.Name = name
		backends = append(backends, b)
	}
	backends = append(backends, gateway.Backend{Name: "a socket", Socket: "/none"})
	var out program.Output
	r := (world{getenv: os.Getenv}).newReach(func() []gateway.Backend { return backends }, slog.New(slog.NewTextHandler(&out, nil)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	for _, name := range []string{"fine", "untrusted", "dead", "a socket", "unknown"} {
		r.look(name)
	}
	said := func(text string) bool { return strings.Contains(out.String(), text) }
	for deadline := time.Now().Add(30 * time.Second); !said("backend=untrusted address=127.0.0.1") || !said("unknown authority") || !said("backend=dead address=127.0.0.1") || !said("connection refused"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it says\n%s", out.String())
		}
	}
	for range 2 * reachesWaiting {
		r.look("a socket") // never waits
	}
	stop()
	if err := <-ended; err != nil || said("fine") {
		t.Errorf("%v; it says\n%s", err, out.String())
	}
}
