package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const shownWithSources = `# OPENAI_API_KEY is set and not used: no backend names it.
listen:
  bind: 127.0.0.1 # default
  port: 3004 # PORT
  open: false # default
  trusted_hops: 0 # default
  drain_timeout: 30s # default
sign_in:
  verified_claim: email_verified # default
  session_idle: 24h # default
  session_max: 168h # default
backends:
- name: b # ai-gateway.yaml:3
  kind: openai # default
  base_url: https://example.com/v1 # ai-gateway.yaml:4
  api_key:
    env: A_KEY # ai-gateway.yaml:5, sk-…9f2c
  pass_client_key: false # default
  ask_for_usage: true # default
  connect_timeout: 5s # default
  idle_timeout: 55s # default
  max_connections: 0 # default
- name: c # ai-gateway.yaml:6
  kind: openai # default
  base_url: https://example.com # ai-gateway.yaml:6
  api_key:
    file: $DIR/key # ai-gateway.yaml:6, sk-…6789
  pass_client_key: false # default
  ask_for_usage: true # default
  connect_timeout: 5s # default
  idle_timeout: 55s # default
  max_connections: 0 # default
models:
- name: '1' # ai-gateway.yaml:8
  backends:
  - name: b # ai-gateway.yaml:9
  price:
  - input: 2.50 # ai-gateway.yaml:10
    output: 10 # ai-gateway.yaml:10
default_backend: none # default
prompt_log:
  mode: preview # default
  keep: 720h # default
limits:
  request_body: 32MiB # default
  bodies_in_flight: 512MiB # default
  silence: 15m # default
  requests_per_minute: 60 # default
  fail: open # default
  service_config: 127.0.0.1:18000 # default
budgets:
  fail: closed # default
  allow_unpriced: false # default
  answer_tokens: 4096 # default
  end_streams: true # default
retries:
  attempts: 3 # default
  delay: 0ms # AI_GATEWAY_RETRY_DELAY_MS
cors:
  origins:
  - '*' # ai-gateway.yaml:11
storage:
  keep_requests: 0s # default
  spool:
    sync: 20ms # default
    max_size: 1GiB # default
    max_age: 24h # default
  orphan_grace: 10s # default
metrics:
  listen: 127.0.0.1:9464 # default
traces:
  prompts: false # default
`

func TestEachValueIsShownWithItsSource(t *testing.T) {
	path := file(t, `listen: {port: 3003}
backends:
- name: b
  base_url: HTTPS://Example.com/v1/
  api_key: {env: A_KEY}
- {name: c, base_url: "https://example.com", api_key: {file: key}}
models:
- name: "1"
  backends: [b]
  price: {input: 2.50, output: 10}
cors: {origins: ["*"]}
`)
	t.Chdir(filepath.Dir(path))
	shown, err := Show("ai-gateway.yaml", env("A_KEY", "sk-very-secret-9f2c", "OPENAI_API_KEY", "sk-not-used-0123", "PORT", "3004", "AI_GATEWAY_RETRY_DELAY_MS", "0"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shownWithSources, strings.ReplaceAll(string(shown), filepath.Dir(path), "$DIR")); diff != "" {
		t.Errorf("wanted (-) and shown (+) differ:\n%s", diff)
	}
}

func TestWhatIsShownIsAFileThatSaysTheSame(t *testing.T) {
	named := "backends: [{name: b, base_url: \"https://example.com\", api_key: {env: A_KEY}}]\ndefault_backend: b\n"
	for _, c := range []struct {
		file string // "" for none
		env  []string
	}{
		{"", []string{"OPENAI_API_KEY", "sk-1", "AI_GATEWAY_MODEL_ROUTES", "llama3:8b:http://localhost:11434/v1,1:http://h"}},
		{"", []string{"AI_GATEWAY_UPSTREAM", "http://h:1/v1", "AI_GATEWAY_OPEN", "1", "AI_GATEWAY_BIND", "0.0.0.0", "PORT", "03003"}},
		{named, []string{"A_KEY", "sk-1", "AI_GATEWAY_BIND", "localhost"}},
		{named, []string{"A_KEY", "sk-1", "AI_GATEWAY_UPSTREAM", "http://h:1/v1"}},
	} {
		path := ""
		if c.file != "" {
			path = file(t, c.file)
		}
		first, err := Load(path, env(c.env...))
		if err != nil {
			t.Fatal(err)
		}
		shown, err := Show(path, env(c.env...))
		if err != nil {
			t.Fatal(err)
		}
		second, err := Load(file(t, string(shown)), env("OPENAI_API_KEY", env(c.env...)("OPENAI_API_KEY"), "A_KEY", "sk-1"))
		if err != nil {
			t.Fatalf("%v:\n%s", err, shown)
		}
		first.Files, second.Files, first.Text, second.Text = nil, nil, nil, nil
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%v: read (-) and shown (+) differ:\n%s", c, diff)
		}
	}
}

func TestWithoutAFileTheDemoIsRemarkedOn(t *testing.T) {
	shown, err := Show("", env())
	if err != nil || !strings.HasPrefix(string(shown), "# Nothing real is configured, so the built-in model demo is there.\nlisten:\n") {
		t.Errorf("shown is %s, %v", shown, err)
	}
}

func TestAWrongConfigurationIsNotShown(t *testing.T) {
	if shown, err := Show("", env("PORT", "0")); err == nil || len(shown) > 0 {
		t.Errorf("shown is %s, %v", shown, err)
	}
}
