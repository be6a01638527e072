package explain

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ai-gateway/gateway"
)

// configured is a configuration with one model of two backends, a limit and a budget.
func configured() Config {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return Config{
		Read: func(_ gateway.Endpoint, body []byte) (gateway.Request, error) {
			return gateway.Request{Model: gateway.Model(body), PromptTokens: 10, MaxTokens: 20}, nil
		},
		Routes: gateway.Routes{
			Backends: []gateway.Backend{
				{Name: "first", BaseURL: &url.URL{Scheme: "https", Host: "one.example", Path: "/v1"}, Credential: gateway.OwnCredential, SecretFrom: "ONE_KEY"},
				{Name: "second", BaseURL: &url.URL{Scheme: "https", Host: "two.example", Path: "/v1"}, Credential: gateway.NoCredential},
			},
			Models: []gateway.Route{{Model: "m", Steps: []gateway.Step{{Backend: "first", UpstreamModel: "m-1"}, {Backend: "second", UpstreamModel: "m-2"}}}},
		},
		Price: func(gateway.Model, time.Time) (gateway.Price, bool) {
			return gateway.Price{Version: "v", Rates: gateway.Rates{Input: gateway.USD, Output: 2 * gateway.USD}}, true
		},
		Budgets: gateway.Budgets{Rules: []gateway.BudgetRule{{By: gateway.BudgetByKey, Per: gateway.BudgetDay, Amount: gateway.USD}}, AnswerTokens: 4096},
		Standing: func(_ context.Context, of []gateway.BudgetState) ([]gateway.BudgetState, error) {
			for i := range of {
				of[i].Spent = gateway.USD / 2
			}
			return of, nil
		},
		Limits: func(*gateway.LimitedRequest) ([]gateway.LimitState, error) {
			return []gateway.LimitState{{Limit: gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerMinute}, Max: 60}, Remaining: 59, Reset: at},
				{Limit: gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.InFlight}, Max: 7}, Remaining: 5}}, nil
		},
		Entry: func(context.Context, *gateway.Caller) (*gateway.Error, error) { return nil, nil },
		Now:   func() time.Time { return at },
	}
}

var anybody = &gateway.Caller{Key: gateway.Key{ID: gateway.AnonymousKey}}

func TestARequestIsExplainedWhole(t *testing.T) {
	c := configured()
	got, err := c.Request(t.Context(), anybody, gateway.ChatCompletions, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	now := c.Now()
	worst, tomorrow := gateway.Dollars(10*gateway.USD/1e6+20*2*gateway.USD/1e6), time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	want := gateway.Explanation{
		Model: "m", Endpoint: "/v1/chat/completions", Key: gateway.AnonymousKey, PromptTokens: 10, AnswerTokens: 20,
		Attempts: []gateway.PlannedAttempt{
			{Backend: "first", URL: "https://one.example/v1/chat/completions", Model: "m-1", Key: "ONE_KEY"},
			{Backend: "second", URL: "https://two.example/v1/chat/completions", Model: "m-2", Key: "none"},
		},
		Price:    &gateway.TokenPrices{Version: "v", Input: gateway.Dollars(gateway.USD), Output: gateway.Dollars(2 * gateway.USD)},
		WorstUSD: &worst,
		Limits:   []gateway.LimitAllowance{{Rule: "key.requests.minute", Max: 60, Remaining: 59, Resets: &now}, {Rule: "key.requests.in_flight", Max: 7, Remaining: 5}},
		Budgets: []gateway.BudgetAllowance{{By: "key", Name: "anonymous", Per: "day", USD: gateway.Dollars(gateway.USD), Spent: gateway.Dollars(gateway.USD / 2),
			Left: gateway.Dollars(gateway.USD / 2), Resets: &tomorrow}},
		Refusals: []gateway.ExpectedRefusal{},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryReasonForARefusalIsTold(t *testing.T) {
	limited := &gateway.Caller{Key: gateway.Key{ID: "key_1"}, Grant: &gateway.Grant{Models: []string{"other"}}}
	for name, c := range map[string]struct {
		change func(*Config)
		caller *gateway.Caller
		model  string
		want   []string
	}{
		"nobody without a key": {func(c *Config) {
			c.Entry = func(context.Context, *gateway.Caller) (*gateway.Error, error) {
				return &gateway.Error{Status: 401, Code: "invalid_api_key"}, nil
			}
		}, anybody, "m", []string{"invalid_api_key"}},
		"another model": {func(*Config) {}, limited, "m", []string{"model_not_allowed"}},
		"no such model": {func(*Config) {}, anybody, "n", []string{"model_not_found"}},
		"no price": {func(c *Config) {
			c.Price = func(gateway.Model, time.Time) (gateway.Price, bool) { return gateway.Price{}, false }
		}, anybody, "m", []string{"model_without_price"}},
		"no price, may be": {func(c *Config) {
			c.Price, c.Budgets.AllowUnpriced = func(gateway.Model, time.Time) (gateway.Price, bool) { return gateway.Price{}, false }, true
		}, anybody, "m", nil},
		"no money": {func(c *Config) { c.Budgets.Rules[0].Amount = gateway.USD / 2 }, anybody, "m", []string{"insufficient_quota"}},
		"a limit and no money": {func(c *Config) {
			c.Budgets.Rules[0].Amount = 0
			c.Limits = func(*gateway.LimitedRequest) ([]gateway.LimitState, error) { return []gateway.LimitState{{}}, nil }
		}, anybody, "m", []string{"rate_limit_exceeded", "insufficient_quota"}},
	} {
		config := configured()
		c.change(&config)
		got, err := config.Request(t.Context(), c.caller, gateway.ChatCompletions, []byte(c.model))
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, r := range got.Refusals {
			codes = append(codes, r.Code)
		}
		if diff := cmp.Diff(c.want, codes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatCannotBeAskedIsAnError(t *testing.T) {
	c, away := configured(), errors.New("away")
	c.Entry = func(context.Context, *gateway.Caller) (*gateway.Error, error) { return nil, away }
	if _, err := c.Request(t.Context(), anybody, gateway.ChatCompletions, []byte("m")); !errors.Is(err, away) {
		t.Errorf("who may in: %v", err)
	}
	c = configured()
	c.Limits = func(*gateway.LimitedRequest) ([]gateway.LimitState, error) { return nil, away }
	if _, err := c.Left(t.Context(), anybody); !errors.Is(err, away) {
		t.Errorf("the limits: %v", err)
	}
}
