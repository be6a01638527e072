package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
)

// configured starts a gateway with a configuration file, in which ${A} and ${B} stand for
// the addresses of two providers.
type configured struct {
	*process
	file string
	a, b *fakeprovider.Provider
	urls *strings.Replacer
}

func configure(t *testing.T, text string, env ...string) configured {
	t.Helper()
	var c configured
	var a, b string
	c.a, a = provider(t)
	c.b, b = provider(t)
	c.urls = strings.NewReplacer("${A}", a, "${B}", b)
	c.file = filepath.Join(t.TempDir(), "ai-gateway.yaml")
	c.write(t, text)
	c.process = start(t, append([]string{"AI_GATEWAY_CONFIG=" + c.file, "AI_GATEWAY_RETRY_DELAY_MS=0"}, env...)...)
	return c
}

// write replaces the file's text at once.
func (c configured) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(c.file+".new", []byte(c.urls.Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.file+".new", c.file); err != nil {
		t.Fatal(err)
	}
}

func reply(t *testing.T, text string) fakeprovider.Reply {
	t.Helper()
	r, err := fakeprovider.ParseReply(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scenario is one that answers one call.
func scenario(t *testing.T, text string) fakeprovider.Scenario {
	t.Helper()
	return fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, text)}}
}

const (
	answered = "200\ncontent-type: application/json\ncontent-length: auto\n\n{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}"
	busy     = "503\ncontent-type: application/json\ncontent-length: auto\n\n{\"error\":{\"message\":\"busy\"}}"
)

const twoKinds = `
backends:
- {name: plain, base_url: "${A}/some/v1", api_key: {env: PLAIN_KEY}, pass_client_key: true}
- {name: deployments, kind: azure, base_url: "${B}", api_key: {env: AZURE_KEY}, azure: {api_version: 2024-10-21}}
- {name: surface, kind: azure, base_url: "${B}", api_key: {env: AZURE_KEY}}
- {name: fixed, kind: azure, base_url: "${B}", api_key: {env: AZURE_KEY}, azure: {api_version: 2024-10-21, deployment: only}}
models:
- {name: plain-azure, backends: [{name: plain, model: 'gpt "4"'}, {name: deployments, model: my/dep loy}]}
- {name: azure-plain, aliases: [other-way], backends: [{name: deployments, model: dep}, {name: plain, model: a-much-longer-name}]}
- {name: back-and-forth, backends: [{name: deployments, model: dep-1}, {name: surface, model: d2}, {name: plain, model: dep-1}]}
- {name: surface, backends: [{name: surface, model: gpt-4o}]}
- {name: fixed, backends: [fixed]}
`

// seen is what a provider saw of a call, and may see of keys.
type seen struct{ target, authorization, apiKey, model string }

func calls(p *fakeprovider.Provider) (all []seen) {
	for _, c := range p.Books().Calls {
		all = append(all, seen{c.Target, c.Get("authorization"), c.Get("api-key"), c.Model})
	}
	return all
}

// script has a provider answer the calls that it is to see, those of some models with 503.
func script(t *testing.T, p *fakeprovider.Provider, expected []seen, fail []string) {
	t.Helper()
	for _, s := range expected {
		text := answered
		if slices.Contains(fail, s.model) {
			text = busy
		}
		p.Play(s.model, scenario(t, text))
	}
}

func TestEachAttemptIsMadeAsItsOwnBackendWantsIt(t *testing.T) {
	const plainKey, azureKey, clientKey = "sk-plain-0123456789", "azure-0123456789", "sk-client-0123456789"
	const dated = "?api-version=2024-10-21"
	for name, c := range map[string]struct {
		model   string
		query   string
		header  []string
		fail    []string // models, as the providers see them, that are answered with 503
		a, b    []seen
		backend string
	}{
		"plain then azure": {model: "plain-azure", fail: []string{`gpt "4"`},
			a: []seen{{"/some/v1/chat/completions", "Bearer " + plainKey, "", `gpt "4"`}},
			b: []seen{{"/openai/deployments/my%2Fdep%20loy/chat/completions" + dated, "", azureKey, "my/dep loy"}}, backend: "deployments"},
		"azure then plain, with a client's key": {model: "other-way", header: []string{"Authorization: Bearer " + clientKey}, fail: []string{"dep"},
			a: []seen{{"/some/v1/chat/completions", "Bearer " + clientKey, "", "a-much-longer-name"}},
			b: []seen{{"/openai/deployments/dep/chat/completions" + dated, "", azureKey, "dep"}}, backend: "plain"},
		"three": {model: "back-and-forth", fail: []string{"dep-1", "d2"},
			a: []seen{{"/some/v1/chat/completions", "Bearer " + plainKey, "", "dep-1"}},
			b: []seen{{"/openai/deployments/dep-1/chat/completions" + dated, "", azureKey, "dep-1"},
				{"/openai/v1/chat/completions", "", azureKey, "d2"}}, backend: "plain"},
		"the newer surface, with a query": {model: "surface", query: "?api-version=preview",
			b: []seen{{"/openai/v1/chat/completions", "", azureKey, "gpt-4o"}}, backend: "surface"},
		"a fixed deployment, with a query": {model: "fixed", query: "?a=b",
			b: []seen{{"/openai/deployments/only/chat/completions" + dated, "", azureKey, "fixed"}}, backend: "fixed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := configure(t, twoKinds, "PLAIN_KEY="+plainKey, "AZURE_KEY="+azureKey)
			failsAtA := c.fail
			if name == "three" { // its last one has the same name there as one that fails
				failsAtA = nil
			}
			script(t, g.a, c.a, failsAtA)
			script(t, g.b, c.b, c.fail)
			body := fmt.Sprintf(`{"messages":[{"role":"user","content":"gpt \"4\" model"}],"model":%q,"x":{"model":"not this"}}`, c.model)
			answer, err := post(g.address, chatPath+c.query, body, append([]string{"api-key: sk-of-the-client", "Cookie: a=b"}, c.header...)...)
			if err != nil || answer.status != http.StatusOK {
				t.Fatalf("the client sees %v, %v", answer, err)
			}
			if got := fmt.Sprint(calls(g.a)); got != fmt.Sprint(c.a) {
				t.Errorf("A saw %s, want %v", got, c.a)
			}
			if got := fmt.Sprint(calls(g.b)); got != fmt.Sprint(c.b) {
				t.Errorf("B saw %s, want %v", got, c.b)
			}
			rows, err := g.waitRows(1)
			if err != nil {
				t.Fatal(err)
			}
			if r := rows[0]; r["backend"] != c.backend || r["attempts"] != float64(len(c.a)+len(c.b)) || r["prompt_tokens"] != 3.0 {
				t.Errorf("row %v", r)
			}
			if r := rows[0]; c.model == "other-way" && r["model"] != "azure-plain" {
				t.Errorf("an alias has the row %v", r)
			}
		})
	}
}

