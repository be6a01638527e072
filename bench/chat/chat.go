// Package chat is the one conversation that is measured: a chat completion of about
// 1 KB in both directions, or a stream of chunks of about 200 bytes with the usage
// at its end. Every answer's length is known beforehand, so that checking one costs
// next to nothing.
package chat

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Ask is what a request asks the fake provider for. It travels in the request's
// "user", as the one field that no gateway has a reason to read.
type Ask struct {
	Chunks int           // of a stream; 0 for one JSON answer
	Pace   time.Duration // between two chunks; 0 writes them one after another
}

// words are what both sides say, with a price in every price list by the model's name.
var words = strings.TrimSpace(strings.Repeat("the quick brown fox jumps over the lazy dog ", 17))

const (
	model  = "gpt-4o-mini"
	served = "gpt-4o-mini-2024-07-18"
	asks   = `"user":"chunks=`
)

// Body is the request's body.
func (a Ask) Body() []byte {
	options := ""
	if a.Chunks > 0 {
		options = `"stream":true,"stream_options":{"include_usage":true},`
	}
	return fmt.Appendf(nil, `{"model":%q,%s"temperature":0.7,"max_tokens":512,"messages":[`+
		`{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":%q}],`+asks+`%d pace=%s"}`,
		model, options, words, a.Chunks, a.Pace)
}

var errNoAsk = errors.New("the request asks for nothing that is known here")

// ParseAsk reads a request's body.
func ParseAsk(body []byte) (Ask, error) {
	at := bytes.LastIndex(body, []byte(asks))
	if at < 0 {
		return Ask{}, errNoAsk
	}
	told, _, _ := bytes.Cut(body[at+len(asks):], []byte{'"'})
	var a Ask
	var pace string
	if _, err := fmt.Sscanf(string(told), "%d pace=%s", &a.Chunks, &pace); err != nil {
		return Ask{}, fmt.Errorf("%w: %w", errNoAsk, err)
	}
	var err error
	if a.Pace, err = time.ParseDuration(pace); err != nil {
		return Ask{}, fmt.Errorf("%w: %w", errNoAsk, err)
	}
	return a, nil
}

const usage = `{"prompt_tokens":172,"completion_tokens":153,"total_tokens":325,` +
	`"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}`

// JSON is the answer to a request that does not stream.
func JSON() []byte {
	return fmt.Appendf(nil, `{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":%q,"choices":[{"index":0,`+
		`"message":{"role":"assistant","content":%q,"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":%s}`, served, words, usage)
}

func event(choices, usage string) []byte {
	return fmt.Appendf(nil, `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":%q,`+
		`"service_tier":"default","choices":[%s],"usage":%s}`+"\n\n", served, choices, usage)
}

// Chunk is each chunk of a stream.
func Chunk() []byte {
	return event(`{"index":0,"delta":{"content":" dog"},"finish_reason":null}`, "null")
}

// End is the last bytes of every stream.
const End = "data: [DONE]\n\n"

// Tail is what follows a stream's last chunk.
func Tail() []byte {
	tail := append(event(`{"index":0,"delta":{},"finish_reason":"stop"}`, "null"), event("", usage)...)
	return append(tail, End...)
}

// Size is the length of the answer's body.
func (a Ask) Size() int {
	if a.Chunks == 0 {
		return len(JSON())
	}
	return a.Chunks*len(Chunk()) + len(Tail())
}
