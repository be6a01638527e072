package fakeprovider

import (
	"fmt"
	"strings"
)

// answer is a generated answer in the words of the endpoint that was called.
func (g generator) answer(r request) Reply {
	path, _, _ := strings.Cut(r.target, "?")
	switch {
	case strings.HasSuffix(path, "/responses"):
		return g.response(r.wanted)
	case strings.HasSuffix(path, "/messages"):
		return g.message(r.wanted)
	case strings.HasSuffix(path, "/count_tokens"):
		return whole(Piece{Bytes: fmt.Appendf(nil, `{"input_tokens":%d}`, GeneratedPrompt)})
	}
	return g.reply(r.wanted)
}

// whole is a JSON answer.
func whole(body Piece) Reply {
	return Reply{Status: 200, Header: []Field{{"content-type", "application/json"}, {"content-length", "auto"}}, Body: []Piece{body}}
}

// text is all that an answer says; of large chunks the first one, to save memory.
func (g generator) text() string {
	if g.size > 0 {
		return g.word(0)
	}
	var b strings.Builder
	for i := range g.chunks {
		b.WriteString(g.word(i))
	}
	return b.String()
}

// oneToken is one token in the tokenizers of OpenAI's models, also behind others of its kind.
const oneToken = " work"

// word is what a chunk says.
func (g generator) word(i int) string {
	if g.size > 0 {
		return strings.Repeat("It is all work and no play. ", g.size/28+1)[:g.size]
	}
	if g.token {
		return oneToken
	}
	return word(i)
}

// typed is an event that names its type.
func typed(kind, members string) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: {\"type\":\"%s\",%s}\n\n", kind, kind, members)
}

// events is a stream that begins and ends with some events, and brings a chunk with each of others.
func (g generator) events(first []byte, chunk func(i int) []byte, last []byte) Reply {
	r := Reply{Status: 200, Header: []Field{{"content-type", "text/event-stream"}}, Body: []Piece{{Bytes: first}}}
	large := chunk(0)
	for i := range g.chunks {
		piece := Piece{Wait: g.delay, Bytes: large}
		if g.size == 0 {
			piece.Bytes = chunk(i)
		}
		r.Body = append(r.Body, piece)
	}
	r.Body = append(r.Body, Piece{Wait: g.delay, Bytes: last})
	return r
}

// generatedID is the id of a response that is not kept.
const generatedID = "resp_gen"

// response is an answer of OpenAI's Responses API. Its streams tell their usage unasked.
func (g generator) response(w wanted) Reply {
	if w.Stream {
		return g.responseEvents(generatedID, w)
	}
	return whole(Piece{Wait: g.delay, Bytes: []byte(g.object(generatedID, w, "completed", g.item(), g.responseUsage()))})
}

// responseUsage is the usage of a response.
func (g generator) responseUsage() string {
	if !g.usage {
		return "null"
	}
	return fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"cached_tokens":0},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}`,
		GeneratedPrompt, g.chunks, GeneratedPrompt+g.chunks)
}

// object is a response.
func (g generator) object(id string, w wanted, status, output, usage string) string {
	return fmt.Sprintf(`{"id":%q,"object":"response","created_at":1,"status":%q,"error":null,"model":%q,"output":[%s],"usage":%s}`, id, status, w.Model, output, usage)
}

// item is all that a response says.
func (g generator) item() string {
	return fmt.Sprintf(`{"type":"message","id":"msg_gen","status":"completed","role":"assistant","content":[{"type":"output_text","text":%q,"annotations":[]}]}`, g.text())
}

// responseEvents are the events of a response, in pieces of one sequence number but for the first and the last.
func (g generator) responseEvents(id string, w wanted) Reply {
	first := append(typed("response.created", `"sequence_number":0,"response":`+g.object(id, w, "in_progress", "", "null")),
		typed("response.output_item.added", `"sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_gen","status":"in_progress","role":"assistant","content":[]}`)...)
	return g.events(first, func(i int) []byte {
		return typed("response.output_text.delta", fmt.Sprintf(`"sequence_number":%d,"item_id":"msg_gen","output_index":0,"content_index":0,"delta":%q,"logprobs":[]`, i+2, g.word(i)))
	}, append(typed("response.output_item.done", fmt.Sprintf(`"sequence_number":%d,"output_index":0,"item":%s`, g.chunks+2, g.item())),
		typed("response.completed", fmt.Sprintf(`"sequence_number":%d,"response":%s`, g.chunks+3, g.object(id, w, "completed", g.item(), g.responseUsage())))...))
}

// message is an answer of Anthropic's Messages API. Two of the prompt's tokens come from a cache,
// and three go into one.
func (g generator) message(w wanted) Reply {
	input := fmt.Sprintf(`"input_tokens":%d,"cache_read_input_tokens":2,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":1}`, GeneratedPrompt-5)
	object := func(content, stop, usage string) string {
		return fmt.Sprintf(`{"id":"msg_gen","type":"message","role":"assistant","model":%q,"content":[%s],"stop_reason":%s,"stop_sequence":null,"usage":{%s}}`, w.Model, content, stop, usage)
	}
	if !w.Stream {
		usage := fmt.Sprintf(`%s,"output_tokens":%d`, input, g.chunks)
		return whole(Piece{Wait: g.delay, Bytes: []byte(object(fmt.Sprintf(`{"type":"text","text":%q}`, g.text()), `"end_turn"`, usage))})
	}
	first := append(typed("message_start", `"message":`+object("", "null", input+`,"output_tokens":1`)),
		typed("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`)...)
	end := `"delta":{"stop_reason":"end_turn","stop_sequence":null}`
	if g.usage {
		end += fmt.Sprintf(`,"usage":{%s,"output_tokens":%d}`, input, g.chunks)
	}
	last := append(typed("content_block_stop", `"index":0`), typed("message_delta", end)...)
	return g.events(first, func(i int) []byte {
		return typed("content_block_delta", fmt.Sprintf(`"index":0,"delta":{"type":"text_delta","text":%q}`, g.word(i)))
	}, append(last, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...))
}
