package ratelimitconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/envoyproxy/ratelimit/src/config"

	"ai-gateway/gateway"
)

// tier is a distinct set of limits, which many keys may share. The configuration of
// envoyproxy/ratelimit has each once, with keys as arbitrary values below it.
type tier struct {
	id       string
	requests []bound
	tokens   []bound
	inFlight *int64 // requests of one key at a time; nil for any number
}

// bound is a limit as envoyproxy/ratelimit has loaded it.
type bound struct {
	gateway.Limit
	name   string            // of the rule
	loaded *config.RateLimit // nil until it is loaded
}

// keyRules are the rules that a key's own limits can replace, in the order of ownLimits.
var keyRules = [...]gateway.LimitRule{
	{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerMinute},
	{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerHour},
	{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerDay},
	{By: gateway.ByKey, Of: gateway.Tokens, Per: gateway.PerMinute},
	{By: gateway.ByKey, Of: gateway.Tokens, Per: gateway.PerHour},
	{By: gateway.ByKey, Of: gateway.Tokens, Per: gateway.PerDay},
}

// ownLimits are the limits of a key as a comparable value; notSet means that of the
// configuration. The last one is for requests in flight.
type ownLimits [len(keyRules) + 1]int64

const notSet = -1

// ownOf reads a key's own limits. Impossible values become the nearest possible limit, so
// negative numbers let nothing pass.
func ownOf(k *gateway.KeyLimits) ownLimits {
	var own ownLimits
	if k == nil {
		k = &gateway.KeyLimits{}
	}
	for i, n := range [...]*int64{k.RequestsPerMinute, k.RequestsPerHour, k.RequestsPerDay,
		k.TokensPerMinute, k.TokensPerHour, k.TokensPerDay, k.InFlight} {
		own[i] = notSet
		if n != nil {
			own[i] = min(max(*n, 0), gateway.MaxLimit)
		}
	}
	return own
}

// newTier joins the configured limits with a key's own, which replace the same rules.
func newTier(configured gateway.Limits, own ownLimits) *tier {
	limits := slices.Clone(configured.Rules)
	for i, rule := range keyRules {
		if own[i] == notSet {
			continue
		}
		limits = slices.DeleteFunc(limits, func(l gateway.Limit) bool { return l.LimitRule == rule })
		limits = append(limits, gateway.Limit{LimitRule: rule, Max: uint32(own[i])})
	}
	slices.SortFunc(limits, func(a, b gateway.Limit) int { return strings.Compare(a.String(), b.String()) })
	t := &tier{id: tierID(limits), inFlight: configured.InFlight}
	if n := own[len(keyRules)]; n != notSet {
		t.inFlight = &n
	}
	for _, l := range limits {
		b := bound{Limit: l, name: l.LimitRule.String()}
		if l.Of == gateway.Tokens {
			t.tokens = append(t.tokens, b)
		} else {
			t.requests = append(t.requests, b)
		}
	}
	return t
}

// tierID is a hash of a tier's limits, so that agents with a common limiter agree on it.
func tierID(limits []gateway.Limit) string {
	h := sha256.New()
	for _, l := range limits {
		fmt.Fprintf(h, "%s=%d\n", l.LimitRule, l.Max)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// bounds calls f for each limit of the tier.
func (t *tier) bounds(f func(*bound)) {
	for _, list := range [][]bound{t.requests, t.tokens} {
		for i := range list {
			f(&list[i])
		}
	}
}
