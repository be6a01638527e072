package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
	c, err := Load("", env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingSetGivesTheDefaultsAndTheDemoModel(t *testing.T) {
	c := read(t)
	if c.Port != 3002 || c.Bind != "127.0.0.1" || c.Open || c.Retry.Attempts != 3 || c.Retry.Delay != time.Second ||
		c.PromptLog.Mode != PromptPreviews || !slices.Equal(c.Limits.Rules, perMinute(60)) || c.DatabasePath != "" || !c.Demo {
		t.Errorf("defaults are %+v", c)
	}
	routes := c.RoutesWithDemo("/run/demo.sock")
	if b := servedBy(t, routes, "demo"); b.Socket != "/run/demo.sock" || b.Credential != gateway.NoCredential {
		t.Errorf("demo is served by %+v", b)
	}
	if b := servedBy(t, routes, "gpt-4o"); b.BaseURL.String() != DefaultUpstream || b.Credential != gateway.ClientFirst {
		t.Errorf("gpt-4o is served by %+v", b)
	}
}

// servedBy is the backend of a model that has one.
func servedBy(t *testing.T, routes gateway.Routes, m gateway.Model) gateway.Backend {
	t.Helper()
	p, ok := routes.Table().Plan(gateway.OpenAIAPI, m)
	if !ok || len(p.Steps) != 1 || p.Steps[0].UpstreamModel != m {
		t.Fatalf("plan of %q: %+v, %v", m, p, ok)
	}
	for _, b := range routes.Backends {
		if b.Name == p.Steps[0].Backend {
			return b
		}
	}
	t.Fatalf("%q is planned for a backend that is not there", m)
	return gateway.Backend{}
}

func TestARouteToTheUpstreamsOwnOriginHasItsCredentials(t *testing.T) {
	const elsewhere = "https://api.openai.com.example/v1"
	for _, test := range []struct {
		upstream, route string
		has             bool
	}{
		{"", "https://api.openai.com/v1", true},
		{"", "HTTPS://API.OpenAI.com:443/v1/", true},
		{"", "https://api.openai.com./other/v1", true},
		{"", "https://api.openai.com:0443", true},
		{"", "http://api.openai.com/v1", false},
		{"", "https://api.openai.com:80/v1", false},
		{"", "https://eu.api.openai.com/v1", false},
		{"", elsewhere, false},
		{"http://[::1]/v1", "http://[0:0::1]:80/v1", true},
		{"http://127.0.0.1:8080/v1", "http://[::ffff:127.0.0.1]:8080/v1", true},
		{"http://localhost:8080/v1", "http://127.0.0.1:8080/v1", false},
	} {
		c := read(t, "AI_GATEWAY_UPSTREAM", test.upstream, "AI_GATEWAY_API_KEY", "sk-own", "AI_GATEWAY_MODEL_ROUTES", "m:"+test.route)
		want := gateway.Backend{}
		if test.has {
			want.Credential, want.Secret, want.SecretFrom = gateway.ClientFirst, "sk-own", "AI_GATEWAY_API_KEY"
		}
		b := servedBy(t, c.Routes, "m")
		got := gateway.Backend{Credential: b.Credential, Secret: b.Secret, SecretFrom: b.SecretFrom}
		if !cmp.Equal(want, got) {
			t.Errorf("upstream %q, route %q: credential %v, secret %q from %q", test.upstream, test.route, got.Credential, got.Secret, got.SecretFrom)
		}
	}
}

func TestAFirstExampleReachesOpenAIWithAKeyAndALocalServerWithout(t *testing.T) {
	c := read(t, "OPENAI_API_KEY", "sk-own", "AI_GATEWAY_MODEL_ROUTES", "gpt-4:https://api.openai.com/v1,llama:http://localhost:8080/v1")
	if b := servedBy(t, c.Routes, "gpt-4"); b.Credential != gateway.ClientFirst || b.Secret != "sk-own" || b.BaseURL.String() != "https://api.openai.com/v1" {
		t.Errorf("gpt-4 is served at %s with credential %v and secret %q", b.BaseURL, b.Credential, b.Secret)
	}
	if b := servedBy(t, c.Routes, "llama"); b.Credential != gateway.NoCredential || b.Secret != "" {
		t.Errorf("llama is served with credential %v and secret %q", b.Credential, b.Secret)
	}
}

func TestARouteToTheFilesDefaultBackendHasItsCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ai-gateway.yaml")
	file := "backends:\n  - {name: main, base_url: 'https://llm.example/v1', api_key: {env: MAIN_KEY}}\n" +
		"  - {name: other, base_url: 'https://other.example/v1', api_key: {env: OTHER_KEY}}\ndefault_backend: main\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, env("MAIN_KEY", "sk-main", "OTHER_KEY", "sk-other",
		"AI_GATEWAY_MODEL_ROUTES", "near:https://llm.example/v2,far:https://other.example/v2"))
	if err != nil {
		t.Fatal(err)
	}
	if b := servedBy(t, c.Routes, "near"); b.Credential != gateway.OwnCredential || b.Secret != "sk-main" {
		t.Errorf("near: credential %v, secret %q", b.Credential, b.Secret)
	}
	if b := servedBy(t, c.Routes, "far"); b.Credential != gateway.NoCredential || b.Secret != "" {
		t.Errorf("far: credential %v, secret %q", b.Credential, b.Secret)
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
	for model, base := range want {
		if b := servedBy(t, c.Routes, model); b.BaseURL.String() != base || b.Name == UpstreamBackend {
			t.Errorf("%q goes to %v %v, want %s", model, b, b.BaseURL, base)
		}
	}
	if len(c.Routes.Backends) != 3 {
		t.Errorf("%d backends, want the upstream and one for each of two base URLs", len(c.Routes.Backends))
	}
}

