package provider

import "strings"

// kind tells the texts of a choice apart that are told in turns.
type kind uint8

const (
	ofContent kind = iota
	ofRefusal
	ofCalls // of tools
	ofReasoning
	ofRest // what sound says
	kinds
)

// maxHeld is how many bytes a stream's texts may have before they are counted. It is
// more than the longest answer of most models.
const maxHeld = 256 << 10

// delivered are the texts of an answer's choices, kept to be counted should the
// provider not tell their tokens.
type delivered struct {
	choices []*[kinds]strings.Builder
	held    int   // at most so many bytes are kept
	counted int64 // tokens of texts that are kept no more
	other   bool  // there was more than text
}

// deliver keeps the texts of a choice's delta or message, which c has passed.
func (t *tally) deliver(index int64, c *cursor) {
	if !t.counts {
		return
	}
	d := &t.delivered
	d.other = d.other || c.other
	d.add(index, c.said)
	if d.held > maxHeld && !t.whole {
		e, _ := encodingOf(t.intent)
		d.drain(e)
	}
}

func (d *delivered) add(index int64, texts []said) {
	if len(texts) == 0 {
		return
	}
	choice := d.choice(index)
	for _, s := range texts {
		b := &choice[s.kind]
		if b.Cap() == 0 {
			b.Grow(roomForText)
		}
		if s.begins && b.Len() > 0 {
			b.WriteString(textEnd)
		}
		unescapeTo(b, s.raw)
		d.held += len(s.raw)
	}
}

// any reports whether there is a text.
func (d *delivered) any() bool { return d.held > 0 || d.counted > 0 }

// roomForText is how many bytes a text is given at first.
const roomForText = 512

// choice returns the texts of a choice. Those beyond maxChoices share theirs.
func (d *delivered) choice(index int64) *[kinds]strings.Builder {
	if index < 0 || index > maxChoices {
		index = maxChoices
	}
	for int64(len(d.choices)) <= index {
		d.choices = append(d.choices, new([kinds]strings.Builder))
	}
	return d.choices[index]
}

// drain counts the texts, but for a rest of each that may go on in the next delta.
func (d *delivered) drain(e encoding) {
	var texts []string
	d.held = 0
	for _, choice := range d.choices {
		for k := range choice {
			text := choice[k].String()
			if text == "" {
				continue
			}
			at := cut(text, len(text)-1)
			texts = append(texts, text[:at])
			choice[k].Reset()
			choice[k].WriteString(text[at:])
			d.held += len(text) - at
		}
	}
	d.counted += e.count(strings.Join(texts, textEnd))
}

// count returns the tokens of the texts.
func (d *delivered) count(e encoding) int64 {
	var texts []string
	for _, choice := range d.choices {
		for k := range choice {
			if text := choice[k].String(); text != "" {
				texts = append(texts, text)
			}
		}
	}
	return d.counted + e.count(strings.Join(texts, textEnd))
}
