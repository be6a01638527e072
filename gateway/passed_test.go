package gateway_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func TestThePlanOfAPassedPathIsItsBackend(t *testing.T) {
	at := func(text string) *url.URL { u, _ := url.Parse(text); return u }
	table := gateway.Routes{
		Backends: []gateway.Backend{
			{Name: "a", BaseURL: at("https://a.example/v1"), Credential: gateway.ClientFirst, Secret: "s"},
			{Name: "claude", Kind: gateway.Anthropic, BaseURL: at("https://c.example/v1"), Credential: gateway.OwnCredential},
		},
		Passed: []gateway.PassedPath{{Path: "/v1/moderations", Backend: "a"}, {Path: "/v1/messages/batches", Backend: "claude"}, {Path: "/v1/gone", Backend: "gone"}},
	}.Table()
	p, ok := table.Passed("/v1/moderations", "m")
	want := gateway.Plan{Model: "m", Steps: []gateway.Step{{Backend: "a", UpstreamModel: "m"}}, ClientKeys: []string{"a"}, Secrets: []gateway.Secret{"s"}}
	if diff := cmp.Diff(want, p); diff != "" || !ok {
		t.Errorf("(- wanted, + planned):\n%s", diff)
	}
	if p, ok := table.Passed("/v1/messages/batches", "m"); !ok || p.Steps[0].Backend != "claude" {
		t.Errorf("%+v, %v", p, ok)
	}
	for _, path := range []string{"/v1/gone", "/v1/chat/completions", "/v1/moderations/", ""} {
		if p, ok := table.Passed(path, "m"); ok {
			t.Errorf("%q passes to %+v", path, p)
		}
	}
}

func TestTheFiguresOfAPassedPathNeedNotBeWhole(t *testing.T) {
	const none = gateway.NotReported
	for _, c := range []struct {
		prompt, completion, total int64
		want                      gateway.Usage
		believed                  bool
	}{
		{100, 10, 110, gateway.Usage{Prompt: 100, Completion: 10}, true},
		{100, none, 110, gateway.Usage{Prompt: 100, Completion: 10}, true},
		{none, 10, 110, gateway.Usage{Prompt: 100, Completion: 10}, true},
		{8, none, 8, gateway.Usage{Prompt: 8}, true},
		{none, none, 11, gateway.Usage{Prompt: 11}, true},
		{none, 10, none, gateway.Usage{Completion: 10}, true},
		{0, 0, 0, gateway.Usage{}, false},
		{none, none, none, gateway.Usage{}, false},
	} {
		f := gateway.NoFigures()
		f.Prompt, f.Completion, f.Total = c.prompt, c.completion, c.total
		of, believed := f.Of(gateway.Passed)
		if diff := cmp.Diff(c.want, of.Usage()); diff != "" || believed != c.believed {
			t.Errorf("%+v, believed %v (- wanted, + read):\n%s", c, believed, diff)
		}
	}
}

func TestOnlyAPriceOfNothingIsFree(t *testing.T) {
	for _, c := range []struct {
		price gateway.Price
		want  bool
	}{
		{gateway.Price{}, true},
		{gateway.Price{Rates: gateway.Rates{Output: 1}}, false},
		{gateway.Price{Tiers: []gateway.Tier{{Above: 5, Rates: gateway.Rates{Input: 1}}}}, false},
		{gateway.Price{ServiceTiers: []gateway.ServicePrice{{Name: "flex"}}}, false},
	} {
		if got := c.price.IsFree(); got != c.want {
			t.Errorf("%+v: %v", c.price, got)
		}
	}
}

func TestParametersThatMayBeKeysStayHere(t *testing.T) {
	if got := gateway.Passed.Query("limit=2&key=a&API_KEY=b&after=c%20d&token=e&x[]=1&access_token=f"); got != "limit=2&after=c%20d&x[]=1" {
		t.Errorf("%q passes", got)
	}
}

func TestARecordedPathIsAnEndpointOrPassed(t *testing.T) {
	for path, want := range map[string]gateway.Endpoint{"/v1/chat/completions": gateway.ChatCompletions, "GET /v1/responses/{id}": gateway.FetchResponse,
		"/v1/moderations": gateway.Passed, "/v1none": 0, "": 0, "/v1": 0} {
		e, below := gateway.EndpointAt(path)
		if e != want || e == gateway.Passed && below != "/moderations" {
			t.Errorf("%q is %v at %q", path, e, below)
		}
	}
}
