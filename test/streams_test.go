package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// upstreamOf is the environment of a gateway that asks a provider once, without limits.
func upstreamOf(base string) []string {
	return []string{"AI_GATEWAY_UPSTREAM=" + base + "/v1", "AI_GATEWAY_RETRY_ATTEMPTS=0"}
}

// generated is a model that streams for a while and then reports its usage.
func generated(chunks int, delay time.Duration) string {
	return fmt.Sprintf("gen-chunks=%d-delay=%s-usage", chunks, delay)
}

// checkWhole returns an error unless a generated stream is complete: every chunk
// once and in order, then [DONE]. It does not mind the usage that nobody asked for,
// which reaches clients while serve is dead.
func checkWhole(a answer, chunks int) error {
	if a.err != nil || a.status != http.StatusOK {
		return fmt.Errorf("a stream ended with status %d after %d bytes: %w", a.status, len(a.body), a.err)
	}
	rest, err := afterChunks(a.body, chunks)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(rest, "data: [DONE]\n\n") {
		return errors.New("a stream has no [DONE]")
	}
	return nil
}

// atOnce runs n calls at the same time and returns their errors as one.
func atOnce(n int, call func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = call(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// afterChunks is what follows the chunks of a generated stream, each of which it has once and in order.
func afterChunks(stream string, chunks int) (rest string, err error) {
	rest = stream
	for i := range chunks {
		_, after, found := strings.Cut(rest, fmt.Sprintf("\"w%d \"", i))
		if !found {
			return "", fmt.Errorf("chunk %d of a stream is missing or out of order", i)
		}
		rest = after
	}
	return rest, nil
}

func TestTwoHundredStreamsAtOnceAreCarriedAndBilled(t *testing.T) {
	t.Parallel()
	const streams, chunks = 200, 20
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	model := generated(chunks, 50*time.Millisecond)
	err := atOnce(streams, func(int) error {
		a, err := post(p.address, chatPath, chatBody(model, true))
		if err != nil {
			return err
		}
		return checkWhole(a, chunks)
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(streams)
	if err != nil {
		t.Fatal(err)
	}
	billed := int64(0)
	for _, r := range rows {
		billed += int64(r["completion_tokens"].(float64))
	}
	if totals := fake.Books().Models[model]; totals.Completion != billed || totals.Calls != streams {
		t.Errorf("the provider's books say %+v, the rows %d completion tokens", totals, billed)
	}
}

func TestFiftyRequestsWithTheSameRequestIDAreFiftyRows(t *testing.T) {
	t.Parallel()
	const requests = 50
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	err := atOnce(requests, func(int) error {
		a, err := post(p.address, chatPath, chatBody("gen-chunks=3", false), "X-Request-Id: the-same")
		if err == nil && (a.status != http.StatusOK || a.get("x-request-id") != "the-same") {
			err = errors.New(a.String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(requests)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[any]bool{}
	for _, r := range rows {
		ids[r["id"]] = true
		if r["request_id"] != "the-same" || r["completion_tokens"] != 3.0 {
			t.Errorf("row %v", r)
		}
	}
	if len(ids) != requests {
		t.Errorf("%d ids", len(ids))
	}
}

func TestABodyOfTwentyMegabytesPassesAndOneOverTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	reply, err := fakeprovider.ParseReply("200\ncontent-type: application/json\ncontent-length: auto\n\n{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}")
	if err != nil {
		t.Fatal(err)
	}
	fake.Play("large", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply}})
	large := func(size int) string {
		return `{"model":"large","messages":[{"role":"user","content":"` + strings.Repeat("x", size) + `"}]}`
	}
	body := large(20 << 20)
	a, err := post(p.address, chatPath, body)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("20 MB: %v, %v", a, err)
	}
	if calls := fake.Books().Of("large"); len(calls) != 1 || calls[0].Body != body {
		t.Errorf("the provider saw %d calls, or another body", len(calls))
	}
	const chunked = "Transfer-Encoding: chunked"
	for _, c := range []struct {
		size   int
		header string
	}{{32 << 20, ""}, {32 << 20, chunked}, {40 << 20, chunked}} { // the last exceeds Envoy's buffer
		a, err = exchange(p.address, callWithin, tooLarge(large(c.size), c.header))
		if err != nil || a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, `"code":"request_too_large"`) || strings.Contains(a.String(), "retry-after") {
			t.Errorf("%d bytes, %q: %v, %v", c.size, c.header, a, err)
		}
	}
	if _, err := p.waitRows(1); err != nil {
		t.Error(err)
	}
}

// tooLarge is a request that states its length, or one that does not.
func tooLarge(body, header string) []fakeprovider.Piece {
	if header == "" {
		return []fakeprovider.Piece{{Bytes: requestBytes(chatPath, body)}}
	}
	head := "POST " + chatPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + header + "\r\n\r\n"
	return []fakeprovider.Piece{{Bytes: fmt.Appendf(nil, "%s%x\r\n%s\r\n0\r\n\r\n", head, len(body), body)}}
}

func TestAnAnswerOfTwentyMegabytesPasses(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	content := strings.Repeat("y", 20<<20)
	body := `{"choices":[{"message":{"content":"` + content + `"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`
	fake.Play("large", fakeprovider.Scenario{Replies: []fakeprovider.Reply{{Status: 200,
		Header: []fakeprovider.Field{{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: "auto"}},
		Body:   []fakeprovider.Piece{{Bytes: []byte(body)}}}}})
	a, err := post(p.address, chatPath, chatBody("large", false))
	if err != nil || a.err != nil || a.status != http.StatusOK || a.body != body {
		t.Errorf("status %d, %d bytes, %v, %v", a.status, len(a.body), a.err, err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	if rows[0]["outcome"] != "ok" || rows[0]["completion_tokens"] != 1.0 {
		t.Errorf("row %v", rows[0])
	}
}

func TestAProviderThatHangsUpInMidStreamIsToldFromAnEnd(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	event := `data: {"choices":[{"index":0,"delta":{"content":"some text"},"finish_reason":null}]}` + "\n\n"
	for _, ending := range []string{"reset", "close"} {
		reply, err := fakeprovider.ParseReply("200\ncontent-type: text/event-stream\n\n" + event + "«wait 50ms»" + event + "«wait 50ms»«" + ending + "»\n")
		if err != nil {
			t.Fatal(err)
		}
		fake.Play(ending, fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply}})
		a, err := post(p.address, chatPath, chatBody(ending, true))
		if err != nil || a.err == nil || a.body != event+event {
			t.Errorf("%s: the client sees %v, %v", ending, a, err)
		}
	}
	rows, err := p.waitRows(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["outcome"] != "provider_closed" || r["completion_tokens"] == 0.0 || r["usage_source"] == "provider" {
			t.Errorf("row %v", r)
		}
	}
}

func TestAProviderThatHangsUpBeforeAnsweringIsAnError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}
	}()
	p := start(t, upstreamOf("http://"+l.Addr().String())...)
	a, err := post(p.address, chatPath, chatBody("m", true), "X-Request-Id: hang-up")
	if err != nil || a.status != http.StatusServiceUnavailable || a.get("x-request-id") != "hang-up" ||
		!strings.Contains(a.body, `"code":"upstream_disconnected","message":"The model's provider closed the connection before it answered."`) {
		t.Errorf("the client sees %v, %v", a, err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	if rows[0]["outcome"] != "provider_error" || rows[0]["status"] != 503.0 {
		t.Errorf("row %v", rows[0])
	}
}

func TestAClientThatHangsUpIsSeenByTheProviderAndBilled(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	model := generated(200, 50*time.Millisecond)
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(callWithin))
	if _, err := conn.Write(requestBytes(chatPath, chatBody(model, true))); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	left := time.Now()
	for !fake.Books().Of(model)[0].Left {
		if time.Since(left) > time.Second {
			t.Fatal("the provider has not seen within a second that the client left")
		}
		time.Sleep(10 * time.Millisecond)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	if rows[0]["outcome"] != "client_closed" || rows[0]["completion_tokens"] == 0.0 {
		t.Errorf("row %v", rows[0])
	}
}

func TestHTTP2WithoutTLSCarriesStreams(t *testing.T) {
	t.Parallel()
	const streams, chunks = 20, 5
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: callWithin}
	err := atOnce(streams, func(int) error {
		response, err := client.Post("http://"+p.address+chatPath, "application/json",
			strings.NewReader(chatBody(generated(chunks, time.Millisecond), true)))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.ProtoMajor != 2 || response.Header.Get("X-Request-Id") == "" {
			return fmt.Errorf("the answer is %s with headers %v", response.Proto, response.Header)
		}
		body, err := io.ReadAll(response.Body)
		return errors.Join(err, checkWhole(answer{status: response.StatusCode, body: string(body)}, chunks))
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := p.waitRows(streams); err != nil {
		t.Error(err)
	}
}

func TestChunksReachTheClientAsTheyCome(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	const chunks, delay = 10, 200 * time.Millisecond
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(callWithin))
	if _, err := conn.Write(requestBytes(chatPath, chatBody(generated(chunks, delay), true))); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines, last, apart := bufio.NewScanner(response.Body), time.Time{}, 0
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"content"`) {
			continue
		}
		if now := time.Now(); now.Sub(last) > delay/2 {
			apart, last = apart+1, now
		}
	}
	if apart < chunks-1 {
		t.Errorf("%d of %d chunks came apart", apart, chunks)
	}
}

// TestALargeBodyIsRepeatedAndALargeAnswerIsPriced passes far more than the buffers of the
// connections hold.
func TestALargeBodyIsRepeatedAndALargeAnswerIsPriced(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, "AI_GATEWAY_UPSTREAM="+base+"/v1", "AI_GATEWAY_RETRY_ATTEMPTS=3", "AI_GATEWAY_RETRY_DELAY_MS=1")
	text := strings.Repeat("It is all work. ", 10<<16)
	answer := reply(t, "200\ncontent-type: application/json\ncontent-length: auto\n\n"+
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"`+text+`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":50,"completion_tokens":20}}`)
	fake.Play("gpt-4o", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, busy), reply(t, busy), answer}})
	body := `{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("x", 20<<20) + `"}]}`
	a, err := post(p.address, chatPath, body)
	if err != nil || a.status != http.StatusOK || !strings.Contains(a.body, text) || !strings.HasPrefix(a.get("x-cost-usd"), "0.000") {
		t.Errorf("status %d, cost %q, %d bytes, %v", a.status, a.get("x-cost-usd"), len(a.body), err)
	}
	calls := fake.Books().Of("gpt-4o")
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, c := range calls {
		if c.Body != body {
			t.Errorf("call %d had another body, of %d bytes", i, len(c.Body))
		}
	}
}
