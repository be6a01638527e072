package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const u = NotReported

func TestOfPromptCompletionAndTotalTwoTellTheThird(t *testing.T) {
	for name, c := range map[string]struct {
		told     Figures
		endpoint Endpoint
		want     Figures
		believed bool
	}{
		"all":                             {figuresOf(30, 12, 42, 7, 5, 3), ChatCompletions, figuresOf(30, 12, 42, 7, 5, 3), true},
		"none":                            {figuresOf(u, u, u, u, u, u), ChatCompletions, figuresOf(u, u, u, u, u, u), false},
		"no prompt":                       {figuresOf(u, 12, 42, u, u, u), ChatCompletions, figuresOf(30, 12, 42, u, u, u), true},
		"no prompt, a total without one":  {figuresOf(u, 12, 12, u, u, u), ChatCompletions, figuresOf(u, 12, 12, u, u, u), false},
		"no completion":                   {figuresOf(30, u, 42, u, u, u), ChatCompletions, figuresOf(30, 12, 42, u, u, u), true},
		"no completion, none in total":    {figuresOf(30, u, 30, u, u, u), ChatCompletions, figuresOf(30, u, 30, u, u, u), false},
		"no completion, a prompt of none": {figuresOf(0, u, 42, u, u, u), ChatCompletions, figuresOf(0, u, 42, u, u, u), false},
		"no total":                        {figuresOf(30, 12, u, u, u, u), ChatCompletions, figuresOf(30, 12, u, u, u, u), true},
		"a total alone":                   {figuresOf(u, u, 42, u, u, u), ChatCompletions, figuresOf(u, u, 42, u, u, u), false},
		"a prompt of none":                {figuresOf(0, 12, 12, u, u, u), ChatCompletions, figuresOf(0, 12, 12, u, u, u), false},
		"a prompt of one":                 {figuresOf(1, 0, 1, u, u, u), ChatCompletions, figuresOf(1, 0, 1, u, u, u), true},
		"embeddings":                      {figuresOf(30, 12, 42, 7, 5, 3), Embeddings, figuresOf(30, 0, u, 7, 5, u), true},
		"embeddings with a total alone":   {figuresOf(u, u, 42, u, u, u), Embeddings, figuresOf(42, 0, u, u, u, u), true},
		"embeddings, a prompt of none":    {figuresOf(0, u, 42, u, u, u), Embeddings, figuresOf(42, 0, u, u, u, u), true},
		"embeddings of nothing":           {figuresOf(0, u, 0, u, u, u), Embeddings, figuresOf(0, 0, u, u, u, u), false},
	} {
		got, believed := c.told.Of(c.endpoint)
		if diff := cmp.Diff(c.want, got); diff != "" || believed != c.believed {
			t.Errorf("%s: believed %t, want %t (- expected, + seen):\n%s", name, believed, c.believed, diff)
		}
	}
	if diff := cmp.Diff(figuresOf(u, u, u, u, u, u), NoFigures()); diff != "" {
		t.Errorf("no figures:\n%s", diff)
	}
}

func TestLaterFiguresKeepTheDetailsThatOnlyEarlierOnesTold(t *testing.T) {
	for name, c := range map[string]struct{ now, earlier, want Figures }{
		"details":                      {figuresOf(31, 13, 44, u, u, u), figuresOf(30, 12, 42, 7, 5, 3), figuresOf(31, 13, 44, 7, 5, 3)},
		"nothing of what is told now":  {figuresOf(31, 13, 44, 8, 6, 4), figuresOf(30, 12, 42, 7, 5, 3), figuresOf(31, 13, 44, 8, 6, 4)},
		"a detail of zero is told":     {figuresOf(31, 13, 44, 0, 0, 0), figuresOf(30, 12, 42, 7, 5, 3), figuresOf(31, 13, 44, 0, 0, 0)},
		"a total of the same":          {figuresOf(30, 12, u, u, u, u), figuresOf(30, 12, 42, 7, 5, 3), figuresOf(30, 12, 42, 7, 5, 3)},
		"no total of another prompt":   {figuresOf(31, 12, u, u, u, u), figuresOf(30, 12, 42, u, u, u), figuresOf(31, 12, u, u, u, u)},
		"no total of another complete": {figuresOf(30, 13, u, u, u, u), figuresOf(30, 12, 42, u, u, u), figuresOf(30, 13, u, u, u, u)},
	} {
		if diff := cmp.Diff(c.want, c.now.Over(c.earlier)); diff != "" {
			t.Errorf("%s (- expected, + seen):\n%s", name, diff)
		}
	}
}

