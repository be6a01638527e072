package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collecting is a collector that keeps what it is sent, and takes it unless it is told not to.
func collecting(t *testing.T, status func() int) (url string, spans <-chan *otlp.Span) {
	t.Helper()
	all := make(chan *otlp.Span, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := status(); code != http.StatusOK {
			w.WriteHeader(code)
			return
		}
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
			}
		}
		text, err := io.ReadAll(body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &sent)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					all <- span
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1/traces", all
}

func always(code int) func() int { return func() int { return code } }

// traced runs telemetry that sends to a collector; the function ends it.
func traced(t *testing.T, c Config) (*Telemetry, func()) {
	t.Helper()
	m := start(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	return m, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// receive waits for a span.
func receive(t *testing.T, spans <-chan *otlp.Span) *otlp.Span {
	t.Helper()
	select {
	case s := <-spans:
		return s
	case <-time.After(time.Minute):
		t.Fatal("no span came within a minute")
		return nil
	}
}

func attributesOf(s *otlp.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[a.Key] = strings.TrimSpace(a.Value.String())
	}
	return all
}

func TestARequestIsASpanWithItsAttemptsBelowTheClients(t *testing.T) {
	c := config()
	url, spans := collecting(t, always(200))
	c.Traces = TraceConfig{Endpoint: url}
	m, end := traced(t, c)
	r := finished()
	r.TraceParent, r.TraceState = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	m.Finished(r)
	byName := map[string]*otlp.Span{}
	for range 3 {
		s := receive(t, spans)
		byName[s.Name] = s
	}
	end()
	request, first, second := byName["chat gpt-4o"], byName["call first"], byName["call second"]
	if request == nil || first == nil || second == nil {
		t.Fatalf("these came: %v", byName)
	}
	if hex.EncodeToString(request.TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(request.ParentSpanId) != "b7ad6b7169203331" || request.TraceState != "vendor=1" {
		t.Errorf("it is not the client's child: %v", request)
	}
	for _, try := range []*otlp.Span{first, second} {
		if !bytes.Equal(try.TraceId, request.TraceId) || !bytes.Equal(try.ParentSpanId, request.SpanId) || bytes.Equal(try.SpanId, request.SpanId) || try.Kind != otlp.Span_SPAN_KIND_CLIENT {
			t.Errorf("it is not the request's child: %v", try)
		}
	}
	if first.Status.Code != otlp.Status_STATUS_CODE_ERROR || second.Status.Code == otlp.Status_STATUS_CODE_ERROR || request.Status.Code == otlp.Status_STATUS_CODE_ERROR {
		t.Error("the wrong ones have failed")
	}
	if got := time.Duration(request.EndTimeUnixNano - request.StartTimeUnixNano); got != r.Duration || time.Duration(second.StartTimeUnixNano-request.StartTimeUnixNano) != time.Second {
		t.Errorf("it takes %s", got)
	}
	of := attributesOf(request)
	for name, want := range map[string]string{"gen_ai.usage.input_tokens": "int_value:100", "gen_ai.provider.name": `string_value:"azure.ai.openai"`, "ai_gateway.cost_usd": "double_value:0.25"} {
		if strings.ReplaceAll(of[name], " ", "") != want {
			t.Errorf("%s is %s, want %s", name, of[name], want)
		}
	}
	if _, held := of["gen_ai.input.messages"]; held {
		t.Error("the prompt is in it, though nobody wanted that")
	}
}

func TestPromptsAreInTracesOnlyIfThatIsSet(t *testing.T) {
	c := config()
	url, spans := collecting(t, always(200))
	c.Traces = TraceConfig{Endpoint: url, Prompts: true}
	m, end := traced(t, c)
	r := finished()
	r.Tries, r.TraceParent = nil, "00-nonsense-\x00"
	m.Finished(r)
	m.Finished(r)
	one, again := receive(t, spans), receive(t, spans)
	end()
	if of := attributesOf(one); !strings.Contains(of["gen_ai.input.messages"], "a question") || !strings.Contains(of["gen_ai.output.messages"], "an answer") {
		t.Errorf("they are not: %v", of)
	}
	if len(one.ParentSpanId) != 0 || !bytes.Equal(one.TraceId, r.ID[:]) || !bytes.Equal(one.SpanId, again.SpanId) {
		t.Errorf("without a client's trace the ids are not the request's: %v", one)
	}
}

func TestATraceThatTheClientDoesNotSampleIsNotSent(t *testing.T) {
	c := config()
	url, spans := collecting(t, always(200))
	c.Traces = TraceConfig{Endpoint: url}
	m, end := traced(t, c)
	r := finished()
	r.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	m.Finished(r)
	sampled := finished()
	sampled.Tries = nil
	m.Finished(sampled)
	if first := receive(t, spans); !bytes.Equal(first.TraceId, sampled.ID[:]) {
		t.Errorf("it was sent: %v", first)
	}
	end()
	if len(spans) != 0 {
		t.Errorf("%d spans were sent besides", len(spans))
	}
}

func TestACollectorThatIsAwayHoldsNobodyUp(t *testing.T) {
	c := config()
	url, _ := collecting(t, always(503))
	var said bytes.Buffer
	c.Traces, c.Log = TraceConfig{Endpoint: url}, slog.New(slog.NewTextHandler(&said, nil))
	m := start(t, c)
	for range maxWaiting + 10 {
		m.Finished(finished())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
	_, text := scrape(t, m.Handler(true), "/metrics")
	expect(t, text, "ai_gateway_traces_dropped_total 10", "ai_gateway_traces_failed_total 2048", "ai_gateway_traces_sent_total 0", "ai_gateway_traces_waiting 0")
	if log := said.String(); strings.Count(log, "traces are dropped") != 1 || strings.Count(log, "accepts no traces") != 1 || strings.Contains(log, url) {
		t.Errorf("it said:\n%s", log)
	}
}
