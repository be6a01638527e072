package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"ai-gateway/gateway"

	"github.com/google/go-cmp/cmp"
)

func config() Config {
	return Config{
		Health: func(context.Context) Health { return Health{Status: "ok", Ready: true} },
		Models: func() []Model {
			return []Model{{ID: "org/m:8b", Object: "model", OwnedBy: "local"}, {ID: "hf://org//m", Object: "model", OwnedBy: "local"}}
		},
		Costs: func(context.Context) ([]Costs, error) {
			return []Costs{{KeyID: "k_1", Requests: 2, CostNanoUSD: 1_500_000_000, CostUSD: "1.5"}, {KeyID: "k_2", Requests: 1, CostNanoUSD: 1}}, nil
		},
		KeyCosts: func(_ context.Context, id gateway.KeyID) (Costs, error) {
			if id != "k_1" {
				return Costs{}, ErrNoKey
			}
			return Costs{KeyID: id}, nil
		},
		Prompts: func(_ context.Context, limit int) ([]Prompt, error) { return make([]Prompt, limit), nil },
		Log:     slog.New(slog.DiscardHandler),
	}
}

func ask(c Config, method, url string) (*http.Response, string) {
	w := httptest.NewRecorder()
	Handler(c).ServeHTTP(w, httptest.NewRequest(method, url, nil))
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(body)
}

func TestEveryAnswerHasItsStatusAndWords(t *testing.T) {
	for _, c := range []struct {
		method, url string
		status      int
		want        string
	}{
		{"GET", "/livez", 200, `"ok"`},
		{"GET", "/health", 200, `"status":"ok"`},
		{"GET", "/v1/models", 200, `{"data":[{"id":"org/m:8b","object":"model","created":0,"owned_by":"local"},`},
		{"GET", "/v1/models/org/m:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/org%2Fm:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/hf://org//m", 200, `"id":"hf://org//m"`},
		{"GET", "/v1/models/hf:%2F%2Forg%2F%2Fm", 200, `"id":"hf://org//m"`},
		{"GET", "/v1/models/../models", 404, `"code":"model_not_found"`},
		{"GET", "/v1/models/", 404, `"code":"unknown_url"`},
		{"GET", "/api/costs/", 404, `"code":"unknown_url"`},
		{"GET", "/api/costs/k_1/x", 404, `"code":"key_not_found"`},
		{"GET", "/assets/none.js", 404, `"code":"unknown_url"`},
		{"GET", "/v1/models/none", 404, "The model `none` does not exist or you do not have access to it."},
		{"GET", "/api/costs", 200, `"cost_usd":"1.500000001"`},
		{"GET", "/api/costs/k_1", 200, `"key_id":"k_1"`},
		{"GET", "/api/costs/k_9", 404, `"code":"key_not_found"`},
		{"GET", "/api/prompt-log?limit=2", 200, `{"data":[{`},
		{"GET", "/api/prompt-log?limit=1000", 200, `{"data":[{`},
		{"GET", "/api/prompt-log?limit=", 400, `from 1 to 1000`},
		{"GET", "/api/prompt-log?limit=-1", 400, `from 1 to 1000`},
		{"GET", "/api/prompt-log?limit=0", 400, `"param":"limit"`},
		{"GET", "/api/prompt-log?limit=1001", 400, `from 1 to 1000`},
		{"GET", "/api/prompt-log?limit=x", 400, `from 1 to 1000`},
		{"POST", "/api/costs", 405, `"code":"method_not_allowed"`},
		{"DELETE", "/v1/models/org/m:8b", 405, `"code":"method_not_allowed"`},
		{"OPTIONS", "/health", 405, `"code":"method_not_allowed"`},
		{"POST", "/api/nope", 404, `"code":"unknown_url"`},
		{"GET", "/api/nope", 404, `"code":"unknown_url"`},
	} {
		response, body := ask(config(), c.method, c.url)
		if response.StatusCode != c.status || !strings.Contains(body, c.want) || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.url, response.StatusCode, body, c.status, c.want)
		}
		if c.status >= 400 && !strings.HasPrefix(body, `{"error":{"message":`) {
			t.Errorf("%s %s: %s is no envelope", c.method, c.url, body)
		}
	}
}

func TestEveryAnswerIsPlainJSONThatNobodyKeeps(t *testing.T) {
	want := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
	for _, path := range []string{"/livez", "/health", "/v1/models", "/api/costs", "/api/prompt-log", "/nope"} {
		response, _ := ask(config(), "GET", path)
		if diff := cmp.Diff(want, response.Header); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if response, _ := ask(config(), "POST", "/health"); response.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", response.Header.Get("Allow"))
	}
}

func TestNothingIsAnEmptyListAndNotNull(t *testing.T) {
	c := config()
	c.Models = func() []Model { return nil }
	c.Costs = func(context.Context) ([]Costs, error) { return nil, nil }
	c.Prompts = func(context.Context, int) ([]Prompt, error) { return nil, nil }
	for path, want := range map[string]string{"/v1/models": `{"data":[],"object":"list"}`, "/api/costs": `"cost_usd":"0"`, "/api/prompt-log": `{"data":[]}`} {
		if response, body := ask(c, "GET", path); response.StatusCode != 200 || !strings.Contains(body, want) || strings.Contains(body, "null") {
			t.Errorf("%s: %d %s, want %s", path, response.StatusCode, body, want)
		}
	}
}

func TestHealthShowsWhyEnvoyRefusedAConfiguration(t *testing.T) {
	c := config()
	c.Health = func(context.Context) Health {
		return Health{Status: "ok", Ready: true, Envoy: EnvoyHealth{RejectedConfig: &Rejection{Reason: "no such cluster"}}}
	}
	if response, body := ask(c, "GET", "/health"); response.StatusCode != 200 || !strings.Contains(body, `"reason":"no such cluster"`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestLivezAsksNobody(t *testing.T) {
	if response, _ := ask(Config{}, "GET", "/livez"); response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestASlowStoreIsA503ToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config()
		c.Costs = func(ctx context.Context) ([]Costs, error) {
			<-ctx.Done()
			return nil, errors.New("interrupted (9)") // as SQLite has it
		}
		response, body := ask(c, "GET", "/api/costs")
		if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"timeout"`) {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	})
}

func TestAGatewayThatIsNotReadyAnswers503(t *testing.T) {
	c := config()
	c.Health = func(context.Context) Health { return Health{Status: "unavailable"} }
	if response, body := ask(c, "GET", "/health"); response.StatusCode != 503 || !strings.Contains(body, "unavailable") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestAnInnerErrorIsLoggedAndNotShown(t *testing.T) {
	c := config()
	c.Costs = func(context.Context) ([]Costs, error) { return nil, errors.New("disk is made of cheese") }
	if response, body := ask(c, "GET", "/api/costs"); response.StatusCode != 500 || strings.Contains(body, "cheese") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func FuzzEveryPathIsAnsweredInJSON(f *testing.F) {
	f.Add("GET", "/v1/models/a%2Fb:c", "limit=1")
	f.Add("PUT", "/api/costs/%ff", "limit=%zz")
	f.Add("HEAD", "//api/../prompt-log", "limit=99999999999999999999")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if gateway.IsPage(path) {
			return
		}
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}}
		w := httptest.NewRecorder()
		Handler(config()).ServeHTTP(w, r)
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || (answer["error"] != nil) != (w.Code >= 400) {
			t.Errorf("%s %s?%s: %d %s, %v", method, path, query, w.Code, w.Body, err)
		}
	})
}
