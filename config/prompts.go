package config

import (
	"regexp"
	"time"
	"unicode/utf8"
)

// PromptMode says what is kept of prompts and answers.
type PromptMode uint8

// The modes of the prompt log.
const (
	PromptsOff PromptMode = iota
	PromptPreviews
	FullPrompts
)

// String returns the name used in the configuration.
func (m PromptMode) String() string { return [...]string{"off", "preview", "full"}[m] }

// PromptLog says what is kept of prompts and answers, and for how long.
type PromptLog struct {
	Mode   PromptMode
	Redact []Expression  // what they match is replaced
	Keep   time.Duration // 0 keeps them
}

// Expression is a regular expression. Two are equal that are written alike.
type Expression struct{ *regexp.Regexp }

// Equal reports whether another one is written alike.
func (e Expression) Equal(other Expression) bool { return e.String() == other.String() }

const (
	previewRunes = 500
	fullRunes    = 32_768
	// margin is how much more is looked at than is kept, so that what is to be redacted is
	// found although it is cut.
	margin   = 1024
	redacted = "[redacted]"
)

// Runes is how many of a text's runes are kept.
func (p PromptLog) Runes() int {
	return [...]int{PromptsOff: 0, PromptPreviews: previewRunes, FullPrompts: fullRunes}[p.Mode]
}

// Look is how many runes Clean wants of a text.
func (p PromptLog) Look() int {
	if p.Mode == PromptsOff {
		return 0
	}
	if len(p.Redact) == 0 {
		return p.Runes()
	}
	return p.Runes() + margin
}

// Clean replaces what is to be redacted in a text of Look runes, and cuts it to Runes.
func (p PromptLog) Clean(text string) string {
	if len(p.Redact) == 0 {
		return text
	}
	for _, expression := range p.Redact {
		text = expression.ReplaceAllLiteralString(text, redacted)
	}
	if utf8.RuneCountInString(text) <= p.Runes() {
		return text
	}
	end := 0
	for range p.Runes() {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return text[:end] + "…"
}