// Usage's fields are prompt, cached, cache write, completion and reasoning.
func TestTokensThatOnlyTheTotalShowsAreBilledAsWhatTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		told Figures
		want Usage
	}{
		"parts of their wholes":                 {figuresOf(1000, 400, 1400, 300, 200, 100), usageOf(1000, 300, 200, 400, 100)},
		"no total":                              {figuresOf(1000, 400, u, 300, 200, 100), usageOf(1000, 300, 200, 400, 100)},
		"nothing told":                          {figuresOf(u, u, u, u, u, u), Usage{}},
		"a total that is too small":             {figuresOf(1000, 400, 1399, 300, 200, 100), usageOf(1000, 300, 200, 400, 100)},
		"reasoning beside the completion":       {figuresOf(1000, 400, 1500, 300, 200, 100), usageOf(1000, 300, 200, 500, 100)},
		"caches beside the prompt":              {figuresOf(1000, 400, 1900, 300, 200, 100), usageOf(1500, 300, 200, 400, 100)},
		"both beside":                           {figuresOf(1000, 400, 2000, 300, 200, 100), usageOf(1500, 300, 200, 500, 100)},
		"more than any detail":                  {figuresOf(1000, 400, 1407, 300, 200, 100), usageOf(1000, 300, 200, 407, 100)},
		"reasoning that is not told":            {figuresOf(1000, 400, 1407, 300, 200, u), usageOf(1000, 300, 200, 407, 7)},
		"reasoning of none that is told":        {figuresOf(1000, 400, 1407, 300, 200, 0), usageOf(1000, 300, 200, 407, 0)},
		"a cache read beside the prompt":        {figuresOf(1000, 400, 1700, 300, u, u), usageOf(1300, 300, 0, 400, 0)},
		"a cache read larger than the prompt":   {figuresOf(10, 4, 14, 11, u, u), usageOf(10, 0, 0, 4, 0)},
		"all of the prompt from the cache":      {figuresOf(10, 4, 14, 10, u, u), usageOf(10, 10, 0, 4, 0)},
		"cache writes beyond what is left":      {figuresOf(10, 4, 14, 6, 5, u), usageOf(10, 6, 0, 4, 0)},
		"cache writes of all that is left":      {figuresOf(10, 4, 14, 6, 4, u), usageOf(10, 6, 4, 4, 0)},
		"reasoning larger than the completion":  {figuresOf(10, 4, 14, u, u, 5), usageOf(10, 0, 0, 4, 0)},
		"reasoning of the whole completion":     {figuresOf(10, 4, 14, u, u, 4), usageOf(10, 0, 0, 4, 4)},
		"a larger reasoning that stands beside": {figuresOf(10, 4, 19, u, u, 5), usageOf(10, 0, 0, 9, 5)},
	} {
		if diff := cmp.Diff(c.want, c.told.Usage()); diff != "" {
			t.Errorf("%s (- expected, + seen):\n%s", name, diff)
		}
	}
}

func figuresOf(prompt, completion, total, cached, written, reasoning int64) Figures {
	f := NoFigures()
	f.Prompt, f.Completion, f.Total, f.Cached, f.CacheWrite, f.Reasoning = prompt, completion, total, cached, written, reasoning
	return f
}

func usageOf(prompt, cached, written, completion, reasoning int64) Usage {
	return Usage{Prompt: prompt, Cached: cached, CacheWrite: written, Completion: completion, Reasoning: reasoning}
}
