package provider_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// typedEvent is an event that names its type.
func typedEvent(kind, members string) string {
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"" + members + "}\n\n"
}

// responseStream is a response of text, reasoning and a call of a tool.
func responseStream() string {
	return typedEvent("response.created", `,"response":{"id":"resp_1","status":"in_progress","output":[],"usage":null}`) +
		typedEvent("response.output_item.added", `,"output_index":0,"item":{"type":"reasoning","summary":[]}`) +
		typedEvent("response.reasoning_summary_text.delta", `,"output_index":0,"delta":"one two"`) +
		typedEvent("response.output_item.added", `,"output_index":1,"item":{"type":"message","content":[]}`) +
		typedEvent("response.output_text.delta", `,"output_index":1,"delta":"three \ud83d\ude00"`) +
		typedEvent("response.output_text.delta", `,"output_index":1,"delta":" four"`) +
		typedEvent("response.output_item.added", `,"output_index":2,"item":{"type":"function_call","name":"five","arguments":""}`) +
		typedEvent("response.function_call_arguments.delta", `,"output_index":2,"delta":"{}"`) +
		typedEvent("response.output_text.done", `,"output_index":1,"text":"three four"`)
}

func responseEnd() string {
	return typedEvent("response.completed", `,"response":{"id":"resp_1","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"three four"}]}],`+
		`"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":2},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":39}}`)
}

// messageStream is a message of text, thinking and a call of a tool.
func messageStream() string {
	return typedEvent("message_start", `,"message":{"id":"msg_1","content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":2,"cache_creation_input_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":1},"output_tokens":1}}`) +
		typedEvent("content_block_start", `,"index":0,"content_block":{"type":"thinking","thinking":""}`) +
		typedEvent("content_block_delta", `,"index":0,"delta":{"type":"thinking_delta","thinking":"one two"}`) +
		typedEvent("content_block_delta", `,"index":0,"delta":{"type":"signature_delta","signature":"c2lnbmF0dXJl"}`) +
		typedEvent("ping", "") + typedEvent("content_block_start", `,"index":1,"content_block":{"type":"text","text":"three"}`) +
		typedEvent("content_block_delta", `,"index":1,"delta":{"type":"text_delta","text":" \ud83d\ude00 four"}`) +
		typedEvent("content_block_start", `,"index":2,"content_block":{"type":"tool_use","id":"t","name":"five","input":{}}`) +
		typedEvent("content_block_delta", `,"index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}`) +
		typedEvent("content_block_start", `,"index":3,"content_block":{"type":"web_search_tool_result","content":[{"title":"not counted","text":"not counted"}]}`)
}

func messageEnd() string {
	return typedEvent("message_delta", `,"delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":30}`) + typedEvent("message_stop", "")
}

// readTyped feeds a stream in pieces that end at the cuts, and holds that all of it passes as it is.
func readTyped(t *testing.T, e gateway.Endpoint, stream string, cuts ...int) gateway.Answer {
	t.Helper()
	s := provider.OpenAI{Preview: 20}.NewStream(asked(e), gateway.PromptText{}, false)
	defer s.Close()
	from := 0
	for _, to := range append(cuts, len(stream)) {
		to = min(max(from, to), len(stream))
		piece := []byte(stream[from:to])
		if _, same := s.Next(piece, false); !same {
			t.Errorf("the piece %q is changed", piece)
		}
		clear(piece) // it belongs to the caller again
		from = to
	}
	s.Next(nil, true)
	return s.Answer(false)
}

