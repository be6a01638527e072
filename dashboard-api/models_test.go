package dashboardapi

import (
	"net/http"
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
	now.Routes.Backends, now.Routes.Default = []gateway.Backend{{Name: "all", BaseURL: base}}, "all"
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
