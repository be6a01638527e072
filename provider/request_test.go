package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

func TestARequestIsReadForWhatItAsks(t *testing.T) {
	rows := []struct {
		endpoint gateway.Endpoint
		body     string
		want     gateway.Request
	}{
		{gateway.ChatCompletions, `{"model":"m"}`, gateway.Request{Model: "m", PromptTokens: 1}},
		{gateway.ChatCompletions, "\n{ \"model\" : \"m\" , \"stream\" : true }\t", gateway.Request{Model: "m", Stream: true, PromptTokens: 1}},
		{gateway.ChatCompletions, `{"model":"m","stream":null,"stream_options":null}`, gateway.Request{Model: "m", PromptTokens: 1}},
		{gateway.ChatCompletions, `{"model":"m","stream":true,"stream_options":{"x":[{}],"include_usage":true}}`,
			gateway.Request{Model: "m", Stream: true, UsageWanted: true, PromptTokens: 1}},
		{gateway.ChatCompletions, `{"m\u006fdel":"ll\u0061ma3:8b"}`, gateway.Request{Model: "llama3:8b", PromptTokens: 1}},
		{gateway.ChatCompletions, `{"model":"m","messages":[{"role":"system","content":"12345678"},{"role":"user","content":"one"},{"content":"abcd\n\u00e9","role":"user"},{"role":"assistant","content":null}]}`,
			gateway.Request{Model: "m", PromptTokens: 5, Prompt: "abcd\né"}},
		{gateway.ChatCompletions, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAAAAAAAAAAAAAAAAAA"}},{"type":"input_audio","input_audio":{"data":"AAAAAAAAAAAA","format":"wav"}},{"type":"text","text":"here"}]}]}`,
			gateway.Request{Model: "m", PromptTokens: 2, Prompt: "look\nhere"}},
		{gateway.ChatCompletions, `{"model":"m","messages":[{"role":"user","content":"0123456789ab😀"}]}`,
			gateway.Request{Model: "m", PromptTokens: 4, Prompt: "0123456789ab…"}},
		{gateway.ChatCompletions, `{"model":"m","messages":[{"role":"user","content":"0123456789a\ud83d\ude00"}]}`,
			gateway.Request{Model: "m", PromptTokens: 4, Prompt: "0123456789a😀"}},
		{gateway.ChatCompletions, `{"model":"m","messages":[{"role":"user","content":"a\u0000\ud83d"}]}`,
			gateway.Request{Model: "m", PromptTokens: 1, Prompt: "a\uFFFD\uFFFD"}},
		{gateway.ChatCompletions, `{"model":"m","prompt":"not this","messages":"nor this"}`, gateway.Request{Model: "m", PromptTokens: 1}},
		{gateway.Completions, `{"model":"m","prompt":"once upon"}`, gateway.Request{Model: "m", PromptTokens: 3, Prompt: "once upon"}},
		{gateway.Completions, `{"model":"m","prompt":["once","upon"]}`, gateway.Request{Model: "m", PromptTokens: 2, Prompt: "once", Answers: 2}},
		{gateway.Embeddings, `{"model":"m","input":[1,2,3]}`, gateway.Request{Model: "m", PromptTokens: 3}},
		{gateway.Embeddings, `{"model":"m","input":[[1,2],[3,4]]}`, gateway.Request{Model: "m", PromptTokens: 4}},
		{gateway.Embeddings, `{"model":"m","input":null}`, gateway.Request{Model: "m", PromptTokens: 1}},
	}
	for _, row := range rows {
		got, err := provider.OpenAI{Preview: 12}.ReadRequest(row.endpoint, []byte(row.body))
		var name gateway.Model
		fault := json.Unmarshal([]byte(row.body[got.ModelAt.From:got.ModelAt.To]), &name)
		got.ModelAt, got.Text = gateway.Span{}, gateway.PromptText{}
		if err != nil || got != row.want || fault != nil || name != row.want.Model {
			t.Errorf("%s\n got %+v, %v, the model %q, %v\nwant %+v", row.body, got, err, name, fault, row.want)
		}
	}
}

