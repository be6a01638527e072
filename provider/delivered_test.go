package provider_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// askedOf is a request for a model that its one backend knows by the same name.
func askedOf(m gateway.Model) *gateway.Intent {
	return &gateway.Intent{Endpoint: gateway.ChatCompletions, Model: m, Steps: []gateway.Step{{Backend: "b", UpstreamModel: m}}}
}

// unanswered is what a request costs that was never answered.
func unanswered(t *testing.T, e gateway.Endpoint, m gateway.Model, body string) gateway.Answer {
	t.Helper()
	r, err := provider.OpenAI{}.ReadRequest(e, []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return provider.OpenAI{}.ReadAnswer(askedOf(m), r.Text, 0, nil)
}

// The chats and their figures are OpenAI's own, measured with its API.
// Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
func TestAPromptHasTheTokensThatOpenAIBills(t *testing.T) {
	const jargon = `{"model":"m","messages":[
		{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
		{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
		{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
		{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
		{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
		{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}`
	const weather = `{"model":"m",%s,"messages":[
		{"role":"system","content":"You are a helpful assistant that can answer to questions about the weather."},
		{"content":"What's the weather like in San Francisco?","role":"user"}]}`
	const function = `{"name":"get_current_weather","description":"Get the current weather in a given location","parameters":{"type":"object",
		"properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},
		"unit":{"type":"string","description":"The unit of temperature to return","enum":["celsius","fahrenheit"]}},"required":["location"]}}`
	rows := []struct {
		endpoint gateway.Endpoint
		model    gateway.Model
		body     string
		want     int64
	}{
		{gateway.ChatCompletions, "gpt-4o", jargon, 124},
		{gateway.ChatCompletions, "gpt-4o-mini", jargon, 124},
		{gateway.ChatCompletions, "gpt-4", jargon, 129},
		{gateway.ChatCompletions, "gpt-3.5-turbo", jargon, 129},
		{gateway.ChatCompletions, "gpt-4o", fmt.Sprintf(weather, `"tools":[{"type":"function","function":`+function+`}]`), 101},
		{gateway.ChatCompletions, "gpt-4o", fmt.Sprintf(weather, `"functions":[`+function+`]`), 101},
		{gateway.ChatCompletions, "gpt-4", fmt.Sprintf(weather, `"tools":[{"type":"function","function":`+function+`}]`), 105 - 3},
		{gateway.ChatCompletions, "gpt-4o", fmt.Sprintf(weather, `"tools":[],"functions":null`), 33},
		{gateway.Completions, "gpt-3.5-turbo-instruct", `{"model":"m","prompt":"tiktoken is great!"}`, 6},
		{gateway.Completions, "gpt-3.5-turbo-instruct", `{"model":"m","prompt":["tiktoken"," is great!"]}`, 6},
		{gateway.Embeddings, "text-embedding-3-small", `{"model":"m","input":["tiktoken is great!",""]}`, 6},
		{gateway.Embeddings, "text-embedding-3-small", `{"model":"m","input":[[1,2],[3,4,5]]}`, 5},
	}
	for _, row := range rows {
		want := gateway.Answer{Usage: gateway.Usage{Prompt: row.want}, Source: gateway.Counted}
		if got := unanswered(t, row.endpoint, row.model, row.body); figuresOf(got) != want {
			t.Errorf("%s, %s:\n got %+v\nwant %+v", row.model, row.body, got, want)
		}
	}
}

func TestWhatCannotBeCountedForSureIsEstimated(t *testing.T) {
	const text = `{"model":"m","messages":[{"role":"user","content":"hi"%s}]}`
	for _, row := range []struct {
		model gateway.Model
		more  string
		want  gateway.Source
	}{
		{"gpt-4o", ``, gateway.Counted},
		{"gpt-4o", `,"audio":null,"tool_call_id":"call_1"`, gateway.Counted},
		{"llama3:8b", ``, gateway.Estimated},
		{"gpt-4o", `,"audio":{"id":"audio_1"}`, gateway.Estimated},
		{"gpt-4o", `},{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]`, gateway.Estimated},
		{"gpt-4o", `},{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]`, gateway.Estimated},
		{"gpt-4o", `},{"role":"user","content":[{"type":"file","file":{"file_id":"file_1"}}]`, gateway.Estimated},
	} {
		if got := unanswered(t, gateway.ChatCompletions, row.model, fmt.Sprintf(text, row.more)); got.Source != row.want || got.Usage.Prompt < 8 {
			t.Errorf("%s, %s: %+v, want %v", row.model, row.more, got, row.want)
		}
	}
}

// completionOf counts texts one by one.
func completionOf(t *testing.T, m gateway.Model, texts ...string) (tokens int64) {
	t.Helper()
	for _, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"choices":[{"message":{"content":` + string(quoted) + `}}]}`
		tokens += provider.OpenAI{}.ReadAnswer(askedOf(m), gateway.PromptText{}, 200, []byte(body)).Usage.Completion
	}
	return tokens
}

func TestEachTextOfAnAnswerIsCountedForItself(t *testing.T) {
	for _, row := range []struct {
		choices string
		texts   []string
	}{
		{`{"message":{"content":"token"}},{"index":1,"message":{"content":"izer"}}`, []string{"token", "izer"}},
		{`{"message":{"content":"token","refusal":"izer"}}`, []string{"token", "izer"}},
		{`{"message":{"reasoning_content":"Let me think.","content":"Yes."}}`, []string{"Let me think.", "Yes."}},
		{`{"message":{"reasoning":"So.","reasoning_details":[{"type":"reasoning.text","text":"So."}],"thinking_blocks":[{"thinking":"So."}]}}`, []string{"So."}},
		{`{"message":{"reasoning":null,"reasoning_content":"","reasoning_details":[{"text":"So."}]}}`, []string{"So."}},
		{`{"message":{"tool_calls":[{"id":"call_1","function":{"name":"now","arguments":"{}"}},{"function":{"name":"then","arguments":"{\"at\":1}"}}]}}`,
			[]string{"now{}", `then{"at":1}`}},
		{`{"text":"once\nupon"}`, []string{"once\nupon"}},
		{`{"message":{"content":"\ud83d\ude00\u00e9\"\\"}}`, []string{`😀é"\`}},
	} {
		body := `{"choices":[` + row.choices + `]}`
		want := gateway.Answer{Usage: gateway.Usage{Completion: completionOf(t, "gpt-4o", row.texts...)}, Source: gateway.Counted}
		if got := (provider.OpenAI{}).ReadAnswer(askedOf("gpt-4o"), gateway.PromptText{}, 200, []byte(body)); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", body, got, want)
		}
	}
}

