package main

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/supervisor"
)

// backendAt is a backend at a test's server.
func backendAt(t *testing.T, server *httptest.Server, path string) gateway.Backend {
	t.Helper()
	base, err := url.Parse(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Backend{Name: "b", BaseURL: base, Secret: "secret"}
}

func TestDoctorAsksEachKindOfBackendAsEnvoyWould(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	for _, c := range []struct {
		kind                        gateway.Kind
		path, version               string
		wantURI, wantBearer, wantAs string
	}{
		{gateway.OpenAI, "/api/v1", "", "/api/v1/models", "Bearer secret", ""},
		{gateway.Local, "", "", "/models", "Bearer secret", ""},
		{gateway.Azure, "", "", "/openai/v1/models", "", "secret"},
		{gateway.Azure, "", "2024-10-21", "/openai/models?api-version=2024-10-21", "", "secret"},
	} {
		b := backendAt(t, server, c.path)
		b.Kind, b.APIVersion = c.kind, c.version
		if f := (world{getenv: os.Getenv}).checkBackend(t.Context(), b); f.err != nil || f.hint != "" {
			t.Errorf("%s: %s", c.kind, f)
		}
		if bearer, as := seen.Header.Get("Authorization"), seen.Header.Get("api-key"); seen.RequestURI != c.wantURI || bearer != c.wantBearer || as != c.wantAs {
			t.Errorf("%s is asked for %s with %q, %q", c.kind, seen.RequestURI, bearer, as)
		}
	}
}

func TestDoctorTakesNoKeyWhereABackendSendsIt(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked with %v", r.Header)
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer server.Close()
	if f := (world{getenv: os.Getenv}).checkBackend(t.Context(), backendAt(t, server, "")); f.err == nil || !strings.Contains(f.err.Error(), elsewhere.URL) {
		t.Errorf("%s", f)
	}
}

func TestDoctorTrustsABackendsOwnAuthorities(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer server.Close()
	b := backendAt(t, server, "")
	if f := (world{getenv: os.Getenv}).checkBackend(t.Context(), b); f.err == nil || !strings.Contains(f.hint, "ca_file") {
		t.Errorf("by the system's authorities: %s", f)
	}
	b.Authorities = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if f := (world{getenv: os.Getenv}).checkBackend(t.Context(), b); f.err != nil {
		t.Errorf("by its own: %s", f)
	}
}

func TestDoctorFailsWhereABackendWouldNotServe(t *testing.T) {
	for _, c := range []struct {
		status            int
		body, chatBody    string
		chat              int // the status of the answer to a chat without anything in it
		wantErr, wantHint string
	}{
		{status: 200, body: `{"data":[]}`},
		{status: 200, body: "<html>welcome</html>", wantErr: "its answer is not JSON", wantHint: "ends in /v1 at most providers"},
		{status: 404, chat: 404, wantErr: "there is no API at", wantHint: "ends in /v1 at most providers"},
		{status: 405, chat: 405, wantErr: "there is no API at", wantHint: "look at the path of base_url"},
		{status: 404, chat: 400, chatBody: `{"error":{}}`}, // it has no list of models
		{status: 405, chat: 422, chatBody: `{"error":{}}`},
		{status: 404, chat: 401, wantErr: "it refuses the configured key", wantHint: "give it an api_key"},
		{status: 404, chat: 400, chatBody: "<html>", wantErr: "its answer is not JSON"},
		{status: 308, wantErr: "it redirects to", wantHint: "the gateway follows no redirects"},
		{status: 403, wantErr: "it refuses the configured key: 403", wantHint: "give it an api_key"},
		{status: 429, wantErr: "it refuses requests for now: 429", wantHint: "quota"},
		{status: 418, wantErr: "it refuses the question for its models: 418"},
		{status: 500, wantErr: "it fails: 500", wantHint: "look at the server"},
		{status: 503, wantErr: "it fails: 503", wantHint: "look at the server"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, body := c.status, c.body
			if r.Method == http.MethodPost {
				status, body = c.chat, c.chatBody
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		f := (world{getenv: os.Getenv}).checkBackend(t.Context(), backendAt(t, server, "/api"))
		server.Close()
		if f.err == nil && c.wantErr != "" || f.err != nil && (c.wantErr == "" || !strings.Contains(f.err.Error(), c.wantErr)) || !strings.Contains(f.hint, c.wantHint) {
			t.Errorf("%+v: %s", c, f)
		}
	}
}

func TestDoctorFindsAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
}

func TestDoctorNamesWhereAKeyIsFromOrWouldBe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	for hint, b := range map[string]gateway.Backend{
		"put a valid key into AZURE_KEY":                                 {Name: "a", Credential: gateway.OwnCredential, Secret: "x", SecretFrom: "AZURE_KEY"},
		"put a valid key into /run/secrets/azure":                        {Name: "upstream", Credential: gateway.ClientFirst, Secret: "x", SecretFrom: "/run/secrets/azure"},
		"it wants a key: set OPENAI_API_KEY, or let clients send theirs": {Name: "upstream", Credential: gateway.ClientFirst},
		"it wants a key: give it an api_key in a configuration file":     {Name: "localhost-11434-v1"},
	} {
		b.BaseURL = backendAt(t, server, "").BaseURL
		if f := (world{getenv: os.Getenv}).checkBackend(t.Context(), b); f.hint != hint || (f.err != nil) != (b.Secret != "") {
			t.Errorf("%s", f)
		}
	}
}

func TestDoctorNamesEveryKeyThatIsSet(t *testing.T) {
	var cfg config.Config
	cfg.Routes.Backends = []gateway.Backend{
		{Name: "openai", Credential: gateway.ClientFirst, Secret: "x", SecretFrom: "OPENAI_API_KEY"},
		{Name: "azure", Credential: gateway.OwnCredential, Secret: "y", SecretFrom: "/run/secrets/azure"},
		{Name: "other", Credential: gateway.ClientFirst},
	}
	if f := checkKey(cfg); f.good != "OPENAI_API_KEY for openai when a client sends none; /run/secrets/azure for azure" || f.hint != "" {
		t.Errorf("%s", f)
	}
}

func TestDoctorSeesThatAnotherProcessUsesTheState(t *testing.T) {
	cfg := config.Config{DatabasePath: filepath.Join(t.TempDir(), "usage.db")}
	if f := (world{getenv: os.Getenv}).checkStore(t.Context(), cfg, false); f.err != nil {
		t.Errorf("with no state: %s", f)
	}
	release, err := supervisor.LockState(cfg.DatabasePath+".state", func(text string) { t.Error(text) })
	if err != nil {
		t.Fatal(err)
	}
	if f := (world{getenv: os.Getenv}).checkStore(t.Context(), cfg, false); f.err == nil || !strings.Contains(f.String(), "process "+strconv.Itoa(os.Getpid())+" uses") || f.hint == "" {
		t.Errorf("while it is used: %s", f)
	}
	if f := (world{getenv: os.Getenv}).checkStore(t.Context(), cfg, true); f.err != nil {
		t.Errorf("while a gateway answers, which uses it: %s", f)
	}
	release()
	if f := (world{getenv: os.Getenv}).checkStore(t.Context(), cfg, false); f.err != nil {
		t.Errorf("after that: %s", f)
	}
}

func TestDoctorSeesWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, good := range map[string]bool{
		filepath.Join(dir, "new.db"): true, write("empty.db", ""): true, write("broken.db", "SQLite format 3\x00…"): false,
		write("short", "x"): false, write("text", "nothing but a text, and a longer one"): false, dir: false,
	} {
		f := (world{getenv: os.Getenv}).checkStore(t.Context(), config.Config{DatabasePath: path}, true)
		if (f.err == nil) != good || (f.hint == "") != good || !good && !strings.Contains(f.err.Error(), path) {
			t.Errorf("%s", f)
		}
	}
}

