package extproc

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"

	"ai-gateway/extproc/transport"
	"ai-gateway/gateway"
)

// fakeLimits let every request pass but those for the model "limited".
type fakeLimits struct {
	asked   []gateway.LimitedRequest
	charged []int64
}

func (f *fakeLimits) admit(r *gateway.LimitedRequest) (gateway.Reservation, *gateway.Error) {
	f.asked = append(f.asked, *r)
	if r.Model == "limited" {
		standing := f.Standing()
		return nil, &gateway.Error{Status: http.StatusTooManyRequests, Type: "requests", Code: "rate_limit_exceeded", Message: "too many",
			Wait: 29*time.Second + 750*time.Millisecond, Limits: &standing}
	}
	return f, nil
}

func (f *fakeLimits) Standing() gateway.LimitStanding {
	requests := gateway.LimitState{Limit: gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerMinute}, Max: 60},
		Remaining: 7, Reset: start.Add(29*time.Second + 750*time.Millisecond)}
	tokens := gateway.LimitState{Limit: gateway.Limit{LimitRule: gateway.LimitRule{By: gateway.ByKey, Of: gateway.Tokens, Per: gateway.PerHour}, Max: 1000},
		Remaining: 900, Reset: start.Add(6 * time.Minute)}
	return gateway.LimitStanding{At: start, Nearest: requests, Requests: requests, Tokens: tokens}
}

func (f *fakeLimits) Settle(tokens int64) { f.charged = append(f.charged, tokens) }

// limited is an exchange with limits.
func limited(b *books) (*exchange, *fakeLimits) {
	f := &fakeLimits{}
	c := fakeConfig(b)
	c.Reserve = f.admit
	c.Now = func() time.Time { return start }
	return New(c).newExchange(), f
}

// limitsOf are the headers of an answer that tell of limits.
func limitsOf(set []*core.HeaderValueOption) map[string]string {
	told := map[string]string{}
	for _, h := range set {
		if name := h.GetHeader().GetKey(); name != "content-type" && name != responseTime && name != costHeader {
			told[name] = string(h.GetHeader().GetRawValue())
		}
	}
	return told
}

var standing = map[string]string{
	"x-ratelimit-limit": "60", "x-ratelimit-remaining": "7", "x-ratelimit-reset-ms": "29750",
	"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "29.75s",
	"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "900", "x-ratelimit-reset-tokens": "6m0s",
}

func TestWhatALimitRefusesIsNotRecordedAndIsToldWhenToRepeat(t *testing.T) {
	var b books
	x, f := limited(&b)
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf("limited", true)).GetImmediateResponse()
	x.end()
	if r.GetStatus().GetCode() != 429 || len(b.intents) != 0 || len(b.rows) != 0 || len(f.charged) != 0 {
		t.Errorf("answered %v; %d intents, %d rows, charged %v", r, len(b.intents), len(b.rows), f.charged)
	}
	want := map[string]string{"retry-after": "30", "retry-after-ms": "29750", "x-should-retry": "true"}
	for name, value := range standing {
		want[name] = value
	}
	if diff := cmp.Diff(want, limitsOf(r.GetHeaders().GetSetHeaders())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"error":{"message":"too many","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, string(r.GetBody())); diff != "" {
		t.Error(diff)
	}
}

func TestAClientIsNotToldToRepeatWhatWillBeRefusedOrWhatItWillNotWaitFor(t *testing.T) {
	for name, e := range map[string]*gateway.Error{
		"never":    {Wait: time.Second, Never: true},
		"tomorrow": {Wait: time.Hour},
	} {
		for _, h := range waitHeaders(e) {
			if h.name == "x-should-retry" && string(h.value) != "false" {
				t.Errorf("%s: told to retry", name)
			}
		}
	}
}

func TestAClientHoldsNoMoreOfASharedLimitThanAnAnswerMayHave(t *testing.T) {
	x, f := limited(&books{})
	x.head.endpoint, x.admission.Caller = gateway.ChatCompletions, &gateway.Caller{}
	for _, most := range []int64{5000, gateway.MaxTokens} {
		x.limitsAsked = false
		x.reserve(&readRequest{Request: gateway.Request{PromptTokens: 7, MaxTokens: most}})
	}
	if f.asked[0].Tokens != 5007 || f.asked[1].Tokens != 7+longestAnswer {
		t.Errorf("held are %d and %d", f.asked[0].Tokens, f.asked[1].Tokens)
	}
}

func TestLimitsAreAskedLastWithWhatTheRequestMayUse(t *testing.T) {
	var b books
	x, f := limited(&b)
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("missing", true))
	x, f2 := limited(&b)
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt", true))
	if len(f.asked) != 0 {
		t.Errorf("asked for a model that is not there: %v", f.asked)
	}
	want := []gateway.LimitedRequest{{Client: "192.0.2.1", Model: "gpt", Tokens: 7 + likelyAnswer}}
	if diff := cmp.Diff(want, f2.asked); diff != "" {
		t.Error(diff)
	}
}

