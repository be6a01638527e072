package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// parts are those of an agent with which all is well.
func parts() Parts {
	return Parts{
		Ledger: func() gateway.LedgerStats {
			return gateway.LedgerStats{Open: 3, Lag: 2 * time.Second, WAL: gateway.WALStats{Bytes: 4096}}
		},
		Limits:  func() gateway.LimitStats { return gateway.LimitStats{Refused: 7} },
		Budgets: func() gateway.BudgetStats { return gateway.BudgetStats{} }, Exchanges: func() gateway.ExchangeStats { return gateway.ExchangeStats{Open: 5} },
		Envoy: func() gateway.EnvoyStatus { return gateway.EnvoyStatus{Envoys: 1, EnvoyVersion: "1.40.0"} },
		Failing: func() map[string]gateway.BackendState {
			return map[string]gateway.BackendState{"second": gateway.BackendEjected}
		},
		Ping: func(context.Context) error { return nil }, ConfigFault: func() string { return "" }, ConfigSince: func() time.Time { return time.Unix(1, 0) },
		KeysFollowed: func() bool { return true }, Draining: func() bool { return false },
	}
}

func config() Config {
	return Config{
		Version: "1.2.3", Started: time.Unix(1_700_000_000, 0), KnownModel: func(m gateway.Model) bool { return m == "gpt-4o" || strings.HasPrefix(string(m), "known-") },
		Backends: func() []gateway.Backend {
			return []gateway.Backend{{Name: "first"}, {Name: "second", Kind: gateway.Azure}}
		},
		LiveKey: func(gateway.KeyID) bool { return true }, Parts: parts(),
		EnvoyMetrics: func(context.Context) ([]byte, error) { return []byte("envoy_server_uptime 5\n"), nil }, Log: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, c Config) *Telemetry {
	t.Helper()
	made, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// finished is a streamed request that was answered to the end by the second backend.
func finished() *gateway.Row {
	cost := gateway.USD / 4
	return &gateway.Row{
		StartedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), ID: uuid.MustParse("019cb7a5-0000-7000-8000-000000000001"), RequestID: "label", Duration: 3 * time.Second,
		TTFT: time.Second, KeyID: "key_1111111111111111", KeyLabel: "laptop", UserID: "ada", Team: "research", ClientIP: "192.0.2.1", Endpoint: gateway.ChatCompletions,
		Model: "gpt-4o", Backend: "second", UpstreamModel: "gpt-4o-2024", Stream: true, Status: 200, Outcome: gateway.OK, Attempts: 2,
		Usage: gateway.Usage{Prompt: 100, Cached: 40, Completion: 21, Reasoning: 5}, Source: gateway.FromProvider, Witness: gateway.ByBoth,
		Cost: gateway.Cost{Amount: &cost}, Prompt: "a question", Answer: "an answer",
		Tries: []gateway.AttemptRow{{Try: gateway.Try{Backend: "first", Status: 503, Duration: time.Second}},
			{Try: gateway.Try{Backend: "second", Start: time.Second, Status: 200, Duration: 2 * time.Second, Bytes: 99}}},
	}
}

func scrape(t *testing.T, h http.Handler, path string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "127.0.0.1:9464"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("without the line %q:\n%s", line, text)
		}
	}
}

func TestAFinishedRequestIsCounted(t *testing.T) {
	m := start(t, config())
	m.Finished(finished())
	_, text := scrape(t, m.Handler(true), "/metrics")
	const of = `gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai",gen_ai_request_model="gpt-4o"`
	expect(t, text,
		`ai_gateway_requests_total{backend="second",model="gpt-4o",outcome="ok",status="2xx"} 1`,
		`ai_gateway_tokens_total{backend="second",model="gpt-4o",type="cached"} 40`,
		`ai_gateway_cost_usd_total{backend="second",model="gpt-4o"} 0.25`,
		`ai_gateway_attempts_total{backend="first",status="5xx"} 1`,
		`ai_gateway_usage_source_total{source="provider"} 1`,
		`ai_gateway_witness_total{witness="both"} 1`,
		`ai_gateway_key_cost_usd_total{key="key_1111111111111111",label="laptop"} 0.25`,
		`gen_ai_client_token_usage_sum{backend="second",`+of+`,gen_ai_token_type="input"} 100`,
		`gen_ai_server_request_duration_seconds_sum{backend="second",error_type="",`+of+`} 3`,
		`gen_ai_server_time_to_first_token_seconds_bucket{backend="second",`+of+`,le="1"} 1`,
		`gen_ai_server_time_per_output_token_seconds_sum{backend="second",`+of+`} 0.1`,
	)
}

