package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

// attached is a stock Envoy with the configuration of a shop, to which the gateway is added, and an
// agent next to it.
type attached struct {
	*process // what the tests know of a gateway: its address and its tables
	apart    *apart
	fake     *fakeprovider.Provider
	second   *fakeprovider.Provider // of the backend that is added
	upstream string                 // its base URL
	binary   string                 // of Envoy
	original []byte                 // the shop's configuration
	prefix   string                 // of the gateway's paths
	client   http.Client
}

// startShop starts nothing yet but the services behind the shop's own routes, and writes its
// configuration.
func startShop(t *testing.T, binary string) *attached {
	t.Helper()
	fake, upstream := provider(t)
	dir := program.Folder(t)
	a := &attached{binary: binary, fake: fake, upstream: upstream, process: &process{database: filepath.Join(dir, "gateway.db"), dir: dir, address: freeAddress(t)}}
	a.apart = &apart{t: t, dir: dir, address: a.address, running: map[string]*program.Program{}, agentArguments: []string{"--attached", "--envoy-admin", filepath.Join(dir, "admin.sock")}}
	a.apart.env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "DATABASE_PATH=" + a.database, "AI_GATEWAY_CONFIG=" + a.apart.path("gateway.yaml"), "AI_GATEWAY_RATE_LIMIT_RPM=0"}
	a.client = http.Client{Timeout: callWithin, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	a.configure("first", upstream)
	a.original = a.shop(t)
	a.write("shop.yaml", a.original)
	return a
}

// shop is the configuration of testdata, with what the test made in it.
func (a *attached) shop(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../envoy/testdata/attach/edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	certificate, _ := authority(t, "localhost")
	key, err := x509.MarshalECPrivateKey(certificate.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	a.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	a.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	_, port, _ := net.SplitHostPort(a.address)
	_, plain, _ := net.SplitHostPort(freeAddress(t))
	// A route that leads wherever a client says must not lead to a backend of the gateway's.
	byHeader := "              - match: {prefix: \"/by-header/\"}\n                route: {cluster_header: x-cluster}\n"
	return []byte(strings.NewReplacer("              - name: the rest\n", byHeader+"              - name: the rest\n", "TLS_CERT", a.apart.path("cert.pem"), "TLS_KEY", a.apart.path("key.pem"), "SHOP_LOG", a.apart.path("shop.log"),
		"8443", port, "8080", plain, "18081", service(t, "catalogue"), "18082", service(t, "orders"),
		"socket_address: {address: 127.0.0.1, port_value: 9901}", "pipe: {path: "+a.apart.path("admin.sock")+"}").Replace(string(text)))
}

// service is one of the shop's own, at a port.
func service(t *testing.T, name string) (port string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what came tells enough
		w.Header().Set("X-Shop", name)
		fmt.Fprintf(w, "%s %s %s: %q of %s\n", name, r.Method, r.URL, body, r.Header.Get("X-Customer"))
	}))
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return port
}

func (a *attached) write(name string, content []byte) {
	a.apart.t.Helper()
	if err := os.WriteFile(a.apart.path(name), content, 0o600); err != nil {
		a.apart.t.Fatal(err)
	}
}

// configure writes the gateway's configuration: backends of these names, each with its models.
func (a *attached) configure(backends ...string) {
	text := "backends:\n"
	for i := 0; i < len(backends); i += 2 {
		text += fmt.Sprintf("- {name: %s, kind: local, base_url: %s/v1}\n", backends[i], backends[i+1])
	}
	text += "default_backend: first\nmodels:\n"
	for i := 2; i < len(backends); i += 2 {
		text += fmt.Sprintf("- {name: at-%s, backends: [{name: %s, model: gen-chunks=2}]}\n", backends[i], backends[i])
	}
	a.write("gateway.yaml", []byte(strings.TrimSuffix(text, "models:\n")))
}

// attach runs the command on the file of the shop's configuration.
func (a *attached) attach(args ...string) []byte {
	a.apart.t.Helper()
	var out, messages bytes.Buffer
	cmd := exec.Command(os.Getenv(binaryVariable), append([]string{"attach", "envoy", a.apart.path("shop.yaml"), "--run-folder", a.apart.dir}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = a.apart.env, &out, &messages
	if err := cmd.Run(); err != nil {
		a.apart.t.Fatalf("attach %v: %v: %s", args, err, &messages)
	}
	return out.Bytes()
}

// validate has Envoy look at a configuration, which becomes its own.
func (a *attached) validate(text []byte) {
	a.apart.t.Helper()
	a.write("envoy.yaml", text)
	if err := os.MkdirAll(a.apart.path("gateway.db.state"), 0o700); err != nil {
		a.apart.t.Fatal(err)
	}
	out, err := exec.Command(a.binary, "--mode", "validate", "-c", a.apart.path("envoy.yaml"), "--log-level", "error").CombinedOutput()
	if err != nil {
		a.apart.t.Fatalf("envoy refuses what is merged: %v: %s", err, out)
	}
}

// run has Envoy run with a configuration, which it must accept.
func (a *attached) run(text []byte) {
	a.apart.t.Helper()
	a.validate(text)
	if a.apart.running["envoy"] != nil {
		a.apart.kill("envoy")
	}
	a.apart.start("envoy", exec.Command(a.binary, "-c", a.apart.path("envoy.yaml"), "--disable-hot-restart", "--concurrency", "2",
		"--log-level", "warning", "--file-flush-interval-msec", "100"))
	a.wait("the shop answers", func() bool { return a.ask("GET", "/catalogue/1", "").status == http.StatusOK })
}

func (a *attached) wait(what string, done func() bool) {
	a.apart.t.Helper()
	for deadline := time.Now().Add(readyWithin); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.apart.t.Fatalf("waiting until %s took more than %s", what, readyWithin)
		}
	}
}

