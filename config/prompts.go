package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// PromptMode says how much of prompts and answers is kept.
type PromptMode uint8

// The modes of the prompt log.
const (
	PromptsOff PromptMode = iota
	PromptPreviews
	FullPrompts
)

// String returns the name used in the configuration.
func (m PromptMode) String() string { return [...]string{"off", "preview", "full"}[m] }

// PromptLog says how much of prompts and answers is kept, and for how long.
type PromptLog struct {
	Mode   PromptMode
	Redact []Expression  // whose matches are replaced
	Keep   time.Duration // 0 keeps them
}

// Expression is a regular expression. Expressions with the same text are equal.
type Expression struct{ *regexp.Regexp }

// Equal reports whether another expression has the same text.
func (e Expression) Equal(other Expression) bool { return e.String() == other.String() }

const (
	previewRunes = 500
	fullRunes    = 32_768
	// margin is how many more characters are searched than kept, so that a secret is
	// recognised although it is cut.
	margin   = 16_384
	redacted = "[redacted]"
)

// Runes is how many runes of a text are kept.
func (p PromptLog) Runes() int {
	return [...]int{PromptsOff: 0, PromptPreviews: previewRunes, FullPrompts: fullRunes}[p.Mode]
}

// Look is how many runes of a text Clean needs.
func (p PromptLog) Look() int {
	if p.Mode == PromptsOff {
		return 0
	}
	if len(p.Redact) == 0 {
		return p.Runes()
	}
	return p.Runes() + margin
}

// Clean redacts a text of Look runes and cuts it to Runes. Nothing after the first Runes of
// the original text is kept: where a replacement shortens the text, what moves up may be half
// of another secret.
func (p PromptLog) Clean(text string) string {
	if len(p.Redact) == 0 {
		return text
	}
	end := runes(text, p.Runes())
	var clean strings.Builder
	at := 0
	for _, m := range p.matches(text) {
		if m[0] >= end {
			break
		}
		if m[1] <= at {
			continue // it lies in another one
		}
		clean.WriteString(text[at:max(m[0], at)])
		if m[0] >= at {
			clean.WriteString(redacted)
		}
		at = m[1]
	}
	clean.WriteString(text[at:max(end, at)])
	kept := clean.String()
	if cut := runes(kept, p.Runes()); cut < len(kept) {
		return kept[:cut] + "…"
	}
	if max(end, at) < len(text) {
		return kept + "…"
	}
	return kept
}

// matches returns where secrets begin and end, in order, the longest first of those that
// begin at the same place.
func (p PromptLog) matches(text string) [][]int {
	var all [][]int
	for _, expression := range p.Redact {
		all = append(all, expression.FindAllStringIndex(text, -1)...)
	}
	slices.SortFunc(all, func(a, b []int) int { return cmp.Or(a[0]-b[0], b[1]-a[1]) })
	return all
}

// runes returns the number of bytes of a text's first n runes.
func runes(text string, n int) int {
	end := 0
	for ; n > 0 && end < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return end
}
