package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ai-gateway/envoy"
	"ai-gateway/test/program"
)

// apart is a gateway whose roles are separate processes: an Envoy with an agent next to
// it, and the api.
type apart struct {
	t       *testing.T
	dir     string // the run folder
	address string
	env     []string
	running map[string]*program.Program

	agentArguments []string // besides those that every agent has
}

func startApart(t *testing.T, provider string) *apart {
	t.Helper()
	g := newApart(t, "AI_GATEWAY_UPSTREAM="+provider, "AI_GATEWAY_RETRY_ATTEMPTS=0", "AI_GATEWAY_RATE_LIMIT_RPM=0")
	g.startEnvoy()
	g.serve("agent")
	g.serve("api")
	return g
}

// newApart is a gateway that is not running yet.
func newApart(t *testing.T, env ...string) *apart {
	t.Helper()
	dir := program.Folder(t)
	g := &apart{t: t, dir: dir, address: freeAddress(t), running: map[string]*program.Program{}}
	_, port, _ := net.SplitHostPort(g.address)
	g.env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "PORT=" + port, "DATABASE_PATH=" + filepath.Join(dir, "gateway.db")}, env...)
	return g
}

// startEnvoy starts it with the bootstrap that the command prints.
func (g *apart) startEnvoy() {
	g.t.Helper()
	bootstrap, err := g.run("bootstrap", "--run-folder", g.dir, "--memory", "1GiB")
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(g.path("envoy.yaml"), []byte(bootstrap), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.start("envoy", envoy.Command{Bootstrap: g.path("envoy.yaml"), Workers: 1, LogFlush: 100 * time.Millisecond}.With(envoy.Binary{Path: os.Getenv(envoyVariable)}))
}

// run runs a command of the gateway to its end, and returns what it prints.
func (g *apart) run(arguments ...string) (string, error) {
	cmd := exec.Command(os.Getenv(binaryVariable), arguments...)
	cmd.Env = g.env
	out, err := cmd.Output()
	return string(out), err
}

func (g *apart) path(name string) string { return filepath.Join(g.dir, name) }

func (g *apart) serve(role string, env ...string) {
	arguments := []string{"serve", "--role", role, "--run-folder", g.dir}
	if role == "agent" {
		arguments = append(arguments, g.agentArguments...)
	}
	cmd := exec.Command(os.Getenv(binaryVariable), arguments...)
	cmd.Env = append(g.env[:len(g.env):len(g.env)], env...)
	g.start(role, cmd)
}

func (g *apart) start(name string, cmd *exec.Cmd) {
	g.t.Helper()
	g.running[name] = program.Start(g.t, cmd)
}

func (g *apart) kill(name string) { g.running[name].Kill() }

func (g *apart) get(path string) (status int, body string) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + g.address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(b)
}

// waitUntil waits for a GET to be answered with a status and a text.
func (g *apart) waitFor(path string, status int, text string) string {
	g.t.Helper()
	var got int
	var body string
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got, body = g.get(path); got == status && strings.Contains(body, text) {
			return body
		}
	}
	g.t.Fatalf("GET %s: %d %s, want %d with %s", path, got, body, status, text)
	return ""
}

func (g *apart) chat() error {
	a, err := post(g.address, chatPath, chatBody("gen-chunks=3", true))
	if err == nil {
		err = checkWhole(a, 3)
	}
	return err
}

