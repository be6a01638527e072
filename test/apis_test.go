package test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// api is an endpoint, and what tests have to know of it.
type api struct {
	path   string
	format string // of a body with a model, whether it streams, and a text
	last   string // with which its streams end
	cached float64
	ended  string // how a stream begins to tell that the gateway ends it
	before int    // pieces of a generated stream before its first text
}

// apis are the endpoints of models that answer with text. A chat is asked for its usage by nobody.
func apis() []api {
	return []api{
		{"/v1/chat/completions", `{"model":%q,"stream":%t,"messages":[{"role":"user","content":%q}]}`, "data: [DONE]\n\n", 0, "\n\ndata: {\"error\":{", 0},
		{"/v1/responses", `{"model":%q,"stream":%t,"input":%q}`, "}}\n\n", 0, "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{", 1},
		{"/v1/messages", `{"model":%q,"stream":%t,"max_tokens":1000000,"messages":[{"role":"user","content":%q}]}`,
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", 2, "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":", 1},
	}
}

func (a api) body(model string, stream bool) string {
	return fmt.Sprintf(a.format, model, stream, "Hello")
}

// checkWhole returns an error unless a generated stream came to its end.
func (a api) checkWhole(got answer, chunks int) error {
	if got.err != nil || got.status != http.StatusOK {
		return fmt.Errorf("a stream of %s ended with status %d after %d bytes: %w", a.path, got.status, len(got.body), got.err)
	}
	rest, err := afterChunks(got.body, chunks)
	if err == nil && !strings.HasSuffix(rest, a.last) {
		err = fmt.Errorf("a stream of %s does not end with %q", a.path, a.last)
	}
	return err
}

