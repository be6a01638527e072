package provider

import (
	"cmp"
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
	u := newUsageReader()
	u.read(c)
	if u.tier != "" && !t.tierOnTop {
		t.serviceTier = u.tier
	}
	if e := t.intent.Endpoint; e.API() == gateway.AnthropicAPI || e == gateway.Passed || e.IsFree() && !t.fetches() {
		return t.grow(&u, c.fault == "")
	}
	f, believed := u.Of(t.intent.Endpoint)
	if believed = believed && c.fault == ""; believed {
		t.figures, t.believed, t.prompt = f.Over(t.figures), true, gateway.PromptText{}
	}
	return believed
}

// grow adds the figures of a message's usage. They are believed once they include the length of the
// answer. It reports whether they cover the answer so far.
func (t *tally) grow(u *usageReader, isJSON bool) (covered bool) {
	if !isJSON {
		return false
	}
	t.figures = t.grown(u)
	_, whole := t.figures.Of(t.intent.Endpoint)
	covered = whole && (!t.believed || u.Completion != gateway.NotReported)
	if covered {
		t.believed, t.prompt = true, gateway.PromptText{}
	}
	return covered
}

// grown is the sum of all figures with those of another usage. Where the API is not known, only a
// usage of Anthropic's has no total, and a prompt without what caches gave and took.
func (t *tally) grown(u *usageReader) gateway.Figures {
	switch {
	case t.intent.Endpoint != gateway.Passed:
		return t.figures.Grown(u.Figures)
	case u.withCache:
		return t.figures.GrownWithTotal(u.Figures)
	}
	return t.figures.GrownWithTotal(u.CacheInPrompt())
}

// usage is the usage by the provider's figures.
func (t *tally) usage() gateway.Usage {
	f, _ := t.figures.Of(t.intent.Endpoint)
	return f.Usage()
}

// usageReader reads one usage object. The script in Envoy reads the same names.
type usageReader struct {
	gateway.Figures
	tier string
	runs gateway.Figures // the sum of the model's runs, if the answer took several
	fast bool

	withCache bool // it has counts whose prompt includes what caches gave and took
}

func newUsageReader() usageReader {
	return usageReader{Figures: gateway.NoFigures(), runs: gateway.NoFigures()}
}

func (u *usageReader) read(c *cursor) {
	for c.enter(); c.more('}'); {
		switch name := c.name(); string(name) {
		case "iterations":
			u.iterations(c)
		case "service_tier": // Anthropic has it here
			u.tier = cmp.Or(c.serviceTier(), u.tier)
		case "speed":
			u.fast = string(c.value()) == `"fast"` || u.fast
		default:
			u.counts(c, name)
		}
	}
	if u.fast {
		u.tier = gateway.FastTier
	}
	if u.runs != gateway.NoFigures() {
		u.Figures = u.Grown(u.runs)
	}
}

// counts reads a member with counts, in the usage or in that of one run of the model.
func (u *usageReader) counts(c *cursor, name []byte) {
	switch string(name) {
	case "prompt_tokens":
		u.countWithCache(c, &u.Prompt)
	case "completion_tokens":
		u.countWithCache(c, &u.Completion)
	case "total_tokens":
		u.countWithCache(c, &u.Total)
	case "input_tokens": // in responses and messages
		c.larger(&u.Prompt)
	case "output_tokens":
		c.larger(&u.Completion)
	case "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details":
		u.details(c)
	case "cache_creation":
		u.cacheTimes(c)
	case "server_tool_use":
		u.serverTools(c)
	default:
		u.detail(c, name)
	}
}

// countWithCache reads a count that Anthropic's usages do not have.
func (u *usageReader) countWithCache(c *cursor, count *int64) {
	n := gateway.NotReported
	if c.count(&n); n != gateway.NotReported {
		*count, u.withCache = n, true
	}
}

// iterations adds up the usages of the model's runs for one answer. The usage around them leaves
// out those that made a conversation shorter, gave advice, or were declined before another model
// answered, but all are billed.
// Source: https://docs.anthropic.com/en/docs/build-with-claude/compaction#understanding-usage
func (u *usageReader) iterations(c *cursor) {
	if c.kind() != '[' {
		c.skip()
		return
	}
	u.runs = gateway.NoFigures()
	for c.enter(); c.more(']'); {
		if c.kind() != '{' {
			c.skip()
			continue
		}
		run := newUsageReader()
		for c.enter(); c.more('}'); {
			run.counts(c, c.name())
		}
		u.runs = u.runs.Plus(run.Figures)
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

// cacheTimes reads the counts of cache writes by the lifetime of the entries.
// Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#1-hour-cache-duration
func (u *usageReader) cacheTimes(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		if string(c.name()) == "ephemeral_1h_input_tokens" {
			c.count(&u.CacheWriteHour)
			continue
		}
		c.skip()
	}
}

// serverTools adds up the calls of the provider's own tools, whatever their names.
func (u *usageReader) serverTools(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		n := gateway.NotReported
		c.name()
		if c.count(&n); n != gateway.NotReported {
			u.ServerTools = min(max(u.ServerTools, 0)+n, gateway.MaxTokens)
		}
	}
}

// detail reads a count that has many names. Of two names for the same count in one object, the
// larger one counts, because some providers fill the other with 0.
func (u *usageReader) detail(c *cursor, name []byte) {
	of := u.detailNamed(name)
	if of == nil {
		c.skip()
		return
	}
	c.larger(of)
}

// larger passes any value and takes it over if it is a larger count.
func (c *cursor) larger(count *int64) {
	n := gateway.NotReported
	c.count(&n)
	*count = max(*count, n)
}

// detailNamed returns the count that a name stands for, in the details or next to them.
// Sources: OpenAI and most others, DeepSeek, Moonshot and Together, Anthropic and LiteLLM, Mistral;
// OpenRouter, Alibaba's Model Studio, New API.
func (u *usageReader) detailNamed(name []byte) *int64 {
	switch string(name) {
	case "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_read_tokens", "num_cached_tokens":
		return &u.Cached
	case "cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens", "cache_write_input_tokens", "cached_creation_tokens":
		return &u.CacheWrite
	case "reasoning_tokens", "thinking_tokens":
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

// serviceTier passes any value and returns the service tier that it names. A number or true is an
// unknown tier.
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
