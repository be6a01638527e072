package extproc

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"

	"ai-gateway/gateway"
)

// fakeDialect takes a body's first word for the model; a second word "stream" asks
// for a stream, a third "usage" for its usage.
type fakeDialect struct {
	readRequest func(gateway.Endpoint, []byte) (gateway.Request, error)
	readAnswer  func(p gateway.PromptText, status int, body []byte) gateway.Answer
	newStream   func(p gateway.PromptText, dropUsage bool) Stream
}

func (d fakeDialect) ReadRequest(e gateway.Endpoint, body []byte) (gateway.Request, error) {
	return d.readRequest(e, body)
}

// Rewrite puts another first word, and the word usage at the end.
func (fakeDialect) Rewrite(body []byte, r gateway.Request, as gateway.Model, askUsage bool) gateway.Rewritten {
	out := bytes.Clone(body)
	if as != r.Model {
		out = append([]byte(as), body[len(r.Model):]...)
	}
	rewritten := gateway.Rewritten{Body: out, ModelAt: gateway.Span{To: len(as)}}
	if askUsage {
		rewritten.AskedAt = gateway.Span{From: len(out), To: len(out) + len(" usage")}
		rewritten.Body = append(out, " usage"...)
	}
	return rewritten
}
func (d fakeDialect) NewAnswer(_ *gateway.Intent, p gateway.PromptText, status int, body []byte) Answer {
	return fakeAnswer{len(p.Texts), func() gateway.Answer { return d.readAnswer(p, status, body) }}
}

// fakeAnswer is an answer to a prompt of so many bytes.
type fakeAnswer struct {
	prompt int
	count  func() gateway.Answer
}

func (a fakeAnswer) Uncounted() int { return a.prompt }
func (a fakeAnswer) Answer(haste bool) gateway.Answer {
	if haste {
		return gateway.Answer{Source: gateway.Estimated}
	}
	return a.count()
}

func (d fakeDialect) NewStream(_ *gateway.Intent, p gateway.PromptText, dropUsage bool) Stream {
	return d.newStream(p, dropUsage)
}

func (fakeAnswer) Response() gateway.ResponseWord { return gateway.ResponseWord{} }

func (*fakeStream) Response() gateway.ResponseWord { return gateway.ResponseWord{} }

// fakeStream swallows pieces that hold "usage" where it is to drop them, makes
// "long" of "short", and counts a completion token for each piece; the piece
// "figures" has the provider's.
type fakeStream struct {
	prompt    gateway.PromptText
	dropUsage bool
	pieces    int64
	figures   bool
	closed    bool
}

func (s *fakeStream) Next(piece []byte, _ bool) ([]byte, bool) {
	s.pieces++
	s.figures = s.figures || bytes.Equal(piece, []byte("figures"))
	switch {
	case s.dropUsage && bytes.Contains(piece, []byte("usage")):
		return nil, false
	case bytes.Equal(piece, []byte("short")):
		return []byte("long"), false
	case bytes.Equal(piece, []byte("panic")):
		panic("a broken stream")
	}
	return nil, true
}

func (s *fakeStream) Close() { s.closed = true }

func (s *fakeStream) Delivered() int64 { return 1000 * s.pieces }

func (s *fakeStream) Uncounted() int { return len(s.prompt.Texts) }

func (s *fakeStream) Answer(bool) gateway.Answer {
	if s.figures {
		return fromProvider
	}
	return counted(s.prompt, s.pieces)
}

// fakePrompt is counted as nine tokens.
var fakePrompt = gateway.PromptText{Tokens: 9}

// counted is an answer without the provider's figures.
func counted(p gateway.PromptText, completion int64) gateway.Answer {
	return gateway.Answer{Usage: gateway.Usage{Prompt: p.Tokens, Completion: completion}, Source: gateway.Counted}
}

var fromProvider = gateway.Answer{Usage: gateway.Usage{Prompt: 1000, Completion: 2000}, Source: gateway.FromProvider}

func wordDialect() fakeDialect {
	return fakeDialect{
		readRequest: func(_ gateway.Endpoint, body []byte) (gateway.Request, error) {
			words := strings.Fields(string(body))
			if len(words) == 0 {
				return gateway.Request{}, gateway.BadRequest("empty", "model", "no words")
			}
			return gateway.Request{Model: gateway.Model(strings.Clone(words[0])), Stream: len(words) > 1, UsageWanted: len(words) > 2,
				PromptTokens: 7, Prompt: "hello", Text: fakePrompt}, nil
		},
		readAnswer: func(p gateway.PromptText, status int, body []byte) gateway.Answer {
			switch {
			case status >= 400:
				return gateway.Answer{Source: gateway.Estimated, ErrorCode: "refused"}
			case len(body) == 0:
				return counted(p, 0)
			case string(body) == "no figures":
				return counted(p, 3)
			}
			return fromProvider
		},
		newStream: func(p gateway.PromptText, drop bool) Stream { return &fakeStream{prompt: p, dropUsage: drop} },
	}
}

