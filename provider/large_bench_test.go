package provider_test

import (
	"strings"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// BenchmarkLargeDeltas is a piece of 64 KiB of a stream whose events are as large, which
// begin and end in the middle of pieces.
func BenchmarkLargeDeltas(b *testing.B) {
	event := []byte(`data: {"choices":[{"delta":{"content":"` + strings.Repeat("It is all work and no play. ", 2340) + `"}}]}` + "\n\n")
	text := []byte(strings.Repeat(string(event), 64))
	s := provider.OpenAI{Memory: provider.NewMemory(256 << 20)}.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
	const piece = 64 << 10
	b.SetBytes(piece)
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		if at+piece > len(text) {
			at = 0
		}
		s.Next(text[at:at+piece], false)
		at += piece
	}
}
