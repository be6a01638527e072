package provider

import "bytes"

// maxEvent is the largest event that is read. A larger one passes unread.
const maxEvent = 10 << 20

// idleMemory is how much memory a stream keeps between its events.
const idleMemory = 64 << 10

const byteOrderMark = "\xEF\xBB\xBF"

// sseReader finds the events in a stream's bytes, which may be split anywhere. It
// looks at each byte once and keeps only the unfinished event. Offsets count from
// the start of buf.
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
type sseReader struct {
	buf    []byte // the unfinished event's bytes of earlier pieces, then the piece
	own    []byte // those of earlier pieces, in memory of the reader's own
	start  int    // of the unfinished event
	line   int    // start of its unfinished line
	pos    int    // the first byte not looked at
	lf, cr int    // the next of each from pos on, or len(buf); before pos: not known

	dataFrom, dataTo int    // the value of the event's first data line
	dataLines        int    // how many there are
	joined           []byte // the values of all of them, if there are more than one

	afterCR bool // a line ended in the last byte looked at: an LF that follows belongs to it
	begun   bool // the first line, which may have a byte order mark, is over
	tooLong bool // the unfinished event is over maxEvent: one byte of its last line is kept

	memory share // beyond idleMemory
}

// event is a finished event: buf[start:end] with its blank line, and its data.
type event struct {
	start, end int
	data       []byte // empty if it has none or is over maxEvent
}

// feed takes the next piece, which must stay as it is until keep. It returns how many
// bytes of earlier pieces stand before it.
func (r *sseReader) feed(piece []byte) (kept int) {
	kept = len(r.own)
	r.buf = piece
	if kept > 0 {
		r.own = append(r.own, piece...)
		r.buf = r.own
	}
	r.pos, r.lf, r.cr = kept, -1, -1
	if r.afterCR && len(piece) > 0 {
		r.afterCR = false
		r.passLF()
	}
	return kept
}

// passLF passes an LF at pos that belongs to the CR before it.
func (r *sseReader) passLF() {
	if r.buf[r.pos] != '\n' {
		return
	}
	if r.start == r.pos {
		r.start++
	}
	r.pos++
	r.line = r.pos
}

// next returns the next event that ends in buf.
func (r *sseReader) next() (event, bool) {
	for {
		from, to, ok := r.nextLine()
		if !ok {
			return event{}, false
		}
		if from == to {
			return r.finish(r.line, r.pos), true
		}
		r.field(from, to)
		r.line = r.pos
	}
}

// last returns the event that the stream's end leaves unfinished. A browser would
// forget it, but the usage may be in it.
func (r *sseReader) last() (event, bool) {
	if r.line < len(r.buf) {
		r.field(r.line, len(r.buf))
	}
	if r.dataLines == 0 {
		return event{}, false
	}
	return r.finish(len(r.buf), len(r.buf)), true
}

// nextLine passes the unfinished line with its end, if that is in buf, and returns
// where the line's text is. CR, LF and CR LF end lines.
func (r *sseReader) nextLine() (from, to int, ok bool) {
	to = r.lineEnd()
	if to == len(r.buf) {
		r.pos = to
		return 0, 0, false
	}
	r.pos = to + 1
	if r.buf[to] == '\r' {
		r.afterCR = r.pos == len(r.buf)
		if !r.afterCR && r.buf[r.pos] == '\n' {
			r.pos++
		}
	}
	from = r.line
	if !r.begun {
		r.begun = true
		from += len(r.buf[from:to]) - len(bytes.TrimPrefix(r.buf[from:to], []byte(byteOrderMark)))
	}
	return from, to, true
}

// lineEnd returns the offset of the next CR or LF, or len(buf).
func (r *sseReader) lineEnd() int {
	if r.lf < r.pos {
		r.lf = indexFrom(r.buf, r.pos, '\n')
	}
	if r.cr < r.pos {
		r.cr = indexFrom(r.buf, r.pos, '\r')
	}
	return min(r.lf, r.cr)
}

func indexFrom(b []byte, from int, c byte) int {
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return len(b)
}