func TestTheRolesAreProcessesOfTheirOwn(t *testing.T) {
	_, provider := provider(t)
	g := startApart(t, provider+"/v1")
	g.waitFor("/health", 200, `"status":"ok"`)
	g.waitFor("/api/system", 200, `"store":"ok"`)
	if err := g.chat(); err != nil {
		t.Fatal(err)
	}
	g.waitFor("/api/costs", 200, `"total":{"requests":1,`)
	g.waitFor("/api/prompt-log", 200, `"model":"gen-chunks=3"`)
	if err := g.agentAsTheAPIShowsIt(1); err != nil {
		t.Error(err)
	}

	g.kill("api")
	g.waitFor("/api/costs", 503, `"code":"api_unavailable"`)
	g.waitFor("/v1/models", 200, `"object":"list"`)
	g.waitFor("/health", 200, `"status":"ok"`)
	if err := g.chat(); err != nil {
		t.Errorf("without the api: %v", err)
	}
	g.serve("api")
	g.waitFor("/api/costs", 200, `"total":{"requests":2,`)

	g.kill("agent")
	g.waitFor("/v1/models", 503, `"code":"gateway_restarting"`)
	g.waitFor("/api/costs", 200, `"total":{"requests":2,`)
	g.waitFor("/api/system", 200, `"agent":{"error":`)
	g.serve("agent")
	g.waitFor("/health", 200, `"status":"ok"`)
	if err := g.chat(); err != nil {
		t.Errorf("after the agent's death: %v", err)
	}
	g.waitFor("/api/costs", 200, `"total":{"requests":3,`)
	if err := g.agentAsTheAPIShowsIt(1); err != nil {
		t.Error(err)
	}
}