func TestAllFaultsAreReportedAtOnceAndNoneShowsASecret(t *testing.T) {
	_, err := Load("", env("PORT", "70000", "AI_GATEWAY_BIND", "example.com", "AI_GATEWAY_UPSTREAM", "https://me:hunter2@h/v1",
		"OPENAI_API_KEY", "sk-se cret", "AI_GATEWAY_MODEL_ROUTES", "justaname,a:http://h/v1,a:http://i/v1,q:http://h/?token=hunter2",
		"AI_GATEWAY_RETRY_ATTEMPTS", "-1", "AI_GATEWAY_RETRY_DELAY_MS", "soon", "AI_GATEWAY_PROMPT_LOGGING", "maybe",
		"AI_GATEWAY_RATE_LIMIT_RPM", "1.5", "AI_GATEWAY_OPEN", "yes"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"PORT", "AI_GATEWAY_BIND", "AI_GATEWAY_UPSTREAM", "OPENAI_API_KEY", `"justaname"`, `entry 3: model "a" already has a route`,
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

func TestAnAddressTellsWhetherOtherMachinesReachIt(t *testing.T) {
	for _, bind := range []string{"0.0.0.0", "::", "192.0.2.7"} {
		if c := read(t, "AI_GATEWAY_BIND", bind); c.Bind != bind || c.IsLocal() {
			t.Errorf("bind %s became %s, local: %t", bind, c.Bind, c.IsLocal())
		}
	}
	for _, bind := range []string{"localhost", "127.0.0.1", "127.0.0.9", "::1", "[::1]"} {
		if c := read(t, "AI_GATEWAY_BIND", bind); !c.IsLocal() {
			t.Errorf("bind %s is not local", c.Bind)
		}
	}
}

func TestOriginsAreThoseThatBrowsersSend(t *testing.T) {
	for _, origin := range []string{"*", "null", "https://app.example.com", "http://localhost:5173", "http://[::1]:8080", "app://localhost", "app://.", "app://obsidian.md",
		"chrome-extension://mnopabcdefghijklmnopabcdefghijkl", "moz-extension://0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "capacitor://localhost", "ionic://localhost",
		"tauri://localhost", "http://tauri.localhost", "vscode-webview://1a2b3c4d", "vscode-file://vscode-app"} {
		if got, err := parseOrigin(origin); err != nil || got != origin {
			t.Errorf("%s is read as %q, %v", origin, got, err)
		}
	}
	for _, origin := range []string{"", "NULL", "https://", "https://app.example.com/", "https://app.example.com:443", "http://a:80", "https://App.example.com", "https://u@a", "app:",
		"app://", "app://a/b", "app://a?b", "app://A", "app://*", "://a", "1app://a", "app://a:b", "ftp:", "https://a,https://b", "app://a b", "app.example.com"} {
		if got, err := parseOrigin(origin); err == nil {
			t.Errorf("%q is taken for the origin %q", origin, got)
		}
	}
}

func TestAnAdminKeyComesFromTheEnvironmentOrAFile(t *testing.T) {
	const key = "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	if c := read(t); c.AdminKey != "" {
		t.Errorf("without one there is %q", string(c.AdminKey))
	}
	if c := read(t, "AI_GATEWAY_ADMIN_KEY", " "+key+"\n"); string(c.AdminKey) != key {
		t.Errorf("the key became %q", string(c.AdminKey))
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"key": key + "\n", "config.yaml": "admin_key: {file: key}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for load, want := range map[string]string{"keyless": "", "guarded": key} {
		read := map[string]func(string, func(string) string) (Config, error){"keyless": LoadKeyless, "guarded": LoadGuarded}[load]
		if c, err := read(filepath.Join(folder, "config.yaml"), env()); err != nil || string(c.AdminKey) != want {
			t.Errorf("%s: %q, %v", load, string(c.AdminKey), err)
		}
	}
	const other = "agw_ffffeeeeddddccccbbbbaaaa9999888877776666"
	for variable, want := range map[string]string{"": key, other: other} {
		c, err := Load(filepath.Join(folder, "config.yaml"), env("AI_GATEWAY_ADMIN_KEY", variable))
		if err != nil || string(c.AdminKey) != want {
			t.Errorf("beside the variable %q the key is %q, %v", variable, string(c.AdminKey), err)
		}
	}
	for _, bad := range []string{"changeme-changeme-changeme-changeme-changeme", "agw_short", "agw_ hunter2hunter2hunter2hunter2hunter2"} {
		_, err := Load("", env("AI_GATEWAY_ADMIN_KEY", bad))
		if err == nil || !strings.Contains(err.Error(), "AI_GATEWAY_ADMIN_KEY") || strings.Contains(err.Error(), bad[4:]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPrintingAConfigShowsNoSecret(t *testing.T) {
	c := read(t, "OPENAI_API_KEY", "sk-very-secret")
	c.AdminKey = "sk-very-secret"
	c.TLS = TLS{Certificate: "public", Key: "sk-very-secret"}
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

func TestNoFaultShowsWhatMayBeSecretInAURL(t *testing.T) {
	for _, text := range []string{"https://hunter2@h/v1", "me:hunter2@h/v1", "https://me:hunter2@h:port/v1", "https://h/v1?key=hunter2",
		"https://h/v1#hunter2", "h/v1?key=hunter2", "https://me:x?hunter2@h/v1", "ftp://me:hunter2@h", "https://me:hun,hunter2@h/v1",
		"https://me:hunter2,x@h/v1", "%zz://hunter2@h"} {
		for _, pair := range [][]string{{"AI_GATEWAY_UPSTREAM", text}, {"AI_GATEWAY_MODEL_ROUTES", "m:" + text}, {"AI_GATEWAY_MODEL_ROUTES", text}} {
			if _, err := Load("", env(pair...)); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v: the error is %v", pair, err)
			}
		}
	}
}

func TestABaseURLThatCannotBeCalledIsRefused(t *testing.T) {
	for _, text := range []string{"h/v1", "localhost:11434/v1", "http:///v1", "http://:80/v1", "http://h:0/v1", "http://h:65536/v1", "http://h:/v1",
		"http://h\xff/v1", "http://hé/v1", "http://-/v1", "http://a\"b/v1", "http://[fe80::1%25eth0]/v1", "http:h", "https://h/v1?", "https://h/v1#",
		"https://h/v 1", "https://h/é", "https://h/\"a\""} {
		if c, err := Load("", env("AI_GATEWAY_UPSTREAM", text)); err == nil {
			t.Errorf("%q became %v", text, c.Routes.Backends[0].BaseURL)
		}
	}
	for text, want := range map[string]string{"HTTPS://API.Example.com/V1//": "https://api.example.com/V1", "http://[::1]:8080/": "http://[::1]:8080",
		"http://my_host:65535": "http://my_host:65535", "https://h/a%2Fb/v1/": "https://h/a%2Fb/v1"} {
		if got := read(t, "AI_GATEWAY_UPSTREAM", text).Routes.Backends[0].BaseURL.String(); got != want {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
}

func TestAModelIdThatCannotBeReadIsRefused(t *testing.T) {
	for _, text := range []string{":http://h", " :http://h", "a\x00b:http://h", "a\x1bb:http://h", "a\xff:http://h", "http://h"} {
		if c, err := Load("", env("AI_GATEWAY_MODEL_ROUTES", text)); err == nil {
			t.Errorf("%q became %v", text, c.Routes.Models)
		}
	}
}

func TestBackendsAreNamedAfterTheirAddressWhateverTheOrder(t *testing.T) {
	entries := []string{"a:http://h:80/v1", "b:http://h/80/v1", "c:https://h:80/v1", "d:http://upstream", "e:http://demo", "f:http://[::]",
		"g:http://My_Host:1/Api", "h:http://localhost:11434/v1"}
	names := func(entries []string) map[gateway.Model]string {
		byModel := map[gateway.Model]string{}
		for _, route := range read(t, "AI_GATEWAY_MODEL_ROUTES", strings.Join(entries, ",")).Routes.Models {
			byModel[route.Model] = route.Steps[0].Backend
		}
		return byModel
	}
	forth := names(entries)
	slices.Reverse(entries)
	back := names(entries)
	seen := map[string]bool{UpstreamBackend: true, DemoBackend: true}
	for model, name := range forth {
		if back[model] != name || seen[name] || !regexp.MustCompile(`^[a-z0-9.-]+$`).MatchString(name) {
			t.Errorf("backend of %q is %q, in reverse order %q", model, name, back[model])
		}
		seen[name] = true
	}
	if forth["h"] != "localhost-11434-v1" || forth["g"] != "my-host-1-api" {
		t.Errorf("names are %v", forth)
	}
}

func TestTheFirstKeyThatIsSetIsTakenWithoutItsLineEnd(t *testing.T) {
	for want, pairs := range map[[2]string][]string{
		{"sk-1", "OPENAI_API_KEY"}:     {"OPENAI_API_KEY", "sk-1\n", "AI_GATEWAY_API_KEY", "sk-2"},
		{"sk-2", "AI_GATEWAY_API_KEY"}: {"OPENAI_API_KEY", " ", "AI_GATEWAY_API_KEY", "sk-2\r\n"},
		{}:                             {},
	} {
		b := read(t, pairs...).Routes.Backends[0]
		if got := [2]string{b.Secret, b.SecretFrom}; got != want {
			t.Errorf("%v: key and source %q, want %q", pairs, got, want)
		}
	}
}

func TestBooleansAreTrueFalseOneOrZero(t *testing.T) {
	for text, want := range map[string]bool{"": false, "true": true, "TRUE": true, "1": true, "False": false, "0": false} {
		if got := read(t, "AI_GATEWAY_OPEN", text).Open; got != want {
			t.Errorf("%q is %v", text, got)
		}
	}
	for _, text := range []string{"yes", "on", "t", "2"} {
		if _, err := Load("", env("AI_GATEWAY_OPEN", text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestPromptsAreLoggedByModeOrSwitchedOnAndOff(t *testing.T) {
	for text, want := range map[string]PromptMode{"": PromptPreviews, "true": PromptPreviews, "1": PromptPreviews, "preview": PromptPreviews,
		"FALSE": PromptsOff, "0": PromptsOff, "off": PromptsOff, "full": FullPrompts} {
		if got := read(t, "AI_GATEWAY_PROMPT_LOGGING", text).PromptLog.Mode; got != want {
			t.Errorf("%q is %v", text, got)
		}
	}
	if _, err := Load("", env("AI_GATEWAY_PROMPT_LOGGING", "some")); err == nil {
		t.Error("another word is accepted")
	}
}

func TestTheSummarySaysWhereEachModelGoes(t *testing.T) {
	path := file(t, `
backends:
- {name: a, base_url: "https://a.example.com", api_key: {env: A_KEY}}
- {name: b, base_url: "https://b.example.com"}
models: [{name: m, backends: [a, b]}]
`)
	for want, pairs := range map[string][]string{
		"\n  m                        → https://a.example.com, then https://b.example.com\n  any other                → refused: there is no default backend\n": nil,
		"\n  any other                → https://c.example.com (the client's key; none is configured)\n":                                                         {"AI_GATEWAY_UPSTREAM", "https://c.example.com"},
	} {
		c, err := Load(path, env(append(pairs, "A_KEY", "sk-1")...))
		if err != nil || !strings.Contains(c.Summary(), want) {
			t.Errorf("%v: summary without %q: %s, %v", pairs, want, c.Summary(), err)
		}
	}
	for name, want := range map[string]string{"a": "(the configured key)", "b": "(without a key)"} {
		content := "backends: [{name: a, base_url: \"https://a.example.com\", api_key: {env: A_KEY}}, {name: b, base_url: \"https://b.example.com\"}]\ndefault_backend: " + name
		if c := loaded(t, content); !strings.Contains(c.Summary(), want) {
			t.Errorf("summary without %q: %s", want, c.Summary())
		}
	}
}

func TestStorageSaysWhatIsKept(t *testing.T) {
	if got := read(t).Storage(); got != "in-memory (set DATABASE_PATH for persistence)" {
		t.Errorf("storage %q", got)
	}
	if got := read(t, "DB_PATH", "usage.db").Storage(); got != "SQLite (persistent)" {
		t.Errorf("storage %q", got)
	}
	if _, err := Load("", env("DATABASE_PATH", ":memory:")); err == nil {
		t.Error("a database in memory counts as persistent")
	}
}

func FuzzModelRoutesAreUsableOrRefused(f *testing.F) {
	f.Add("llama3:8b:http://localhost:11434/v1,b:https://h")
	f.Add("a:http://me:hunter2@h/v1")
	f.Add("a:http://h/a.b,b:https://h/a-b,c:http://demo,d:http://[::]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load("", env("AI_GATEWAY_MODEL_ROUTES", text))
		if err != nil {
			return
		}
		names, urls := map[string]bool{DemoBackend: true}, map[string]bool{}
		for _, b := range c.Routes.Backends {
			if b.Name == "" || names[b.Name] || b.Name != UpstreamBackend && urls[b.BaseURL.String()] {
				t.Errorf("%q gives the backend %q for %s", text, b.Name, b.BaseURL)
			}
			names[b.Name] = true
			urls[b.BaseURL.String()] = b.Name != UpstreamBackend
			if again, err := parseBaseURL(b.BaseURL.String()); err != nil || again.String() != b.BaseURL.String() {
				t.Errorf("%q gives %s, which reads as %v, %v", text, b.BaseURL, again, err)
			}
		}
		for _, route := range c.Routes.Models {
			if route.Model == "" || !utf8.ValidString(string(route.Model)) || !names[route.Steps[0].Backend] {
				t.Errorf("%q gives the route %+v", text, route)
			}
		}
	})
}

func FuzzNoFaultShowsAPassword(f *testing.F) {
	f.Add("", "")
	f.Add("x?", ",y")
	f.Add(",", "://")
	f.Fuzz(func(t *testing.T, before, after string) {
		text := "https://me:" + before + "hunter2" + after + "@h/v1"
		for _, pair := range [][]string{{"AI_GATEWAY_UPSTREAM", text}, {"AI_GATEWAY_MODEL_ROUTES", "m:" + text}} {
			if _, err := Load("", env(pair...)); err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v: the error is %v", pair, err)
			}
		}
	})
}

func TestMisspeltVariablesAreTold(t *testing.T) {
	got := Misspelt([]string{"AI_GATEWAY_PROMPT_LOGING=off", "AI_GATEWAY_MODEL_ROUTE=", "AI_GATEWAY_RATE_LIMIT=5", "AI_GATEWAY_BIND=::1", "AI_GATEWAY_API_KEY=x",
		"AI_GATEWAY_PORT=tcp://10.0.0.1:3002", "AI_GATEWAY_SERVICE_HOST=10.0.0.1", "AI_GATEWAY_PORT_3002_TCP_PORT=3002", "HOME=/"})
	want := []string{
		"AI_GATEWAY_MODEL_ROUTE is not a variable of the gateway: did you mean AI_GATEWAY_MODEL_ROUTES?",
		"AI_GATEWAY_PROMPT_LOGING is not a variable of the gateway: did you mean AI_GATEWAY_PROMPT_LOGGING?",
		"AI_GATEWAY_RATE_LIMIT is not a variable of the gateway: did you mean AI_GATEWAY_RATE_LIMIT_RPM?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}
