package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// perMinute is what is configured where the only limit is that of requests a minute.
func perMinute(n uint32) []gateway.Limit {
	return []gateway.Limit{{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerMinute}, Max: n}}
}

func TestLimitsAreRead(t *testing.T) {
	c := loaded(t, `limits:
  requests_per_minute: 0
  requests_in_flight: 0
  fail: closed
  service: grpcs://ratelimit.lan:8081
  service_config: none
  rules:
  - {by: user, tokens: 4294967295, per: day}
  - {by: key_model, requests: 0, per: hour}
`)
	none := int64(0)
	want := gateway.Limits{Closed: true, InFlight: &none, Rules: []gateway.Limit{
		{LimitRule: gateway.LimitRule{By: gateway.ByUser, Of: gateway.Tokens, Per: gateway.PerDay}, Max: gateway.MaxLimit},
		{LimitRule: gateway.LimitRule{By: gateway.ByKeyModel, Of: gateway.Requests, Per: gateway.PerHour}},
	}}
	if diff := cmp.Diff(want, c.Limits); diff != "" {
		t.Error(diff)
	}
	if c.LimitService != (LimitService{Address: "ratelimit.lan:8081", TLS: true}) || c.LimitConfigListen != "" {
		t.Errorf("service %v, its configuration at %q", c.LimitService, c.LimitConfigListen)
	}
}

func TestARateLimitServiceMayComeFromTheEnvironment(t *testing.T) {
	c := read(t, "RATE_LIMIT_URL", "127.0.0.1:8081", "AI_GATEWAY_RATE_LIMIT_RPM", "0")
	if c.LimitService.String() != "grpc://127.0.0.1:8081" || c.LimitConfigListen != "127.0.0.1:18000" || c.Limits.Rules != nil || c.Limits.InFlight != nil {
		t.Errorf("read as %+v %+v", c.LimitService, c.Limits)
	}
}