func TestATypedStreamCostsWhatItsLastEventSaysHoweverItIsCut(t *testing.T) {
	for e, c := range map[gateway.Endpoint]struct {
		stream   string
		want     gateway.Usage
		response gateway.ResponseWord
	}{
		gateway.Responses: {responseStream() + responseEnd(), gateway.Usage{Prompt: 9, Cached: 2, Completion: 30, Reasoning: 1}, gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseEnded}},
		gateway.Messages:  {messageStream() + messageEnd(), gateway.Usage{Prompt: 9, Cached: 2, CacheWrite: 2, CacheWriteHour: 1, Completion: 30}, gateway.ResponseWord{}},
	} {
		want := gateway.Answer{Usage: c.want, Source: gateway.FromProvider, Text: "three 😀 four", Complete: true, Response: c.response}
		for cut := range len(c.stream) {
			if diff := cmp.Diff(want, readTyped(t, e, c.stream, cut, cut+1)); diff != "" {
				t.Fatalf("%s, cut at %d (- expected, + read):\n%s", e, cut, diff)
			}
		}
	}
}

func TestATypedStreamThatBreaksOffCostsWhatWasDelivered(t *testing.T) {
	for e, c := range map[gateway.Endpoint]struct {
		stream string
		prompt gateway.Usage
	}{
		gateway.Responses: {responseStream(), gateway.Usage{}},
		gateway.Messages:  {messageStream(), gateway.Usage{Prompt: 9, Cached: 2, CacheWrite: 2, CacheWriteHour: 1}},
	} {
		want := c.prompt
		want.Completion = completionOf(t, "gpt-4o", "one two", "three 😀 four", "five", "{}")
		whole := readTyped(t, e, c.stream)
		if diff := cmp.Diff(want, whole.Usage); diff != "" || whole.Source == gateway.FromProvider {
			t.Errorf("%s is %s (- expected, + read):\n%s", e, whole.Source, diff)
		}
		for cut := range len(c.stream) {
			if diff := cmp.Diff(whole, readTyped(t, e, c.stream, cut, cut+7)); diff != "" {
				t.Fatalf("%s, cut at %d (- whole, + cut):\n%s", e, cut, diff)
			}
		}
	}
}

func TestAnAnswerWithoutAUsageIsCountedByItsTexts(t *testing.T) {
	for e, body := range map[gateway.Endpoint]string{
		gateway.Responses: `{"object":"response","status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"one two"}],"encrypted_content":"bm90IGNvdW50ZWQ="},` +
			`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"three four","annotations":[]}]},{"type":"function_call","name":"five","arguments":"{}","call_id":"c"}]}`,
		gateway.Messages: `{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"one two","signature":"bm90IGNvdW50ZWQ="},{"type":"text","text":"three four"},` +
			`{"type":"tool_use","id":"t","name":"five","input":{}},{"type":"web_search_tool_result","content":[{"text":"not counted"}]}]}`,
	} {
		got := provider.OpenAI{Preview: 20}.ReadAnswer(asked(e), gateway.PromptText{}, 200, []byte(body))
		want := completionOf(t, "gpt-4o", "one two", "three four", "five", "{}")
		if got.Usage.Completion != want || got.Text != "three four" || got.Missing || got.Source == gateway.FromProvider {
			t.Errorf("%s: %+v, want %d tokens", e, got, want)
		}
	}
}

func TestACallStandsInThePlaceOfAText(t *testing.T) {
	for e, body := range map[gateway.Endpoint]string{
		gateway.Responses: `{"status":"completed","output":[{"type":"function_call","name":"f","arguments":"{\"a\":1}"}]}`,
		gateway.Messages:  `{"type":"message","content":[{"type":"tool_use","name":"f","input":{"a":1}}]}`,
	} {
		if got := (provider.OpenAI{Preview: 20}).ReadAnswer(asked(e), gateway.PromptText{}, 200, []byte(body)); got.Text != `f({"a":1})` {
			t.Errorf("%s is shown as %q", e, got.Text)
		}
	}
}

