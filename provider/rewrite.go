package provider

import (
	"strings"

	"ai-gateway/gateway"
)

// The pieces that ask for the usage in a request.
const (
	askedUsage   = `"include_usage":true`
	askedOptions = `{` + askedUsage + `}`
	askedMember  = `"stream_options":` + askedOptions
)

// edit puts text in place of a part of a body.
type edit struct {
	gateway.Span
	text string
}

// Rewrite returns a copy of a request's body, as ReadRequest accepts it, in which the model has
// another name and which, if askUsage, asks the provider for the usage at the stream's end.
// Everything else stays byte for byte.
// Source: https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
func (d OpenAI) Rewrite(body []byte, r gateway.Request, as gateway.Model, askUsage bool) gateway.Rewritten {
	model := edit{r.ModelAt, string(body[r.ModelAt.From:r.ModelAt.To])}
	if as != r.Model {
		model.text = quote(string(as))
	}
	if !askUsage {
		return gateway.Rewritten{Body: splice(body, model), ModelAt: model.moved(edit{})}
	}
	asked := askUsageIn(body)
	was := string(body[asked.From:asked.To])
	if asked.From < model.From {
		return gateway.Rewritten{Body: splice(body, asked, model), ModelAt: model.moved(asked), AskedAt: asked.moved(edit{}), AskedWas: was}
	}
	return gateway.Rewritten{Body: splice(body, model, asked), ModelAt: model.moved(edit{}), AskedAt: asked.moved(model), AskedWas: was}
}

// quote makes a JSON string of a name that holds no control characters.
func quote(name string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(name) + `"`
}

// moved is where an edit's text is after another edit before it.
func (e edit) moved(before edit) gateway.Span {
	from := e.From + len(before.text) - (before.To - before.From)
	return gateway.Span{From: from, To: from + len(e.text)}
}

// askUsageIn is what has to be put where in a streaming request's body.
func askUsageIn(body []byte) edit {
	c := cursor{data: body}
	c.kind()
	c.enter()
	inside, empty := c.pos, true
	for c.more('}') {
		empty = false
		if string(c.name()) == "stream_options" {
			return askIn(&c)
		}
		c.skip()
	}
	return edit{gateway.Span{From: inside, To: inside}, listed(askedMember, empty)}
}

// askIn is what has to be put where in the stream options at the cursor.
func askIn(c *cursor) edit {
	if c.kind() != '{' {
		from := c.pos
		c.skip()
		return edit{gateway.Span{From: from, To: c.pos}, askedOptions}
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
		from := c.pos
		c.skip()
		return edit{gateway.Span{From: from, To: c.pos}, "true"}
	}
	return edit{gateway.Span{From: inside, To: inside}, listed(askedUsage, empty)}
}

// listed is a member as the first one of an object.
func listed(member string, alone bool) string {
	if alone {
		return member
	}
	return member + ","
}

// splice returns a copy of body with edits made, which are in the order of their places.
func splice(body []byte, edits ...edit) []byte {
	size := len(body)
	for _, e := range edits {
		size += len(e.text) - (e.To - e.From)
	}
	out, done := make([]byte, 0, size), 0
	for _, e := range edits {
		out = append(out, body[done:e.From]...)
		out = append(out, e.text...)
		done = e.To
	}
	return append(out, body[done:]...)
}
