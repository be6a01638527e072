package test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// readUntil sends a request for a stream, reads its answer until a text came, and returns the
// open connection.
func readUntil(t *testing.T, address, model, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(callWithin))
	if _, err := conn.Write(requestBytes(chatPath, chatBody(model, true))); err != nil {
		t.Fatal(err)
	}
	readOn(t, conn, text)
	return conn
}

// playReply has the provider answer requests for a model.
func playReply(t *testing.T, fake *fakeprovider.Provider, model, text string) {
	t.Helper()
	reply, err := fakeprovider.ParseReply(text)
	if err != nil {
		t.Fatal(err)
	}
	fake.Play(model, fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply}})
}

const (
	eventStream = "200\ncontent-type: text/event-stream\n\n"
	textEvent   = `data: {"choices":[{"index":0,"delta":{"content":"Hello there"},"finish_reason":null}]}` + "\n\n"
	stopEvent   = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageEvent  = `data: {"choices":[],"usage":{"prompt_tokens":1234,"completion_tokens":56,"total_tokens":1290}}` + "\n\n"
	errorEvent  = `data: {"error":{"message":"no","code":"overloaded"}}` + "\n\n"
	doneEvent   = "data: [DONE]\n\n"
)

// closed are streams that a client closes when it has read a text, and how their rows end,
// whether serve lives or not.
var closed = map[string]struct {
	stream, until, outcome string
	completion             float64 // -1 for any
}{
	"at the end":            {textEvent + stopEvent + usageEvent + doneEvent, "[DONE]", "ok", 56},
	"at an error":           {textEvent + errorEvent, "overloaded", "provider_error", -1},
	"in the midst":          {textEvent, "Hello", "client_closed", -1},
	"at the end, uncounted": {textEvent + stopEvent + doneEvent, "[DONE]", "ok", -1},
}

func TestAClientThatClosesAtTheEndHasHadItAll(t *testing.T) {
	for _, killed := range []bool{false, true} {
		name := map[bool]string{false: "while serve lives", true: "while serve is dead"}[killed]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, base := provider(t)
			p := start(t, upstreamOf(base)...)
			conns := map[string]net.Conn{}
			for model, c := range closed {
				playReply(t, fake, model, eventStream+": ping\n\n«wait 1500ms»"+c.stream+"«wait 3000ms»: late\n\n")
				conns[model] = readUntil(t, p.address, model, "ping")
			}
			if killed {
				if err := p.signal("serve", syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			for model, c := range closed {
				readOn(t, conns[model], c.until)
				conns[model].Close()
			}
			rows, err := p.waitRows(len(closed))
			if err != nil {
				t.Fatal(err)
			}
			for model, c := range closed {
				of := where(rows, "model", model)
				if len(of) != 1 || of[0]["outcome"] != c.outcome || c.completion >= 0 && of[0]["completion_tokens"] != c.completion {
					t.Errorf("%s: %v", model, of)
				}
			}
		})
	}
}

// readOn reads until a text came.
func readOn(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var got strings.Builder
	piece := make([]byte, 4096)
	for !strings.Contains(got.String(), text) {
		n, err := conn.Read(piece)
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.Write(piece[:n])
	}
}

func TestRequestsThatTheGatewayEndsSaySo(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := startBinary(t, os.Getenv(binaryVariable), upstreamOf(base)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	playReply(t, fake, "streams", eventStream+textEvent+"«wait 20s»"+doneEvent)
	playReply(t, fake, "waits", "200\ncontent-type: application/json\n\n«wait 20s»{}")
	readUntil(t, p.address, "streams", "Hello")
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(requestBytes(chatPath, chatBody("waits", false))); err != nil {
		t.Fatal(err)
	}
	for len(fake.Books().Of("waits")) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	rows, err := p.waitRows(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["outcome"] != "gateway_closed" || r["attempts"] != 1.0 {
			t.Errorf("row %v", r)
		}
	}
}

func TestABackendThatCannotBeCalledIsNoAttempt(t *testing.T) {
	t.Parallel()
	p := start(t, "AI_GATEWAY_UPSTREAM=http://nobody.invalid/v1", "AI_GATEWAY_RETRY_ATTEMPTS=2", "AI_GATEWAY_RETRY_DELAY_MS=0")
	if a, err := post(p.address, chatPath, chatBody("m", false)); err != nil || a.status != 503 {
		t.Fatalf("status %d, %v", a.status, err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; r["attempts"] != 0.0 || r["outcome"] != "provider_error" || r["prompt_tokens"] != 0.0 {
		t.Errorf("row %v", r)
	}
}

func TestWhatIsNoAnswerIsNotBilledWhileServeIsDeadEither(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	const anError = `data: {"type":"error","error":{"type":"overloaded_error","message":"no","code":"overloaded"}}` + "\n\n" // in each API
	none := map[string]string{
		"an error":   eventStream + "«wait 1500ms»" + anError,
		"a page":     "200\ncontent-type: text/html\n\n«wait 1500ms»<html></html>",
		"a redirect": "307\nlocation: http://elsewhere.example/\ncontent-type: text/html\n\n«wait 1500ms»gone",
		"nothing":    "200\ncontent-type: application/json\n\n«wait 1500ms»",
	}
	var calls []func() error
	for _, a := range apis() {
		for what, reply := range none {
			model := what + " at " + a.path
			playReply(t, fake, model, reply)
			calls = append(calls, func() error {
				_, err := post(p.address, a.path, a.body(model, what == "an error"))
				return err
			})
		}
	}
	if err := atOnce(len(calls)+1, func(i int) error {
		if i == len(calls) {
			time.Sleep(700 * time.Millisecond)
			return p.signal("serve", syscall.SIGKILL)
		}
		return calls[i]()
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(len(calls))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["outcome"] != "provider_error" || r["prompt_tokens"] != 0.0 || r["cost_nanousd"] != 0.0 || r["error_code"] == nil {
			t.Errorf("row %v", r)
		}
	}
}
