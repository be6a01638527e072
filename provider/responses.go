package provider

import (
	"strings"

	"ai-gateway/gateway"
)

// readResponseMember reads a member of a response, or of an event of one, and reports whether it
// is known.
// Source: https://platform.openai.com/docs/api-reference/responses-streaming
func (t *tally) readResponseMember(c *cursor, name []byte, e *typedEvent) bool {
	switch string(name) {
	case "type":
		return t.readType(c, e)
	case "response":
		t.readResponse(c, e)
	case "output":
		e.output = c.value()
		t.answered = t.answered || hasObject(e.output)
	case "status":
		t.readStatus(c)
	case "id":
		if !t.whole {
			return false
		}
		t.readResponseID(c)
	case "item":
		e.item = c.value()
		t.answered = t.answered || isObject(e.item)
	case "delta":
		e.delta = c.value()
	case "output_index":
		e.index, _ = c.integer()
	default:
		return false
	}
	return true
}

// readType keeps the type, unless it says that the event is an error.
func (t *tally) readType(c *cursor, e *typedEvent) bool {
	c.kind()
	at := *c
	e.kind = rawString(c.value())
	if string(e.kind) != "error" {
		return true
	}
	*c = at
	return false
}

// readResponse reads the response in an event. Its output has come in pieces before.
func (t *tally) readResponse(c *cursor, e *typedEvent) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "usage":
			e.believed = t.readUsage(c) || e.believed
		case "error":
			t.readError(c)
		case "service_tier":
			t.readServiceTier(c)
		case "id":
			t.readResponseID(c)
		case "status":
			t.readState(c)
		case "output":
			e.output, e.repeated = c.value(), t.answered
			t.answered = t.answered || hasObject(e.output)
		default:
			c.skip()
		}
	}
}

// readStatus reads the status of a whole response. One in progress is an answer too.
func (t *tally) readStatus(c *cursor) {
	state := gateway.ResponseStateOf(string(rawString(c.value())))
	if t.whole && state != 0 {
		t.response.State = state
	}
	switch state {
	case gateway.ResponseEnded, gateway.ResponseCancelled:
		t.answered = true
		t.choices.note(0, true)
	case gateway.ResponseRuns:
		t.answered = true
	}
}

// readState reads how far a response is.
func (t *tally) readState(c *cursor) {
	if state := gateway.ResponseStateOf(string(rawString(c.value()))); state != 0 {
		t.response.State = state
	}
}

// readResponseID reads the id of a response. The first one counts.
func (t *tally) readResponseID(c *cursor) {
	if id := string(rawString(c.value())); t.response.ID == "" && gateway.IsResponseID(id) {
		t.response.ID = id
	}
}

// addResponseEvent adds the content of an event of a response, or of a whole response.
func (t *tally) addResponseEvent(e *typedEvent) {
	switch kind := string(e.kind); {
	case kind == "response.completed" || kind == "response.incomplete":
		t.complete, t.response.State = true, gateway.ResponseEnded
		t.addOutput(e)
	case kind == "response.failed":
		t.complete, t.response.State = true, gateway.ResponseFailed
		t.fail(errorReader{})
	case kind == "response.output_item.added":
		t.addItemName(e)
	case strings.HasSuffix(kind, ".delta"):
		t.addDelta(e, kind)
	case kind == "":
		t.addOutput(e)
	}
}

// addDelta adds a piece of the output.
func (t *tally) addDelta(e *typedEvent, kind string) {
	raw := rawString(e.delta)
	of := deltaKind(kind)
	if of == ofContent {
		t.show(raw)
	}
	if kind == "response.audio.delta" {
		t.delivered.other = true
		return
	}
	t.deliverText(e.index, said{raw: raw, kind: of})
}

// deltaKind is the kind of text in events of a type.
func deltaKind(eventType string) kind {
	switch {
	case eventType == "response.output_text.delta":
		return ofContent
	case eventType == "response.refusal.delta":
		return ofRefusal
	case strings.Contains(eventType, "reasoning"):
		return ofReasoning
	case strings.Contains(eventType, "call"):
		return ofCalls
	}
	return ofRest
}

// addItemName adds the name of a tool with which a call begins. The rest of an item comes in pieces.
func (t *tally) addItemName(e *typedEvent) {
	if !isObject(e.item) {
		return
	}
	c := cursor{data: e.item}
	for c.enter(); c.more('}'); {
		if string(c.name()) == "name" {
			t.deliverText(e.index, said{raw: rawString(c.value()), kind: ofCalls, begins: true})
			continue
		}
		c.skip()
	}
}

// addOutput adds an output that came whole.
func (t *tally) addOutput(e *typedEvent) {
	c := cursor{data: e.output}
	if e.repeated || c.kind() != '[' {
		return
	}
	index := int64(0)
	for c.enter(); c.more(']'); index++ {
		t.addItem(&c, index)
	}
	t.delivered.other = t.delivered.other || t.counts && c.other
}

// addItem adds an item of the output: a message, a call of a tool, reasoning.
func (t *tally) addItem(c *cursor, index int64) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	c.said = c.said[:0]
	said := map[string][]byte{}
	for c.enter(); c.more('}'); {
		name := c.name()
		c.kind()
		from := c.pos
		if c.saying = itemKind(name); c.saying == kinds {
			c.skip()
			continue
		}
		c.texts(name)
		said[string(name)] = c.data[from:c.pos]
	}
	t.showItem(said["content"], said["name"], said["arguments"])
	if t.counts {
		t.delivered.add(index, c.said)
	}
}

// itemKind is the kind of the texts in an item's member, and kinds where that holds nothing that
// the model wrote.
func itemKind(name []byte) kind {
	switch string(name) {
	case "content":
		return ofContent
	case "name", "arguments", "input", "code":
		return ofCalls
	case "summary":
		return ofReasoning
	}
	return kinds
}

// showItem adds an item to the preview: its text or, without text, its call.
func (t *tally) showItem(content, name, arguments []byte) {
	t.text.addContent(content)
	if t.text.limit > 0 && t.text.runes == 0 && name != nil {
		t.text.addCall(name, arguments)
	}
}

// hasObject reports whether a value is an array with an object in it.
func hasObject(value []byte) bool {
	c := cursor{data: value}
	if c.kind() != '[' {
		return false
	}
	for c.enter(); c.more(']'); {
		if c.kind() == '{' {
			return true
		}
		c.skip()
	}
	return false
}
