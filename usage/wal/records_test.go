package wal

import (
	"testing"
	"time"

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
