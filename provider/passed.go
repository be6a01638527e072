package provider

import "ai-gateway/gateway"

// readPassedMember reads a member of an answer whose API is not known, or of an event of one, and
// reports whether it may have a usage or tell the end.
func (t *tally) readPassedMember(c *cursor, name []byte, e *typedEvent) bool {
	switch string(name) {
	case "type":
		return t.readType(c, e)
	case "response":
		t.readEnclosed(c)
	case "message":
		t.readMessageStart(c)
	case "choices":
		t.readChoices(c)
	case "x_groq":
		t.readGroq(c)
	default:
		return false
	}
	return true
}

// readEnclosed reads a response in an event.
func (t *tally) readEnclosed(c *cursor) {
	if c.kind() != '{' {
		c.skip()
		return
	}
	for c.enter(); c.more('}'); {
		switch string(c.name()) {
		case "usage":
			t.readUsage(c)
		case "error":
			t.readError(c)
		case "service_tier":
			t.readServiceTier(c)
		default:
			c.skip()
		}
	}
}

// addPassedEvent notes the end that an event tells.
func (t *tally) addPassedEvent(e *typedEvent) {
	switch string(e.kind) {
	case "message_stop", "response.completed", "response.incomplete":
		t.complete = true
	case "response.failed":
		t.complete = true
		t.fail(errorReader{})
	}
}

// passed reads a request whose API is not known. It has a model only if it is an object that names one.
func (r *requestReader) passed() (gateway.Request, error) {
	switch {
	case len(r.data) == 0:
	case r.kind() == '{':
		r.readPassed()
	default:
		r.skip()
	}
	r.end()
	r.seen.model = true // or it needs none
	if err := r.refused(); err != nil {
		return gateway.Request{}, err
	}
	r.request.PromptTokens, r.request.UsageWanted = min(int64(len(r.data))/bytesPerToken, gateway.MaxTokens), true
	return r.request, nil
}

func (r *requestReader) readPassed() {
	for r.enter(); r.more('}'); {
		r.kind()
		at := r.pos
		switch name := r.name(); {
		case r.isMember(name, "model", at, &r.seen.model) && r.kind() != 'n':
			r.readModel()
		case string(name) == "service_tier":
			r.request.ServiceTier = r.serviceTier()
		default:
			r.skip()
		}
	}
}
