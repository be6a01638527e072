// Package demo is the built-in fake provider of the model "demo": it answers in OpenAI's
// format with a fixed text, so that a first try needs neither a key nor a network. It counts
// words as tokens.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"ai-gateway/gateway"
)

const text = "Hello! I am the gateway's built-in demo model. I am a fake: no provider was called, and this text is always the same. " +
	"To talk to a real model, set OPENAI_API_KEY to your key, or send models to a server of your own with " +
	"AI_GATEWAY_MODEL_ROUTES=llama3:http://localhost:11434/v1, and start the gateway again."

const (
	model       = "demo"
	interval    = 30 * time.Millisecond // between two words of a stream
	maxBody     = 32 << 20
	readTimeout = time.Minute
	stopTimeout = 500 * time.Millisecond
	dimensions  = 8
)

// Serve answers on l until ctx ends, which also ends running streams.
func Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: Handler(interval), ReadTimeout: readTimeout, IdleTimeout: readTimeout}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving the demo model: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if s.Shutdown(stop) != nil {
		s.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the demo model: %w", err)
	}
	return nil
}

// Handler answers the OpenAI API below any base path; interval is the time between
// two words of a stream.
func Handler(interval time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := route(r, interval)
		if serve == nil {
			refuse(w, &gateway.Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
				Message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)})
			return
		}
		var req request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req); err != nil {
			refuse(w, gateway.BadRequest("invalid_json", "", "The body is no JSON that the demo model understands: "+err.Error()))
			return
		}
		serve(w, r, req)
	})
}

// request has the fields of all requests that the demo reads.
type request struct {
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages json.RawMessage `json:"messages"`
	Prompt   json.RawMessage `json:"prompt"`
	Input    json.RawMessage `json:"input"`
}

func route(r *http.Request, interval time.Duration) func(http.ResponseWriter, *http.Request, request) {
	if r.Method != http.MethodPost {
		return nil
	}
	switch {
	case strings.HasSuffix(r.URL.Path, gateway.ChatCompletions.String()):
		return completion{kind: "chat.completion", id: "chatcmpl-demo", interval: interval, chat: true}.serve
	case strings.HasSuffix(r.URL.Path, gateway.Completions.String()):
		return completion{kind: "text_completion", id: "cmpl-demo", interval: interval}.serve
	case strings.HasSuffix(r.URL.Path, gateway.Embeddings.String()):
		return embeddings
	}
	return nil
}

func refuse(w http.ResponseWriter, e *gateway.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.JSON())
}

// object is a JSON object.
type object = map[string]any

func answer(w http.ResponseWriter, o object) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o) // an error is the client leaving
}

func usage(prompt json.RawMessage, completion int) object {
	n := len(strings.Fields(string(prompt)))
	return object{"prompt_tokens": n, "completion_tokens": completion, "total_tokens": n + completion}
}

// completion answers chat completions and completions.
type completion struct {
	kind, id string
	interval time.Duration
	chat     bool
}

func (c completion) serve(w http.ResponseWriter, r *http.Request, req request) {
	if req.Stream {
		c.stream(w, r, req)
		return
	}
	choice := object{"index": 0, "finish_reason": "stop", "logprobs": nil}
	if c.chat {
		choice["message"] = object{"role": "assistant", "content": text, "refusal": nil}
	} else {
		choice["text"] = text
	}
	answer(w, c.object("", choice, usage(req.prompt(), len(words()))))
}

func (r request) prompt() json.RawMessage { return append(r.Messages, r.Prompt...) }

// words splits a text into pieces that together are the text.
func words() []string { return strings.SplitAfter(text, " ") }

func (c completion) object(suffix string, choice, used object) object {
	o := object{"id": c.id, "object": c.kind + suffix, "created": time.Now().Unix(), "model": model, "choices": []object{}}
	if choice != nil {
		o["choices"] = []object{choice}
	}
	if used != nil {
		o["usage"] = used
	}
	return o
}

// stream sends the text word by word and stops when the client leaves.
func (c completion) stream(w http.ResponseWriter, r *http.Request, req request) {
	w.Header().Set("Content-Type", "text/event-stream")
	suffix := ""
	if c.chat {
		suffix = ".chunk"
	}
	send := func(o object) error {
		data, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	for _, choice := range c.choices() {
		if send(c.object(suffix, choice, nil)) != nil || !wait(r.Context(), c.interval) {
			return
		}
	}
	if req.StreamOptions.IncludeUsage && send(c.object(suffix, nil, usage(req.prompt(), len(words())))) != nil {
		return
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n") // an error is the client leaving
}

// choices are the choice of each chunk, in order.
func (c completion) choices() []object {
	if !c.chat {
		var chunks []object
		for _, word := range words() {
			chunks = append(chunks, object{"index": 0, "text": word, "logprobs": nil, "finish_reason": nil})
		}
		return append(chunks, object{"index": 0, "text": "", "logprobs": nil, "finish_reason": "stop"})
	}
	delta := func(d object, reason any) object {
		return object{"index": 0, "delta": d, "logprobs": nil, "finish_reason": reason}
	}
	chunks := []object{delta(object{"role": "assistant", "content": ""}, nil)}
	for _, word := range words() {
		chunks = append(chunks, delta(object{"content": word}, nil))
	}
	return append(chunks, delta(object{}, "stop"))
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// embeddings answers each input with numbers made from its bytes.
func embeddings(w http.ResponseWriter, _ *http.Request, req request) {
	var inputs []json.RawMessage
	if json.Unmarshal(req.Input, &inputs) != nil {
		inputs = []json.RawMessage{req.Input}
	}
	data := make([]object, len(inputs))
	for i, input := range inputs {
		data[i] = object{"object": "embedding", "index": i, "embedding": vector(input)}
	}
	answer(w, object{"object": "list", "data": data, "model": model, "usage": usage(req.Input, 0)})
}

func vector(input []byte) []float64 {
	v := make([]float64, dimensions)
	for i, c := range input {
		v[i%dimensions] += float64(c) / (255 * float64(len(input)))
	}
	return v
}
