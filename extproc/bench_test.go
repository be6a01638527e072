package extproc

import (
	"testing"

	"ai-gateway/gateway"
)

// quietConfig costs as little as a fake can.
func quietConfig() Config {
	config := fakeConfig(&books{})
	d := wordDialect()
	d.readRequest = func(gateway.Endpoint, []byte) (gateway.Request, error) {
		return gateway.Request{Model: "gpt-4o-mini", PromptTokens: 7}, nil
	}
	d.newStream = func(gateway.PromptText, bool) Stream { return &fakeStream{} }
	config.Rules().Dialect = d
	config.Rules().Plan = func(_ gateway.API, m gateway.Model) (gateway.Plan, bool) {
		return gateway.Plan{Model: m, Steps: []gateway.Step{{Backend: "openai", UpstreamModel: m}}, ClientKeys: []string{"openai"}}, true
	}
	config.Settle = func(*gateway.Settlement) {}
	return config
}

// BenchmarkJSONExchange is a whole request with a JSON answer.
func BenchmarkJSONExchange(b *testing.B) {
	s := New(quietConfig())
	messages := [][]byte{
		marshal(b, chatHeaders("content-length", "1024")), marshal(b, requestBodyOf(string(make([]byte, 1024)), true)),
		marshal(b, responseHeadersOf(false, ":status", "200", "content-type", "application/json")),
		marshal(b, responseBodyOf(string(make([]byte, 1024)), true)),
	}
	reply := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		x := s.newExchange()
		for _, m := range messages {
			if _, err := x.answer(m, reply[:0]); err != nil {
				b.Fatal(err)
			}
		}
		x.end()
	}
}

// BenchmarkChunk is one piece of a streamed answer.
func BenchmarkChunk(b *testing.B) {
	x := New(quietConfig()).newExchange()
	for _, m := range streamed(1)[:3] {
		say(b, x, m)
	}
	chunk := marshal(b, responseBodyOf(`data: {"choices":[{"delta":{"content":"hello"}}]}`+"\n\n", false))
	reply := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.answer(chunk, reply[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServer is a whole request carried by grpc, its client included.
func BenchmarkServer(b *testing.B) {
	r := run(b, quietConfig())
	messages := append(streamed(1)[:2], responseHeadersOf(false, ":status", "200"), responseBodyOf("{}", true))
	b.ReportAllocs()
	for b.Loop() {
		stream, cancel := r.open(b)
		if _, err := exchangeAll(stream, messages...); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}
