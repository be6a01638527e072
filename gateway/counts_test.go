package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const u = Untold

func TestOfPromptCompletionAndTotalTwoTellTheThird(t *testing.T) {
	for name, c := range map[string]struct {
		told     Figures
		endpoint Endpoint
		want     Figures
		believed bool
	}{
		"all":                             {Figures{30, 12, 42, 7, 5, 3}, ChatCompletions, Figures{30, 12, 42, 7, 5, 3}, true},
		"none":                            {Figures{u, u, u, u, u, u}, ChatCompletions, Figures{u, u, u, u, u, u}, false},
		"no prompt":                       {Figures{u, 12, 42, u, u, u}, ChatCompletions, Figures{30, 12, 42, u, u, u}, true},
		"no prompt, a total without one":  {Figures{u, 12, 12, u, u, u}, ChatCompletions, Figures{u, 12, 12, u, u, u}, false},
		"no completion":                   {Figures{30, u, 42, u, u, u}, ChatCompletions, Figures{30, 12, 42, u, u, u}, true},
		"no completion, none in total":    {Figures{30, u, 30, u, u, u}, ChatCompletions, Figures{30, u, 30, u, u, u}, false},
		"no completion, a prompt of none": {Figures{0, u, 42, u, u, u}, ChatCompletions, Figures{0, u, 42, u, u, u}, false},
		"no total":                        {Figures{30, 12, u, u, u, u}, ChatCompletions, Figures{30, 12, u, u, u, u}, true},
		"a total alone":                   {Figures{u, u, 42, u, u, u}, ChatCompletions, Figures{u, u, 42, u, u, u}, false},
		"a prompt of none":                {Figures{0, 12, 12, u, u, u}, ChatCompletions, Figures{0, 12, 12, u, u, u}, false},
		"a prompt of one":                 {Figures{1, 0, 1, u, u, u}, ChatCompletions, Figures{1, 0, 1, u, u, u}, true},
		"embeddings":                      {Figures{30, 12, 42, 7, 5, 3}, Embeddings, Figures{30, 0, u, 7, 5, u}, true},
		"embeddings with a total alone":   {Figures{u, u, 42, u, u, u}, Embeddings, Figures{42, 0, u, u, u, u}, true},
		"embeddings, a prompt of none":    {Figures{0, u, 42, u, u, u}, Embeddings, Figures{42, 0, u, u, u, u}, true},
		"embeddings of nothing":           {Figures{0, u, 0, u, u, u}, Embeddings, Figures{0, 0, u, u, u, u}, false},
	} {
		got, believed := c.told.Of(c.endpoint)
		if diff := cmp.Diff(c.want, got); diff != "" || believed != c.believed {
			t.Errorf("%s: believed %t, want %t (- expected, + seen):\n%s", name, believed, c.believed, diff)
		}
	}
	if diff := cmp.Diff(Figures{u, u, u, u, u, u}, NoFigures()); diff != "" {
		t.Errorf("no figures:\n%s", diff)
	}
}

func TestLaterFiguresKeepTheDetailsThatOnlyEarlierOnesTold(t *testing.T) {
	for name, c := range map[string]struct{ now, earlier, want Figures }{
		"details":                      {Figures{31, 13, 44, u, u, u}, Figures{30, 12, 42, 7, 5, 3}, Figures{31, 13, 44, 7, 5, 3}},
		"nothing of what is told now":  {Figures{31, 13, 44, 8, 6, 4}, Figures{30, 12, 42, 7, 5, 3}, Figures{31, 13, 44, 8, 6, 4}},
		"a detail of zero is told":     {Figures{31, 13, 44, 0, 0, 0}, Figures{30, 12, 42, 7, 5, 3}, Figures{31, 13, 44, 0, 0, 0}},
		"a total of the same":          {Figures{30, 12, u, u, u, u}, Figures{30, 12, 42, 7, 5, 3}, Figures{30, 12, 42, 7, 5, 3}},
		"no total of another prompt":   {Figures{31, 12, u, u, u, u}, Figures{30, 12, 42, u, u, u}, Figures{31, 12, u, u, u, u}},
		"no total of another complete": {Figures{30, 13, u, u, u, u}, Figures{30, 12, 42, u, u, u}, Figures{30, 13, u, u, u, u}},
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
		"parts of their wholes":                 {Figures{1000, 400, 1400, 300, 200, 100}, Usage{1000, 300, 200, 400, 100}},
		"no total":                              {Figures{1000, 400, u, 300, 200, 100}, Usage{1000, 300, 200, 400, 100}},
		"nothing told":                          {Figures{u, u, u, u, u, u}, Usage{}},
		"a total that is too small":             {Figures{1000, 400, 1399, 300, 200, 100}, Usage{1000, 300, 200, 400, 100}},
		"reasoning beside the completion":       {Figures{1000, 400, 1500, 300, 200, 100}, Usage{1000, 300, 200, 500, 100}},
		"caches beside the prompt":              {Figures{1000, 400, 1900, 300, 200, 100}, Usage{1500, 300, 200, 400, 100}},
		"both beside":                           {Figures{1000, 400, 2000, 300, 200, 100}, Usage{1500, 300, 200, 500, 100}},
		"more than any detail":                  {Figures{1000, 400, 1407, 300, 200, 100}, Usage{1000, 300, 200, 407, 100}},
		"reasoning that is not told":            {Figures{1000, 400, 1407, 300, 200, u}, Usage{1000, 300, 200, 407, 7}},
		"reasoning of none that is told":        {Figures{1000, 400, 1407, 300, 200, 0}, Usage{1000, 300, 200, 407, 0}},
		"a cache read beside the prompt":        {Figures{1000, 400, 1700, 300, u, u}, Usage{1300, 300, 0, 400, 0}},
		"a cache read larger than the prompt":   {Figures{10, 4, 14, 11, u, u}, Usage{10, 0, 0, 4, 0}},
		"all of the prompt from the cache":      {Figures{10, 4, 14, 10, u, u}, Usage{10, 10, 0, 4, 0}},
		"cache writes beyond what is left":      {Figures{10, 4, 14, 6, 5, u}, Usage{10, 6, 0, 4, 0}},
		"cache writes of all that is left":      {Figures{10, 4, 14, 6, 4, u}, Usage{10, 6, 4, 4, 0}},
		"reasoning larger than the completion":  {Figures{10, 4, 14, u, u, 5}, Usage{10, 0, 0, 4, 0}},
		"reasoning of the whole completion":     {Figures{10, 4, 14, u, u, 4}, Usage{10, 0, 0, 4, 4}},
		"a larger reasoning that stands beside": {Figures{10, 4, 19, u, u, 5}, Usage{10, 0, 0, 9, 5}},
	} {
		if diff := cmp.Diff(c.want, c.told.Usage()); diff != "" {
			t.Errorf("%s (- expected, + seen):\n%s", name, diff)
		}
	}
}