func TestATypedRequestIsReadForWhatItAsks(t *testing.T) {
	for _, c := range []struct {
		of        gateway.Endpoint
		body      string
		prompt    string
		maxTokens int64
		atLeast   int64 // tokens of the prompt
		stream    bool
	}{
		{gateway.Responses, `{"model":"m","input":"Hello","instructions":"Be as brief as can be, please."}`, "Hello", 0, 8, false},
		{gateway.Responses, `{"model":"m","stream":true,"max_output_tokens":7,"input":[{"role":"user","content":[{"type":"input_text","text":"Hello"},{"type":"input_image","image_url":"data:AAAA"}]},
			{"type":"function_call_output","call_id":"c","output":"the weather in Oslo is what it always is"}]}`, "Hello", 7, 10, true},
		{gateway.Messages, `{"model":"m","max_tokens":9,"system":"Be as brief as can be, please.","messages":[{"role":"user","content":"Hello"}]}`, "Hello", 9, 8, false},
		{gateway.Messages, `{"model":"m","max_tokens":9,"stream":true,"system":[{"type":"text","text":"Be brief."}],"tools":[{"name":"weather","description":"tells the weather of a place","input_schema":{"type":"object"}}],
			"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"weather","input":{"city":"Oslo"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"the weather in Oslo is what it always is"}]}]}`, "Hello", 9, 18, true},
		{gateway.CountTokens, `{"model":"m","messages":[{"role":"user","content":"Hello"}]}`, "Hello", 0, 1, false},
	} {
		r, err := provider.OpenAI{Preview: 20}.ReadRequest(c.of, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if r.Model != "m" || r.Prompt != c.prompt || r.MaxTokens != c.maxTokens || r.Stream != c.stream || !r.UsageWanted || r.PromptTokens < c.atLeast {
			t.Errorf("%s: %+v", c.body, r)
		}
	}
}

func TestTheFastModeIsAServiceTier(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m","speed":"fast","service_tier":"auto","messages":[]}`: "fast", `{"model":"m","speed":"standard","messages":[]}`: "",
		`{"model":"m","service_tier":"auto","speed":null,"messages":[]}`: "auto",
	} {
		r, err := provider.OpenAI{}.ReadRequest(gateway.Messages, []byte(body))
		if err != nil || r.ServiceTier != want {
			t.Errorf("%s is in the tier %q, %v, want %q", body, r.ServiceTier, err, want)
		}
	}
}

func TestWhatARequestSaysOfStoredResponsesIsRead(t *testing.T) {
	for body, want := range map[string]gateway.Request{
		`{"model":"m","background":true,"previous_response_id":"resp_1"}`:          {Previous: "resp_1", Background: true},
		`{"previous_response_id":"resp_\u0031","store":false,"model":"m"}`:         {Previous: "resp_1", Unstored: true},
		`{"model":"m","background":null,"previous_response_id":null,"store":null}`: {},
		`{"model":"m","background":false,"store":true}`:                            {},
	} {
		r, err := provider.OpenAI{}.ReadRequest(gateway.Responses, []byte(body))
		got := gateway.Request{Previous: r.Previous, Background: r.Background, Unstored: r.Unstored}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (- wanted, + read):\n%s", body, err, diff)
		}
	}
}

func TestEveryEndpointOfResponsesGoesOnFromAResponse(t *testing.T) {
	for of, want := range map[gateway.Endpoint]string{gateway.Responses: "resp_1", gateway.Compact: "resp_1", gateway.InputTokens: "resp_1", gateway.ChatCompletions: ""} {
		r, err := provider.OpenAI{}.ReadRequest(of, []byte(`{"model":"m","previous_response_id":"resp_1"}`))
		if err != nil || r.Previous != want {
			t.Errorf("%s goes on from %q, %v", of, r.Previous, err)
		}
	}
}