func TestNoPromptIsKeptWithoutPreview(t *testing.T) {
	got, err := provider.OpenAI{}.ReadRequest(gateway.ChatCompletions, []byte(`{"model":"m","messages":[{"role":"user","content":"secret"}]}`))
	if err != nil || got.Prompt != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestARefusalSaysWhatAndWhere(t *testing.T) {
	const model = `{"model":"m",`
	rows := []struct{ body, code, param, message string }{
		{"", "invalid_json", "", "it is empty, at line 1, column 1 (byte 0)"},
		{" \n ", "invalid_json", "", "found the end at line 2, column 2 (byte 3)"},
		{"\x00", "invalid_json", "", `expected '{', found '\x00'`},
		{"\xEF\xBB\xBF{}", "invalid_json", "", "byte order mark"},
		{"[]", "invalid_json", "", "expected '{', found '['"},
		{model + "\"é\":\xFF}", "invalid_json", "", "expected a value"},
		{model + "\n\"é\":\"\xFF\"}", "invalid_json", "", "invalid UTF-8 at line 2, column 6 (byte 20)"},
		{model + `"a":"` + "\n" + `"}`, "invalid_json", "", "control character"},
		{model + `"a":"\x"}`, "invalid_json", "", "escape"},
		{model + `"a":"\u12g4"}`, "invalid_json", "", "escape"},
		{model + `"a":01}`, "invalid_json", "", "expected ',' or '}', found '1'"},
		{model + `"a":1.}`, "invalid_json", "", "a digit"},
		{model + `"a":-}`, "invalid_json", "", "a digit"},
		{model + `"a":1e+}`, "invalid_json", "", "a digit"},
		{model + `"a":tru}`, "invalid_json", "", "expected true"},
		{model + `"a":NaN}`, "invalid_json", "", "a value"},
		{model + `"a":[1,]}`, "invalid_json", "", "a value"},
		{model + `}`, "invalid_json", "", "a name in double quotes"},
		{model + `"a" 1}`, "invalid_json", "", "expected ':'"},
		{model + `"a":"b`, "invalid_json", "", "not closed"},
		{`{"model":"m"}{}`, "invalid_json", "", "nothing after the JSON value, found '{' at line 1, column 14 (byte 13)"},
		{model + `"a":` + nested(200) + `}`, "invalid_json", "", "nested deeper than 200 levels"},
		{`{}`, "missing_required_parameter", "model", "must provide"},
		{`{"model":null}`, "invalid_type", "model", "must be a string"},
		{`{"model":["m"]}`, "invalid_type", "model", "must be a string"},
		{`{"model":""}`, "invalid_value", "model", "1 to 256 bytes"},
		{`{"model":"` + strings.Repeat("m", 257) + `"}`, "invalid_value", "model", "1 to 256 bytes"},
		{`{"model":"a\nb"}`, "invalid_value", "model", "control characters"},
		{`{"model":"a\u0085b"}`, "invalid_value", "model", "control characters"},
		{`{"model":"\ud800"}`, "invalid_value", "model", "half surrogate"},
		{model + `"model":"m"}`, "ambiguous_parameter", "model", "given twice, at line 1, column 14 (byte 13)"},
		{model + `"m\u006fdel":"m"}`, "ambiguous_parameter", "model", "given twice"},
		{model + `"Model":"m"}`, "ambiguous_parameter", "model", `"Model" must be written in lower case`},
		{model + `"model\u0000":"n"}`, "ambiguous_parameter", "model", "without NUL"},
		{model + `"\u004dODEL":"m"}`, "ambiguous_parameter", "model", `"MODEL" must`},
		{`{"MODEL":"m"}`, "ambiguous_parameter", "model", "lower case"},
		{model + `"ſtream":true}`, "ambiguous_parameter", "stream", "lower case"},
		{model + `"stream":true,"stream":false}`, "ambiguous_parameter", "stream", "twice"},
		{model + `"Stream":true}`, "ambiguous_parameter", "stream", "lower case"},
		{model + `"stream":"true"}`, "invalid_type", "stream", "true, false or null"},
		{model + `"stream":1}`, "invalid_type", "stream", "true, false or null"},
		{model + `"stream_options":{},"stream_options":{}}`, "ambiguous_parameter", "stream_options", "twice"},
		{model + `"stream_options":[]}`, "invalid_type", "stream_options", "object or null"},
		{model + `"stream_options":{"include_usage":true,"include_usage":false}}`, "ambiguous_parameter", "include_usage", "twice"},
		{model + `"stream_options":{"include_usage":"yes"}}`, "invalid_type", "stream_options.include_usage", "true, false or null"},
	}
	for _, row := range rows {
		_, err := provider.OpenAI{}.ReadRequest(gateway.ChatCompletions, []byte(row.body))
		var e *gateway.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Code != row.code || e.Param != row.param || !strings.Contains(e.Message, row.message) {
			t.Errorf("%.80q\n got %+v\nwant code %q, param %q, …%s…", row.body, e, row.code, row.param, row.message)
		}
	}
}

func TestUnusualJSONIsAccepted(t *testing.T) {
	for _, value := range []string{nested(199), "[" + strings.Repeat("[{}],", 300) + "{}]", `"\ud800"`, `"\udc00\ud800"`, `-0`, `1E-2`, `0.5e+07`, `"` + "\u007f\U0010FFFF" + `"`, `{"model":1,"Model":2}`, `{"":[],"":{}}`} {
		body := `{"model":"m","x":` + value + `}`
		if _, err := (provider.OpenAI{}).ReadRequest(gateway.ChatCompletions, []byte(body)); err != nil {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// accepted is what ReadRequest must accept, told by encoding/json.
func accepted(body []byte) bool {
	if !json.Valid(body) || !utf8.Valid(body) || depth(body) > 200 {
		return false
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil || !unambiguous(body, "model", "stream", "stream_options") {
		return false
	}
	options, given := object["stream_options"]
	return acceptedModel(object["model"]) && isBool(object["stream"]) && (!given || acceptedOptions(options))
}

func acceptedOptions(options json.RawMessage) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(options, &object) == nil && unambiguous(options, "include_usage") && isBool(object["include_usage"])
}

func acceptedModel(raw json.RawMessage) bool {
	var model *string
	if json.Unmarshal(raw, &model) != nil || model == nil || *model == "" {
		return false
	}
	return len(*model) <= 256 && !strings.ContainsRune(*model, utf8.RuneError) && !strings.ContainsFunc(*model, unicode.IsControl)
}

func isBool(raw json.RawMessage) bool {
	s := string(raw)
	return s == "" || s == "true" || s == "false" || s == "null"
}

// unambiguous reports whether no name folds to a wanted one but that one, once.
func unambiguous(object []byte, wanted ...string) bool {
	seen := map[string]int{}
	for _, name := range names(object) {
		for _, want := range wanted {
			if strings.EqualFold(name, want) {
				seen[want]++
				if name != want || seen[want] > 1 {
					return false
				}
			}
		}
	}
	return true
}

// names returns an object's names in order, with repetitions.
func names(object []byte) (all []string) {
	d := json.NewDecoder(bytes.NewReader(object))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return all
		}
		all = append(all, name.(string))
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return all
		}
	}
	return all
}

func depth(body []byte) (deepest int) {
	d, now := json.NewDecoder(bytes.NewReader(body)), 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
		case json.Delim('}'), json.Delim(']'):
			now--
		}
		deepest = max(deepest, now)
	}
}

