package dashboardapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

func config() Config {
	return Config{
		Health: func(context.Context) Health { return Health{Status: "ok", Ready: true} },
		Models: []Model{{ID: "org/m:8b", Object: "model", OwnedBy: "local"}},
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
		{"GET", "/v1/models", 200, `{"data":[{"id":"org/m:8b","object":"model","created":0,"owned_by":"local"}],"object":"list"}`},
		{"GET", "/v1/models/org/m:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/org%2Fm:8b", 200, `"id":"org/m:8b"`},
		{"GET", "/v1/models/none", 404, `"code":"model_not_found"`},
		{"GET", "/api/costs", 200, `"cost_usd":"1.500000001"`},
		{"GET", "/api/costs/k_1", 200, `"key_id":"k_1"`},
		{"GET", "/api/costs/k_9", 404, `"code":"key_not_found"`},
		{"GET", "/api/prompt-log?limit=2", 200, `{"data":[{`},
		{"GET", "/api/prompt-log?limit=0", 400, `"param":"limit"`},
		{"GET", "/api/prompt-log?limit=1001", 400, `from 1 to 1000`},
		{"GET", "/api/prompt-log?limit=x", 400, `from 1 to 1000`},
		{"POST", "/api/costs", 405, `"code":"method_not_allowed"`},
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
