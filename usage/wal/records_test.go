package wal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func intent() gateway.Intent {
	return gateway.Intent{
		ID: uuid.Must(uuid.NewV7()), RequestID: "label", StartedAt: time.Now().UTC().Truncate(time.Microsecond),
		KeyID: "k_0123456789abcdef", KeyLabel: "sk-…wxyz", ClientIP: "127.0.0.1", Endpoint: gateway.ChatCompletions,
		Price: &gateway.Price{Rates: gateway.Rates{Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000, Reasoning: 10_000_000_000}, Version: "v1"},
		Model: "gpt-4o", Steps: []gateway.Step{{Backend: "upstream", UpstreamModel: "gpt-4o"}}, Stream: true, PromptTokens: 9,
	}
}

func settlement(i gateway.Intent) gateway.Settlement {
	return gateway.Settlement{
		ID: i.ID, Duration: time.Second, TTFT: 100 * time.Millisecond, Status: 200, Finished: true, Prompt: "hi",
		Answer: gateway.Answer{Usage: gateway.Usage{Prompt: 1000, Completion: 100}, Source: gateway.FromProvider, Text: "hello"},
	}
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestARecordGivesBackAllThatBillingNeeds(t *testing.T) {
	tiers := []gateway.Tier{{Above: 200_001, Rates: gateway.Rates{Input: 17, CachedInput: 18, CacheWrite: 19, Output: 20, Reasoning: 21, CacheWriteHour: 22}}}
	i := intent()
	i.ServiceTier = "priority"
	i.Stored, i.Background, i.AnswerTokens, i.Response = true, true, 4096, "resp_0"
	i.Price.Tiers = tiers
	i.Price.ServiceTiers = []gateway.ServicePrice{
		{Name: "flex", Rates: gateway.Rates{Input: 1, CachedInput: 2, CacheWrite: 3, Output: 4, Reasoning: 5, CacheWriteHour: 6}},
		{Name: "priority", Rates: gateway.Rates{Input: 11, CachedInput: 12, CacheWrite: 13, Output: 14, Reasoning: 15, CacheWriteHour: 16}, Tiers: tiers},
	}
	got, err := readIntent(appendIntent(nil, &i))
	do(t, err)
	if diff := cmp.Diff(&i, got); diff != "" {
		t.Errorf("the intent (- written, + read):\n%s", diff)
	}
	s := settlement(i)
	s.Answer = gateway.Answer{Usage: gateway.Usage{Prompt: 9001, Cached: 702, CacheWrite: 303, Completion: 404, Reasoning: 205, CacheWriteHour: 106, ServerTools: 7}, Source: gateway.FromProvider,
		ErrorCode: "c", ServiceTier: "flex", Stale: true, Complete: true, Failed: true, Missing: true, Partial: true,
		Response: gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseFailed, Usage: gateway.Usage{Prompt: 8, Cached: 7, CacheWrite: 6, Completion: 5, Reasoning: 4, CacheWriteHour: 3, ServerTools: 2},
			Source: gateway.Counted, ServiceTier: "flex", ErrorCode: "e"}}
	read, err := readSettlement(appendSettlement(nil, &s))
	do(t, err)
	if diff := cmp.Diff(&s, read); diff != "" {
		t.Errorf("the settlement (- written, + read):\n%s", diff)
	}
}

// TestTextsOfEveryLengthComeBack goes by the lengths at which the length of a text's length
// changes.
func TestTextsOfEveryLengthComeBack(t *testing.T) {
	for _, n := range []int{0, 1, 126, 127, 128, 129, 255, 256, 16_383, 16_384, 70_000} {
		text := func(letter string) string { return strings.Repeat(letter, n) }
		want := intent()
		want.RequestID, want.KeyLabel, want.ClientIP, want.UserID, want.Team, want.Tags = text("a"), text("b"), text("c"), text("d"), text("e"), text("f")
		want.KeyID, want.Model, want.ServiceTier, want.Price.Version = gateway.KeyID(text("g")), gateway.Model(text("h")), text("i"), text("j")
		want.Steps = []gateway.Step{{Backend: text("k"), UpstreamModel: gateway.Model(text("l"))}, {Backend: text("m")}}
		got, err := readIntent(appendIntent(nil, &want))
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%v, the intent with texts of %d bytes (- written, + read):\n%.2000s", err, n, diff)
		}
		settled := settlement(want)
		settled.Prompt, settled.Answer.Text, settled.Answer.ErrorCode, settled.Answer.ServiceTier = text("n"), text("o"), text("p"), text("q")
		read, err := readSettlement(appendSettlement(nil, &settled))
		if diff := cmp.Diff(&settled, read); err != nil || diff != "" {
			t.Errorf("%v, the settlement with texts of %d bytes (- written, + read):\n%.2000s", err, n, diff)
		}
	}
}
