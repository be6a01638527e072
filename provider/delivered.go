package provider

import "bytes"

// kind distinguishes the texts of a choice, whose pieces may alternate.
type kind uint8

const (
	ofContent kind = iota
	ofRefusal
	ofCalls // of tools
	ofReasoning
	ofRest // transcripts of audio
	kinds
)

// maxKept is how many bytes are kept of an answer's texts. It is more than the longest answer of
// most models; of a longer one an evenly spread sample is kept.
const maxKept = 256 << 10

// delivered keeps the texts of an answer's choices, to count their tokens if the provider reports
// none. While a stream runs they are only copied, so that no chunk waits for counting.
type delivered struct {
	choices []*[kinds]sampled
	size    int64        // of all texts, in bytes
	kept    int          // bytes
	stride  int64        // of each text, every stride-th window is kept; 0 is 1
	full    bool         // only sizes are added from now on
	other   bool         // some of the answer was not text
	scratch bytes.Buffer // memory for the next text
	memory  share        // beyond idleTexts
}

// idleTexts is how many bytes each stream's texts may have before they count against the shared
// memory.
const idleTexts = 16 << 10

// sampled is a text of which windows are kept.
type sampled struct {
	windows []byte
	size    int64 // bytes of the whole text
}

// deliver keeps the texts of a choice's delta or message, which c has passed.
func (t *tally) deliver(index int64, c *cursor) {
	if !t.counts {
		return
	}
	d := &t.delivered
	d.other = d.other || c.other
	d.add(index, c.said)
}

func (d *delivered) add(index int64, texts []said) {
	if len(texts) == 0 {
		return
	}
	choice := d.choice(index)
	for _, s := range texts {
		text := &choice[s.kind]
		d.scratch.Reset()
		if s.begins && text.size > 0 {
			d.scratch.WriteString(textEnd)
		}
		unescapeTo(&d.scratch, s.raw)
		d.keep(text, d.scratch.Bytes())
	}
	if d.scratch.Cap() > idleTexts {
		d.scratch = bytes.Buffer{}
	}
}

// keep adds to a text. What is kept does not depend on how the text was cut.
func (d *delivered) keep(text *sampled, more []byte) {
	d.stride = max(d.stride, 1)
	for len(more) > 0 {
		n := min(int64(len(more)), window-text.size%window)
		if text.size/window%d.stride == 0 && !d.full {
			if n = min(n, d.room(n)); n == 0 {
				d.thin()
				continue
			}
			text.add(more[:n])
			d.kept += int(n)
		}
		text.size += n
		d.size += n
		more = more[n:]
	}
}

// room returns how many of n bytes may be kept.
func (d *delivered) room(n int64) int64 {
	n = min(n, int64(maxKept-d.kept))
	if !d.memory.resize(max(int64(d.kept)+n-idleTexts, 0)) {
		return 0
	}
	return n
}

// thin drops every other window of all texts. If that hardly helps, because there are many short
// texts, nothing more is kept.
func (d *delivered) thin() {
	before := d.kept
	d.stride, d.kept = 2*d.stride, 0
	for _, choice := range d.choices {
		for k := range choice {
			choice[k].thin()
			d.kept += len(choice[k].windows)
		}
	}
	d.full = before-d.kept < before/4
	d.memory.resize(max(int64(d.kept)-idleTexts, 0))
}

// drop frees the texts.
func (d *delivered) drop() {
	d.memory.resize(0)
	*d = delivered{scratch: d.scratch, memory: d.memory}
}

func (s *sampled) add(more []byte) {
	if s.windows == nil {
		s.windows = make([]byte, 0, max(roomForText, len(more)))
	}
	s.windows = append(s.windows, more...)
}

func (s *sampled) thin() {
	kept := s.windows[:0]
	for at := 0; at < len(s.windows); at += 2 * window {
		kept = append(kept, s.windows[at:min(at+window, len(s.windows))]...)
	}
	s.windows = kept
}

// any reports whether there is a text.
func (d *delivered) any() bool { return d.kept > 0 || d.full }

// whole reports whether the texts are kept completely.
func (d *delivered) whole() bool { return d.stride <= 1 && !d.full }

// roomForText is how many bytes a text is given at first.
const roomForText = 512

// choice returns the texts of a choice. Those beyond maxChoices share theirs.
func (d *delivered) choice(index int64) *[kinds]sampled {
	if index < 0 || index > maxChoices {
		index = maxChoices
	}
	for int64(len(d.choices)) <= index {
		d.choices = append(d.choices, new([kinds]sampled))
	}
	return d.choices[index]
}

// count returns the tokens of the texts.
func (d *delivered) count(c counter) int64 {
	var all bytes.Buffer
	var size int64
	for _, choice := range d.choices {
		for k := range choice {
			if text := &choice[k]; text.size > 0 {
				all.Write(text.windows)
				all.WriteString(textEnd)
				size += text.size
			}
		}
	}
	return scaled(c.count(all.String()), size, int64(d.kept))
}
