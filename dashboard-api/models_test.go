package dashboardapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

// admitting is an agent with a backend for all models, for callers with a key that may use the
// models of a list, nil for all, and with a provider's key of their own.
func admitting(models []string) http.Handler {
	a := agent()
	now := a.InForce()
	base := &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/v1"}
	now.Routes.Backends, now.Routes.Default = append(now.Routes.Backends, gateway.Backend{Name: "all", BaseURL: base}, gateway.Backend{Name: "claude", Kind: gateway.Anthropic, BaseURL: base}), "all"
	a.InForce = func() InForce { return now }
	a.Entry.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
		caller := &gateway.Caller{Key: gateway.Key{ID: "key_1"}}
		if models != nil {
			caller.Grant = &gateway.Grant{Role: gateway.Member, Models: models}
		}
		return gateway.Admission{Caller: caller, Authorization: "-sk-1"}, nil
	}
	return AgentHandler(a)
}

func TestTheListHasTheModelsOfTheBackendForAllOthers(t *testing.T) {
	_, body := ask(admitting(nil), "GET", "/v1/models")
	want := `{"data":[{"id":"org/m:8b","object":"model","created":1700000000,"owned_by":"local"},` +
		`{"id":"hf://org//m","object":"model","created":1700000000,"owned_by":"local"},` +
		`{"id":"gpt","object":"model","created":5,"owned_by":"them"},` +
		`{"id":"all-sk-1","object":"model","created":1700000000,"owned_by":"all"}],"object":"list"}`
	if strings.TrimSpace(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}

func TestNoModelIsDeniedThatWouldBeServed(t *testing.T) {
	for _, c := range []struct {
		models []string
		path   string
		status int
	}{
		{nil, "/v1/models/gpt", 200},
		{nil, "/v1/models/listed-by-nobody", 200},
		{[]string{"gpt", "unlisted"}, "/v1/models/gpt", 200},
		{[]string{"gpt", "unlisted"}, "/v1/models/unlisted", 200},
		{[]string{"gpt", "unlisted"}, "/v1/models/another", 404},
		{[]string{"gpt", "unlisted"}, "/v1/models/org/m:8b", 404},
	} {
		if r, body := ask(admitting(c.models), "GET", c.path); r.StatusCode != c.status {
			t.Errorf("%s of a key for %v: %d %s, want %d", c.path, c.models, r.StatusCode, body, c.status)
		}
	}
	if _, body := ask(admitting([]string{"gpt"}), "GET", "/v1/models"); strings.Contains(body, "org/m") || strings.Contains(body, "all-sk") || !strings.Contains(body, `"gpt"`) {
		t.Errorf("a key for one model sees %s", body)
	}
}

// asMessages asks as a client of Anthropic's API does.
func asMessages(h http.Handler, path string) (status int, body string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Anthropic-Version", "2023-06-01")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestClientsOfAnthropicSeeTheModelsThatTheyMayAskFor(t *testing.T) {
	h := admitting(nil)
	local := `{"type":"model","id":"org/m:8b","display_name":"org/m:8b","created_at":"2023-11-14T22:13:20Z"}`
	gpt := `{"type":"model","id":"gpt","display_name":"gpt","created_at":"1970-01-01T00:00:05Z"}`
	for path, want := range map[string]string{
		"/v1/models?limit=1":                      `{"data":[` + local + `],"has_more":true,"first_id":"org/m:8b","last_id":"org/m:8b"}`,
		"/v1/models?after_id=hf://org//m&limit=1": `{"data":[` + gpt + `],"has_more":true,"first_id":"gpt","last_id":"gpt"}`,
		"/v1/models?before_id=hf://org//m":        `{"data":[` + local + `],"has_more":false,"first_id":"org/m:8b","last_id":"org/m:8b"}`,
		"/v1/models/gpt":                          gpt,
	} {
		if status, body := asMessages(h, path); status != http.StatusOK || body != want {
			t.Errorf("%s is %d %s, want %s", path, status, body, want)
		}
	}
	if _, body := asMessages(h, "/v1/models"); !strings.Contains(body, `"id":"claude-sk-1"`) || strings.Contains(body, "all-sk-1") || !strings.Contains(body, `"has_more":false`) {
		t.Errorf("all models are %s", body)
	}
	for path, want := range map[string]string{
		"/v1/models?limit=0": `{"type":"error","error":{"type":"invalid_request_error","message":"limit must be an integer from 1 to 1000."}}`,
		"/v1/models/none":    `{"type":"error","error":{"type":"not_found_error","message":`,
	} {
		if status, body := asMessages(admitting([]string{"gpt"}), path); status < 400 || !strings.HasPrefix(body, want) {
			t.Errorf("%s is %d %s, want %s", path, status, body, want)
		}
	}
}