func TestWhatIsAmbiguousOfStoredResponsesIsRefused(t *testing.T) {
	for body, param := range map[string]string{
		`{"model":"m","previous_response_id":"a","previous_response_id":"b"}`: "previous_response_id",
		`{"model":"m","Previous_Response_Id":"a"}`:                            "previous_response_id",
		`{"model":"m","previous_response_id":7}`:                              "previous_response_id",
		`{"model":"m","previous_response_id":""}`:                             "previous_response_id",
		`{"model":"m","previous_response_id":"a b"}`:                          "previous_response_id",
		`{"model":"m","background":true,"background":false}`:                  "background",
		`{"model":"m","background":1}`:                                        "background",
		`{"model":"m","store":true,"store":false}`:                            "store",
		`{"model":"m","store":"false"}`:                                       "store",
	} {
		_, err := provider.OpenAI{}.ReadRequest(gateway.Responses, []byte(body))
		var refusal *gateway.Error
		if !errors.As(err, &refusal) || refusal.Param != param {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAFetchedResponseTellsWhatItUsedAndCostsNothing(t *testing.T) {
	i := asked(gateway.FetchResponse)
	i.PromptTokens = 7
	usage := `"usage":{"input_tokens":9,"output_tokens":30,"total_tokens":39}`
	output := `"output":[{"type":"message","content":[{"type":"output_text","text":"one two three"}]}]`
	for body, want := range map[string]gateway.ResponseWord{
		`{"id":"resp_1","status":"completed",` + output + `,` + usage + `,"service_tier":"flex"}`: {ID: "resp_1", State: gateway.ResponseEnded, Usage: gateway.Usage{Prompt: 9, Completion: 30},
			Source: gateway.FromProvider, ServiceTier: "flex"},
		`{"id":"resp_1","status":"cancelled",` + output + `,"usage":null}`:  {ID: "resp_1", State: gateway.ResponseCancelled, Usage: gateway.Usage{Prompt: 7, Completion: 3}, Source: gateway.Estimated},
		`{"id":"resp_1","status":"in_progress",` + output + `}`:             {ID: "resp_1", State: gateway.ResponseRuns},
		`{"id":"resp_1","status":"completed",` + output + `,"usage":{"inp`:  {ID: "resp_1", State: gateway.ResponseRuns},
		`{"id":"resp_1","status":"failed","error":{"code":"server_error"}}`: {ID: "resp_1", State: gateway.ResponseFailed, Usage: gateway.Usage{Prompt: 7}, Source: gateway.Estimated, ErrorCode: "server_error"},
	} {
		a := provider.OpenAI{}.NewAnswer(i, gateway.PromptText{}, 200, []byte(body)).Answer(false)
		got := a.Response
		if got.Source == gateway.Counted {
			got.Source = gateway.Estimated // as the model's tokens are known
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- wanted, + read):\n%s", body, diff)
		}
		if (a.Usage != gateway.Usage{}) || a.Source != gateway.FromProvider || a.Missing || a.Failed || a.ErrorCode != "" {
			t.Errorf("%s costs %+v", body, a)
		}
	}
}

func FuzzATypedStreamIsReadTheSameHoweverItIsCut(f *testing.F) {
	f.Add([]byte(responseStream()+responseEnd()), 7, 300, true)
	f.Add([]byte(messageStream()+messageEnd()), 7, 300, false)
	f.Add([]byte(strings.ReplaceAll(messageStream(), "\n", "\r\n")), 40, 41, false)
	f.Fuzz(func(t *testing.T, stream []byte, a, b int, ofResponse bool) {
		e := gateway.Messages
		if ofResponse {
			e = []gateway.Endpoint{gateway.Responses, gateway.FetchResponse}[len(stream)%2]
		}
		if trimmed := bytes.TrimLeft(stream, " \t\r\n\xEF\xBB\xBF"); a < 0 || b < a || b > len(stream) || len(trimmed) == 0 || trimmed[0] == '{' || trimmed[0] == '[' {
			return
		}
		whole := readTyped(t, e, string(stream))
		if diff := cmp.Diff(whole, readTyped(t, e, string(stream), a, b)); diff != "" {
			t.Errorf("cut at %d and %d (- whole, + cut):\n%s", a, b, diff)
		}
		if whole.Source == gateway.FromProvider && !plausible(whole.Usage) {
			t.Errorf("usage %+v", whole.Usage)
		}
	})
}
