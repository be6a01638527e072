package provider

import (
	"bytes"
	"net/http"

	"ai-gateway/gateway"
)

// Stream reads one streamed answer as it passes, and removes the usage if only the gateway asked
// for it. It must be used by one goroutine.
type Stream struct {
	tally     tally
	events    sseReader
	dropUsage bool
	form      form
	body      collected // of an answer that is JSON, not events

	sent   int    // how many of the bytes that events keeps were forwarded: all or none
	out    []byte // what is forwarded instead of the piece
	cutEnd bool   // the bytes before the next piece are a dropped event that ended in CR
}

// NewStream reads a stream of events that answers a request. With dropUsage, the usage is removed
// from its event, because the client did not ask for it; an event with nothing else is dropped.
// ("usage":null stays in other chunks: clients ignore it, and removing it would mean rewriting
// every chunk.)
func (d OpenAI) NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) *Stream {
	s := &Stream{dropUsage: dropUsage, tally: newTally(i, p, preview{limit: d.Preview}), events: sseReader{memory: share{of: d.Memory}}}
	s.tally.counts, s.tally.delivered.memory = i.Endpoint != gateway.Passed, share{of: d.Memory}
	return s
}

// Next reads a piece of the stream, the last one if last. With same, the piece is to be forwarded
// as it is; otherwise out, which may be empty and holds until the next call. Nothing is held back
// while a choice is unfinished. Afterwards an unfinished event is held back as long as it may be
// the usage chunk.
//
// JSON instead of events passes unchanged, and is read at its end.
func (s *Stream) Next(piece []byte, last bool) (out []byte, same bool) {
	if s.form == unknownForm {
		s.form = formOf(piece)
	}
	if s.form == jsonForm {
		s.body.add(piece, &s.events.memory)
		return nil, true
	}
	kept := s.events.feed(piece)
	held := kept > s.sent
	s.out = emptied(s.out)
	cut := s.cutLF(piece)
	for {
		due := s.usageDue()
		e, ok := s.nextEvent(last)
		if !ok {
			break
		}
		s.read(e.data)
		cut = due && s.cut(e) || cut
	}
	hold := !last && s.holds()
	if same = !held && !cut && !hold; !same {
		out = s.forward(hold)
	}
	s.sent = s.events.keep()
	if hold {
		s.sent = 0
	}
	return out, same
}

// Uncounted is the number of bytes of text that Answer has to read, or whose tokens it has to
// count.
func (s *Stream) Uncounted() int { return s.tally.uncounted() + len(s.body.bytes) }

// Answer sums up what came so far. In haste, tokens that the provider did not report are estimated
// from the size of the text.
func (s *Stream) Answer(haste bool) gateway.Answer {
	if s.form != jsonForm {
		return s.tally.answer(haste)
	}
	dialect := OpenAI{Preview: s.tally.text.limit}
	a := dialect.NewAnswer(s.tally.intent, s.tally.prompt, http.StatusOK, s.body.bytes).Answer(haste)
	a.Partial = a.Partial || s.body.short
	if a.Partial && a.Source != gateway.FromProvider {
		a.Source = gateway.Estimated
	}
	return a
}

// Response is what has come of a response's id and state.
func (s *Stream) Response() gateway.ResponseWord { return s.tally.response }

// bytesPerTokenAtLeast is the size of tokens in text that is denser than plain English. It is low,
// so that an answer that must be stopped in time is not underestimated.
const bytesPerTokenAtLeast = 3

// Delivered estimates, rather too high than too low, how many tokens of the answer have come: those
// that the provider reported, and those of later texts by their size. It is fast.
func (s *Stream) Delivered() int64 {
	tokens := (s.tally.delivered.size + bytesPerTokenAtLeast - 1) / bytesPerTokenAtLeast
	if s.tally.believed {
		tokens += s.tally.usage().Completion
	}
	return tokens
}

// Close gives back what the stream has kept. Nothing is read after it.
func (s *Stream) Close() {
	s.events.memory.resize(0)
	s.tally.delivered.drop()
}

// Done reports whether the answer is complete: its end was announced, or every
// choice has finished. Some providers never announce the end.
func (s *Stream) Done() bool { return s.tally.complete || s.tally.choices.allFinished() }

// nextEvent returns the next event, at the stream's end an unfinished one, too.
func (s *Stream) nextEvent(last bool) (event, bool) {
	e, ok := s.events.next()
	if !ok && last {
		return s.events.last()
	}
	return e, ok
}

// read adds an event's data. Anything after the announced end is not part of the answer.
func (s *Stream) read(data []byte) {
	switch first := opening(data); {
	case s.tally.complete:
	case first == '{':
		s.tally.read(data)
	case first == '[':
		s.tally.complete = string(bytes.TrimSpace(data)) == "[DONE]"
	}
}

// usageDue reports whether the next event may have the usage to remove.
func (s *Stream) usageDue() bool { return s.dropUsage && s.tally.choices.allFinished() }

// cut removes the usage from an event, if it has one. Nothing of it was forwarded: whether the
// usage is due changes only between events, and what cannot become an object stays so.
func (s *Stream) cut(e event) bool {
	rest, changed := withoutUsage(e.data)
	if !changed {
		return false
	}
	s.out = append(s.out, s.events.buf[s.sent:e.start]...)
	if rest != nil {
		s.out = appendEvent(s.out, s.events.buf[e.start:e.end], rest)
	}
	s.sent = e.end
	s.cutEnd = rest == nil && s.events.afterCR
	return true
}

// cutLF drops the LF that follows the CR of a dropped event.
func (s *Stream) cutLF(piece []byte) bool {
	if !s.cutEnd || len(piece) == 0 {
		return false
	}
	s.cutEnd = false
	if piece[0] != '\n' {
		return false
	}
	s.sent = 1
	return true
}

// holds reports whether the unfinished event is to be held back.
func (s *Stream) holds() bool {
	return s.usageDue() && s.events.mayBecomeObject() && s.events.fits()
}

// forward returns what is to be forwarded but was not yet, without the unfinished
// event if that is held.
func (s *Stream) forward(hold bool) []byte {
	end := len(s.events.buf)
	if hold {
		end = s.events.start
	}
	s.out = append(s.out, s.events.buf[s.sent:end]...)
	return s.out
}