func TestDoctorSaysPlainlyWhatItDidNotCheck(t *testing.T) {
	f := finding{about: "backend upstream", err: errors.New("connection refused"), hint: "check the address"}
	want := "skip  backend upstream       not checked, as it is not reached (connection refused); the model demo does not need it"
	if got := f.unlessDemo(true); got.String() != want || got.err != nil {
		t.Errorf("%s", got)
	}
	if got := f.unlessDemo(false); got.err == nil || got.hint == "" {
		t.Errorf("with something real: %s", got)
	}
}

func TestDoctorTellsAGatewayFromAnotherServer(t *testing.T) {
	for body, ours := range map[string]bool{`{"status":"ok"}`: true, "hello": false, "{}": false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
		n, _ := strconv.Atoi(port)
		f, answers := checkPort(t.Context(), config.Config{Bind: "127.0.0.1", Port: n})
		server.Close()
		if answers != ours || (f.err == nil) != ours {
			t.Errorf("%s: %s", body, f)
		}
	}
}

func TestDoctorFindsAStateFolderThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	succeed(t, os.WriteFile(file, nil, 0o600))
	for state, want := range map[string]string{
		filepath.Join(dir, "new"): "", dir: "", file: "is a file", filepath.Join(dir, "no", "such"): "no such file", filepath.Join(file, "below"): "not a directory",
	} {
		f := (world{getenv: os.Getenv}).checkStore(t.Context(), config.Config{DatabasePath: filepath.Join(dir, "gateway.db"), StateDir: state}, false)
		if (f.err == nil) != (want == "") || f.err != nil && (!strings.Contains(f.err.Error(), want) || f.hint == "") {
			t.Errorf("%s: %s", state, f)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
}

func TestDoctorTrustsWhatEnvoyReads(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer server.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	succeed(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	t.Setenv("SSL_CERT_DIR", dir) // Go would read it
	byFolder, byFile := world{getenv: environment("SSL_CERT_DIR", dir)}, world{getenv: environment("SSL_CERT_FILE", file)}
	if f := byFolder.checkBackend(t.Context(), backendAt(t, server, "")); f.err == nil || !strings.Contains(f.err.Error(), "unknown authority") {
		t.Errorf("with authorities in a folder: %s", f)
	}
	if f := byFolder.checkAuthorities(config.Config{}); !strings.Contains(f.hint, "SSL_CERT_DIR is set, and not read") {
		t.Errorf("with authorities in a folder: %s", f)
	}
	if f := byFile.checkBackend(t.Context(), backendAt(t, server, "")); f.err != nil {
		t.Errorf("with a bundle: %s", f)
	}
	broken := filepath.Join(dir, "broken.pem")
	succeed(t, os.WriteFile(broken, []byte("no certificate"), 0o600))
	if f := (world{getenv: environment("SSL_CERT_FILE", broken)}).checkAuthorities(config.Config{}); f.err == nil || !strings.Contains(f.err.Error(), "holds no certificate") {
		t.Errorf("with a bundle of none: %s", f)
	}
}