func FuzzReadRequestAcceptsWhatEncodingJSONAccepts(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":[{"text":"é\u00e9\ud83d"}]}]}`,
		`{"model":"m","prompt":["a",[1,-2.5e7]],"input":null}`, `{"Model":"m"}`, `{"model":"m","model":1}`, "\xEF\xBB\xBF{}",
		`{"model":"\u006d","stream_options":{"include_usage":1}}`, `{"model":"m","x":` + nested(200) + `}`, "{\"model\":\"\xff\"} x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, e := range gateway.Endpoints() {
			r, err := provider.OpenAI{Preview: 5}.ReadRequest(e, body)
			if want := accepted(body); want != (err == nil) {
				t.Fatalf("%q: accepted should be %v, error %v", body, want, err)
			}
			if err == nil && (r.PromptTokens < 1 || !utf8.ValidString(r.Prompt) || utf8.RuneCountInString(r.Prompt) > 6) {
				t.Fatalf("%q: %+v", body, r)
			}
		}
	})
}

func BenchmarkReadRequest(b *testing.B) {
	body := []byte(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("All work and no play. ", 40) + `"}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := (provider.OpenAI{}).ReadRequest(gateway.ChatCompletions, body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnswersAreCountedThatARequestAsksFor(t *testing.T) {
	for body, want := range map[string]int64{
		`{"model":"m","n":3,"prompt":"a"}`:                                 3,
		`{"model":"m","n":2,"best_of":5,"prompt":["a","b"]}`:               10,
		`{"model":"m","n":2.0,"prompt":[[1,2],[3]]}`:                       4,
		`{"model":"m","n":-1,"prompt":[1,2,3]}`:                            0,
		`{"model":"m","n":99999999,"best_of":99999999,"prompt":["a","b"]}`: gateway.MaxTokens,
		`{"model":"m","prompt":"a"}`:                                       0,
	} {
		if r, err := (provider.OpenAI{}).ReadRequest(gateway.Completions, []byte(body)); err != nil || r.Answers != want {
			t.Errorf("%s: %d, %v, want %d", body, r.Answers, err, want)
		}
	}
}

func TestABoundOfTheAnswerIsRead(t *testing.T) {
	for body, want := range map[string]int64{
		`{"model":"m","messages":[]}`:                                              0,
		`{"model":"m","max_tokens":5,"messages":[]}`:                               5,
		`{"model":"m","max_tokens":5,"max_completion_tokens":7,"messages":[]}`:     7,
		`{"model":"m","max_tokens":-5,"messages":[]}`:                              0,
		`{"model":"m","max_completion_tokens":1e3,"messages":[]}`:                  1000,
		`{"model":"m","max_completion_tokens":"9","messages":[]}`:                  0,
		`{"model":"m","max_completion_tokens":900000000000000,"messages":[{}]}`:    gateway.MaxTokens,
		`{"model":"m","max_completion_tokens":99999999999999999999,"messages":[]}`: gateway.MaxTokens,
	} {
		r, err := provider.OpenAI{}.ReadRequest(gateway.ChatCompletions, []byte(body))
		if err != nil || r.MaxTokens != want {
			t.Errorf("%s: %d, %v, want %d", body, r.MaxTokens, err, want)
		}
	}
	if r, err := (provider.OpenAI{}).ReadRequest(gateway.Completions, []byte(`{"model":"m","prompt":"a","max_tokens":5}`)); err != nil || r.MaxTokens != 5 {
		t.Errorf("of a completion: %d, %v", r.MaxTokens, err)
	}
}
