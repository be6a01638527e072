package test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"ai-gateway/store/storetest"
	"ai-gateway/test/program"
)

// TestAnAgentThatWaitsForItsDatabaseIsLiveAndNotReady has an agent start while its PostgreSQL accepts
// connections and does not answer.
func TestAnAgentThatWaitsForItsDatabaseIsLiveAndNotReady(t *testing.T) {
	t.Parallel()
	server, url := storetest.Start(t)
	if err := server.Hang(); err != nil {
		t.Fatal(err)
	}
	a := startShop(t, os.Getenv(envoyVariable))
	for i, line := range a.apart.env {
		if strings.HasPrefix(line, "DATABASE_PATH=") {
			a.apart.env[i] = "DATABASE_URL=" + url + "&connect_timeout=1"
		}
	}
	a.apart.env = append(a.apart.env, "AI_GATEWAY_STATE_DIR="+a.apart.path("gateway.db.state"))
	a.run(a.attach("--listener", "https", "--health"))
	a.apart.serve("agent")
	await := func(path string) {
		t.Helper()
		program.Await(t, time.Minute, func() error {
			if got := a.ask("GET", path, ""); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"ok"`) {
				return fmt.Errorf("%s answers %v", path, got)
			}
			return nil
		})
	}
	await("/livez")
	for _, path := range []string{"/health", "/v1/models"} {
		if got := a.ask("GET", path, ""); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, "PostgreSQL") {
			t.Errorf("%s answers %v", path, got)
		}
	}
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false)); got.status != http.StatusServiceUnavailable {
		t.Errorf("a request is answered with %v", got)
	}
	if got := a.ask("GET", "/catalogue/1", ""); got.status != http.StatusOK {
		t.Errorf("the shop answers %v", got)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	await("/health")
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false)); got.status != http.StatusUnauthorized {
		t.Errorf("a request without a key is answered with %v", got)
	}
	if calls := a.fake.Books().Calls; len(calls) > 0 {
		t.Errorf("the backend saw %v", calls)
	}
}