func TestLimitsAreThoseOfTheCallersKeyAndUser(t *testing.T) {
	var b books
	f := &fakeLimits{}
	c := fakeConfig(&b)
	c.Reserve = f.admit
	ten := int64(10)
	caller := gateway.Caller{Key: gateway.Key{ID: "key_0123456789abcdef"}, User: "alice", Grant: &gateway.Grant{Role: gateway.Member, Limits: gateway.KeyLimits{RequestsPerDay: &ten}}}
	c.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
		return gateway.Admission{Caller: &caller}, nil
	}
	x := New(c).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt", true))
	want := []gateway.LimitedRequest{{Key: "key_0123456789abcdef", Own: &caller.Grant.Limits, User: "alice", Client: "192.0.2.1", Model: "gpt", Tokens: 7 + likelyAnswer}}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Error(diff)
	}
}

func TestEveryAnswerTellsHowLimitsStand(t *testing.T) {
	for name, answer := range map[string]func(*exchange) []*core.HeaderValueOption{
		"json": func(x *exchange) []*core.HeaderValueOption {
			say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json"))
			return say(t, x, responseBodyOf("{}", true)).GetResponseBody().GetResponse().GetHeaderMutation().GetSetHeaders()
		},
		"stream": func(x *exchange) []*core.HeaderValueOption {
			return say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream")).GetResponseHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
		},
		"nothing": func(x *exchange) []*core.HeaderValueOption {
			return say(t, x, responseHeadersOf(true, ":status", "503")).GetResponseHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
		},
		"unread": func(x *exchange) []*core.HeaderValueOption {
			return say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "audio/mpeg")).GetResponseHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b books
			x, _ := limited(&b)
			say(t, x, chatHeaders())
			body := "gpt stream"
			if name == "json" {
				body = "gpt"
			}
			say(t, x, requestBodyOf(body, true))
			if diff := cmp.Diff(standing, limitsOf(answer(x))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithoutLimitsNoHeaderTellsOfAny(t *testing.T) {
	if h := limitHeaders(&gateway.LimitStanding{At: start}, start); h != nil {
		t.Errorf("%v", h)
	}
}

// TestTokensAreChargedOnceHoweverARequestEnds holds for each way what was charged.
func TestTokensAreChargedOnceHoweverARequestEnds(t *testing.T) {
	stream := func(x *exchange, pieces ...string) {
		say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
		for _, p := range pieces {
			say(t, x, responseBodyOf(p, false))
		}
	}
	for name, c := range map[string]struct {
		body string
		run  func(*exchange)
		want int64
	}{
		"json": {"gpt", func(x *exchange) {
			say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json"))
			say(t, x, responseBodyOf("{}", true))
		}, 3000},
		"a stream with figures":       {"gpt stream", func(x *exchange) { stream(x, "a", "figures") }, 3000},
		"a client that hung up":       {"gpt stream", func(x *exchange) { stream(x, "a", "b") }, 9 + 2},
		"one that hung up at once":    {"gpt stream", func(*exchange) {}, 9},
		"a provider's refusal":        {"gpt stream", func(x *exchange) { say(t, x, responseHeadersOf(true, ":status", "500")) }, 0},
		"a process that leaves Envoy": {"gpt stream", func(x *exchange) { stream(x, "a"); x.reason = transport.Shutdown }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var b books
			x, f := limited(&b)
			say(t, x, chatHeaders())
			say(t, x, requestBodyOf(c.body, true))
			c.run(x)
			x.end()
			if diff := cmp.Diff([]int64{c.want}, f.charged); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatCannotBeRecordedGivesBackWhatWasHeld(t *testing.T) {
	b := books{full: errors.New("full")}
	x, f := limited(&b)
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt", true))
	x.end()
	if diff := cmp.Diff([]int64{0}, f.charged); diff != "" {
		t.Error(diff)
	}
}

// TestALimiterThatDoesNotAnswerHoldsUpOnlyWhoAsksIt has more requests wait for it than there
// are workers, and a large one among them.
func TestALimiterThatDoesNotAnswerHoldsUpOnlyWhoAsksIt(t *testing.T) {
	var b books
	config, goOn, f := fakeConfig(&b), make(chan struct{}), &fakeLimits{}
	config.ReserveBlocks = true
	config.Reserve = func(r *gateway.LimitedRequest) (gateway.Reservation, *gateway.Error) {
		if r.Model == "hangs" {
			<-goOn
		}
		return f, nil
	}
	r := run(t, config)
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	var hanging []extprocv3.ExternalProcessor_ProcessClient
	for _, body := range []string{"hangs", "hangs", "hangs", "hangs", "hangs " + strings.Repeat("x", inlineSize)} {
		stream, _ := r.open(t)
		if _, err := exchangeAll(stream, chatHeaders()); err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(requestBodyOf(body, true)); err != nil {
			t.Fatal(err)
		}
		hanging = append(hanging, stream)
	}
	other, _ := r.open(t)
	if _, err := exchangeAll(other, streamed(3)...); err != nil {
		t.Fatal(err)
	}
	release()
	for _, stream := range hanging {
		if reply, err := stream.Recv(); err != nil || reply.GetRequestBody() == nil {
			t.Errorf("answered %v, %v", reply, err)
		}
	}
}
