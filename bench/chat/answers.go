package chat

import (
	"fmt"

	"ai-gateway/test/fakeprovider"
)

// Provider makes the fake provider that answers what an Ask asks for.
func Provider() *fakeprovider.Provider {
	const head = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nopenai-processing-ms: 1\r\nx-request-id: req_bench\r\n"
	body := JSON()
	whole := fakeprovider.Prepared{Head: fmt.Appendf(nil, "%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", head, len(body), body)}
	stream := fakeprovider.Prepared{
		Head:  []byte(head + "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"),
		Chunk: framed(Chunk()),
		Tail:  append(framed(Tail()), "0\r\n\r\n"...),
	}
	return fakeprovider.NewPrepared(func(body []byte) (fakeprovider.Prepared, error) {
		ask, err := ParseAsk(body)
		if err != nil || ask.Chunks == 0 {
			return whole, err
		}
		answer := stream
		answer.Chunks, answer.Pace = ask.Chunks, ask.Pace
		return answer, nil
	})
}

// framed is an HTTP chunk.
func framed(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }
