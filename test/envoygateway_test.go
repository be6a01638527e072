//go:build mesh

package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

// TestEnvoyGatewayServesTheGateway gives what `attach envoy-gateway` prints to a real Envoy Gateway in
// its standalone mode.
func TestEnvoyGatewayServesTheGateway(t *testing.T) {
	fake, base := provider(t)
	g, p := startEnvoyGateway(t, base)
	g.waitForPost(http.StatusServiceUnavailable, `"gateway_restarting"`)
	g.serve("agent")
	key := p.keys(t, "create", "--label", "test").bearer()
	g.waitForPost(http.StatusUnauthorized, `"error"`)
	g.waitForPost(http.StatusOK, `"usage"`, key)
	servesAllPaths(t, g.address, key)
	for _, c := range fake.Books().Calls {
		if c.Get("authorization") != "Bearer sk-of-the-backend-0123456789" {
			t.Errorf("the backend was called with %q", c.Get("authorization"))
		}
	}
	g.kill("agent")
	calls := len(fake.Books().Calls)
	g.waitForPost(http.StatusServiceUnavailable, `"gateway_restarting"`, key)
	if n := len(fake.Books().Calls); n != calls {
		t.Errorf("%d calls reached the backend without an agent", n-calls)
	}
	g.serve("agent")
	g.waitForPost(http.StatusOK, `"usage"`, key)
	calls = 0
	for _, c := range fake.Books().Calls {
		if c.Method == http.MethodPost { // the list of models has no row
			calls++
		}
	}
	program.Await(t, rowsWithin, func() error {
		rows, err := p.rows()
		if served := where(rows, "status", float64(http.StatusOK)); err == nil && len(served) != calls {
			err = fmt.Errorf("%d rows of %d calls: %v", len(served), calls, rows)
		}
		return err
	})
}

// startEnvoyGateway starts an Envoy Gateway whose routes lead to an agent, which it does not start.
func startEnvoyGateway(t *testing.T, base string) (*apart, *process) {
	t.Helper()
	binary := os.Getenv("ENVOY_GATEWAY")
	if binary == "" {
		t.Fatal("ENVOY_GATEWAY is not set: run `make test-mesh`")
	}
	dir := program.Folder(t)
	p := &process{dir: dir, database: dir + "/gateway.db"}
	g := &apart{t: t, dir: dir, running: map[string]*program.Program{},
		agentArguments: []string{"--attached", "--one-backend", "--envoy-admin", dir + "/none.sock"}}
	port := program.FreePort(t)
	g.address = "127.0.0.1:" + port
	p.address = g.address
	g.env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir, "DATABASE_PATH=" + p.database, "AI_GATEWAY_CONFIG=" + dir + "/gateway.yaml",
		"AI_GATEWAY_STATE_DIR=" + dir + "/state", "AI_GATEWAY_RATE_LIMIT_RPM=0", "FAKE_KEY=sk-of-the-backend-0123456789"}
	g.writeEnvoyGateway(base, port)
	certificates := exec.Command(binary, "certgen", "--local", "--config-home", dir+"/config")
	certificates.Env = g.env
	if out, err := certificates.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eg := exec.Command(binary, "server", "--config-path", dir+"/config.yaml")
	eg.Env = g.env
	g.start("envoy-gateway", eg)
	t.Cleanup(func() { endIn(t, dir) }) // the Envoy that it has started
	return g, p
}

// writeEnvoyGateway writes what Envoy Gateway and the agent read.
func (g *apart) writeEnvoyGateway(base, port string) {
	t, dir := g.t, g.dir
	t.Helper()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"resources", "state", "data/envoy-versions/1.40.0/bin"} {
		if err := os.MkdirAll(dir+"/"+folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(os.Getenv(envoyVariable), dir+"/data/envoy-versions/1.40.0/bin/envoy"); err != nil {
		t.Fatal(err)
	}
	write("gateway.yaml", fmt.Sprintf("backends: [{name: fake, kind: local, base_url: %s/v1, api_key: {env: FAKE_KEY}}]\ndefault_backend: fake\n", base))
	printed, err := g.run("attach", "envoy-gateway", "--health", "--run-folder", dir, "--access-log", dir+"/state/journal.log")
	if err != nil {
		t.Fatal(err)
	}
	write("resources/ai-gateway.yaml", onTheHost(t, printed))
	write("resources/gateway.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n"+
		"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg, namespace: default}\nspec:\n  gatewayClassName: eg\n"+
		"  infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: ai-gateway}}\n  listeners: [{name: http, protocol: HTTP, port: "+port+"}]\n")
	write("config.yaml", fmt.Sprintf("apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\ngateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n"+
		"provider:\n  type: Custom\n  custom:\n    resource: {type: File, file: {paths: [%[1]s/resources]}}\n"+
		"    infrastructure: {type: Host, host: {configHome: %[1]s/config, dataHome: %[1]s/data, stateHome: %[1]s/eg-state, runtimeDir: %[1]s/rt}}\n"+
		"extensionApis: {enableBackend: true, enableEnvoyPatchPolicy: true}\n", dir))
}

// servesAllPaths asks for what a client may ask at a gateway.
func servesAllPaths(t *testing.T, address, key string) {
	t.Helper()
	if a, err := post(address, chatPath, chatBody("gen-chunks=5-usage", true), key, "Connection: close"); err != nil || checkWhole(a, 5) != nil {
		t.Errorf("a stream: %v, %v", a, err)
	}
	if status, err := get(address, "/v1/models", key); err != nil || status != http.StatusOK {
		t.Errorf("models: %d, %v", status, err)
	}
	if status, err := get(address, "/v1/responses/resp_none", key); err != nil || status != http.StatusNotFound {
		t.Errorf("a stored response: %d, %v", status, err)
	}
	for _, path := range []string{"/health", "/livez"} {
		if status, err := get(address, path, key); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
}

// onTheHost has Envoy Gateway start its Envoy on this machine, and not in Kubernetes.
func onTheHost(t *testing.T, printed string) string {
	t.Helper()
	before, rest, found := strings.Cut(printed, "  provider:\n    type: Kubernetes")
	_, after, ended := strings.Cut(rest, "\n---\n")
	if !found || !ended {
		t.Fatalf("there is no provider in\n%s", printed)
	}
	return before + "  provider: {type: Host, host: {envoyVersion: 1.40.0}}\n---\n" + after
}

// waitForPost waits until a chat is answered with a status and a text.
func (g *apart) waitForPost(status int, text string, header ...string) {
	g.t.Helper()
	var last answer
	program.Await(g.t, rowsWithin*2, func() error {
		var err error
		last, err = exchange(g.address, callWithin, []fakeprovider.Piece{{Bytes: requestBytes(chatPath, chatBody("gen-chunks=1-usage", false), append(header, "Connection: close")...)}})
		if err == nil && (last.status != status || !strings.Contains(last.body, text)) {
			err = fmt.Errorf("answered %v, want %d with %s", last, status, text)
		}
		return err
	})
}

// endIn ends what runs with a folder on its command line.
func endIn(t *testing.T, dir string) {
	t.Helper()
	children, err := processesOf(dir)
	if err != nil {
		t.Error(err)
	}
	for _, c := range children {
		_ = syscall.Kill(c.pid, syscall.SIGKILL) // it may have ended
	}
}

// get asks for a page, and returns its status.
func get(address, path, header string) (status int, err error) {
	a, err := exchange(address, callWithin, []fakeprovider.Piece{{Bytes: []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + "\r\n\r\n")}})
	return a.status, err
}
