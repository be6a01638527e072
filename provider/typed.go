package provider

import (
	"bytes"

	"ai-gateway/gateway"
)

// typedEvent is the content of an event with a "type", without its usage. The type may come last,
// so the members are combined after all were read. The slices are JSON values, nil where absent.
type typedEvent struct {
	kind      []byte // the string of its type, without quotes
	index     int64  // of the part of the answer that it adds to
	delta     []byte
	item      []byte // of a response: a new part of its output; of a message: a new block
	output    []byte // all of it
	repeated  bool   // the output has come in pieces before
	believed  bool   // its usage is believed
	succeeded bool   // the answer ended without a failure
}

func (t *tally) addEvent(e *typedEvent) {
	switch {
	case t.intent.Endpoint.IsFree() && !t.fetches():
	case t.intent.Endpoint == gateway.Passed:
		t.addPassedEvent(e)
	case t.isMessage():
		t.addMessageEvent(e)
	default:
		t.addResponseEvent(e)
	}
}

// fetches reports whether the answer is a response that was made before.
func (t *tally) fetches() bool {
	return t.intent.Endpoint == gateway.FetchResponse || t.intent.Endpoint == gateway.CancelResponse
}

// rawString is the inside of a JSON string, still escaped; nil of any other value.
func rawString(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return bytes.TrimSuffix(value[1:], []byte{'"'})
}

// isObject reports whether a value is an object.
func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// deliverText keeps a text of a part of the answer.
func (t *tally) deliverText(index int64, s said) {
	if t.counts && len(s.raw) > 0 {
		t.delivered.add(index, []said{s})
	}
}

// show adds a text to the preview.
func (t *tally) show(raw []byte) {
	if t.text.limit > 0 && !t.text.cut {
		t.text.add(raw)
	}
}
