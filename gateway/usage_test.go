package gateway

import "testing"

func TestAbsurdUsageIsNotPlausible(t *testing.T) {
	for _, u := range []Usage{{Prompt: -1}, {Completion: MaxTokens + 1}, {Prompt: 1, Cached: 2}, {CacheWrite: -1},
		{Prompt: 3, Cached: 2, CacheWrite: 2}, {Completion: 1, Reasoning: 2}} {
		if u.Plausible() {
			t.Errorf("%+v is plausible", u)
		}
	}
	if !(Usage{Prompt: 10, Cached: 4, CacheWrite: 6, Completion: 5, Reasoning: 5}).Plausible() {
		t.Error("a usage that adds up is not plausible")
	}
}
