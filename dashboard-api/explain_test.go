package dashboardapi

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

// explained tells what it was asked.
type explained struct{}

func (explained) Explain(_ context.Context, c Requester, e gateway.Endpoint, body []byte) (gateway.Explanation, error) {
	return gateway.Explanation{Key: c.Key.ID, Endpoint: e.Path(), Model: gateway.Model(body)}, nil
}

func (explained) Left(_ context.Context, c Requester) (gateway.Allowance, error) {
	return gateway.Allowance{Key: c.Key.ID, Limits: []gateway.LimitAllowance{{Rule: "from " + c.Client}}}, nil
}

func (explained) Caller(_ context.Context, id gateway.KeyID) (*gateway.Caller, error) {
	if id != "key_1" {
		return nil, gateway.ErrNoAPIKey
	}
	return &gateway.Caller{Key: gateway.Key{ID: id}}, nil
}

func TestRequestsAreExplainedToThoseWhoMaySeeTheKey(t *testing.T) {
	for _, c := range []struct {
		method, url, key string
		status           int
		text             string
	}{
		{"POST", "/api/explain?key=key_1", "admin", 200, `{"model":"body","endpoint":"/v1/chat/completions","stream":false,"key":"key_1"`},
		{"POST", "/api/explain?key=key_1&endpoint=/v1/embeddings", "admin", 200, `{"model":"body","endpoint":"/v1/embeddings","stream":false,"key":"key_1"`},
		{"POST", "/api/explain?endpoint=/v1/other", "admin", 400, `"param":"endpoint"`},
		{"POST", "/api/explain?key=key_9", "admin", 404, "api_key_not_found"},
		{"POST", "/api/explain?key=key_other", "member", 404, "api_key_not_found"},
		{"GET", "/api/limits?key=key_1", "admin", 200, `"key":"key_1"`},
		{"GET", "/api/limits?key=key_other", "member", 404, "api_key_not_found"},
	} {
		h, _ := closed()
		if w := call(h, c.method, c.url, c.key, "body"); w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s %s by %s: %d %s", c.method, c.url, c.key, w.Code, w.Body)
		}
	}
	h, _ := closed()
	if w := call(h, "POST", "/api/explain", "admin", strings.Repeat("x", maxExplained+1)); w.Code != 413 {
		t.Errorf("a body that is too large: %d %s", w.Code, w.Body)
	}
}

func TestLimitsByAddressAreThoseOfTheCaller(t *testing.T) {
	h, _ := closed()
	for url, from := range map[string]string{"/api/limits": "from 192.0.2.7", "/api/limits?key=key_1": "from "} {
		w := call(h, "GET", url, "admin", "", "X-Envoy-External-Address", "192.0.2.7")
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"`+from+`"`) {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
	}
}

func TestAnAgentTellsHowLimitsStand(t *testing.T) {
	request, err := json.Marshal(gateway.LimitedRequest{Tokens: 7})
	if err != nil {
		t.Fatal(err)
	}
	w := call(AgentHandler(agent()), "GET", "/limits?"+url.Values{"request": {string(request)}}.Encode(), "", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"Max":60,"Remaining":7`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(AgentHandler(agent()), "GET", "/limits?request=no", "", ""); w.Code != 400 {
		t.Errorf("no JSON: %d %s", w.Code, w.Body)
	}
}
