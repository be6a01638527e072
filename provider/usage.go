package provider

import (
	"strconv"

	"ai-gateway/gateway"
)

// readUsage reads a "usage" and reports whether it is an object, and believed. One that
// cannot be true leaves what was believed before; that is also one of a prompt without tokens,
// as servers send that do not count.
// Source: https://platform.openai.com/docs/api-reference/chat/object#chat-object-usage
func (t *tally) readUsage(c *cursor) (is, believed bool) {
	if c.kind() != '{' {
		c.skip()
		return false, false
	}
	u := usageReader{}
	u.read(c)
	u.Usage = u.WithTotal(u.total)
	if t.intent.Endpoint == gateway.Embeddings {
		u.Completion, u.Reasoning, u.hasCompletion = 0, 0, true
	}
	believed = !u.absurd && u.hasPrompt && u.hasCompletion && u.Prompt > 0 && u.Plausible()
	if believed {
		t.usage, t.believed, t.prompt = u.Usage, true, gateway.PromptText{}
	}
	return true, believed
}

// usageReader reads one usage object.
type usageReader struct {
	gateway.Usage
	total                    int64 // 0 for none
	hasPrompt, hasCompletion bool
	absurd                   bool // a count is no integer, or the object is cut off
}

func (u *usageReader) read(c *cursor) {
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "prompt_tokens":
			u.hasPrompt = u.count(c, &u.Prompt)
		case "completion_tokens":
			u.hasCompletion = u.count(c, &u.Completion)
		case "prompt_tokens_details":
			u.detail(c, "cached_tokens", &u.Cached)
		case "total_tokens":
			u.total, _ = c.integer()
		case "completion_tokens_details":
			u.detail(c, "reasoning_tokens", &u.Reasoning)
		default:
			c.skip()
		}
	}
	u.absurd = u.absurd || c.fault != ""
}

// detail reads one count out of an object that may be null.
func (u *usageReader) detail(c *cursor, name string, count *int64) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		if string(c.name()) != name {
			c.skip()
			continue
		}
		u.count(c, count)
	}
}

// count reads a count and reports whether there is one; null is none.
func (u *usageReader) count(c *cursor, count *int64) bool {
	if c.kind() == 'n' {
		c.skip()
		*count = 0
		return false
	}
	n, ok := c.integer()
	u.absurd = u.absurd || !ok
	*count = n
	return ok
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
