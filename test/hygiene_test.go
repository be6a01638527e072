package test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"ai-gateway/test/fakeprovider"
)

// overHTTP is a client that speaks one version of HTTP, without TLS.
func overHTTP(version int) *http.Client {
	var p http.Protocols
	p.SetHTTP1(version == 1)
	p.SetUnencryptedHTTP2(version == 2)
	return &http.Client{Timeout: callWithin, Transport: &http.Transport{Protocols: &p, DisableKeepAlives: true}}
}

// call sends a request with header lines, "name: value", over a version of HTTP.
func call(t *testing.T, version int, method, url, body string, header ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header[name] = []string{value} // as it is written
	}
	response, err := overHTTP(version).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.ProtoMajor != version {
		t.Fatalf("HTTP/%d: %v", response.ProtoMajor, err)
	}
	return response.StatusCode, string(text)
}

func TestHeadersWithAnUnderscoreAreDroppedAndTheRequestGoesOn(t *testing.T) {
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	fake.Play("m", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, answered)}, Repeat: true})
	odd := []string{"session_id: s", "ot-baggage-sentry-trace_id: t", "x_api_key: k", "_: u", "Content-Type: application/json"}
	for _, version := range []int{1, 2} {
		if status, body := call(t, version, http.MethodGet, "http://"+p.address+"/health", "", odd...); status != http.StatusOK {
			t.Errorf("HTTP/%d: /health answers %d %s", version, status, body)
		}
		if status, body := call(t, version, http.MethodPost, "http://"+p.address+chatPath, chatBody("m", false), odd...); status != http.StatusOK {
			t.Errorf("HTTP/%d: a chat is answered with %d %s", version, status, body)
		}
	}
	for _, c := range fake.Books().Of("m") {
		for _, f := range c.Header {
			if strings.Contains(f.Name, "_") {
				t.Errorf("the provider saw %s", f.Name)
			}
		}
	}
}

func TestARequestOfGRPCIsRefusedAsAnyOtherTypeOfBody(t *testing.T) {
	p := start(t, "AI_GATEWAY_UPSTREAM=http://127.0.0.1:9/v1")
	for _, version := range []int{1, 2} {
		for _, contentType := range []string{"application/grpc", "application/grpc+json", "application/grpc; charset=utf-8", "text/plain"} {
			status, body := call(t, version, http.MethodPost, "http://"+p.address+chatPath, chatBody("m", false), "Content-Type: "+contentType)
			if status != http.StatusUnsupportedMediaType || !strings.Contains(body, `"unsupported_content_type"`) {
				t.Errorf("HTTP/%d, %s: %d %s", version, contentType, status, body)
			}
		}
	}
}
