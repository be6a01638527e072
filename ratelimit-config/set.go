package ratelimitconfig

import (
	"maps"
	"slices"
	"sync"

	"ai-gateway/gateway"
)

// Set is the limits of one configuration, each of which envoyproxy/ratelimit has loaded.
type Set struct {
	limits gateway.Limits

	mu    sync.RWMutex
	tiers map[ownLimits]*tier
	rules map[gateway.LimitRule]bool // that any tier has
}

// Compile makes a Set of configured limits, with the tiers of all known keys. Limits that
// envoyproxy/ratelimit would not load are an error.
func (l *Limiter) Compile(limits gateway.Limits) (*Set, error) {
	s := &Set{limits: limits, tiers: map[ownLimits]*tier{}, rules: map[gateway.LimitRule]bool{}}
	own := []ownLimits{ownOf(nil)}
	if before := l.inForce.Load(); before != nil {
		own = append(own, before.own()...)
	}
	return s, s.add(own)
}

// own returns the sets of keys' own limits that have tiers.
func (s *Set) own() []ownLimits {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []ownLimits
	for own := range s.tiers {
		all = append(all, own)
	}
	return all
}

// add loads the tiers that are missing, all at once.
func (s *Set) add(own []ownLimits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := map[ownLimits]*tier{}
	for _, o := range own {
		if s.tiers[o] == nil && added[o] == nil {
			added[o] = newTier(s.limits, o)
		}
	}
	if err := loadTiers(slices.Collect(maps.Values(added))); err != nil {
		return err
	}
	for o, t := range added {
		s.tiers[o] = t
		t.bounds(func(b *bound) { s.rules[b.LimitRule] = true })
	}
	return nil
}

// all are the tiers of a set.
func (s *Set) all() []*tier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.tiers))
}

// every calls f for each rule of any tier.
func (s *Set) every(f func(gateway.LimitRule)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for rule := range s.rules {
		f(rule)
	}
}

func (s *Set) tier(own ownLimits) *tier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tiers[own]
}
