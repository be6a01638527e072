package provider

import (
	"bytes"

	"ai-gateway/gateway"
)

func (t *tally) isMessage() bool { return t.intent.Endpoint == gateway.Messages }

// readMessageMember reads a member of a message, or of an event of one, and reports whether it is
// known.
// Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
func (t *tally) readMessageMember(c *cursor, name []byte, e *typedEvent) bool {
	switch string(name) {
	case "type":
		return t.readType(c, e)
	case "message":
		t.readMessageStart(c)
	case "content":
		e.output = c.value()
		t.answered = t.answered || hasObject(e.output)
	case "content_block":
		e.item = c.value()
		t.answered = t.answered || isObject(e.item)
	case "delta":
		e.delta = c.value()
		t.answered = t.answered || isObject(e.delta)
	case "index":
		e.index, _ = c.integer()
	case "stop_reason":
		e.succeeded = c.kind() == '"'
		c.skip()
	default:
		return false
	}
	return true
}

// readMessageStart reads the message that a stream begins with. Its usage covers the prompt only;
// the length of the answer is not known yet.
func (t *tally) readMessageStart(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		if string(c.name()) != "usage" || c.kind() != '{' {
			c.skip()
			continue
		}
		u := newUsageReader()
		u.read(c)
		u.Completion = gateway.NotReported
		t.grow(&u, c.fault == "")
		if u.tier != "" && !t.tierOnTop {
			t.serviceTier = u.tier
		}
	}
}

// addMessageEvent adds the content of an event of a message, or of a whole message.
func (t *tally) addMessageEvent(e *typedEvent) {
	switch string(e.kind) {
	case "message_stop":
		t.complete = true
	case "content_block_start":
		t.addBlock(e.item, e.index, false)
	case "content_block_delta", "message_delta":
		t.addMessageDelta(e)
	default:
		t.addContent(e.output)
	}
	if e.succeeded {
		t.choices.note(0, true)
	}
}

// addMessageDelta adds a piece of a block, or what is known of the message at its end.
func (t *tally) addMessageDelta(e *typedEvent) {
	if !isObject(e.delta) {
		return
	}
	c := cursor{data: e.delta}
	for c.enter(); c.more('}'); {
		switch name, value := string(c.name()), c.value(); name {
		case "text":
			t.show(rawString(value))
			t.deliverText(e.index, said{raw: rawString(value), kind: ofContent})
		case "thinking":
			t.deliverText(e.index, said{raw: rawString(value), kind: ofReasoning})
		case "partial_json":
			t.deliverText(e.index, said{raw: rawString(value), kind: ofCalls})
		case "stop_reason":
			e.succeeded = len(value) > 0 && value[0] == '"'
		}
	}
}

// addContent adds the blocks of a message that came whole.
func (t *tally) addContent(content []byte) {
	c := cursor{data: content}
	if c.kind() != '[' {
		return
	}
	index := int64(0)
	for c.enter(); c.more(']'); index++ {
		t.addBlock(c.value(), index, true)
	}
}

// block is one of a message's content. The slices are JSON values, nil where absent.
type block struct{ kind, text, thinking, name, input []byte }

func readBlock(value []byte) (b block) {
	c := cursor{data: value}
	for c.enter(); c.more('}'); {
		switch name, value := string(c.name()), c.value(); name {
		case "type":
			b.kind = rawString(value)
		case "text":
			b.text = value
		case "thinking":
			b.thinking = value
		case "name":
			b.name = value
		case "input":
			b.input = value
		}
	}
	return b
}

// addBlock adds a block: all content of a whole one, the texts so far of one that begins. Results
// of the provider's tools do not count, because the model did not write them.
func (t *tally) addBlock(value []byte, index int64, whole bool) {
	if !isObject(value) {
		return
	}
	b := readBlock(value)
	if bytes.HasSuffix(b.kind, []byte("_tool_result")) {
		return
	}
	if len(b.text) > 0 {
		if whole && t.text.runes > 0 {
			t.text.newLine()
		}
		t.show(rawString(b.text))
	}
	t.deliverText(index, said{raw: rawString(b.text), kind: ofContent})
	t.deliverText(index, said{raw: rawString(b.thinking), kind: ofReasoning})
	t.deliverText(index, said{raw: rawString(b.name), kind: ofCalls, begins: true})
	if whole {
		t.deliverText(index, said{raw: b.input, kind: ofCalls})
	}
	if whole && t.text.limit > 0 && t.text.runes == 0 && b.name != nil {
		t.text.addCall(b.name, b.input)
	}
}