func TestABackgroundResponseIsCountedOnceItsUseIsKnown(t *testing.T) {
	m := start(t, config())
	r := finished()
	r.Stored, r.Source = &gateway.StoredResponse{Pending: true}, gateway.Estimated
	m.Finished(r)
	_, text := scrape(t, m.Handler(true), "/metrics")
	expect(t, text, `ai_gateway_requests_total{backend="second",model="gpt-4o",outcome="ok",status="2xx"} 1`, `ai_gateway_key_requests_total{key="key_1111111111111111",label="laptop"} 1`)
	for _, name := range []string{"tokens_total", "cost_usd_total", "usage_source_total", "token_usage"} {
		if strings.Contains(text, name+"{") || strings.Contains(text, name+"_sum") {
			t.Errorf("%s is counted while it is made:\n%s", name, text)
		}
	}
	m.Ended(finished())
	_, text = scrape(t, m.Handler(true), "/metrics")
	expect(t, text, `ai_gateway_requests_total{backend="second",model="gpt-4o",outcome="ok",status="2xx"} 1`, `ai_gateway_usage_source_total{source="provider"} 1`,
		`ai_gateway_tokens_total{backend="second",model="gpt-4o",type="completion"} 21`, `ai_gateway_cost_usd_total{backend="second",model="gpt-4o"} 0.25`,
		`ai_gateway_key_cost_usd_total{key="key_1111111111111111",label="laptop"} 0.25`)
}

func TestAFailedRequestIsNoMeasureOfSpeed(t *testing.T) {
	m := start(t, config())
	r := finished()
	r.Outcome, r.Status, r.Usage, r.Cost = gateway.ProviderError, 0, gateway.Usage{}, gateway.Cost{}
	m.Finished(r)
	_, text := scrape(t, m.Handler(true), "/metrics")
	expect(t, text, `ai_gateway_requests_total{backend="second",model="gpt-4o",outcome="provider_error",status="none"} 1`,
		`ai_gateway_unpriced_requests_total{backend="second",model="gpt-4o"} 1`)
	for _, name := range []string{"time_to_first_token", "per_output_token", "token_usage"} {
		if strings.Contains(text, name+"_") {
			t.Errorf("%s was measured:\n%s", name, text)
		}
	}
}

func TestWhatClientsInventMakesNoSeries(t *testing.T) {
	c := config()
	m := start(t, c)
	for i := range 3 * maxModels {
		r := finished()
		r.Model, r.KeyID = gateway.Model("invented-"+uuid.NewString()), gateway.KeyID("k_"+uuid.NewString())
		if i%2 == 0 {
			r.Model, r.KeyID, r.Backend = gateway.Model("known-"+uuid.NewString()), gateway.KeyID("key_"+uuid.NewString()), uuid.NewString()
		}
		m.Finished(r)
	}
	_, text := scrape(t, m.Handler(true), "/metrics")
	for series, most := range map[string]int{"\nai_gateway_requests_total{": maxModels + maxBackends + 2, "\nai_gateway_key_requests_total{": maxKeys + 1} {
		if n := strings.Count(text, series); n > most {
			t.Errorf("%d series of %s, want at most %d", n, series, most)
		}
	}
	if strings.Contains(text, "invented-") || strings.Contains(text, "k_") && strings.Contains(text, `key="k_`) || !strings.Contains(text, `model="other"`) {
		t.Error("unknown models or keys are shown by themselves")
	}
}

