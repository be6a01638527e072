package extproc

import (
	"bytes"
	"strings"
)

// masker hides backends' keys in providers' answers, because some quote the key that they refuse.
// It replaces keys with asterisks of the same length, so that lengths do not change. It recognises
// a key verbatim, escaped for JSON or a URL, split between pieces, and cut off after its beginning.
type masker []*maskedKey

// maskedKey is one key, and the part of it that may be at the end of the last piece.
type maskedKey struct {
	key         string
	head        []byte // of the key, which no encoding changes; empty if there is none
	identifying int    // leading characters that identify the key: more than a prefix such as "sk-proj-"
	tail        []byte // end of earlier pieces, if it may be the beginning of the key
}

const (
	// shortestKey is the shortest key that is hidden: words may look like shorter ones.
	shortestKey = 8
	// longestPrefix is the length of the longest prefix that a provider gives to all its keys.
	longestPrefix = 16
	// secretPart is the number of characters after the prefix that identify the key.
	secretPart = 6
	headSize   = 4
)

func newMasker(keys ...string) masker {
	var m masker
	for _, key := range keys {
		if len(key) < shortestKey {
			continue
		}
		k := &maskedKey{key: key, identifying: strings.LastIndexAny(key[:min(len(key), longestPrefix)], "-_") + 1 + secretPart}
		k.identifying = min(k.identifying, len(key))
		if n := min(headSize, len(key)); !strings.ContainsFunc(key[:n], isEscaped) {
			k.head = []byte(key[:n])
		}
		m = append(m, k)
	}
	return m
}

// isEscaped reports whether some encoders write a character of a key in another way.
func isEscaped(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
}

// hide returns a piece without keys: the piece itself, or a copy if there is something to hide.
func (m masker) hide(piece []byte) (out []byte, changed bool) {
	out = piece
	for _, k := range m {
		for _, found := range k.find(piece) {
			if !changed {
				out, changed = bytes.Clone(piece), true
			}
			for i := found.from; i < found.to; i++ {
				out[i] = '*'
			}
		}
	}
	return out, changed
}

// hideIn returns a text without keys.
func (m masker) hideIn(text string) string {
	out, _ := m.hide([]byte(text))
	return string(out)
}

// part is a range of a piece.
type part struct{ from, to int }

// find returns where the key is in a piece, and remembers a beginning that the next piece may
// continue.
func (k *maskedKey) find(piece []byte) (all []part) {
	text, before := piece, len(k.tail)
	if before > 0 {
		text = append(k.tail, piece...)
	}
	k.tail = nil
	for at := k.candidate(text, 0); at < len(text); at = k.candidate(text, at) {
		size, matched, open := k.match(text[at:])
		if matched >= k.identifying && at+size > before {
			all = append(all, part{max(at-before, 0), at + size - before})
		}
		if open {
			k.tail = bytes.Clone(text[at:])
			return all
		}
		if matched < k.identifying {
			size = 1
		}
		at += size
	}
	return all
}

// candidate returns the next place where the key may begin, or the text's length.
func (k *maskedKey) candidate(text []byte, from int) int {
	if len(k.head) == 0 {
		return from
	}
	if i := bytes.Index(text[from:], k.head); i >= 0 {
		return from + i
	}
	for at := max(from, len(text)-len(k.head)+1); at < len(text); at++ {
		if bytes.HasPrefix(k.head, text[at:]) {
			return at
		}
	}
	return len(text)
}

// match returns how many bytes of a text are characters of the key from its beginning on, how
// many characters these are, and whether the text ends before the key does.
func (k *maskedKey) match(text []byte) (size, matched int, open bool) {
	for matched < len(k.key) {
		n, open := character(text[size:], k.key[matched])
		if open {
			return len(text), matched, true
		}
		if n == 0 {
			return size, matched, false
		}
		size += n
		matched++
	}
	return size, matched, false
}

// character returns how many bytes at the beginning of a text stand for a character: itself,
// \c, \u00hh or %hh; 0 for none. It is open where the text may end within them.
func character(text []byte, c byte) (size int, open bool) {
	const hex = "0123456789abcdef"
	switch {
	case len(text) == 0:
		return 0, true
	case text[0] == c:
		return 1, false
	case text[0] == '\\' && (c == '/' || c == '"') && len(text) > 1 && text[1] == c:
		return 2, false
	case text[0] == '\\':
		return escape(text, `\u00`+string([]byte{hex[c>>4], hex[c&15]}))
	case text[0] == '%':
		return escape(text, "%"+string([]byte{hex[c>>4], hex[c&15]}))
	}
	return 0, false
}

// escape compares the beginning of a text with an escape, whose digits may be of any case.
func escape(text []byte, want string) (size int, open bool) {
	n := min(len(text), len(want))
	if !strings.EqualFold(string(text[:n]), want[:n]) {
		return 0, false
	}
	if n < len(want) {
		return 0, true
	}
	return n, false
}
