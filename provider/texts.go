package provider

import (
	"bytes"
	"strings"
)

// said is a text in a body.
type said struct {
	raw    []byte // of its string
	kind   kind
	begins bool // it is the name of a tool, with which a call begins
	colon  bool // it follows after a colon
}

// texts passes the value of a member and adds the texts that it holds: strings that are text by the
// name of their member at any depth. Roles, ids and the base64 of images, sounds and files are not
// text. It returns how many bytes they have, unescaped.
func (c *cursor) texts(name []byte) (bytes int64) {
	switch b := c.kind(); b {
	case '"':
		raw, size := c.str()
		if !namesText(name) {
			c.other = c.other || namesOther(name)
			return 0
		}
		c.said = append(c.said, said{raw: raw, kind: c.saying, begins: string(name) == "name"})
		return size
	case '{':
		c.other = c.other || namesOther(name)
		if string(name) == "input" { // of a tool
			raw := c.value()
			c.said = append(c.said, said{raw: raw, kind: c.saying})
			return int64(len(raw))
		}
		for c.enter(); c.more('}'); {
			bytes += c.texts(c.name())
		}
	case '[':
		for c.enter(); c.more(']'); {
			bytes += c.texts(name)
		}
	default:
		c.scalar(b)
	}
	return bytes
}

// namesOther reports whether a member of that name holds something other than text.
func namesOther(name []byte) bool {
	switch string(name) {
	case "image_url", "input_audio", "audio", "file", "video_url", "source":
		return true
	}
	return false
}

// namesText reports whether a message's or delta's member of that name holds text
// that a model reads or writes.
func namesText(name []byte) bool {
	switch string(name) {
	case "content", "text", "refusal", "name", "arguments", "input", "transcript":
		return true
	}
	return namesReasoning(name)
}

// namesReasoning reports whether a member holds reasoning, which has several names: reasoning,
// reasoning_content, reasoning_details, thinking, thinking_blocks.
func namesReasoning(name []byte) bool {
	return bytes.HasPrefix(name, []byte("reasoning")) || bytes.HasPrefix(name, []byte("thinking"))
}

// joined are texts in one string.
func joined(texts []said) string {
	size := 0
	for _, s := range texts {
		size += len(s.raw) + 2
	}
	var b strings.Builder
	b.Grow(size)
	for _, s := range texts {
		if s.colon {
			b.WriteByte(':')
		}
		unescapeTo(&b, s.raw)
		b.WriteString(textEnd)
	}
	return b.String()
}

// textBuffer is a strings.Builder or a bytes.Buffer.
type textBuffer interface {
	Write([]byte) (int, error)
	WriteRune(rune) (int, error)
}

// unescapeTo appends a string's raw bytes, unescaped.
func unescapeTo(b textBuffer, raw []byte) {
	for {
		escape := bytes.IndexByte(raw, '\\')
		if escape < 0 {
			_, _ = b.Write(raw) // it cannot fail
			return
		}
		_, _ = b.Write(raw[:escape])
		r, length := decodeRune(raw[escape:])
		_, _ = b.WriteRune(r)
		raw = raw[escape+length:]
	}
}