// agentAsTheAPIShowsIt returns an error unless the api shows an agent that is well and has
// written rows since its start.
func (g *apart) agentAsTheAPIShowsIt(written int64) error {
	_, body := g.get("/api/system")
	var s struct {
		Agent struct {
			Health struct {
				Status string
				Usage  struct{ Written int64 }
				Envoy  struct{ Connected int }
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return err
	}
	if h := s.Agent.Health; h.Status != "ok" || h.Usage.Written != written || h.Envoy.Connected != 1 {
		return fmt.Errorf("the api shows %s", body)
	}
	return nil
}

// TestAnAgentLeadsAllButTheModelsToAnAPIElsewhere has the api listen at an address, with a run folder of
// its own: no socket of it is in the agent's.
func TestAnAgentLeadsAllButTheModelsToAnAPIElsewhere(t *testing.T) {
	t.Parallel()
	_, provider := provider(t)
	g := newApart(t, "AI_GATEWAY_UPSTREAM="+provider+"/v1", "AI_GATEWAY_RATE_LIMIT_RPM=0", "AI_GATEWAY_API_ADDRESS="+freeAddress(t))
	g.startEnvoy()
	g.serve("agent")
	elsewhere := *g
	elsewhere.dir = program.Folder(t)
	elsewhere.serve("api", "TMPDIR="+elsewhere.dir)
	g.waitFor("/health", 200, `"status":"ok"`)
	if err := g.chat(); err != nil {
		t.Fatal(err)
	}
	g.waitFor("/", 200, "<!doctype html>")
	g.waitFor("/api/costs", 200, `"total":{"requests":1,`)
	g.waitFor("/v1/models", 200, `"object":"list"`)

	g.kill("api")
	g.waitFor("/api/costs", 503, `"code":"api_unavailable"`)
	g.waitFor("/", 503, `"code":"api_unavailable"`)
	g.waitFor("/v1/models", 200, `"object":"list"`)
	g.waitFor("/v1/else", 404, `"error"`)
	g.waitFor("/health", 200, `"status":"ok"`)
	g.waitFor("/livez", 200, `"status":"ok"`)
	if _, err := g.run("ready", "--run-folder", g.dir); err != nil {
		t.Errorf("without the api the agent is not ready: %v", err)
	}
	if err := g.chat(); err != nil {
		t.Errorf("without the api: %v", err)
	}
	elsewhere.serve("api", "TMPDIR="+elsewhere.dir)
	g.waitFor("/api/costs", 200, `"total":{"requests":2,`)
}

func TestASecondAgentOnTheSameStateIsRefused(t *testing.T) {
	_, provider := provider(t)
	g := startApart(t, provider+"/v1")
	g.waitFor("/health", 200, `"status":"ok"`)
	first := g.running["agent"]
	g.serve("agent")
	second := g.running["agent"]
	select {
	case <-second.Ended:
	case <-time.After(readyWithin):
		t.Error("it runs")
	}
	if !strings.Contains(second.Output.String(), "another gateway uses the state folder") {
		t.Errorf("it says %s", second.Output)
	}
	g.running["agent"] = first
	if err := first.Cmd.Process.Signal(syscall.Signal(0)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	g.waitFor("/health", 200, `"status":"ok"`)
}

func TestAnAgentOfItsOwnServesTheDemoModel(t *testing.T) {
	g := newApart(t)
	if _, err := g.run("ready", "--run-folder", g.dir); err == nil {
		t.Error("it is ready, and nothing runs")
	}
	g.startEnvoy()
	g.serve("agent")
	g.waitFor("/health", 200, `"status":"ok"`)
	for _, arguments := range [][]string{{"ready"}, {"ready", "--run-folder", g.dir}} {
		if out, err := g.run(arguments...); err != nil || out != "" {
			t.Errorf("%v: %q, %v", arguments, out, err)
		}
	}
	if a, err := post(g.address, chatPath, chatBody("demo", true)); err != nil || a.status != 200 || !strings.Contains(a.body, "[DONE]") {
		t.Errorf("the demo model answers %v, %v", a, err)
	}
	if _, err := g.run("ready", "--run-folder", g.dir, "--role", "api"); err == nil {
		t.Error("the api is ready, and there is none")
	}
}

func TestAnAPIOfItsOwnShowsTheConfigurationWithoutAnyKey(t *testing.T) {
	_, provider := provider(t)
	g := newApart(t)
	file := g.path("gateway.yaml")
	text := "backends: [{name: a, kind: local, base_url: " + provider + "/v1, api_key: {env: A_KEY}}]\ndefault_backend: a\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.env = append(g.env, "AI_GATEWAY_CONFIG="+file)
	g.startEnvoy()
	g.serve("agent", "A_KEY=sk-of-the-agent-alone")
	g.serve("api")
	g.waitFor("/health", 200, `"status":"ok"`)
	if shown := g.waitFor("/api/system", 200, "A_KEY"); strings.Contains(shown, "of-the-agent") {
		t.Errorf("it shows %s", shown)
	}
	if _, err := g.run("ready", "--run-folder", g.dir, "--role", "api"); err != nil {
		t.Errorf("the api is not ready: %v", err)
	}
}

func TestWhoEndsAnEnvoyHasItsAgentDrainByAFile(t *testing.T) {
	_, provider := provider(t)
	g := startApart(t, provider+"/v1")
	g.waitFor("/health", 200, `"status":"ok"`)
	const chunks = 30
	stream := make(chan error, 1)
	go func() {
		a, err := post(g.address, chatPath, chatBody(generated(chunks, 100*time.Millisecond), true))
		if err == nil {
			err = checkWhole(a, chunks)
		}
		stream <- err
	}()
	waitUntil(t, "the stream to run", func() bool {
		busy, err := envoy.NewAdmin(g.path("admin.sock")).Busy(t.Context())
		return err == nil && busy
	})
	if err := os.WriteFile(g.path("drain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.waitFor("/health", 503, "")
	if a, err := post(g.address, chatPath, chatBody("gen-chunks=1", false)); err != nil || a.status != 503 {
		t.Errorf("a new request gets %v, %v", a, err)
	}
	waitUntil(t, "it to be drained", func() bool { _, err := os.Stat(g.path("drained")); return err == nil })
	if busy, err := envoy.NewAdmin(g.path("admin.sock")).Busy(t.Context()); err != nil || busy {
		t.Errorf("it is said to be drained, and something runs: %t, %v", busy, err)
	}
	if err := <-stream; err != nil {
		t.Errorf("the running stream: %v", err)
	}
	if err := os.Remove(g.path("drain")); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it not to be said to be drained any more", func() bool { _, err := os.Stat(g.path("drained")); return os.IsNotExist(err) })
	g.waitFor("/health", 200, `"status":"ok"`)
}
