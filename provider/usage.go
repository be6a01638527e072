package provider

import (
	"strconv"
	"strings"

	"ai-gateway/gateway"
)

// readUsage reads a "usage" and reports whether it is believed. One that is not leaves
// what was believed before.
// Source: https://platform.openai.com/docs/api-reference/chat/object#chat-object-usage
func (t *tally) readUsage(c *cursor) (believed bool) {
	if c.kind() != '{' {
		c.skip()
		return false
	}
	u := usageReader{Figures: gateway.NoFigures()}
	u.read(c)
	if u.tier != "" && !t.tierOnTop {
		t.serviceTier = u.tier
	}
	f, believed := u.Of(t.intent.Endpoint)
	if believed = believed && c.fault == ""; believed {
		t.figures, t.believed, t.prompt = f.Over(t.figures), true, gateway.PromptText{}
	}
	return believed
}

// usageReader reads one usage object. The script in Envoy reads the same names.
type usageReader struct {
	gateway.Figures
	tier string
}

func (u *usageReader) read(c *cursor) {
	for c.enter(); c.more('}'); {
		switch name := c.name(); string(name) {
		case "prompt_tokens":
			c.count(&u.Prompt)
		case "completion_tokens":
			c.count(&u.Completion)
		case "total_tokens":
			c.count(&u.Total)
		case "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details":
			u.details(c)
		case "service_tier": // Anthropic has it here
			u.tier = c.serviceTier()
		default:
			u.detail(c, name)
		}
	}
}

// details reads the counts of an object that may be null.
func (u *usageReader) details(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		u.detail(c, c.name())
	}
}

// detail reads a count that goes by many names. Of two that say the same in one object, the
// larger one counts: the other is a name that a provider keeps filled with 0.
func (u *usageReader) detail(c *cursor, name []byte) {
	n := gateway.Untold
	of := u.detailNamed(name)
	if of == nil {
		c.skip()
		return
	}
	c.count(&n)
	*of = max(*of, n)
}

// detailNamed returns the count that a name stands for, in the details or beside them.
// Sources: OpenAI and most others, DeepSeek, Moonshot and Together, Anthropic and LiteLLM, Mistral;
// OpenRouter, Alibaba's Model Studio, New API.
func (u *usageReader) detailNamed(name []byte) *int64 {
	switch string(name) {
	case "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_read_tokens", "num_cached_tokens":
		return &u.Cached
	case "cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens", "cache_write_input_tokens", "cached_creation_tokens":
		return &u.CacheWrite
	case "reasoning_tokens":
		return &u.Reasoning
	}
	return nil
}

// maxNumber is the longest text of a count, in bytes.
const maxNumber = 32

// count passes any value and takes it over if it is a whole number from 0 to MaxTokens, as 31,
// 31.0, 3.1e1 or "31".
func (c *cursor) count(count *int64) {
	b := c.kind()
	text := c.value()
	if b == '"' && len(text) >= 2 {
		text = text[1 : len(text)-1]
	}
	if n, ok := wholeNumber(text); ok && c.fault == "" {
		*count = n
	}
}

func wholeNumber(text []byte) (n int64, ok bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(text) > maxNumber || len(digits) == 0 || !isDigit(digits[0]) || digits[0] == '0' && len(digits) > 1 && isDigit(digits[1]) {
		return 0, false
	}
	for i, b := range digits {
		if b == '.' && (i+1 == len(digits) || !isDigit(digits[i+1])) || !isDigit(b) && !strings.ContainsRune(".eE+-", rune(b)) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < 0 || f > gateway.MaxTokens || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

// serviceTier passes any value and returns the service tier that it names. A number or true
// is one that nobody knows.
func (c *cursor) serviceTier() string {
	b := c.kind()
	text := c.value()
	switch {
	case b == 'n' || b == '{' || b == '[' || c.fault != "":
		return ""
	case b == '"' && len(text) >= 2:
		text = text[1 : len(text)-1]
	}
	return gateway.ServiceTier(text)
}

// integer passes any value and returns it if it is a number without fraction and
// exponent that fits.
func (c *cursor) integer() (n int64, ok bool) {
	if b := c.kind(); b != '-' && !isDigit(b) {
		c.skip()
		return 0, false
	}
	n, err := strconv.ParseInt(string(c.number()), 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}
