package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestANoteOfTheScriptIsReadInEveryForm(t *testing.T) {
	figures := func(prompt, completion, total, cached, written, reasoning int64) *Figures {
		f := figuresOf(prompt, completion, total, cached, written, reasoning)
		return &f
	}
	for note, want := range map[string]Seen{
		"":                                {},
		"-":                               {},
		"- - - - - -":                     {},
		"9001 702 404 205":                {Figures: figures(9001, 404, -1, 702, -1, 205)},
		"9001 null 404 - 9405":            {Figures: figures(9001, 404, 9405, -1, -1, -1)},
		"9001 702 404 205 9405 303":       {Figures: figures(9001, 404, 9405, 702, 303, 205)},
		"9001 - - - - - tier=flex done":   {Figures: figures(9001, -1, -1, -1, -1, -1), ServiceTier: "flex", Complete: true},
		"- - - - - - error=429":           {Failed: true, Missing: true, ErrorCode: "429"},
		"- - - - - - error= text done":    {Failed: true, Complete: true, ErrorCode: CodeUpstreamError},
		"- - - - - - none":                {Missing: true},
		"9001 702 404 100000001 9405 303": {},
		"1 2 3 4 5 6 7":                   {},
	} {
		if diff := cmp.Diff(want, ReadSeen(note)); diff != "" {
			t.Errorf("%q (- wanted, + read):\n%s", note, diff)
		}
	}
}

func FuzzANoteIsReadOrRefused(f *testing.F) {
	f.Add("9001 702 404 205 9405 303 tier=flex error=429 text none done")
	f.Fuzz(func(t *testing.T, note string) {
		s := ReadSeen(note)
		if s.Figures == nil {
			return
		}
		for _, e := range Endpoints() {
			g, believed := s.Figures.Of(e)
			if u := g.Usage(); believed && (u.Prompt < 1 || u.Cached+u.CacheWrite > u.Prompt || u.Reasoning > u.Completion || u.Prompt+u.Completion > 2*MaxTokens) {
				t.Errorf("%q is %+v", note, u)
			}
		}
	})
}
