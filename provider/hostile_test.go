package provider_test

import (
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// A provider may send anything. Reading it takes a time that grows with its size, not with its
// square: then each of these would take minutes.
func TestNoStreamOfAProviderTakesLongToRead(t *testing.T) {
	const size, limit = 8 << 20, 30 * time.Second
	repeat := func(text string) string { return strings.Repeat(text, size/len(text)) }
	for name, stream := range map[string]string{
		"an event without an end":        `data: {"type":"response.output_text.delta","delta":"` + repeat("x"),
		"backslashes":                    `data: {"delta":"` + repeat(`\`) + "\"}\n\n",
		"escapes":                        `data: {"type":"response.output_text.delta","delta":"` + repeat(`\u0041`) + "\"}\n\n",
		"lines of an event":              repeat("data: {\n"),
		"empty events":                   repeat("data:\n\n"),
		"events of one byte":             repeat("data: {}\n\n"),
		"carriage returns":               repeat("\r"),
		"white space":                    "data: " + repeat(" ") + "{}\n\n",
		"types":                          `data: {` + repeat(`"type":"error",`) + "\"a\":1}\n\n",
		"responses":                      `data: {"type":"response.completed",` + repeat(`"response":{"output":[1,{}]},`) + "\"a\":1}\n\n",
		"usages":                         `data: {` + repeat(`"usage":{"input_tokens":1,"output_tokens":2,"iterations":[{"input_tokens":1}]},`) + "\"a\":1}\n\n",
		"contents":                       `data: {` + repeat(`"content":[7,{"type":"text","text":"a"}],`) + "\"a\":1}\n\n",
		"elements":                       `data: {"output":[` + repeat(`7,`) + "7]}\n\n",
		"messages":                       `data: {` + repeat(`"message":{"usage":{"input_tokens":1}},`) + "\"a\":1}\n\n",
		"blocks":                         repeat(`data: {"type":"content_block_delta","index":1,"delta":{"text":"a","thinking":"b"}}` + "\n\n"),
		"blocks of many indexes":         hostileIndexes(size),
		"names":                          `data: {"` + repeat(`\u0061`) + "\":1}\n\n",
		"nested arrays":                  repeat(`data: {"content":` + strings.Repeat("[", 190) + "\n\n"),
		"an event that is always larger": `data: {"type":"response.completed","response":{"output":[{"type":"message","content":[{"text":"` + repeat("a ") + `"}]}]}}` + "\n\n",
	} {
		for _, e := range []gateway.Endpoint{gateway.ChatCompletions, gateway.Responses, gateway.Messages} {
			began := time.Now()
			s := provider.OpenAI{Preview: 100}.NewStream(asked(e), gateway.PromptText{}, e == gateway.ChatCompletions)
			for rest := stream; rest != ""; {
				n := min(len(rest), 1000)
				s.Next([]byte(rest[:n]), false)
				rest = rest[n:]
			}
			s.Next(nil, true)
			s.Answer(true)
			s.Close()
			if took := time.Since(began); took > limit {
				t.Errorf("%s of %s: %s", name, e, took)
			}
		}
	}
}

// hostileIndexes are events of which each has a part of its own of the answer.
func hostileIndexes(size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		b.WriteString(typedEvent("content_block_delta", `,"index":`+strings.Repeat("1", 1+n%18)+`,"delta":{"text":"a"}`))
	}
	return b.String()
}
