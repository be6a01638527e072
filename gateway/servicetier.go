package gateway

import "strings"

// maxServiceTier is the longest name of a tier, in bytes: longer than any provider's.
const maxServiceTier = 32

// FastTier is the service tier of Anthropic's fast mode. Its API has a member "speed" for that, next
// to the service tier.
// Source: https://docs.anthropic.com/en/docs/build-with-claude/fast-mode#pricing
const FastTier = "fast"

// ServiceTier normalises the name of a service tier, given as the bytes between a JSON string's
// quotes: lower case, with ? for blanks and signs.
func ServiceTier(raw []byte) string {
	name := []byte(strings.ToLower(string(raw[:min(len(raw), maxServiceTier)])))
	for i, c := range name {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-') {
			name[i] = '?'
		}
	}
	return string(name)
}

// isListPrice reports whether a service tier is billed at the model's own price.
// Sources: https://platform.openai.com/docs/api-reference/chat/object#chat-object-service_tier,
// https://console.groq.com/docs/service-tiers, https://docs.anthropic.com/en/api/service-tiers
func isListPrice(tier string) bool {
	switch tier {
	case "", "default", "auto", "standard", "standard_only", "on_demand":
		return true
	}
	return false
}
