package invoice

import (
	"cmp"
	"maps"
	"slices"

	"ai-gateway/gateway"
)

// Line is a day and model with the figures of both sides.
type Line struct {
	Key
	Theirs, Ours Figures
}

// Compare returns the figures of both sides by day and model. Figures without columns in the
// mapping are zero on both sides.
func (m *Mapping) Compare(theirs, ours map[Key]Figures) []Line {
	both := map[Key]*Line{}
	at := func(k Key) *Line {
		if both[k] == nil {
			both[k] = &Line{Key: k}
		}
		return both[k]
	}
	for k, f := range theirs {
		at(k).Theirs.Add(f)
	}
	for k, f := range ours {
		if m.Model == "" {
			k.Model = ""
		}
		at(k).Ours.Add(m.compared(f))
	}
	maps.DeleteFunc(both, func(_ Key, l *Line) bool { return l.Theirs == Figures{} && l.Ours == Figures{} })
	lines := make([]Line, 0, len(both))
	for _, l := range both {
		lines = append(lines, *l)
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Model, b.Model)) })
	return lines
}

// compared are the figures that the mapping has columns for.
func (m *Mapping) compared(f Figures) Figures {
	if len(m.Requests) == 0 {
		f.Requests = 0
	}
	if len(m.PromptTokens) == 0 {
		f.Prompt = 0
	}
	if len(m.CompletionTokens) == 0 {
		f.Completion = 0
	}
	if len(m.Cost) == 0 {
		f.Cost = 0
	}
	return f
}

// roundedCost is the difference in a day's cost that providers' rounding may make.
const roundedCost gateway.Money = 1_000_000 // a tenth of a cent

// Agrees reports whether both sides have the same figures, except for rounding of costs.
func (l *Line) Agrees() bool {
	theirs, ours := l.Theirs, l.Ours
	difference := theirs.Cost - ours.Cost
	theirs.Cost, ours.Cost = 0, 0
	return theirs == ours && -roundedCost <= difference && difference <= roundedCost
}
