package demo

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, path, body string) (int, string) {
	t.Helper()
	s := httptest.NewServer(Handler(0))
	defer s.Close()
	response, err := http.Post(s.URL+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func TestAStreamSaysThatItIsAFakeAndEndsWithDone(t *testing.T) {
	_, body := ask(t, "/v1/chat/completions", `{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi there"}]}`)
	var said strings.Builder
	for event := range strings.SplitSeq(strings.TrimSuffix(body, "data: [DONE]\n\n"), "\n\n") {
		if event == "" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct{ Content string }
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &chunk); err != nil {
			t.Fatalf("event %q: %v", event, err)
		}
		for _, c := range chunk.Choices {
			said.WriteString(c.Delta.Content)
		}
	}
	if !strings.HasSuffix(body, "data: [DONE]\n\n") || said.String() != text || !strings.Contains(text, "fake") {
		t.Errorf("the stream says %q", said.String())
	}
	if strings.Contains(body, `"usage"`) {
		t.Error("usage was sent unasked")
	}
}

func TestUsageComesInAChunkOfItsOwnWhenAskedFor(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/completions"} {
		_, body := ask(t, path, `{"model":"demo","stream":true,"stream_options":{"include_usage":true}}`)
		events := strings.Split(body, "\n\n")
		if last := events[len(events)-3]; !strings.Contains(last, `"choices":[]`) || !strings.Contains(last, `"usage":{`) {
			t.Errorf("%s: the event before [DONE] is %s", path, last)
		}
	}
}

func TestPlainAnswersCarryUsage(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/any/base/embeddings"} {
		status, body := ask(t, path, `{"model":"demo","input":["one two","three"],"prompt":"x","messages":[]}`)
		if status != http.StatusOK || !strings.Contains(body, `"usage":{`) || !json.Valid([]byte(body)) {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
}

func TestWhatItDoesNotKnowIsRefusedInTheEnvelope(t *testing.T) {
	if status, body := ask(t, "/v1/audio", `{}`); status != http.StatusNotFound || !strings.Contains(body, `{"error":{"message"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, "/v1/completions", `{`); status != http.StatusBadRequest || !strings.Contains(body, `{"error":{"message"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestServeEndsWithItsContextThoughAStreamRuns(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	response, err := client.Post("http://demo/v1/chat/completions", "application/json", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Serve did not end")
	}
}
