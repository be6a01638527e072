package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func read(t *testing.T, pairs ...string) Config {
	t.Helper()
	c, err := FromEnv(env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingSetGivesTheDefaultsAndTheDemoModel(t *testing.T) {
	c := read(t)
	if c.Port != 3002 || c.Bind != "127.0.0.1" || c.Open || c.Retry.Attempts != 3 || c.Retry.Delay != time.Second ||
		!c.PromptLogging || c.RateLimitRPM != 60 || c.DatabasePath != "" || !c.Demo {
		t.Errorf("defaults are %+v", c)
	}
	table := c.RoutesWithDemo("/run/demo.sock").Table()
	if p, ok := table.Plan("demo"); !ok || p.Backend.Socket != "/run/demo.sock" || p.Backend.Credential != gateway.NoCredential {
		t.Errorf("plan of demo: %+v, %v", p, ok)
	}
	if p, ok := table.Plan("gpt-4o"); !ok || p.Backend.BaseURL.String() != DefaultUpstream || p.Backend.Credential != gateway.ClientFirst {
		t.Errorf("plan of gpt-4o: %+v, %v", p, ok)
	}
}

func TestAnythingRealMakesTheDemoModelDisappear(t *testing.T) {
	for _, pair := range [][]string{{"OPENAI_API_KEY", "sk-1"}, {"AI_GATEWAY_API_KEY", "sk-2"},
		{"AI_GATEWAY_UPSTREAM", "http://localhost:1/v1"}, {"AI_GATEWAY_MODEL_ROUTES", "m:http://localhost:1/v1"}} {
		if read(t, pair...).Demo {
			t.Errorf("%v: the demo model is still there", pair)
		}
	}
}

func TestModelIdsMayHoldColons(t *testing.T) {
	c := read(t, "AI_GATEWAY_MODEL_ROUTES", " llama3:8b:http://localhost:11434/v1 , b:https://h/api/openai/v1/,c:http://localhost:11434/v1,")
	want := map[gateway.Model]string{"llama3:8b": "http://localhost:11434/v1", "b": "https://h/api/openai/v1", "c": "http://localhost:11434/v1"}
	table := c.Routes.Table()
	for model, base := range want {
		p, _ := table.Plan(model)
		if p.Backend.BaseURL == nil || p.Backend.BaseURL.String() != base || p.Backend.Name == UpstreamBackend {
			t.Errorf("%q goes to %v %v, want %s", model, p.Backend, p.Backend.BaseURL, base)
		}
	}
	if len(c.Routes.Backends) != 3 {
		t.Errorf("%d backends, want the upstream and one for each of two base URLs", len(c.Routes.Backends))
	}
}

func TestAllFaultsAreReportedAtOnceAndNoneShowsASecret(t *testing.T) {
	_, err := FromEnv(env("PORT", "70000", "AI_GATEWAY_BIND", "example.com", "AI_GATEWAY_UPSTREAM", "https://me:hunter2@h/v1",
		"OPENAI_API_KEY", "sk-se cret", "AI_GATEWAY_MODEL_ROUTES", "justaname,a:http://h/v1,a:http://i/v1,q:http://h/?token=hunter2",
		"AI_GATEWAY_RETRY_ATTEMPTS", "-1", "AI_GATEWAY_RETRY_DELAY_MS", "soon", "AI_GATEWAY_PROMPT_LOGGING", "maybe",
		"AI_GATEWAY_RATE_LIMIT_RPM", "1.5", "AI_GATEWAY_OPEN", "yes"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"PORT", "AI_GATEWAY_BIND", "AI_GATEWAY_UPSTREAM", "OPENAI_API_KEY", `"justaname"`, `model "a" has two routes`,
		"AI_GATEWAY_RETRY_ATTEMPTS", "AI_GATEWAY_RETRY_DELAY_MS", "AI_GATEWAY_PROMPT_LOGGING", "AI_GATEWAY_RATE_LIMIT_RPM", "AI_GATEWAY_OPEN"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %s:\n%v", part, err)
		}
	}
	for _, secret := range []string{"hunter2", "cret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q:\n%v", secret, err)
		}
	}
}

func TestOtherMachinesNeedOpen(t *testing.T) {
	for _, bind := range []string{"0.0.0.0", "::", "192.0.2.7"} {
		if _, err := FromEnv(env("AI_GATEWAY_BIND", bind)); err == nil || !strings.Contains(err.Error(), "AI_GATEWAY_OPEN=true") {
			t.Errorf("bind %s: error %v, want one that names AI_GATEWAY_OPEN", bind, err)
		}
		if c := read(t, "AI_GATEWAY_BIND", bind, "AI_GATEWAY_OPEN", "true"); c.Bind != bind {
			t.Errorf("bind %s became %s", bind, c.Bind)
		}
	}
	for _, bind := range []string{"localhost", "127.0.0.1", "127.0.0.9", "::1", "[::1]"} {
		read(t, "AI_GATEWAY_BIND", bind)
	}
}

func TestPrintingAConfigShowsNoSecret(t *testing.T) {
	c := read(t, "OPENAI_API_KEY", "sk-very-secret")
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(encoded), c.Summary()} {
		if strings.Contains(shown, "sk-very-secret") {
			t.Errorf("the secret is shown: %s", shown)
		}
	}
	if c.Routes.Backends[0].Secret != "sk-very-secret" {
		t.Error("the secret is lost")
	}
}

func TestDatabasePathComesBeforeDbPath(t *testing.T) {
	if got := read(t, "DB_PATH", "b").DatabasePath; got != "b" {
		t.Errorf("path %q, want DB_PATH's", got)
	}
	if got := read(t, "DATABASE_PATH", "a", "DB_PATH", "b").DatabasePath; got != "a" {
		t.Errorf("path %q, want DATABASE_PATH's", got)
	}
}

func FuzzModelRoutesNeverPanicOrShowPasswords(f *testing.F) {
	f.Add("llama3:8b:http://localhost:11434/v1,b:https://h")
	f.Add("a:http://me:hunter2@h/v1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := FromEnv(env("AI_GATEWAY_MODEL_ROUTES", text))
		if err != nil {
			return
		}
		for _, route := range c.Routes.Models {
			if route.Model == "" || route.Backend == "" {
				t.Errorf("%q gives the route %+v", text, route)
			}
		}
	})
}
