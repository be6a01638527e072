package envoy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Marks surround every addition to a file, so that it can be removed even after the rest of the
// file has changed. An addition within a line, to a list in brackets, has its own line breaks and
// different marks.
const (
	beginMark       = "# ai-gateway attach: begin"
	endMark         = "# ai-gateway attach: end"
	beginInlineMark = "# ai-gateway attach: begin within a line"
	endInlineMark   = "# ai-gateway attach: end within a line"
)

// insertion is text that is added at a place of a file.
type insertion struct {
	at     int      // offset in the file: of a line, or of a place within one
	inline bool     // it is a place within a line
	indent int      // of the lines
	lines  []string // without line breaks
}

// insert adds all insertions. Those of one place become one, in their order.
func insert(text []byte, all []insertion) []byte {
	slices.SortStableFunc(all, func(a, b insertion) int { return a.at - b.at })
	eol := lineBreak(text)
	var out bytes.Buffer
	done := 0
	for i := 0; i < len(all); {
		here := all[i]
		for i++; i < len(all) && all[i].at == here.at && all[i].inline == here.inline; i++ {
			here.lines = append(here.lines, all[i].lines...)
		}
		out.Write(text[done:here.at])
		here.write(&out, eol)
		done = here.at
	}
	out.Write(text[done:])
	return out.Bytes()
}

func (i insertion) write(out *bytes.Buffer, eol string) {
	begin, end := beginMark, endMark
	if i.inline {
		begin, end = beginInlineMark, endInlineMark
		out.WriteString(eol)
	}
	indent := strings.Repeat(" ", i.indent)
	for _, line := range append(append([]string{begin}, i.lines...), end) {
		if line != "" {
			out.WriteString(indent + line)
		}
		out.WriteString(eol)
	}
}

// lineBreak is how a file's first line ends.
func lineBreak(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// Marked reports the first line that has a mark, from 1 on; 0 for none.
func Marked(text []byte) int {
	for n, line := range bytes.Split(text, []byte("\n")) {
		if markOf(line) != "" {
			return n + 1
		}
	}
	return 0
}

// markOf is the mark that a line consists of; "" if it is another line.
func markOf(line []byte) string {
	trimmed := string(bytes.TrimSpace(line))
	if strings.HasPrefix(trimmed, "# ai-gateway attach: ") {
		return trimmed
	}
	return ""
}

// Detach removes what Attach has added. From an unchanged file it restores the exact bytes that
// Attach was given.
func Detach(text []byte) ([]byte, error) {
	var out []byte
	begun := ""
	lines := bytes.SplitAfter(text, []byte("\n"))
	for n, line := range lines {
		mark := markOf(line)
		switch {
		case mark == "" && begun == "":
			out = append(out, line...)
		case mark == "":
		case begun == "" && (mark == beginMark || mark == beginInlineMark):
			begun = mark
			if mark == beginInlineMark {
				out = bytes.TrimSuffix(bytes.TrimSuffix(out, []byte("\n")), []byte("\r"))
			}
		case begun == beginMark && mark == endMark, begun == beginInlineMark && mark == endInlineMark:
			begun = ""
		default:
			return nil, fmt.Errorf("line %d: the mark %q stands where another is expected: restore the marks, or take out by hand what was added", n+1, mark)
		}
	}
	if begun != "" {
		return nil, fmt.Errorf("the mark %q has no end: restore the marks, or take out by hand what was added", begun)
	}
	return out, nil
}
