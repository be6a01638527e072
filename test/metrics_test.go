package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"ai-gateway/test/fakeprovider"
)

// watched is a configuration with a backend that fails, and one that takes its place.
const watched = `
backends: [{name: a, kind: local, base_url: "${A}/v1"}, {name: b, kind: local, base_url: "${B}/v1"}]
default_backend: b
limits: {requests_per_minute: 0}
models:
- {name: gen-chunks=5-delay=20ms-usage, backends: [{name: a, model: broken}, b], price: {input: 0, output: 10000}}
`

// broken is a backend that fails whatever it is asked.
func broken(t *testing.T) fakeprovider.Scenario {
	t.Helper()
	return fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, busy)}, Repeat: true}
}

// scraped is what a path of the metrics' address answers.
func scraped(t *testing.T, address, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "" // it may not listen yet
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metricName is a name of a metric or of a label that is ours, Envoy's or Go's.
var metricName = regexp.MustCompile(`\b(ai_gateway|gen_ai|envoy|process|go)_[a-z0-9_]+`)

func TestMetricsTellWhatHappenedAndBoardsAskForNothingElse(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	c := configure(t, watched, "AI_GATEWAY_METRICS_LISTEN="+address, "AI_GATEWAY_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces")
	c.a.Play("broken", broken(t))
	key := c.keys(t, "create", "--label", "admin")
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=5-delay=20ms-usage", 5, true), key.bearer())
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=5-delay=20ms-usage", 5, false), key.bearer())
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=2-usage", 5, false), key.bearer()) // without a price
	var text string
	waitUntil(t, "both requests are counted", func() bool {
		text = scraped(t, address, "/metrics")
		return strings.Count(text, `outcome="ok"`) > 0 && regexp.MustCompile(`ai_gateway_requests_total\{[^}]*outcome="ok"[^}]*\} 2`).MatchString(text) && strings.Contains(text, "\nai_gateway_unpriced_requests_total{backend=\"b\",model=\"other\"} 1")
	})
	for _, line := range []string{
		`ai_gateway_tokens_total\{backend="b",model="gen-chunks=5-delay=20ms-usage",type="completion"\} 10`, `ai_gateway_cost_usd_total\{backend="b",model="gen-chunks=5-delay=20ms-usage"\} 0.1`,
		`ai_gateway_attempts_total\{backend="a",status="5xx"\} [12]`, `ai_gateway_key_requests_total\{key="` + key.ID + `",label="admin"\} 3`, `ai_gateway_store_up 1`,
		`ai_gateway_config_acknowledged 1`, `ai_gateway_envoys_connected 1`, `ai_gateway_ext_proc_exchanges 0`,
		`gen_ai_server_time_to_first_token_seconds_count\{.*gen_ai_request_model="gen-chunks=5-delay=20ms-usage"\} 1`,
	} {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(text) {
			t.Errorf("no line is %s", line)
		}
	}
	known := map[string]bool{}
	for _, name := range metricName.FindAllString(text+scraped(t, address, "/metrics/envoy"), -1) {
		known[name] = true
	}
	for _, file := range []string{"prometheus/ai-gateway.rules.yml", "grafana/use.json", "grafana/operation.json"} {
		asked, err := os.ReadFile(filepath.Join("../deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(asked), -1) {
			if !known[name] {
				t.Errorf("%s asks for %s, which does not exist", file, name)
			}
		}
	}
	described, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (ai_gateway_\S+|gen_ai_\S+) `).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(described), "`"+line[1]+"`") {
			t.Errorf("docs/metrics.md says nothing of %s", line[1])
		}
	}
	for _, name := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(string(described), -1) {
		if !strings.Contains(text, "\n# TYPE "+name[1]+" ") {
			t.Errorf("docs/metrics.md describes %s, which is not there", name[1])
		}
	}
	revoked := c.keys(t, "create", "--label", "another")
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=5-delay=20ms-usage", 5, false), revoked.bearer())
	waitUntil(t, "the other key is shown", func() bool { return strings.Contains(scraped(t, address, "/metrics"), revoked.ID) })
	c.keys(t, "revoke", revoked.ID)
	waitUntil(t, "a revoked key is shown no more", func() bool { return !strings.Contains(scraped(t, address, "/metrics"), revoked.ID) })
}

func TestATraceGoesOnFromTheClientsWithEachAttempt(t *testing.T) {
	t.Parallel()
	var spans atomic.Pointer[string]
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil {
			t.Error(err)
		}
		text := ""
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					text += fmt.Sprintf("%s of %x below %x\n", s.Name, s.TraceId, s.ParentSpanId)
				}
			}
		}
		spans.Store(&text)
	}))
	t.Cleanup(sink.Close)
	c := configure(t, watched, "AI_GATEWAY_TRACES_ENDPOINT="+sink.URL+"/v1/traces")
	c.a.Play("broken", broken(t))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if a, err := post(c.address, chatPath, bounded("gen-chunks=5-delay=20ms-usage", 5, true), "traceparent: "+parent); err != nil || a.status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for spans.Load() == nil && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	got := spans.Load()
	if got == nil {
		t.Fatal("no trace came")
	}
	const trace = " of 0af7651916cd43dd8448eb211c80319c below "
	if strings.Count(*got, trace) != 3 || !strings.Contains(*got, "chat gen-chunks=5-delay=20ms-usage"+trace+"b7ad6b7169203331\n") || !strings.Contains(*got, "call a"+trace) || !strings.Contains(*got, "call b"+trace) {
		t.Errorf("the spans are:\n%s", *got)
	}
}
