package config

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatIsToBeRedactedIsSoAlsoWhereTheTextIsCut(t *testing.T) {
	p := PromptLog{Mode: PromptPreviews, Redact: []Expression{{regexp.MustCompile(`sk-[a-z0-9]{20}`)}, {regexp.MustCompile(`\d{4} \d{4}`)}}}
	for offset := range 40 {
		text := strings.Repeat("é", previewRunes-offset) + "sk-abcdefghij0123456789" + " 1234 5678 " + strings.Repeat("x", margin)
		text = string([]rune(text)[:p.Look()])
		got := p.Clean(text)
		if strings.Contains(got, "sk-a") || strings.Contains(got, "1234") || utf8.RuneCountInString(got) > previewRunes+1 {
			t.Fatalf("offset %d: %q", offset, got[len(got)-60:])
		}
	}
	if got := p.Clean("my key is sk-abcdefghij0123456789."); got != "my key is [redacted]." {
		t.Errorf("%q", got)
	}
}

func TestWithoutRulesATextIsAsItCame(t *testing.T) {
	for mode, want := range map[PromptMode]int{PromptsOff: 0, PromptPreviews: previewRunes, FullPrompts: fullRunes} {
		p := PromptLog{Mode: mode}
		if p.Look() != want || p.Runes() != want || p.Clean("sk-1") != "sk-1" {
			t.Errorf("%s: looks at %d, keeps %d", mode, p.Look(), p.Runes())
		}
	}
}

func TestWhatIsRedactedBringsNothingUpThatIsCut(t *testing.T) {
	p := PromptLog{Mode: PromptPreviews, Redact: []Expression{{regexp.MustCompile(`sk-[a-z0-9]{48}`)}, {regexp.MustCompile(`(?s)-----BEGIN KEY-----.*?-----END KEY-----`)}}}
	for _, text := range []string{
		strings.Repeat("sk-"+strings.Repeat("abcdef", 8)+" ", 1000),
		"key: -----BEGIN KEY-----\n" + strings.Repeat("abcdefghijklmnopqrstuvwx\n", 500) + "-----END KEY-----" + strings.Repeat("x", margin),
	} {
		if got := p.Clean(string([]rune(text)[:p.Look()])); strings.Contains(got, "abcdef") || !strings.HasSuffix(got, "…") {
			t.Errorf("kept %q", got)
		}
	}
}
