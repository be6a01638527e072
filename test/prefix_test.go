package test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnEnvoyServesTheGatewayBelowAPrefix has the gateway's paths begin with one, and nothing but these
// be the gateway's.
func TestAnEnvoyServesTheGatewayBelowAPrefix(t *testing.T) {
	t.Parallel()
	a := startShop(t, os.Getenv(envoyVariable))
	a.prefix = "/ai"
	a.run(a.attach("--listener", "https", "--prefix", a.prefix))
	a.apart.serve("agent")
	key := a.key(t)
	for _, r := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/ai/v1/models", http.StatusOK, `"object":"list"`},
		{"GET", "/ai/health", http.StatusOK, `"status":"ok"`},
		{"GET", "/ai/livez", http.StatusOK, `"status":"ok"`},
		{"GET", "/ai/v1/responses/resp_none", http.StatusNotFound, `not found`},
		{"GET", "/v1/responses/resp_none", http.StatusNotFound, "no such page"},
		{"POST", "/ai/v1/chat/completions?a=b", http.StatusOK, `"chat.completion"`},
		{"GET", "/ai/v1/chat/completions", http.StatusMethodNotAllowed, `"error"`},
		{"POST", "/ai/v1/chat/completions/", http.StatusNotFound, `"error"`},
		{"POST", "/ai/v1/chat/completions/more", http.StatusNotFound, `"error"`},
		{"POST", "/ai/ai/v1/chat/completions", http.StatusNotFound, `"error"`},
		{"POST", "/ai/v1/%63hat/completions", http.StatusNotFound, `"error"`},
		{"GET", "/ai/api/costs", http.StatusNotFound, `"error"`},
		{"GET", "/ai/", http.StatusNotFound, `"error"`},
		{"GET", "/ai", http.StatusNotFound, `"error"`},
		{"POST", "/v1/chat/completions", http.StatusNotFound, "no such page"}, // of the shop, as these:
		{"POST", "/AI/v1/chat/completions", http.StatusNotFound, "no such page"},
		{"POST", "/aix/v1/chat/completions", http.StatusNotFound, "no such page"},
		{"GET", "/health", http.StatusNotFound, "no such page"},
		{"GET", "/livez", http.StatusNotFound, "no such page"},
	} {
		body := ""
		if r.method == "POST" {
			body = chatBody("gen-chunks=1", false)
		}
		if got := a.ask(r.method, r.path, body, key); got.status != r.status || !strings.Contains(got.body, r.text) {
			t.Errorf("%s %s: %v, want %d with %s", r.method, r.path, got, r.status, r.text)
		}
	}
	if got := a.ask("POST", "/ai"+chatPath, chatBody("gen-chunks=1", false)); got.status != http.StatusUnauthorized {
		t.Errorf("without a key a request is answered with %v", got)
	}
	if calls := a.fake.Books().Of("gen-chunks=1"); len(calls) != 2 {
		t.Errorf("the provider has seen %d calls, not the first of the key and the one with a query: %v", len(calls), calls)
	}
	a.isMetered(t)
}

// TestEnvoyAcceptsEveryKindOfFile has Envoy look at the gateway in configurations of all styles.
func TestEnvoyAcceptsEveryKindOfFile(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../envoy/testdata/attach/*.yaml")
	if err != nil || len(paths) < 7 {
		t.Fatal(paths, err)
	}
	a := startShop(t, os.Getenv(envoyVariable))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "edge.yaml" { // has files of the test's
			continue
		}
		a.write("shop.yaml", text)
		below := []string{"--prefix", "/ai"}
		for _, name := range []string{"envoy.filters.http.buffer", "envoy.filters.http.lua"} {
			if bytes.Contains(text, []byte("name: "+name)) {
				below = append(below, "--without-filter", name)
			}
		}
		for _, args := range [][]string{nil, below} {
			a.validate(a.attach(args...))
		}
	}
}
