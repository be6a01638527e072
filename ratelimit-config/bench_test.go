package ratelimitconfig

import (
	"testing"

	"ai-gateway/gateway"
)

// FuzzASubjectCountsForItselfAlone asks that no name of a model can fill another's counter.
func FuzzASubjectCountsForItselfAlone(f *testing.F) {
	f.Add("key_a", "m", "m_60")
	f.Add("key_model.requests.minute", "", "*")
	f.Fuzz(func(t *testing.T, key, one, other string) {
		if one == other || one == "" || other == "" {
			return
		}
		l := newLimiter(t, newClock(), rules(limit(gateway.ByKeyModel, gateway.Requests, gateway.PerMinute, 1),
			limit(gateway.ByModel, gateway.Requests, gateway.PerHour, 1)))
		admit(t, l, gateway.LimitedRequest{Key: gateway.KeyID(key), Model: gateway.Model(one)})
		admit(t, l, gateway.LimitedRequest{Key: gateway.KeyID(key), Model: gateway.Model(other)})
		refusal(t, l, gateway.LimitedRequest{Key: gateway.KeyID(key), Model: gateway.Model(one)})
	})
}

func BenchmarkAdmitAndSettle(b *testing.B) {
	for name, limits := range map[string]gateway.Limits{
		"RequestsPerMinute": rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, gateway.MaxLimit)),
		"RequestsAndTokens": rules(limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, gateway.MaxLimit),
			limit(gateway.ByKey, gateway.Tokens, gateway.PerDay, gateway.MaxLimit)),
		"SixLimits": {InFlight: number(1000), Rules: []gateway.Limit{
			limit(gateway.ByKey, gateway.Requests, gateway.PerMinute, gateway.MaxLimit), limit(gateway.ByUser, gateway.Requests, gateway.PerDay, gateway.MaxLimit),
			limit(gateway.ByModel, gateway.Requests, gateway.PerHour, gateway.MaxLimit), limit(gateway.ByKeyModel, gateway.Requests, gateway.PerHour, gateway.MaxLimit),
			limit(gateway.ByKey, gateway.Tokens, gateway.PerMinute, gateway.MaxLimit), limit(gateway.ByModel, gateway.Tokens, gateway.PerDay, gateway.MaxLimit)}},
	} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(b, newClock(), limits)
			r := byAlice
			b.ReportAllocs()
			for b.Loop() {
				a, refusal := l.Admit(&r)
				if refusal != nil {
					b.Fatal(refusal)
				}
				_ = a.Standing()
				a.Settle(1)
			}
		})
	}
}
