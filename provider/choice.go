package provider

// choices remembers which of an answer's choices were seen and which have finished.
type choices struct {
	seen, finished [maxChoices / 64]uint64
	beyond         bool // an index that is not remembered was seen
}

// maxChoices is more than any provider's largest "n", which is 128.
const maxChoices = 256

// note remembers a choice.
func (s *choices) note(index int64, finished bool) {
	if index < 0 || index >= maxChoices {
		s.beyond = true
		return
	}
	bit := uint64(1) << (index % 64)
	s.seen[index/64] |= bit
	if finished {
		s.finished[index/64] |= bit
	}
}

// allFinished reports whether choices were seen and each has finished.
func (s *choices) allFinished() bool {
	return !s.beyond && s.seen == s.finished && s.seen != [maxChoices / 64]uint64{}
}

// choice is one element of "choices". The slices are JSON values, nil where absent.
type choice struct {
	index                   int64
	finished                bool
	reasoned                bool
	content, text, refusal  []byte
	toolCalls, functionCall []byte
}

func (t *tally) readChoices(c *cursor) {
	if c.kind() != '[' {
		c.skip()
		return
	}
	for c.enter(); c.more(']'); {
		t.readChoice(c)
	}
}

func (t *tally) readChoice(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	var ch choice
	c.said = c.said[:0]
	for c.enter(); c.more('}'); {
		t.readChoiceMember(c, &ch)
	}
	t.answered = true
	t.choices.note(ch.index, ch.finished)
	t.deliver(ch.index, c)
	if t.text.limit > 0 && !t.text.cut && ch.index == 0 {
		t.preview(&ch)
	}
}

// readChoiceMember reads a member of a choice. Moonshot has the usage there, OpenRouter errors.
func (t *tally) readChoiceMember(c *cursor, ch *choice) {
	switch string(c.name()) {
	case "usage":
		believed := t.readUsage(c)
		t.inChoice = t.inChoice || believed
	case "error":
		t.readError(c)
	case "index":
		ch.index, _ = c.integer()
	case "delta", "message":
		ch.readMessage(c)
	case "text":
		ch.text = ch.pass(c, []byte("text"), ofContent)
	case "finish_reason":
		// Some servers write "" where others write null.
		reason := c.value()
		ch.finished = len(reason) > len(`""`) && reason[0] == '"'
		if string(reason) == `"error"` {
			t.fail(errorReader{})
		}
	default:
		c.skip()
	}
}

// readMessage reads a whole message or a delta of one.
func (ch *choice) readMessage(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		switch name := c.name(); string(name) {
		case "content":
			ch.content = ch.pass(c, name, ofContent)
		case "refusal":
			ch.refusal = ch.pass(c, name, ofRefusal)
		case "tool_calls":
			ch.toolCalls = ch.pass(c, name, ofCalls)
		case "function_call":
			ch.functionCall = ch.pass(c, name, ofCalls)
		default:
			ch.pass(c, name, kindOf(name))
		}
	}
}

func kindOf(name []byte) kind {
	if namesReasoning(name) {
		return ofReasoning
	}
	return ofRest
}

// pass passes the value of a message's member, adds its texts, which are of a kind, and
// returns its bytes.
func (ch *choice) pass(c *cursor, name []byte, k kind) []byte {
	c.kind()
	from, had := c.pos, len(c.said)
	c.saying = k
	c.texts(name)
	if k == ofReasoning {
		ch.reasonOnce(c, had)
	}
	return c.data[from:c.pos]
}

// reasonOnce drops reasoning that was just added if there already was some: providers send the same
// text under several names.
func (ch *choice) reasonOnce(c *cursor, had int) {
	if ch.reasoned {
		c.said = c.said[:had]
	}
	for _, s := range c.said[had:] {
		ch.reasoned = ch.reasoned || len(s.raw) > 0
	}
}

// preview adds the text of a choice to the preview. A stream adds its content only: the deltas of a
// tool call are not readable on their own.
func (t *tally) preview(ch *choice) {
	if !t.whole {
		t.text.addContent(ch.content)
		t.text.addContent(ch.text)
		return
	}
	for _, content := range [...][]byte{ch.content, ch.text, ch.refusal} {
		if t.text.runes == 0 {
			t.text.addContent(content)
		}
	}
	if t.text.runes == 0 {
		t.text.addCalls(ch.toolCalls)
		t.text.addCalls(ch.functionCall)
	}
}

// addCalls appends the functions of tool calls, or the older single function call.
func (p *preview) addCalls(value []byte) {
	c := cursor{data: value}
	switch c.kind() {
	case '{':
		p.addFunction(&c)
	case '[':
		for c.enter(); c.more(']'); {
			p.addToolCall(&c)
		}
	}
}

// addToolCall appends the function of the tool call at the cursor.
func (p *preview) addToolCall(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		if string(c.name()) == "function" && c.kind() == '{' {
			p.addFunction(c)
			continue
		}
		c.skip()
	}
}

// addFunction appends the object {"name", "arguments"} at the cursor on a line of its
// own, as name(arguments).
func (p *preview) addFunction(c *cursor) {
	var name, arguments []byte
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "name":
			name = c.value()
		case "arguments":
			arguments = c.value()
		default:
			c.skip()
		}
	}
	p.addCall(name, arguments)
}

// addCall appends a call on a line of its own, as name(arguments). The arguments are an object, or
// a string that holds one.
func (p *preview) addCall(name, arguments []byte) {
	p.newLine()
	p.addContent(name)
	p.addRune('(')
	if isObject(arguments) {
		p.add(arguments)
	} else {
		p.addContent(arguments)
	}
	p.addRune(')')
}
