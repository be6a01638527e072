package gateway

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAModelIsPlannedAtTheBackendsThatSpeakTheAPI(t *testing.T) {
	r := Routes{
		Backends: []Backend{{Name: "openai"}, {Name: "own", Kind: Local}, {Name: "claude", Kind: Anthropic}, {Name: "azure", Kind: Azure}},
		Models: []Route{
			{Model: "everywhere", Steps: []Step{{"openai", "o"}, {"claude", "c"}, {"own", "l"}}},
			{Model: "messages alone", Steps: []Step{{"claude", "c"}}},
			{Model: "chat alone", Steps: []Step{{"openai", "o"}, {"azure", "a"}}},
		},
	}
	backends := func(a API, m Model) (names []string) {
		p, _ := r.Table().Plan(a, m)
		for _, step := range p.Steps {
			names = append(names, step.Backend)
		}
		return names
	}
	for _, c := range []struct {
		byDefault string
		model     Model
		chat      []string
		messages  []string
	}{
		{"", "everywhere", []string{"openai", "own"}, []string{"claude", "own"}},
		{"openai", "messages alone", nil, []string{"claude"}}, {"openai", "chat alone", []string{"openai", "azure"}, nil},
		{"", "unknown", nil, nil}, {"openai", "unknown", []string{"openai"}, []string{"claude"}}, {"own", "unknown", []string{"own"}, []string{"claude"}},
		{"claude", "unknown", nil, []string{"claude"}},
	} {
		r.Default = c.byDefault
		if diff := cmp.Diff([][]string{c.chat, c.messages}, [][]string{backends(OpenAIAPI, c.model), backends(AnthropicAPI, c.model)}); diff != "" {
			t.Errorf("%q with the default %q (- expected, + planned):\n%s", c.model, c.byDefault, diff)
		}
	}
	r.Backends, r.Default = slices.DeleteFunc(r.Backends, func(b Backend) bool { return b.Name == "claude" }), "own"
	if got := backends(AnthropicAPI, "unknown"); !slices.Equal(got, []string{"own"}) {
		t.Errorf("without a backend of the kind, messages go to %v", got)
	}
}

func TestAnErrorIsInTheWordsOfTheAPI(t *testing.T) {
	e := BadRequest("code", "model", `a "text"`)
	for a, want := range map[API]string{
		OpenAIAPI:    `{"error":{"message":"a \"text\"","type":"invalid_request_error","param":"model","code":"code"}}`,
		AnthropicAPI: `{"type":"error","error":{"type":"invalid_request_error","message":"a \"text\""}}`,
	} {
		if diff := cmp.Diff(want, string(e.In(a))); diff != "" {
			t.Errorf("API %d (- expected, + told):\n%s", a, diff)
		}
	}
	for of, want := range map[Endpoint]string{
		ChatCompletions: string(e.JSON()), Messages: string(e.In(AnthropicAPI)), Responses: `{"type":"error",` + string(e.JSON())[1:],
	} {
		if got := e.EventFor(of); string(got) != want || !json.Valid(got) {
			t.Errorf("an event of %s is %s", of, got)
		}
	}
	for status, want := range map[uint32]string{400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
		404: "not_found_error", 405: "invalid_request_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 502: "api_error",
		503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error"} {
		if got := AnthropicType(status); got != want {
			t.Errorf("a status of %d has the type %q, want %q", status, got, want)
		}
	}
}

func TestOfAQueryOnlyWhatAnEndpointHasReachesAProvider(t *testing.T) {
	for _, c := range []struct {
		of          Endpoint
		query, want string
	}{
		{Messages, "beta=true", "beta=true"}, {Messages, "key=sk-1&beta=true&x", "beta=true"}, {CountTokens, "beta=true", "beta=true"},
		{Messages, "beta=a b", ""}, {Messages, "beta=\n", ""}, {Messages, "BETA=true", ""}, {Messages, "", ""}, {Messages, "beta", "beta"},
		{ChatCompletions, "beta=true", ""}, {Messages, "beta=%20&beta=" + string(make([]byte, 300)), "beta=%20"},
	} {
		if got := c.of.Query(c.query); got != c.want {
			t.Errorf("of %q at %s passes %q, want %q", c.query, c.of, got, c.want)
		}
	}
}

func FuzzAQueryStaysOne(f *testing.F) {
	f.Add("beta=true&beta=%20#x")
	f.Fuzz(func(t *testing.T, query string) {
		got := Messages.Query(query)
		u, err := url.Parse("http://h/v1/messages?" + got)
		if err != nil || u.Path != "/v1/messages" || u.RawQuery != got || u.Fragment != "" {
			t.Errorf("%q becomes %q: %v, %v", query, got, u, err)
		}
	})
}

func TestFiguresOfAMessageGrow(t *testing.T) {
	start := Figures{Prompt: 25, Completion: NotReported, Total: NotReported, Cached: 6, CacheWrite: 4, Reasoning: NotReported, CacheWriteHour: 1, ServerTools: NotReported}
	if f, whole := start.Of(Messages); whole || f.Usage() != (Usage{Prompt: 35, Cached: 6, CacheWrite: 4, CacheWriteHour: 1}) {
		t.Errorf("the beginning is %+v, %t", f.Usage(), whole)
	}
	end := NoFigures()
	end.Prompt, end.Completion, end.ServerTools, end.Cached = 1025, 17, 2, 0
	f, whole := start.Grown(end).Of(Messages)
	if want := (Usage{Prompt: 1035, Cached: 6, CacheWrite: 4, CacheWriteHour: 1, Completion: 17, ServerTools: 2}); !whole || f.Usage() != want {
		t.Errorf("the end is %+v, %t, want %+v", f.Usage(), whole, want)
	}
}