func TestAModelThatIsNotListedIsRefusedWhereNothingServesAll(t *testing.T) {
	t.Parallel()
	g := configure(t, twoKinds, "PLAIN_KEY=sk-1", "AZURE_KEY=az-1")
	want := string(gateway.NoModel("gpt-5").JSON())
	a, err := post(g.address, chatPath, chatBody("gpt-5", false))
	if err != nil || a.status != http.StatusNotFound || strings.TrimSpace(a.body) != want {
		t.Errorf("the client sees %v, %v", a, err)
	}
	a, err = exchange(g.address, callWithin, []fakeprovider.Piece{{Bytes: []byte("GET /v1/models/gpt-5 HTTP/1.1\r\nHost: localhost\r\n\r\n")}})
	if err != nil || a.status != http.StatusNotFound || strings.TrimSpace(a.body) != want {
		t.Errorf("who asks for the model sees %v, %v", a, err)
	}
	if _, err := g.waitRows(0); err != nil {
		t.Error(err)
	}
}

const firstIsDead = `
backends:
- {name: dead, base_url: "http://127.0.0.1:9/v1"}
- {name: lost, base_url: "https://no-such-host.invalid/v1"}
- {name: a, base_url: "${A}/v1"}
models:
- {name: passed-over, backends: [lost, dead, a]}
- {name: only-lost, backends: [lost]}
- {name: only-dead, backends: [dead]}
`

// backendsHealth is what /health says of the backends that are passed over.
func (p *process) backendsHealth(t *testing.T) map[string]string {
	t.Helper()
	response, err := http.Get("http://" + p.address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var h struct{ Backends map[string]string }
	if err := json.NewDecoder(response.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h.Backends
}

func TestABackendThatIsDeadOrHasNoAddressIsPassedOverAndComesBack(t *testing.T) {
	t.Parallel()
	g := configure(t, firstIsDead)
	g.a.Play("passed-over", fakeprovider.Scenario{Repeat: true, Replies: []fakeprovider.Reply{reply(t, answered)}})
	for deadline := time.Now().Add(readyWithin); g.backendsHealth(t)["lost"] == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) { // before Envoy has looked for the host, its calls fail
			t.Fatal("/health never tells that the host of a backend is not found")
		}
	}
	const calls = 6
	var attempts []any
	for i := range calls {
		answer, err := post(g.address, chatPath, chatBody("passed-over", false))
		if err != nil || answer.status != http.StatusOK {
			t.Fatalf("the client sees %v, %v", answer, err)
		}
		if i == 2 {
			g.waitPrinted(t, `msg="a backend is passed over for the next ones of its models" backend=dead`)
		}
	}
	rows, err := g.waitRows(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		attempts = append(attempts, r["attempts"])
	}
	if diff := cmp.Diff([]any{2.0, 2.0, 2.0, 1.0, 1.0, 1.0}, attempts); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{"dead": gateway.BackendEjected.String(), "lost": gateway.BackendNoHost.String()}
	if diff := cmp.Diff(want, g.backendsHealth(t)); diff != "" {
		t.Error(diff)
	}
	for model, code := range map[string]string{"only-lost": "does not resolve", "only-dead": "refuses the connection"} {
		if answer, err := post(g.address, chatPath, chatBody(model, false)); err != nil || !strings.Contains(answer.body, code) {
			t.Errorf("a model without another backend is answered %v, %v", answer, err)
		}
	}
	g.waitPrinted(t, `msg="a backend is called again" backend=dead`)
}
