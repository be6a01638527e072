package ratelimitconfig

import (
	"context"
	"fmt"
	"maps"
	"slices"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsconfig "github.com/envoyproxy/go-control-plane/ratelimit/config/ratelimit/v3"
	"github.com/envoyproxy/ratelimit/src/config"

	"ai-gateway/gateway"
)

// domain is the name of our limits in a ratelimit service.
const domain = "ai-gateway"

// tierEntry is the key of a descriptor's first entry, which names the tier. The second entry is
// the rule, with the counted subject as its value. Names of rules have no underscore: the
// service joins keys and values with it, unescaped, so one subject could look like another.
const tierEntry = "tier"

// resourceOf is the configuration of envoyproxy/ratelimit for a set of tiers. Equal tiers are in
// it once, because it refuses repetitions.
// Source: https://github.com/envoyproxy/ratelimit#configuration
func resourceOf(tiers []*tier) *rlsconfig.RateLimitConfig {
	distinct := map[string]*tier{}
	for _, t := range tiers {
		distinct[t.id] = t
	}
	c := &rlsconfig.RateLimitConfig{Name: domain, Domain: domain}
	for _, id := range slices.Sorted(maps.Keys(distinct)) {
		c.Descriptors = append(c.Descriptors, distinct[id].descriptor())
	}
	return c
}

func (t *tier) descriptor() *rlsconfig.RateLimitDescriptor {
	d := &rlsconfig.RateLimitDescriptor{Key: tierEntry, Value: t.id}
	t.bounds(func(b *bound) {
		d.Descriptors = append(d.Descriptors, &rlsconfig.RateLimitDescriptor{
			Key: b.name, RateLimit: &rlsconfig.RateLimitPolicy{RequestsPerUnit: b.Max, Unit: unitOf(b.Per)},
		})
	})
	return d
}

func unitOf(p gateway.LimitPeriod) rlsconfig.RateLimitUnit {
	switch p {
	case gateway.PerHour:
		return rlsconfig.RateLimitUnit_HOUR
	case gateway.PerDay:
		return rlsconfig.RateLimitUnit_DAY
	}
	return rlsconfig.RateLimitUnit_MINUTE
}

// load reads a configuration as the service would. The service's loader panics if it refuses
// one; here that is an error.
func load(c *rlsconfig.RateLimitConfig) (loaded config.RateLimitConfig, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("envoyproxy/ratelimit refuses the configuration of limits: %v", fault)
		}
	}()
	files := []config.RateLimitConfigToLoad{{Name: c.Name, ConfigYaml: config.ConfigXdsProtoToYaml(c)}}
	return config.NewRateLimitConfigLoaderImpl().Load(files, uncounted{}, false), nil
}

// loadTiers loads tiers, and finds each of their limits in what was loaded.
func loadTiers(tiers []*tier) error {
	loaded, err := load(resourceOf(tiers))
	if err != nil {
		return err
	}
	for _, t := range tiers {
		t.bounds(func(b *bound) {
			b.loaded = loaded.GetLimit(context.Background(), domain, &descriptor.RateLimitDescriptor{Entries: t.entries(b.name, "")})
			if b.loaded == nil || b.loaded.Limit.GetRequestsPerUnit() != b.Max {
				err = fmt.Errorf("envoyproxy/ratelimit does not find the limit %s of tier %s", b.name, t.id)
			}
		})
	}
	return err
}

// entries are the descriptor of a tier's counter.
func (t *tier) entries(rule, subject string) []*descriptor.RateLimitDescriptor_Entry {
	return []*descriptor.RateLimitDescriptor_Entry{{Key: tierEntry, Value: t.id}, {Key: rule, Value: subject}}
}