func TestFiguresOfAKeyThatEndedAreRemoved(t *testing.T) {
	c := config()
	live := true
	c.LiveKey = func(gateway.KeyID) bool { return live }
	m := start(t, c)
	m.Finished(finished())
	r := finished()
	r.KeyID, r.KeyLabel = gateway.AnonymousKey, ""
	m.Finished(r)
	live = false
	_, text := scrape(t, m.Handler(true), "/metrics")
	if strings.Contains(text, "key_1111111111111111") {
		t.Error("it is still shown")
	}
	expect(t, text, `ai_gateway_key_requests_total{key="anonymous",label=""} 1`)
	m.Finished(finished()) // one that ended after its key
	_, text = scrape(t, m.Handler(true), "/metrics")
	expect(t, text, `ai_gateway_key_requests_total{key="other",label="other"} 1`)
}

func TestPartsAreAskedAtEachScrape(t *testing.T) {
	c := config()
	var away error
	c.Parts.Ping = func(context.Context) error { return away }
	m := start(t, c)
	_, text := scrape(t, m.Handler(true), "/metrics")
	expect(t, text, "ai_gateway_ledger_open_requests 3", "ai_gateway_ledger_lag_seconds 2", "ai_gateway_wal_bytes 4096", "ai_gateway_limits_refused_requests_total 7",
		"ai_gateway_ext_proc_exchanges 5", "ai_gateway_store_up 1", "ai_gateway_config_acknowledged 1", `ai_gateway_backend_up{backend="first"} 1`,
		`ai_gateway_backend_up{backend="second"} 0`, `ai_gateway_info{envoy_version="1.40.0",version="1.2.3"} 1`)
	away = errors.New("away")
	_, text = scrape(t, m.Handler(true), "/metrics")
	expect(t, text, "ai_gateway_store_up 0")
}

func TestEnvoysMetricsHaveAPathOfTheirOwn(t *testing.T) {
	c := config()
	if status, text := scrape(t, start(t, c).Handler(true), "/metrics/envoy"); status != 200 || text != "envoy_server_uptime 5\n" {
		t.Errorf("%d %s", status, text)
	}
	c.EnvoyMetrics = func(context.Context) ([]byte, error) { return nil, errors.New("gone") }
	m := start(t, c)
	if status, _ := scrape(t, m.Handler(true), "/metrics/envoy"); status != http.StatusBadGateway {
		t.Errorf("without Envoy: %d", status)
	}
	if status, _ := scrape(t, m.Handler(true), "/metrics"); status != 200 {
		t.Errorf("ours without Envoy: %d", status)
	}
}

func TestNoWebPageReadsMetrics(t *testing.T) {
	m := start(t, config())
	for _, c := range []struct {
		name     string
		loopback bool
		header   []string
		want     int
	}{
		{"a scraper", true, nil, 200},
		{"by localhost", true, []string{"Host", "localhost:9464"}, 200},
		{"by IPv6", true, []string{"Host", "[::1]:9464"}, 200},
		{"by a name that leads here", true, []string{"Host", "evil.example:9464"}, 403},
		{"by its name in a network", false, []string{"Host", "gateway.lan:9464"}, 200},
		{"a page elsewhere", false, []string{"Origin", "https://evil.example"}, 403},
		{"a page's picture", false, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a person in a browser", true, []string{"Sec-Fetch-Site", "none"}, 200},
	} {
		if status, _ := scrape(t, m.Handler(c.loopback), "/metrics", c.header...); status != c.want {
			t.Errorf("%s: %d, want %d", c.name, status, c.want)
		}
	}
	w := httptest.NewRecorder()
	m.Handler(true).ServeHTTP(w, httptest.NewRequest("POST", "http://127.0.0.1/metrics", strings.NewReader("")))
	if body, _ := io.ReadAll(w.Result().Body); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d %s", w.Code, body)
	}
}

func TestALabelShowsItsFirstValuesAndForgetsThoseThatAreGone(t *testing.T) {
	b := newBounded(2)
	got := []string{b.of("a"), b.of("b"), b.of("c"), b.of("a")}
	b.remove(func(v string) bool { return v == "a" })
	got = append(got, b.of("c"), b.of("a"))
	if diff := cmp.Diff([]string{"a", "b", other, "a", "c", other}, got); diff != "" {
		t.Error(diff)
	}
}
