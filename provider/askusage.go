package provider

import "slices"

// The pieces that AskUsage puts into a request.
const (
	askedUsage   = `"include_usage":true`
	askedOptions = `{` + askedUsage + `}`
	askedMember  = `"stream_options":` + askedOptions
)

// AskUsage returns a copy of a streaming request's body, as ReadRequest accepts it,
// that asks the provider for the usage at the stream's end. All that the client
// wrote beyond that stays byte for byte.
// Source: https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
func (d OpenAI) AskUsage(body []byte) []byte {
	c := cursor{data: body}
	if c.kind() != '{' {
		return slices.Clone(body)
	}
	c.enter()
	inside, empty := c.pos, true
	for c.more('}') {
		empty = false
		if string(c.name()) != "stream_options" {
			c.skip()
			continue
		}
		from, to, text := askIn(&c)
		return splice(body, from, to, text)
	}
	return splice(body, inside, inside, listed(askedMember, empty))
}

// askIn tells which bytes of the stream options at the cursor have to become what.
func askIn(c *cursor) (from, to int, text string) {
	if c.kind() != '{' {
		from = c.pos
		c.skip()
		return from, c.pos, askedOptions
	}
	c.enter()
	inside, empty := c.pos, true
	for c.more('}') {
		empty = false
		if string(c.name()) != "include_usage" {
			c.skip()
			continue
		}
		c.kind()
		from = c.pos
		c.skip()
		return from, c.pos, "true"
	}
	return inside, inside, listed(askedUsage, empty)
}

// listed is a member as the first one of an object.
func listed(member string, alone bool) string {
	if alone {
		return member
	}
	return member + ","
}

// splice returns body with text in place of body[from:to].
func splice(body []byte, from, to int, text string) []byte {
	out := make([]byte, 0, len(body)-(to-from)+len(text))
	out = append(out, body[:from]...)
	out = append(out, text...)
	return append(out, body[to:]...)
}
