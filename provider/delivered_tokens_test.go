package provider_test

import (
	"strings"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

func TestDeliveredTokensAreToldWhileAStreamRuns(t *testing.T) {
	s := provider.OpenAI{}.NewStream(&gateway.Intent{Endpoint: gateway.ChatCompletions, Model: "m"}, gateway.PromptText{}, false)
	defer s.Close()
	next := func(data string, want int64) {
		t.Helper()
		s.Next([]byte("data: "+data+"\n\n"), false)
		if got := s.Delivered(); got != want {
			t.Errorf("after %s: %d, want %d", data, got, want)
		}
	}
	next(`{"choices":[{"index":0,"delta":{"content":"123456"}}]}`, 2)
	next(`{"choices":[{"index":0,"delta":{"content":"`+strings.Repeat("x", 300_000)+`"}}]}`, 100_002)
	next(`{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":5,"completion_tokens":70,"total_tokens":75}}`, 70)
	next(`{"choices":[{"index":0,"delta":{"content":"12345"}}]}`, 72)
}