// ask sends one request by TLS.
func (a *attached) ask(method, path, body string, header ...string) answer {
	request, err := http.NewRequest(method, "https://"+a.address+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	got := answer{status: response.StatusCode, body: string(text), err: err}
	for name, values := range response.Header {
		for _, v := range values {
			got.header = append(got.header, strings.ToLower(name)+": "+v)
		}
	}
	slices.Sort(got.header)
	return got
}

// token is a JSON web token of the shop's customers.
func token() string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + encode([]byte(`{"iss":"https://login.example.com","sub":"ada"}`))
	mac := hmac.New(sha256.New, []byte("secret-secret-secret-secret-secret"))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// others are the answers of all routes that are not the gateway's, without what differs each time.
func (a *attached) others() []string {
	var all []string
	for _, r := range []struct{ method, path, body, header string }{
		{"GET", "/catalogue/1?q=2", "", "X-Customer: ada"},
		{"POST", "/catalogue/search", `{"model":"none"}`, "Authorization: Bearer agw_of-somebody-else"},
		{"GET", "/v1/orders/7", "", "X-Customer: ada"},
		{"GET", "/v1/orders/7", "", "Authorization: Bearer " + token()},
		{"POST", "/v1/orders", "{}", "Authorization: Bearer not-a-token"},
		{"GET", "/", "", "X-Request-Id: not a good one"},
		{"GET", "/health", "", "X-Ai-Gateway-Hops: 0123456789abcdef"},
		{"DELETE", "/v1/else", "", "X-Customer: ada"},
	} {
		got := a.ask(r.method, r.path, r.body, r.header)
		got.header = slices.DeleteFunc(got.header, func(line string) bool {
			return strings.HasPrefix(line, "date: ") || strings.HasPrefix(line, "x-envoy-upstream-service-time: ")
		})
		all = append(all, r.method+" "+r.path+"\n"+got.String())
	}
	return all
}

// chat asks a model, and returns an error unless its stream is whole.
func (a *attached) chat(chunks int, header ...string) error {
	return checkWhole(a.ask("POST", a.prefix+chatPath, chatBody(fmt.Sprintf("gen-chunks=%d-delay=20ms-usage", chunks), true), header...), chunks)
}

// TestAnEnvoyWithTheGatewayInItAnswersAllElseAsBefore holds the way of a platform team that keeps its
// Envoy, from its first look to its last.
func TestAnEnvoyWithTheGatewayInItAnswersAllElseAsBefore(t *testing.T) {
	t.Parallel()
	attachTo(t, os.Getenv(envoyVariable))
}

// attachTo runs the proof on an Envoy. Arguments of `attach` tell its version.
func attachTo(t *testing.T, binary string, args ...string) {
	a := startShop(t, binary)
	a.run(a.original)
	before := a.others()

	merged := a.attach(append([]string{"--listener", "https"}, args...)...)
	a.run(merged)
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(before, a.others()); diff != "" {
			t.Errorf("%s other routes answer otherwise (- before, + now):\n%s", when, diff)
		}
	}
	same("before there is an agent")
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false)); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"gateway_restarting"`) {
		t.Errorf("without an agent a request is answered with %v", got)
	}

	a.apart.serve("agent")
	key := a.key(t)
	same("with an agent")
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false)); got.status != http.StatusUnauthorized || !strings.Contains(got.get("content-type"), "json") {
		t.Errorf("without a key a request is answered with %v", got)
	}
	a.isCalledByPlanAlone(t)
	a.isToldNothingByClients(t, key)
	a.survives(t, key, same)
	a.servesAddedBackend(t, key, args)
	a.isMetered(t)
	a.write("shop.yaml", merged)
	if diff := cmp.Diff(string(a.original), string(a.attach("--remove"))); diff != "" {
		t.Errorf("what --remove gives back differs (- first, + now):\n%s", diff)
	}
}

// key makes a gateway key, waits until it is known, and has cost two requests by then.
func (a *attached) key(t *testing.T) string {
	t.Helper()
	var last answer
	key := a.keys(t, "create", "--label", "test").bearer()
	a.wait("a request is served", func() bool {
		last = a.ask("POST", a.prefix+chatPath, chatBody("gen-chunks=1", false), key)
		return last.status == http.StatusOK
	})
	if cost := last.get("x-cost-usd"); cost == "" || last.get("x-shop") != "" {
		t.Errorf("an answer has the headers %v", last.header)
	}
	if err := a.chat(3, key); err != nil {
		t.Error(err)
	}
	return key
}

// isCalledByPlanAlone calls a backend by a route of the shop's, with nobody asking the agent.
func (a *attached) isCalledByPlanAlone(t *testing.T) {
	t.Helper()
	calls := a.fake.Books().Calls
	got := a.ask("POST", "/by-header"+chatPath, chatBody("gen-chunks=1", false), "X-Cluster: gateway/backend/first")
	if more := len(a.fake.Books().Calls) - len(calls); got.status != http.StatusForbidden || more != 0 {
		t.Errorf("by a route of somebody else the backend is called %d times, and the client sees %v", more, got)
	}
}

// isToldNothingByClients has a client send headers that mean something to Envoys, to the gateway or to
// the shop. A backend sees none of them, and not the gateway key either.
func (a *attached) isToldNothingByClients(t *testing.T, key string) {
	t.Helper()
	headers := []string{key, "X-Request-Id: forged"}
	for _, name := range []string{"X-Aigw-Retry", "X-Aigw-Wait", "X-Aigw-Plan", "X-Envoy-External-Address", "X-Envoy-Max-Retries", "X-Envoy-Original-Path",
		"X-Forwarded-For", "X-Forwarded-Client-Cert", "X-Customer", "X-Shop", "X-Cost-Usd", "X-Ratelimit-Limit", "Cookie", "Proxy-Authorization"} {
		headers = append(headers, name+": forged")
	}
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1-id=5", false), headers...); got.status != http.StatusOK {
		t.Errorf("a request with forged headers is answered with %v", got)
	}
	for _, c := range a.fake.Books().Of("gen-chunks=1-id=5") {
		for _, f := range c.Header {
			if f.Value == "forged" || strings.Contains(f.Value, "agw_") {
				t.Errorf("the backend sees %s: %s", f.Name, f.Value)
			}
		}
	}
}

// survives kills the agent in the middle of a stream.
func (a *attached) survives(t *testing.T, key string, same func(string)) {
	t.Helper()
	stream := make(chan error, 1)
	go func() { stream <- a.chat(100, key) }()
	a.wait("a stream runs", func() bool { return len(a.fake.Books().Of("gen-chunks=100-delay=20ms-usage")) == 1 })
	time.Sleep(200 * time.Millisecond) // so that it is in its middle
	a.apart.kill("agent")
	same("with a dead agent")
	calls := len(a.fake.Books().Calls)
	if got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false), key); got.status != http.StatusServiceUnavailable || got.get("retry-after") != "1" || len(a.fake.Books().Calls) != calls {
		t.Errorf("with a dead agent a request is answered with %v, after %d calls", got, len(a.fake.Books().Calls)-calls)
	}
	if err := <-stream; err != nil {
		t.Errorf("the agent's death: %v", err)
	}
	a.apart.serve("agent")
	a.wait("a request is served again", func() bool {
		return a.ask("POST", chatPath, chatBody("gen-chunks=1", false), key).status == http.StatusOK
	})
}

// servesAddedBackend adds a backend while all runs. An older Envoy has to be attached to again.
func (a *attached) servesAddedBackend(t *testing.T, key string, args []string) {
	t.Helper()
	other, base := provider(t)
	a.second = other
	a.configure("first", a.upstream, "second", base)
	if len(args) > 0 {
		a.run(a.attach(append([]string{"--listener", "https"}, args...)...))
	}
	a.wait("the added backend serves", func() bool {
		return a.ask("POST", chatPath, chatBody("at-second", false), key).status == http.StatusOK
	})
	if calls := other.Books().Calls; len(calls) != 1 || calls[0].Model != "gen-chunks=2" {
		t.Errorf("the added backend saw %v", calls)
	}
}

// isMetered holds the tables against what the providers have served.
func (a *attached) isMetered(t *testing.T) {
	t.Helper()
	var served, billed []int64
	a.wait("the providers have ended", func() bool {
		served = nil
		calls := a.fake.Books().Calls
		if a.second != nil {
			calls = append(calls, a.second.Books().Calls...)
		}
		for _, c := range calls {
			if c.Usage != nil { // else it was refused
				served = append(served, c.Usage.Completion)
			}
			if !c.Done {
				return false
			}
		}
		return true
	})
	a.wait("all rows are there", func() bool {
		billed = nil
		rows, _ := a.rows() // an error is tried again
		for _, r := range rows {
			if tokens, _ := r["completion_tokens"].(float64); tokens > 0 {
				billed = append(billed, int64(tokens))
			}
		}
		return len(billed) >= len(served)
	})
	slices.Sort(served)
	slices.Sort(billed)
	if diff := cmp.Diff(served, billed); diff != "" {
		t.Errorf("completion tokens of all requests (- served, + billed):\n%s", diff)
	}
}