// field reads the line buf[from:to]. Only data is of interest.
func (r *sseReader) field(from, to int) {
	offset, ok := dataOffset(r.buf[from:to])
	if !ok || r.tooLong || to-r.start > maxEvent {
		return
	}
	r.dataLines++
	if r.dataLines == 1 {
		r.dataFrom, r.dataTo = from+offset, to
		return
	}
	if r.dataLines == 2 {
		r.joined = append(r.joined[:0], r.buf[r.dataFrom:r.dataTo]...)
	}
	r.joined = append(append(r.joined, '\n'), r.buf[from+offset:to]...)
}

// dataOffset returns where the value begins in a line that is a data field.
func dataOffset(line []byte) (offset int, ok bool) {
	const name = "data"
	switch {
	case !bytes.HasPrefix(line, []byte(name)):
		return 0, false
	case len(line) == len(name):
		return len(name), true
	case line[len(name)] != ':':
		return 0, false
	case len(line) > len(name)+1 && line[len(name)+1] == ' ':
		return len(name) + 2, true
	}
	return len(name) + 1, true
}

// data returns the unfinished event's data so far.
func (r *sseReader) data() []byte {
	switch r.dataLines {
	case 0:
		return nil
	case 1:
		return r.buf[r.dataFrom:r.dataTo]
	}
	return r.joined
}

// mayBecomeObject reports whether there is an unfinished event whose data can still
// turn out to be a JSON object.
func (r *sseReader) mayBecomeObject() bool {
	rest := len(r.buf) - r.start
	if rest == 0 || rest > maxEvent || r.tooLong {
		return false
	}
	first := opening(r.data())
	if offset, ok := dataOffset(r.buf[r.line:]); ok && first == 0 {
		first = opening(r.buf[r.line+offset:])
	}
	return first == 0 || first == '{'
}

// opening returns the first byte of data that is not white space, or 0 if there is none yet. White
// space beyond maxPadding counts as content, so that it is not read again with every piece.
func opening(data []byte) byte {
	for i, b := range data {
		if i == maxPadding || b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return b
		}
	}
	return 0
}

// maxPadding is how much white space may stand before an event's data.
const maxPadding = 16

// finish ends the unfinished event, whose fields end at to, its blank line at end.
func (r *sseReader) finish(to, end int) event {
	e := event{start: r.start, end: end}
	if !r.tooLong && to-r.start <= maxEvent {
		e.data = r.data()
	}
	r.start, r.line = end, end
	r.dataLines, r.tooLong = 0, false
	return e
}

// keep moves the unfinished event into memory of the reader's own and returns how
// many bytes of it are kept: all, or at most one of an event that is over maxEvent.
func (r *sseReader) keep() int {
	if r.tooLong || len(r.buf)-r.start > maxEvent || !r.fits() {
		r.forget()
		r.fits()
	}
	if r.start > 0 || len(r.own) == 0 {
		r.own = append(r.own[:0], r.buf[r.start:]...)
	}
	r.line -= r.start
	r.dataFrom -= r.start
	r.dataTo -= r.start
	r.start = 0
	r.buf = nil
	if len(r.own) == 0 {
		r.own, r.joined = emptied(r.own), emptied(r.joined)
	}
	return len(r.own)
}

// fits takes the memory that the unfinished event needs, and reports whether it could.
func (r *sseReader) fits() bool {
	return r.memory.resize(int64(max(0, len(r.buf)-r.start+len(r.joined)-idleMemory)))
}

// forget drops the unfinished event except for a byte of its unfinished line, which shows that the
// line is not blank.
func (r *sseReader) forget() {
	r.tooLong, r.dataLines, r.begun = true, 0, true
	r.start = len(r.buf) - min(1, len(r.buf)-r.line)
	r.line = r.start
	r.own, r.joined = nil, nil
}

// emptied returns b without content and gives back the memory that a large event took.
func emptied(b []byte) []byte {
	if cap(b) > idleMemory {
		return nil
	}
	return b[:0]
}
