package provider_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

func TestAnAnswerIsReadForItsUsageAndText(t *testing.T) {
	const figures = `"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}`
	full := gateway.Usage{Prompt: 10, Cached: 4, Completion: 5, Reasoning: 3}
	said := func(message string) string {
		return `{"choices":[{"index":0,"message":` + message + `}],` + figures + `}`
	}
	rows := []struct {
		endpoint gateway.Endpoint
		status   int
		body     string
		want     gateway.Answer
	}{
		{gateway.ChatCompletions, 200, said(`{"role":"assistant","content":"hi \"you\""}`), gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: `hi "you"`}},
		{gateway.ChatCompletions, 200, said(`{"content":null,"refusal":"no"}`), gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: "no"}},
		{gateway.ChatCompletions, 200, said(`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`), gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: "a\nb"}},
		{gateway.ChatCompletions, 200, said(`{"content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"function":{"name":"g","arguments":"{}"}}]}`),
			gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: "f({\"a\":1})\ng({})"}},
		{gateway.ChatCompletions, 200, said(`{"content":null,"function_call":{"name":"f","arguments":"1"}}`), gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: "f(1)"}},
		{gateway.Completions, 200, `{"choices":[{"text":"first"},{"text":"second","index":1}],` + figures + `}`, gateway.Answer{Usage: full, Source: gateway.FromProvider, Text: "first"}},
		{gateway.Embeddings, 200, `{"data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, gateway.Answer{Usage: gateway.Usage{Prompt: 8}, Source: gateway.FromProvider}},
		{gateway.ChatCompletions, 200, `{"choices":[{"message":{"content":"12345678"}}]}`, estimate(3, "12345678")},
		{gateway.ChatCompletions, 200, `{"choices":[{"message":{"content":"12345678","tool_calls":[{"id":"uncounted","function":{"name":"ab","arguments":"cd"}}]}}]}`, estimate(4, "12345678")},
		{gateway.ChatCompletions, 200, `{"choices":[{"message":{"content":"cut of`, estimate(2, "cut of")},
		{gateway.ChatCompletions, 200, `<html>`, estimate(0, "")},
		{gateway.ChatCompletions, 200, ``, estimate(0, "")},
		{gateway.ChatCompletions, 200, `{"choices":null,"usage":null,"error":null}`, estimate(0, "")},
		{gateway.ChatCompletions, 200, `{"choices":[null,1,{"message":null},{"message":{"content":{}}}]}`, estimate(0, "")},
		{gateway.ChatCompletions, 200, `{"choices":[{"message":{"content":"01234567890123456789!"}}]}`, estimate(8, "01234567890123456789…")},
		{gateway.ChatCompletions, 200, `{"choices":[{"message":{"content":"` + "a\xffb\n" + `"}}]}`, estimate(3, "a\uFFFDb\n")},
	}
	for _, row := range rows {
		if got := (provider.OpenAI{Preview: 20}).ReadAnswer(asked(row.endpoint), gateway.PromptText{}, row.status, []byte(row.body)); figuresOf(got) != row.want {
			t.Errorf("%s\n got %+v\nwant %+v", row.body, got, row.want)
		}
	}
}

// asked is a request for a model that nobody knows.
func asked(e gateway.Endpoint) *gateway.Intent {
	return &gateway.Intent{Endpoint: e, Model: "m", Steps: []gateway.Step{{Backend: "local", UpstreamModel: "m"}}}
}

func estimate(completion int64, text string) gateway.Answer {
	return gateway.Answer{Usage: gateway.Usage{Completion: completion}, Source: gateway.Estimated, Text: text}
}

func TestUsageThatCannotBeTrueIsNotBelieved(t *testing.T) {
	for _, usage := range []string{
		`{}`, `[]`, `7`, `"7"`, `null`, `{"prompt_tokens":1}`, `{"completion_tokens":1}`,
		`{"prompt_tokens":null,"completion_tokens":1}`,
		`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`,
		`{"prompt_tokens":-1,"completion_tokens":1}`,
		`{"prompt_tokens":1.5,"completion_tokens":1}`,
		`{"prompt_tokens":1e-2,"completion_tokens":1}`,
		`{"prompt_tokens":"one","completion_tokens":1}`,
		`{"prompt_tokens":" 1","completion_tokens":1}`,
		`{"prompt_tokens":"0x1","completion_tokens":1}`,
		`{"prompt_tokens":"01","completion_tokens":1}`,
		`{"prompt_tokens":[1],"completion_tokens":1}`,
		`{"prompt_tokens":true,"completion_tokens":1}`,
		`{"prompt_tokens":1,"completion_tokens":100000001}`,
		`{"prompt_tokens":1,"completion_tokens":99999999999999999999999}`,
		`{"prompt_tokens":1,"completion_tokens":1,`,
	} {
		body := `{"choices":[{"message":{"content":"abc"}}],"usage":` + usage + `}`
		if got := (provider.OpenAI{}).ReadAnswer(asked(gateway.ChatCompletions), gateway.PromptText{}, 200, []byte(body)); figuresOf(got) != estimate(1, "") {
			t.Errorf("%s: %+v", usage, got)
		}
	}
	body := `{"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}}`
	want := gateway.Answer{Usage: gateway.Usage{Prompt: 1, Completion: 2}, Source: gateway.FromProvider}
	if got := (provider.OpenAI{}).ReadAnswer(asked(gateway.ChatCompletions), gateway.PromptText{}, 200, []byte(body)); figuresOf(got) != want {
		t.Errorf("details that are null: %+v", got)
	}
}

func TestAnErrorIsReadForItsCode(t *testing.T) {
	rows := []struct{ body, want string }{
		{`{"error":{"message":"m","type":"t","code":"c"}}`, "c"},
		{`{"error":{"message":"m","type":"t","code":null}}`, "t"},
		{`{"error":{"type":"t","code":""}}`, "t"},
		{`{"error":{"type":"t","code":429}}`, "429"},
		{`{"error":{"type":"t","code":{"a":1}}}`, "t"},
		{`{"error":{"code":"a\n\u0000b"}}`, "ab"},
		{`{"error":{"code":"` + strings.Repeat("é", 40) + `"}}`, strings.Repeat("é", 32)},
		{`{"error":"text"}`, ""},
		{`{"error":null}`, ""},
		{`{"error":{"code":"cut`, "cut"},
		{`upstream connect error`, ""},
	}
	for _, row := range rows {
		want := gateway.Answer{Source: gateway.Estimated, ErrorCode: row.want}
		if got := (provider.OpenAI{}).ReadAnswer(asked(gateway.ChatCompletions), gateway.PromptText{}, 500, []byte(row.body)); figuresOf(got) != want {
			t.Errorf("%s: %+v", row.body, got)
		}
	}
}

func TestAnAbsurdlyDeepAnswerIsSurvived(t *testing.T) {
	for _, open := range []string{"[", `{"a":`, `{"choices":[{"message":{"content":[`} {
		body := `{"choices":[{"message":{"content":` + strings.Repeat(open, 1<<20)
		if got := (provider.OpenAI{Preview: 9}).ReadAnswer(asked(gateway.ChatCompletions), gateway.PromptText{}, 200, []byte(body)); figuresOf(got) != estimate(0, "") {
			t.Errorf("%s: %+v", open, got)
		}
	}
}

func FuzzReadAnswerNeverPanics(f *testing.F) {
	for _, seed := range []string{
		`{"choices":[{"index":0,"message":{"content":"hi","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}`,
		`{"choices":[{"text":"\ud83d\ude00"}],"error":{"code":1}}`, `{"usage":{"prompt_tokens":1e2`, `{"choices":[{"message":{"content":"\`,
	} {
		f.Add([]byte(seed), 200)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		for _, e := range gateway.Endpoints() {
			a := provider.OpenAI{Preview: 7}.ReadAnswer(asked(e), gateway.PromptText{}, status, body)
			if !plausible(a.Usage) || a.Source == 0 || !utf8.ValidString(a.Text) || utf8.RuneCountInString(a.Text) > 8 || len(a.ErrorCode) > 64 {
				t.Fatalf("%q: %+v", body, a)
			}
		}
	})
}

// figuresOf leaves out of an answer what says how it ended.
func figuresOf(a gateway.Answer) gateway.Answer {
	a.Complete, a.Failed, a.Missing, a.Partial = false, false, false, false
	return a
}

// plausible reports whether counts can be true: none negative or absurd, no parts larger than
// their whole.
func plausible(u gateway.Usage) bool {
	for _, n := range [...]int64{u.Prompt, u.Cached, u.CacheWrite, u.Completion, u.Reasoning} {
		if n < 0 || n > gateway.MaxTokens {
			return false
		}
	}
	return u.Cached+u.CacheWrite <= u.Prompt && u.Reasoning <= u.Completion
}
