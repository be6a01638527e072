package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

const (
	variableKey = "sk-variable-0123456789"
	fileKey     = "sk-file-0123456789"
	brokenKey   = "sk-broken 0123456789"
	adminKey    = "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

// keys is an environment that has keys besides what is given.
func keys(pairs ...string) func(string) string {
	return env(append(pairs, "OPENAI_API_KEY", variableKey, "ANTHROPIC_API_KEY", variableKey, "GATEWAY_CLIENT_SECRET", variableKey, "BUDGET_WEBHOOK_SECRET", variableKey, "A_KEY", variableKey, "BROKEN_KEY", brokenKey)...)
}

// folder is a new folder with the files that the tests' configurations name.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	certificate, key := keyPair(t)
	_, other := keyPair(t)
	for name, content := range map[string]string{
		"cert.pem": certificate, "key.pem": key, "other-key.pem": other,
		"tls/cert.pem": certificate, "tls/key.pem": key, "tls/our-authority.pem": certificate,
		"key": fileKey + "\n", "secrets/azure": fileKey + "\r\n", "secrets/admin": adminKey + "\n", "secrets/session": adminKey + "," + adminKey + "\n", "secrets/encryption": adminKey + "\n", "empty": " \n", "broken-key": brokenKey, "folder/empty": "",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyPair makes a certificate and its key.
func keyPair(t testing.TB) (certificate, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

// file is a configuration file in a folder with everything that it may name.
func file(t testing.TB, content string) string {
	t.Helper()
	return write(t, filepath.Join(folder(t), "ai-gateway.yaml"), content)
}

func loaded(t *testing.T, content string, pairs ...string) Config {
	t.Helper()
	c, err := Load(file(t, content), keys(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFaultsNameTheFileAsItWasNamed(t *testing.T) {
	t.Chdir(filepath.Dir(file(t, "listen: {port: 0}\n")))
	_, err := Load("ai-gateway.yaml", keys("AI_GATEWAY_OPEN", "maybe", "PORT", "1"))
	want := `the configuration is not valid:
ai-gateway.yaml:1:16: listen.port: "0" must be an integer from 1 to 65535
AI_GATEWAY_OPEN: "maybe" must be true or false`
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestAFileThatIsNoneIsRefusedWithItsName(t *testing.T) {
	dir := folder(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := write(t, filepath.Join(dir, "large"), "#"+strings.Repeat(" ", maxFile))
	for path, want := range map[string]string{
		"none": `none: reading "$DIR/none": no such file or directory`, "folder": `folder: reading "$DIR/folder": is a folder`,
		"pipe": `pipe: reading "$DIR/pipe": is not a regular file`, large: `reading "$DIR/large": is larger than 4 MiB`,
		write(t, filepath.Join(dir, "nothing"), ""):            "is empty: write at least one field, or start without a file",
		write(t, filepath.Join(dir, "comment"), "# port: 1\n"): "is empty: write at least one field, or start without a file",
		write(t, filepath.Join(dir, "dashes"), "---\n"):        "has no value: give it one, or remove the line",
		write(t, filepath.Join(dir, "bytes"), "a: \xff\n"):     "is not YAML: invalid leading UTF-8 octet",
		write(t, filepath.Join(dir, "zero"), "a: \x00\n"):      "is not YAML: control characters are not allowed",
	} {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		_, err := Load(path, keys())
		if got := faultsOf(err, dir); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestAWholeFileIsReadAsItIsMeant(t *testing.T) {
	content, err := os.ReadFile("../docs/ai-gateway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := file(t, string(content))
	c, err := Load(path, keys())
	if err != nil {
		t.Fatal(err)
	}
	inFolder := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	if c.Bind != "0.0.0.0" || c.Port != 3002 || c.Open || string(c.AdminKey) != adminKey || c.TLS.Certificate == "" || c.TLS.Key == "" || c.Demo || c.PromptLog.Mode != PromptPreviews ||
		c.MaxBody != 32<<20 || c.MaxInFlight != 512<<20 || len(c.Limits.Rules) != 3 || *c.Limits.InFlight != 100 || c.LimitService.Address != "ratelimit:8081" || c.Retry != (gateway.Retry{Attempts: 3, Delay: time.Second}) ||
		c.DatabasePath != inFolder("usage.db") || !slices.Equal(c.CORSOrigins, []string{"https://app.example.com", "https://ai.example.com"}) {
		t.Errorf("read as %+v", c)
	}
	wantModels := []gateway.Route{
		{Model: "gpt-4o", Aliases: []gateway.Model{"fast", "our-best"}, Steps: []gateway.Step{{Backend: "azure-eu", UpstreamModel: "gpt-4o"}, {Backend: "openai", UpstreamModel: "gpt-4o"}}, FirstByte: 20 * time.Second},
		{Model: "long-reader", Steps: []gateway.Step{{Backend: "openai", UpstreamModel: "long-reader"}}},
		{Model: "llama3:8b", Steps: []gateway.Step{{Backend: "ollama", UpstreamModel: "llama3:8b"}, {Backend: "vault", UpstreamModel: "llama-3-8b-instruct"}}},
	}
	if diff := cmp.Diff(wantModels, c.Routes.Models); diff != "" || c.Routes.Default != "openai" {
		t.Errorf("models (- wanted, + read), the default %q:\n%s", c.Routes.Default, diff)
	}
	azure := c.Routes.Backends[1]
	if azure.Kind != gateway.Azure || azure.Deployment != "gpt-4o" || azure.APIVersion != "2024-10-21" || azure.Secret != fileKey || azure.Credential != gateway.OwnCredential {
		t.Errorf("azure-eu is %+v with %+v", azure.BaseURL, azure)
	}
	openai, ollama, vault := c.Routes.Backends[0], c.Routes.Backends[2], c.Routes.Backends[3]
	if openai.Credential != gateway.ClientFirst || openai.Secret != variableKey || ollama.Kind != gateway.Local ||
		ollama.Credential != gateway.NoCredential || !strings.Contains(vault.Authorities, "BEGIN CERTIFICATE") {
		t.Errorf("credentials %v, %v; kind %v; authorities %q", openai.Credential, ollama.Credential, ollama.Kind, vault.Authorities)
	}
	if openai.SecretFrom != "OPENAI_API_KEY" || azure.SecretFrom != inFolder("secrets/azure") || ollama.SecretFrom != "" {
		t.Errorf("keys are from %q, %q and %q", openai.SecretFrom, azure.SecretFrom, ollama.SecretFrom)
	}
	wantFiles := []string{path, inFolder("tls/cert.pem"), inFolder("tls/key.pem"), inFolder("secrets/admin"), inFolder("secrets/session"), inFolder("secrets/encryption"), inFolder("secrets/azure"), inFolder("tls/our-authority.pem")}
	slices.Sort(wantFiles)
	if !slices.Equal(slices.Sorted(maps.Keys(c.Files)), wantFiles) {
		t.Errorf("read from %v, want %v", c.Files, wantFiles)
	}
}

func TestPricesAreExactAndFallBackToWhatTheyResemble(t *testing.T) {
	c := loaded(t, `
backends: [{name: b, base_url: "https://example.com"}]
default_backend: b
models:
- name: exact
  price: {input: 0.000000001, cached_input: 0, cache_write: 0.1, output: 1000000, reasoning: 3.123456789}
- name: fallback
  price:
  - {input: 1, output: 2, tiers: [{above_prompt_tokens: 10, input: 3, output: 4}],
     service_tiers: [{name: flex, input: 0.5, output: 1, reasoning: 1.25, tiers: [{above_prompt_tokens: 20, input: 7, output: 8, cached_input: 6}]}, {name: priority, input: 9, output: 11}]}
  - {from: 2026-01-31, input: 5.50, output: 6}
- name: unpriced
`)
	all := func(input, cached, write, output, reasoning gateway.Money) gateway.Rates {
		return gateway.Rates{Input: input, CachedInput: cached, CacheWrite: write, CacheWriteHour: write, Output: output, Reasoning: reasoning}
	}
	want := []gateway.Override{
		{Model: "exact", Rates: all(1, 0, 100_000_000, 1_000_000*gateway.USD, 3_123_456_789)},
		{Model: "fallback", Rates: all(gateway.USD, gateway.USD, gateway.USD, 2*gateway.USD, 2*gateway.USD),
			Tiers: []gateway.Tier{{Above: 10, Rates: all(3*gateway.USD, 3*gateway.USD, 3*gateway.USD, 4*gateway.USD, 4*gateway.USD)}},
			ServiceTiers: []gateway.ServicePrice{
				{Name: "flex", Rates: all(500_000_000, 500_000_000, 500_000_000, gateway.USD, 1_250_000_000),
					Tiers: []gateway.Tier{{Above: 20, Rates: all(7*gateway.USD, 6*gateway.USD, 7*gateway.USD, 8*gateway.USD, 8*gateway.USD)}}},
				{Name: "priority", Rates: all(9*gateway.USD, 9*gateway.USD, 9*gateway.USD, 11*gateway.USD, 11*gateway.USD)}}},
		{Model: "fallback", From: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
			Rates: all(5_500_000_000, 5_500_000_000, 5_500_000_000, 6*gateway.USD, 6*gateway.USD)},
	}
	if diff := cmp.Diff(want, c.Prices); diff != "" {
		t.Errorf("prices (- wanted, + read):\n%s", diff)
	}
}

func TestModelsWithoutBackendsGoToTheDefaultOne(t *testing.T) {
	c := loaded(t, "backends: [{name: b, base_url: \"https://example.com\"}]\ndefault_backend: b\nmodels: [{name: m, aliases: [a]}]\n")
	if p, ok := c.Routes.Table().Plan(gateway.OpenAIAPI, "a"); !ok || p.Model != "m" || !slices.Equal(p.Steps, []gateway.Step{{Backend: "b", UpstreamModel: "m"}}) {
		t.Errorf("plan %+v, %v", p, ok)
	}
}

func TestSizesAreBytesWithOrWithoutAUnit(t *testing.T) {
	for text, want := range map[string]int64{"1024": 1024, "1KiB": 1024, "33554432": 32 << 20, "32MiB": 32 << 20, "1GiB": 1 << 30} {
		if c := loaded(t, "limits: {request_body: "+text+", bodies_in_flight: 2GiB}\n"); c.MaxBody != want {
			t.Errorf("%s is %d bytes", text, c.MaxBody)
		}
	}
}

func TestAnAliasStandsForItsAnchor(t *testing.T) {
	c := loaded(t, `
backends: [{name: b, base_url: "https://example.com"}]
models:
- {name: one, backends: &where [{name: b, model: &id upstream}], price: &price {input: 1, output: 2}}
- {name: two, backends: *where, price: *price}
- {name: *id, backends: *where}
`)
	for _, name := range []gateway.Model{"one", "two", "upstream"} {
		if p, ok := c.Routes.Table().Plan(gateway.OpenAIAPI, name); !ok || p.Steps[0].UpstreamModel != "upstream" {
			t.Errorf("plan of %s: %+v, %v", name, p, ok)
		}
	}
	if len(c.Prices) != 2 {
		t.Errorf("prices are %+v", c.Prices)
	}
}

func TestAliasesThatMultiplyAreCutOff(t *testing.T) {
	prices := "[" + strings.Repeat("{input: 1, output: 1}, ", 1000) + "]"
	path := file(t, "models:\n- &m {name: m, price: "+prices+"}\n"+strings.Repeat("- *m\n", 1000))
	r := newReader(path, keys())
	r.values = maxValues - 10_000
	r.readFile(new(document))
	if err := r.err(); err == nil || !strings.Contains(err.Error(), "from here on there are too many values") || len(r.faults) != 1 {
		t.Errorf("the error is %v", err)
	}
	if r.values > maxValues+10_000 {
		t.Errorf("%d values were read", r.values)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for _, content := range []string{strings.Repeat("[", maxFile), strings.Repeat("{a: ", maxFile/4), strings.Repeat("- ", maxFile/2), strings.Repeat("? ", maxFile/2)} {
		if _, err := Load(file(t, content), keys()); err == nil || !strings.Contains(err.Error(), "exceeded max depth") {
			t.Errorf("%s…: the error is %.200v", content[:4], err)
		}
	}
}

func TestNoMoreFaultsAreToldThanHelp(t *testing.T) {
	_, err := Load(file(t, "models:\n"+strings.Repeat("- 1\n", 1000)), keys())
	if lines := faultsOf(err, "-"); len(lines) != maxFaults+1 || lines[maxFaults] != "… and 900 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestDefaultsAreThoseOfTheVocabulary(t *testing.T) {
	for _, b := range loaded(t, "backends: [{name: b, base_url: \"https://example.com\"}]\n").Routes.Backends {
		if b.ConnectTimeout != gateway.DefaultConnectTimeout || b.IdleTimeout != gateway.DefaultIdleTimeout || b.MaxConnections != 0 || b.Kind != gateway.OpenAI {
			t.Errorf("defaults of a backend: %+v", b)
		}
	}
}

// TestFileAndEnvironmentTogether holds the table of docs/configuration.md true.
func TestFileAndEnvironmentTogether(t *testing.T) {
	const (
		bare   = "listen: {port: 3003}\n"
		models = `
backends: [{name: b, base_url: "https://example.com"}, {name: upstream, base_url: "https://other.example.com", api_key: {env: A_KEY}}]
models: [{name: m, aliases: [fast], backends: [b], price: {input: 1, output: 1}}]
default_backend: b
`
		named = "backends: [{name: b, base_url: \"https://example.com\", api_key: {env: OPENAI_API_KEY}}]\ndefault_backend: b\n"
	)
	type env = []string
	for _, c := range []struct {
		name, file string
		env        env
		demo       bool
		plans      map[gateway.Model]string // "" for none
		keys       map[string]string        // of backends that have one
	}{
		{"a file without backends has the demo alone", bare, nil, true, map[gateway.Model]string{"m": "", "demo": "demo"}, nil},
		{"a key beside such a file is not used", bare, env{"OPENAI_API_KEY", "k"}, true, map[gateway.Model]string{"m": ""}, nil},
		{"a file alone", models, env{"A_KEY", "a"}, false, map[gateway.Model]string{"m": "b", "fast": "b", "x": "b", "demo": "b"}, map[string]string{"upstream": "a"}},
		{"a key that no backend names", models, env{"A_KEY", "a", "OPENAI_API_KEY", "k"}, false, nil, map[string]string{"upstream": "a"}},
		{"a key that a backend names", named, env{"OPENAI_API_KEY", "k"}, false, map[gateway.Model]string{"x": "b"}, map[string]string{"b": "k"}},
		{"an upstream beside a file", models, env{"AI_GATEWAY_UPSTREAM", "https://new.example.com", "AI_GATEWAY_API_KEY", "k"}, false,
			map[gateway.Model]string{"m": "b", "x": "upstream"}, map[string]string{"upstream": "k"}},
		{"an upstream without a key beside a file", models, env{"AI_GATEWAY_UPSTREAM", "https://new.example.com"}, false,
			map[gateway.Model]string{"x": "upstream"}, nil},
		{"an upstream beside a file without backends", bare, env{"AI_GATEWAY_UPSTREAM", "https://new.example.com"}, false,
			map[gateway.Model]string{"m": "upstream"}, nil},
		{"a route for a model of the file", models, env{"A_KEY", "a", "AI_GATEWAY_MODEL_ROUTES", "m:http://h/v1"}, false,
			map[gateway.Model]string{"m": "h-v1", "fast": "h-v1", "x": "b"}, map[string]string{"upstream": "a"}},
		{"a route for an alias of the file", models, env{"A_KEY", "a", "AI_GATEWAY_MODEL_ROUTES", "fast:http://h/v1,new:http://h/v1"}, false,
			map[gateway.Model]string{"m": "b", "fast": "h-v1", "new": "h-v1"}, map[string]string{"upstream": "a"}},
		{"a route beside a file without backends", bare, env{"AI_GATEWAY_MODEL_ROUTES", "m:http://h/v1"}, false,
			map[gateway.Model]string{"m": "h-v1", "x": "", "demo": ""}, nil},
	} {
		got, err := Load(file(t, c.file), envOf(c.env))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		table := got.RoutesWithDemo("/demo.sock").Table()
		for model, want := range c.plans {
			if p, ok := table.Plan(gateway.OpenAIAPI, model); ok != (want != "") || ok && p.Steps[0].Backend != want {
				t.Errorf("%s: %q is planned as %+v, want %q", c.name, model, p, want)
			}
		}
		keys := map[string]string{}
		for _, b := range got.Routes.Backends {
			if b.Secret != "" {
				keys[b.Name] = b.Secret
			}
		}
		if got.Demo != c.demo || len(keys) != len(c.keys) || !cmp.Equal(keys, c.keys) && len(keys) > 0 {
			t.Errorf("%s: demo %v, keys %v", c.name, got.Demo, keys)
		}
	}
}

func envOf(pairs []string) func(string) string { return env(pairs...) }

func TestSingleValuesOfTheEnvironmentWin(t *testing.T) {
	c := loaded(t, "listen: {port: 3003, bind: \"::1\", open: false}\nprompt_log: {mode: full}\nretries: {attempts: 1, delay: 2s}\n"+
		"limits: {requests_per_minute: 5}\nstorage: {database_path: a.db}\n",
		"PORT", "3004", "AI_GATEWAY_BIND", "0.0.0.0", "AI_GATEWAY_OPEN", "1", "AI_GATEWAY_PROMPT_LOGGING", "0", "AI_GATEWAY_RETRY_ATTEMPTS", "7",
		"AI_GATEWAY_RETRY_DELAY_MS", "20", "AI_GATEWAY_RATE_LIMIT_RPM", "9", "DATABASE_PATH", "b.db")
	if c.Port != 3004 || c.Bind != "0.0.0.0" || !c.Open || c.PromptLog.Mode != PromptsOff || c.Retry != (gateway.Retry{Attempts: 7, Delay: 20 * time.Millisecond}) || !slices.Equal(c.Limits.Rules, perMinute(9)) || c.DatabasePath != "b.db" {
		t.Errorf("read as %+v", c)
	}
}

func TestTheUpstreamOfTheEnvironmentIsLocalWhereItIsPlainHTTP(t *testing.T) {
	for url, want := range map[string]gateway.Kind{"http://gpu.lan:8000/v1": gateway.Local, "http://localhost/v1": gateway.Local, "https://gpu.lan/v1": gateway.OpenAI} {
		if got := read(t, "AI_GATEWAY_UPSTREAM", url).Routes.Backends[0].Kind; got != want {
			t.Errorf("%s is of kind %s", url, got)
		}
	}
}

func TestABackendsLongNameIsCutToWhatTheFileAllows(t *testing.T) {
	long := strings.Repeat("a", 60)
	c := read(t, "AI_GATEWAY_MODEL_ROUTES", "m:http://"+long+"/v1,n:http://"+long+"/v2")
	for _, b := range c.Routes.Backends {
		if !namePattern.MatchString(b.Name) {
			t.Errorf("%q is no backend's name", b.Name)
		}
	}
	if len(c.Routes.Backends) != 3 {
		t.Errorf("backends are %v", c.Routes.Backends)
	}
}