func TestSoundInAnAnswerMakesItsCountAnEstimate(t *testing.T) {
	body := `{"choices":[{"message":{"content":null,"audio":{"id":"a","data":"AAAA","transcript":"Hello there"}}}]}`
	want := gateway.Answer{Usage: gateway.Usage{Completion: 2}, Source: gateway.Estimated}
	if got := (provider.OpenAI{}).ReadAnswer(askedOf("gpt-4o"), gateway.PromptText{}, 200, []byte(body)); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// delta is an event of a stream and what it delivers.
type delta struct{ choice, text string }

func (d delta) event() string {
	member := map[byte]string{'c': `"content":%s`, 'r': `"reasoning":%s`, 't': `"tool_calls":[{"index":0,"function":{"arguments":%s}}]`}[d.choice[1]]
	quoted, _ := json.Marshal(d.text)
	return fmt.Sprintf(`data: {"choices":[{"delta":{`+member+`},"index":%c}]}`+"\n\n", quoted, d.choice[0])
}

func TestAStreamCutAnywhereCostsWhatWasDelivered(t *testing.T) {
	deltas := []delta{{"0r", "Let me thi"}, {"0r", "nk 😀."}, {"0c", "It"}, {"1c", "No"}, {"0c", "'s un"}, {"1c", "thing, n"}, {"0c", "believable"},
		{"0t", `{"loc`}, {"1c", "ever.\n"}, {"0t", `ation":"Par`}, {"1c", " \nAgain"}, {"0t", `is"}`}}
	stream := ""
	delivered := map[string]string{}
	prompt := gateway.PromptText{Tokens: 7}
	for i, d := range append(deltas, delta{}) {
		var texts []string
		for _, text := range delivered {
			texts = append(texts, text)
		}
		want := gateway.Answer{Usage: gateway.Usage{Prompt: 7, Completion: completionOf(t, "gpt-4", texts...)}, Source: gateway.Counted}
		event := "data: [DONE]\n\n"
		if i < len(deltas) {
			event = d.event()
		}
		for at := range event {
			for _, step := range []int{1, 5, 1 << 20} {
				s := provider.OpenAI{}.NewStream(askedOf("gpt-4"), prompt, false)
				for rest := stream + event[:at]; rest != ""; rest = rest[min(step, len(rest)):] {
					s.Next([]byte(rest[:min(step, len(rest))]), false)
				}
				if got := s.Answer(false); figuresOf(got) != want {
					t.Fatalf("cut behind %q: %+v, want %+v", event[:at], got, want)
				}
			}
		}
		stream += event
		delivered[d.choice] += d.text
	}
}

func TestFiguresOfTheProviderReplaceTheCount(t *testing.T) {
	const empty = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n"
	for _, stream := range []string{hello + stop + usage, hello + usage + hello + usage, hello + usage + empty} {
		s := provider.OpenAI{}.NewStream(askedOf("gpt-4o"), gateway.PromptText{Tokens: 99}, false)
		s.Next([]byte(stream), false)
		if got := s.Answer(false); got.Source != gateway.FromProvider || got.Usage != fromProvider.Usage {
			t.Errorf("%q: %+v", stream, got)
		}
	}
}

func TestWhatFollowsTheProvidersFiguresIsAddedToThem(t *testing.T) {
	unbelieved := strings.Replace(hello, "{", `{"usage":{},`, 1)
	for _, stream := range []string{usage + hello, hello + usage + hello + stop, usage + unbelieved} {
		s := provider.OpenAI{}.NewStream(askedOf("gpt-4o"), gateway.PromptText{Tokens: 99}, false)
		s.Next([]byte(stream), false)
		want := fromProvider.Usage
		want.Completion += completionOf(t, "gpt-4o", "Hello 😀")
		if got := s.Answer(false); got.Source != gateway.Estimated || !got.Stale || got.Usage != want {
			t.Errorf("%q: %+v", stream, got)
		}
	}
}

func TestFiguresBesideATextHoldWhereverInTheEventTheyAre(t *testing.T) {
	s := provider.OpenAI{}.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
	s.Next([]byte(`data: {"usage":{"prompt_tokens":9,"completion_tokens":3},"choices":[{"delta":{"content":"Hello"}}]}`+"\n\n"), true)
	if got := s.Answer(false); got.Source != gateway.FromProvider || got.Usage.Completion != 3 {
		t.Errorf("%+v", got)
	}
}

func TestReasoningThatIsCountedBesideTheCompletionIsPartOfIt(t *testing.T) {
	const figures = `{"prompt_tokens":32,"completion_tokens":9,"total_tokens":%d,"completion_tokens_details":{"reasoning_tokens":5}}`
	for total, want := range map[int]int64{46: 14, 41: 9, 0: 9} {
		body := `{"choices":[],"usage":` + fmt.Sprintf(figures, total) + `}`
		a := provider.OpenAI{}.ReadAnswer(askedOf("grok-4"), gateway.PromptText{}, 200, []byte(body))
		if a.Source != gateway.FromProvider || a.Usage.Completion != want || a.Usage.Reasoning != 5 {
			t.Errorf("total %d: %+v", total, a)
		}
	}
}

func TestAnAnswerOfAnyLengthIsCountedInLittleMemory(t *testing.T) {
	const line, lines = "It's all work and no play, isn't it?\\n", 10_000
	event := []byte(strings.Repeat(`data: {"choices":[{"delta":{"content":"`+line+`"}},{"index":1,"delta":{"content":"`+line+`"}}]}`+"\n\n", 10))
	s := provider.OpenAI{}.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
	for range lines / 10 {
		s.Next(event, false)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	want := 2 * lines * completionOf(t, "gpt-4o", "It's all work and no play, isn't it?\n")
	if got := s.Answer(false); max(got.Usage.Completion-want, want-got.Usage.Completion)*100 > want || got.Source != gateway.Estimated {
		t.Errorf("%+v, want an estimate of about %d tokens", got, want)
	}
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(before.HeapAlloc) - int64(after.HeapAlloc); held > 1<<20 {
		t.Errorf("the stream held %d bytes of %d", held, 2*lines*len(line))
	}
}

// A hostile provider makes as many texts as it can.
func TestAnAnswerOfManyTextsIsKeptInBoundedMemory(t *testing.T) {
	memory := provider.NewMemory(1 << 20)
	s := provider.OpenAI{Memory: memory}.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
	text := strings.Repeat("It is all work. ", 1000)
	const members = `"content":"%[1]s","refusal":"%[1]s","reasoning":"%[1]s","tool_calls":[{"function":{"arguments":"%[1]s"}}]`
	for i := range 500 {
		s.Next([]byte(fmt.Sprintf(`data: {"choices":[{"index":%[2]d,"delta":{`+members+"}}]}\n\n", text, i)), false)
	}
	if kept := s.Uncounted(); kept > 256<<10 {
		t.Errorf("%d bytes are kept", kept)
	}
	want := int64(500 * 4 * 1000 * 5)
	if got := s.Answer(false).Usage.Completion; max(got-want, want-got)*50 > want {
		t.Errorf("%d tokens, want about %d", got, want)
	}
}

// Streams share a memory: where it is used up they keep less of their texts, and still tell
// about as many tokens.
func TestTextsOfManyStreamsShareTheirMemory(t *testing.T) {
	d := provider.OpenAI{Memory: provider.NewMemory(256 << 10)}
	event := []byte(`data: {"choices":[{"delta":{"content":"` + strings.Repeat("It is all work and no play. ", 2000) + `"}}]}` + "\n\n")
	var all []*provider.Stream
	kept := 0
	for range 50 {
		s := d.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
		for range 4 {
			s.Next(event, false)
		}
		kept += s.Uncounted()
		all = append(all, s)
	}
	if kept > 256<<10+50*(16<<10) {
		t.Errorf("%d bytes are kept", kept)
	}
	const want = 4 * 2000 * 8
	for _, s := range all {
		if got := s.Answer(false).Usage.Completion; max(got-want, want-got)*50 > want {
			t.Errorf("%d tokens, want about %d", got, want)
		}
		s.Close()
	}
	again := d.NewStream(askedOf("gpt-4o"), gateway.PromptText{}, false)
	for range 4 {
		again.Next(event, false)
	}
	if n := again.Uncounted(); n < 200<<10 {
		t.Errorf("%d bytes are kept after the others have closed", n)
	}
}

func TestInHasteTokensAreEstimatedFromTheSizeOfTheText(t *testing.T) {
	s := provider.OpenAI{}.NewStream(askedOf("gpt-4o"), gateway.PromptText{Texts: "12345678", Bytes: 80, Tokens: 3}, false)
	s.Next([]byte(`data: {"choices":[{"delta":{"content":"123456789"}}]}`+"\n\n"), false)
	want := gateway.Answer{Usage: gateway.Usage{Prompt: 23, Completion: 3}, Source: gateway.Estimated}
	if got := s.Answer(true); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestALongPromptIsKeptAsASample(t *testing.T) {
	text := strings.Repeat("All work and no play makes Jack a dull boy. ", 100_000)
	r, err := provider.OpenAI{}.ReadRequest(gateway.Completions, []byte(`{"model":"m","prompt":"`+text+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Text.Texts) > 1<<19 || r.Text.Bytes != int64(len(text))+1 {
		t.Errorf("%d bytes of %d are kept as %d", len(r.Text.Texts), len(text), r.Text.Bytes)
	}
	const want = 11 * 100_000
	got := provider.OpenAI{}.ReadAnswer(askedOf("gpt-4o"), r.Text, 0, nil).Usage.Prompt
	if max(got-want, want-got)*100 > want {
		t.Errorf("%d tokens, want about %d", got, want)
	}
}
