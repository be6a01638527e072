package extproc

import (
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func statusAndCode(t *testing.T, r *extprocv3.ProcessingResponse) (int, string) {
	t.Helper()
	refusal := r.GetImmediateResponse()
	if refusal == nil {
		t.Fatalf("no refusal: %v", r)
	}
	_, code, _ := strings.Cut(string(refusal.GetBody()), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	return int(refusal.GetStatus().GetCode()), code
}

func TestAWrongKeyIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	var b books
	x := New(fakeConfig(&b)).newExchange()
	r := say(t, x, chatHeaders("authorization", "Bearer wrong", "content-type", "text/html"))
	if status, code := statusAndCode(t, r); status != 401 || code != "invalid_api_key" {
		t.Errorf("refused by %d %s", status, code)
	}
	got := map[string]string{}
	for _, h := range r.GetImmediateResponse().GetHeaders().GetSetHeaders() {
		got[h.Header.Key] = string(h.Header.RawValue)
	}
	want := map[string]string{"content-type": "application/json", "x-should-retry": "false", "www-authenticate": "Bearer"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestEveryHeaderWithAKeyIsShownToWhoDecides(t *testing.T) {
	var b books
	var got gateway.Credentials
	c := fakeConfig(&b)
	c.Admit = func(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
		got = c
		return admit(gateway.Credentials{})
	}
	say(t, New(c).newExchange(), requestHeadersOf(false, ":path", "/v1/embeddings", "content-type", "application/json", "authorization", "Bearer a",
		"api-key", "b", "x-api-key", "c", "x-provider-key", "d", "x-forwarded-for", "192.0.2.1"))
	want := gateway.Credentials{Authorization: "Bearer a", APIKey: "b", XAPIKey: "c", ProviderKey: "d", Client: "192.0.2.1"}
	if got != want {
		t.Errorf("shown are %+v, want %+v", got, want)
	}
	for _, name := range []string{"authorization", "api-key", "x-api-key", "x-provider-key"} {
		for second, want := range map[string]string{"other": name, "one": ""} {
			got = gateway.Credentials{}
			say(t, New(c).newExchange(), requestHeadersOf(false, ":path", "/v1/embeddings", name, "one", name, second))
			if got.Repeated != want {
				t.Errorf("%s: one and %s are repeated %q, want %q", name, second, got.Repeated, want)
			}
		}
		if status, code := statusAndCode(t, say(t, New(c).newExchange(), requestHeadersOf(false, ":path", "/v1/embeddings", name, "a\xff"))); status != 400 || code != "invalid_header" {
			t.Errorf("%s beyond ASCII is refused by %d %s", name, status, code)
		}
	}
}

func TestAModelThatTheKeyDoesNotAllowIsRefused(t *testing.T) {
	for model, want := range map[string]string{"gpt": "", "claude": "model_not_allowed", "missing": "model_not_allowed"} {
		var b books
		x := New(fakeConfig(&b)).newExchange()
		say(t, x, chatHeaders("authorization", "Bearer member"))
		r := say(t, x, requestBodyOf(model, true))
		if want == "" {
			if i := b.intents[0]; i.UserID != "ada" {
				t.Errorf("intent %+v", i)
			}
			continue
		}
		if status, code := statusAndCode(t, r); status != 403 || code != want || len(b.intents) != 0 {
			t.Errorf("%s: refused by %d %s, %d intents", model, status, code, len(b.intents))
		}
	}
}

func TestAnAliasIsAllowedWhereItsModelIs(t *testing.T) {
	for _, asked := range []gateway.Model{"g-alias", "fast"} {
		var b books
		c := fakeConfig(&b)
		rules := *c.Rules()
		rules.Plan = func(gateway.API, gateway.Model) (gateway.Plan, bool) {
			return gateway.Plan{Model: "gpt", Steps: []gateway.Step{{Backend: "openai", UpstreamModel: "gpt"}}}, true
		}
		c.Rules = func() *Rules { return &rules }
		x := New(c).newExchange()
		say(t, x, chatHeaders("authorization", "Bearer member"))
		if r := say(t, x, requestBodyOf(string(asked), true)); r.GetRequestBody() == nil {
			t.Errorf("%s: %v", asked, r)
		}
	}
}

// endingKey is a configuration whose keys end when the test says so.
func endingKey(b *books) (c Config, end func()) {
	ended := false
	c = fakeConfig(b)
	c.Admit = func(of gateway.Credentials) (gateway.Admission, *gateway.Error) {
		a, refusal := admit(of)
		a.Ended = func(time.Time) bool { return ended }
		return a, refusal
	}
	return c, func() { ended = true }
}

func TestAStreamWhoseKeyEndsGetsAnErrorEventAndEnds(t *testing.T) {
	var b books
	c, end := endingKey(&b)
	x := New(c).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt stream", true))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
	if r := say(t, x, responseBodyOf("data: one\n\n", false)); r.GetResponseBody().GetResponse().GetBodyMutation() != nil {
		t.Errorf("a piece before the end is %v", r)
	}
	end()
	r := say(t, x, responseBodyOf("data: two\n\n", false))
	event := string(r.GetResponseBody().GetResponse().GetBodyMutation().GetBody())
	if !strings.HasPrefix(event, "\n\ndata: {\"error\":{") || !strings.HasSuffix(event, "}}\n\n") || strings.Contains(event, "two") {
		t.Errorf("in the place of the next piece is %q", event)
	}
	if status, code := statusAndCode(t, say(t, x, responseBodyOf("data: three\n\n", false))); status != 401 || code != "invalid_api_key" {
		t.Errorf("the piece after it ends by %d %s", status, code)
	}
	x.end()
	if s := b.only(t); !s.Stopped || s.Finished || s.Answer.Usage.Completion != 1 {
		t.Errorf("settled as %+v, want what was delivered: one piece", s)
	}
}

func TestARequestWhoseKeyEndsWhileItsBodyComesGoesNowhere(t *testing.T) {
	var b books
	c, end := endingKey(&b)
	c.Reserve = func(*gateway.LimitedRequest) (gateway.Reservation, *gateway.Error) {
		t.Error("its limits are asked")
		return nil, gateway.NotJSON()
	}
	x := New(c).newExchange()
	say(t, x, chatHeaders())
	end()
	if status, code := statusAndCode(t, say(t, x, requestBodyOf("gpt", true))); status != 401 || code != "invalid_api_key" {
		t.Errorf("its body gets %d %s", status, code)
	}
	x.end()
	if len(b.intents) > 0 || len(b.all()) > 0 {
		t.Errorf("recorded are %v and %v", b.intents, b.all())
	}
}

func TestAnAnswerThatIsWholeGoesOutThoughTheKeyEnded(t *testing.T) {
	var b books
	c, end := endingKey(&b)
	x := New(c).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt", true))
	end()
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json", "content-length", "12"))
	if r := say(t, x, responseBodyOf(`{"usage":{}}`, true)); r.GetResponseBody() == nil {
		t.Errorf("a JSON answer is %v", r)
	}
	x.end()
	if s := b.only(t); s.Stopped || !s.Finished {
		t.Errorf("settled as %+v", s)
	}

	var last books
	c, end = endingKey(&last)
	x = New(c).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt stream usage", true))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
	end()
	if r := say(t, x, responseBodyOf("data: [DONE]\n\n", true)); r.GetResponseBody().GetResponse().GetBodyMutation() != nil {
		t.Errorf("a stream's last piece is %v", r)
	}
	x.end()
	if s := last.only(t); s.Stopped || !s.Finished {
		t.Errorf("settled as %+v", s)
	}
}