// books collect settlements.
type books struct {
	mu      sync.Mutex
	full    error // what a spool that takes no more says
	intents []gateway.Intent
	rows    []gateway.Settlement
}

func (b *books) begin(i *gateway.Intent) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full == nil {
		b.intents = append(b.intents, *i)
	}
	return b.full
}

func (b *books) settle(s *gateway.Settlement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, *s)
}

func (b *books) all() []gateway.Settlement {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]gateway.Settlement(nil), b.rows...)
}

// only is the one settlement there must be.
func (b *books) only(t *testing.T) gateway.Settlement {
	t.Helper()
	rows := b.all()
	if len(rows) != 1 {
		t.Fatalf("%d settlements, want 1", len(rows))
	}
	return rows[0]
}

var start = time.Date(2026, 11, 24, 8, 0, 0, 123456789, time.FixedZone("", 3600))

// admit lets everybody in but who has the wrong key; who has "Bearer member" may use models
// that begin with "g" alone.
func admit(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	caller := gateway.Caller{Key: gateway.Key{ID: "k_0123456789abcdef", Label: "sk-…9f2c"}}
	switch c.Authorization {
	case "Bearer wrong":
		return gateway.Admission{}, &gateway.Error{Status: 401, Code: "invalid_api_key"}
	case "":
		caller.Key = gateway.Key{ID: gateway.AnonymousKey}
	case "Bearer member":
		caller.User, caller.Grant = "ada", &gateway.Grant{Role: gateway.Member, Models: []string{"g*"}}
	}
	return gateway.Admission{Caller: &caller, Authorization: c.Authorization}, nil
}

// fakeConfig plans every model but "missing", and prices every one but "unpriced".
func fakeConfig(b *books) Config {
	now, mu := start, sync.Mutex{}
	rules := &Rules{
		Dialect: wordDialect(),
		Plan: func(_ gateway.API, m gateway.Model) (gateway.Plan, bool) {
			steps := []gateway.Step{{Backend: "openai", UpstreamModel: m}}
			if m == "fallback" {
				steps = []gateway.Step{{Backend: "azure", UpstreamModel: "first"}, {Backend: "openai", UpstreamModel: "second"}}
			}
			return gateway.Plan{Model: m, Steps: steps, ClientKeys: []string{steps[0].Backend}, Renamed: m == "fallback"}, m != "missing"
		},
		Price: func(m gateway.Model, at time.Time) (gateway.Price, bool) {
			rates := gateway.Rates{Input: gateway.USD, Output: 2 * gateway.USD}
			return gateway.Price{Rates: rates}, m != "unpriced" && at.Sub(start).Abs() < time.Second
		},
		MaxBody:     1 << 20,
		MaxInFlight: 4 << 20,
	}
	return Config{
		Rules:  func() *Rules { return rules },
		Admit:  admit,
		Begin:  b.begin,
		Settle: b.settle,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Millisecond)
			return now
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// Messages as Envoy sends them.

func headerMap(pairs ...string) *core.HeaderMap {
	m := &core.HeaderMap{}
	for i := 0; i < len(pairs); i += 2 {
		m.Headers = append(m.Headers, &core.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return m
}

func requestHeadersOf(end bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &extprocv3.HttpHeaders{Headers: headerMap(pairs...), EndOfStream: end}}}
}

// chatHeaders are the headers of a good request; pairs come on top.
func chatHeaders(pairs ...string) *extprocv3.ProcessingRequest {
	return requestHeadersOf(false, append([]string{
		":method", "POST", ":path", "/v1/chat/completions", ":authority", "localhost",
		"content-type", "application/json; charset=utf-8", "authorization", "Bearer sk-1", "x-request-id", "req-1",
		"x-forwarded-for", "6.6.6.6, 192.0.2.1"}, pairs...)...)
}

func requestBodyOf(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end}}}
}

func responseHeadersOf(end bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(pairs...), EndOfStream: end}}}
}

func responseBodyOf(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
		ResponseBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end}}}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// say sends a message to an exchange and returns its reply.
func say(t testing.TB, x *exchange, m *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	t.Helper()
	b, err := x.answer(marshal(t, m), nil)
	if err != nil {
		t.Fatalf("answering %v: %v", m, err)
	}
	return decode(t, b)
}

func decode(t testing.TB, b []byte) *extprocv3.ProcessingResponse {
	t.Helper()
	var r extprocv3.ProcessingResponse
	if err := proto.Unmarshal(b, &r); err != nil {
		t.Fatalf("reply is no ProcessingResponse: %v", err)
	}
	return &r
}

// planned is an exchange that waits for the response to body.
func planned(t testing.TB, b *books, body string) *exchange {
	t.Helper()
	x := New(fakeConfig(b)).newExchange()
	say(t, x, chatHeaders())
	if r := say(t, x, requestBodyOf(body, true)); r.GetRequestBody() == nil {
		t.Fatalf("not planned: %v", r)
	}
	return x
}