func TestServeMayBeKilledInTheMiddleOfStreamsOfEachAPI(t *testing.T) {
	t.Parallel()
	const each, chunks = 10, 30
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	ended := make(chan error, 1)
	go func() {
		ended <- atOnce(each*len(apis()), func(i int) error {
			a := apis()[i%len(apis())]
			got, err := post(p.address, a.path, a.body(generated(chunks, 100*time.Millisecond), true))
			if err != nil {
				return err
			}
			return a.checkWhole(got, chunks)
		})
	}()
	time.Sleep(killAfter)
	if err := p.signal("serve", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(each * len(apis()))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range apis() {
		of := where(rows, "endpoint", a.path)
		if len(of) != each {
			t.Errorf("%d rows of %s", len(of), a.path)
		}
		for _, r := range of {
			if r["prompt_tokens"] != 11.0 || r["completion_tokens"] != float64(chunks) || r["cached_tokens"] != a.cached || r["usage_source"] != "envoy" || r["outcome"] != "ok" {
				t.Errorf("row %v", r)
			}
		}
	}
}

func TestAClientThatHangsUpIsBilledInEachAPI(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	for i, a := range apis() {
		model := generated(200, 50*time.Millisecond) + fmt.Sprintf("-id=%d", i)
		leaveAfter(t, p.address, requestBytes(a.path, a.body(model, true)), 3000)
		waitUntil(t, "the provider sees that the client left", func() bool { return fake.Books().Of(model)[0].Left })
	}
	rows, err := p.waitRows(len(apis()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["outcome"] != "client_closed" || r["usage_source"] != "estimated" || r["completion_tokens"] == 0.0 || r["prompt_tokens"] == 0.0 {
			t.Errorf("row %v", r)
		}
		if r["endpoint"] == "/v1/messages" && (r["prompt_tokens"] != 11.0 || r["cached_tokens"] != 2.0 || r["cache_write_1h_tokens"] != 1.0) {
			t.Errorf("a message tells its prompt when it begins, and the row is %v", r)
		}
	}
}

// Each chunk of these streams is one token, and the provider writes down how many it has sent.
func TestWhatClientsThatHangUpWereSentIsBilledWithinTwoPercent(t *testing.T) {
	t.Parallel()
	const each = 8
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	model := func(i int) string { return fmt.Sprintf("gen-chunks=5000-delay=20ms-token-id=%d", i) }
	if err := atOnce(each*len(apis()), func(i int) error {
		a := apis()[i%len(apis())]
		return leaveAfterBytes(p.address, requestBytes(a.path, a.body(model(i), true)), 40_000+1000*i)
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(each * len(apis()))
	if err != nil {
		t.Fatal(err)
	}
	for n, a := range apis() {
		sent, billed := 0, 0.0
		for i := n; i < each*len(apis()); i += len(apis()) {
			waitUntil(t, "the provider sees that the client left", func() bool { return fake.Books().Of(model(i))[0].Left })
			sent += fake.Books().Of(model(i))[0].Pieces - a.before
			tokens, _ := where(rows, "model", model(i))[0]["completion_tokens"].(float64)
			billed += tokens
		}
		off := billed/float64(sent) - 1
		t.Logf("%s: %d tokens were sent, %.0f are billed: %+.2f %%", a.path, sent, billed, 100*off)
		if math.Abs(off) > 0.02 {
			t.Errorf("%s: %d tokens were sent, and %.0f are billed", a.path, sent, billed)
		}
	}
}

// leaveAfter sends a request and leaves after so many bytes of the answer's body.
func leaveAfter(t *testing.T, address string, request []byte, size int) {
	t.Helper()
	if err := leaveAfterBytes(address, request, size); err != nil {
		t.Fatal(err)
	}
}

func leaveAfterBytes(address string, request []byte, size int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(callWithin))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(response.Body, make([]byte, size))
	return err
}

func TestABudgetEndsAStreamInTheWordsOfItsAPI(t *testing.T) {
	t.Parallel()
	for _, a := range apis()[1:] {
		t.Run(strings.TrimPrefix(a.path, "/v1/"), func(t *testing.T) {
			t.Parallel()
			c := configure(t, aCentAToken+"budgets: {answer_tokens: 200, rules: [{by: key, per: total, usd: 10}]}\n")
			body := strings.Replace(a.body("gen-chunks=4000-delay=1ms-usage", true), `"max_tokens":1000000,`, "", 1)
			got, err := post(c.address, a.path, body)
			if got.status != http.StatusOK || !strings.Contains(got.body, a.ended) {
				t.Fatalf("the stream ended with %v: %.2000s", err, got.body[max(len(got.body)-1000, 0):])
			}
			rows, err := c.waitRows(1)
			if err != nil {
				t.Fatal(err)
			}
			cost, _ := rows[0]["cost_nanousd"].(float64)
			if rows[0]["outcome"] != "gateway_closed" || rows[0]["error_code"] != "insufficient_quota" || cost < float64(gateway.USD) {
				t.Errorf("its row is %v", rows[0])
			}
		})
	}
}

func TestALimitRefusesInTheWordsOfEachAPI(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, append(upstreamOf(base), "AI_GATEWAY_RATE_LIMIT_RPM=1")...)
	if a, err := post(p.address, "/v1/messages", apis()[2].body("gen-chunks=1", false)); err != nil || a.status != http.StatusOK {
		t.Fatalf("the first request is answered with %s, %v", a, err)
	}
	for path, want := range map[string]string{
		"/v1/responses":             `{"error":{"message":`,
		"/v1/messages":              `{"type":"error","error":{"type":"rate_limit_error","message":`,
		"/v1/messages/count_tokens": `{"type":"error","error":{"type":"rate_limit_error","message":`,
	} {
		got, err := post(p.address, path, `{"model":"gen-chunks=1","input":"Hello","max_tokens":5,"messages":[]}`)
		if err != nil || got.status != http.StatusTooManyRequests || !strings.HasPrefix(got.body, want) || got.get("retry-after") == "" {
			t.Errorf("%s is refused with %s, %v", path, got, err)
		}
	}
}

func TestPromptsOfEachAPIAreLoggedAndRedacted(t *testing.T) {
	t.Parallel()
	c := configure(t, "backends: [{name: a, kind: local, base_url: \"${A}/v1\"}]\ndefault_backend: a\nprompt_log: {redact: ['secret-\\w+', 'w1']}\n")
	for _, a := range apis() {
		for _, stream := range []bool{false, true} {
			if got, err := post(c.address, a.path, fmt.Sprintf(a.format, "gen-chunks=3-usage", stream, "my secret-word is safe")); err != nil || got.status != http.StatusOK {
				t.Fatalf("%s answers %s, %v", a.path, got, err)
			}
		}
	}
	rows, err := c.waitRows(2 * len(apis()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		prompt, _ := r["prompt"].(string)
		answer, _ := r["answer"].(string)
		if !strings.HasPrefix(prompt, "my ") || !strings.HasSuffix(prompt, " is safe") || strings.Contains(prompt, "secret") ||
			!strings.HasPrefix(answer, "w0 ") || !strings.HasSuffix(answer, " w2 ") || strings.Contains(answer, "w1") {
			t.Errorf("of %v %v the log has %q and %q", r["endpoint"], r["stream"], prompt, answer)
		}
	}
}
