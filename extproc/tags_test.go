package extproc

import (
	"strings"
	"testing"

	"ai-gateway/gateway"
)

func TestTagsOfARequestAndOfItsKeyAreRecorded(t *testing.T) {
	for _, c := range []struct {
		own, want string
		headers   []string
	}{
		{"", "", nil},
		{"", "", []string{"x-gateway-tags", ""}},
		{"", `{"feature":"b","team":"a"}`, []string{"x-gateway-tags", "team=a, feature=b"}},
		{"", `{"feature":"b","team":"a"}`, []string{"x-gateway-tags", "team=a", "x-gateway-tags", "feature=b"}},
		{`{"team":"k"}`, `{"team":"k"}`, nil},
		{`{"team":"k"}`, `{"feature":"b","team":"k"}`, []string{"x-gateway-tags", "team=a, feature=b"}},
	} {
		var b books
		config := fakeConfig(&b)
		config.Admit = func(of gateway.Credentials) (gateway.Admission, *gateway.Error) {
			a, refusal := admit(of)
			caller := *a.Caller
			caller.Tags = c.own
			a.Caller = &caller
			return a, refusal
		}
		x := New(config).newExchange()
		say(t, x, chatHeaders(c.headers...))
		say(t, x, requestBodyOf("gpt-4o-mini", true))
		if len(b.intents) != 1 || b.intents[0].Tags != c.want {
			t.Errorf("%v of a key with %q: %+v, want %q", c.headers, c.own, b.intents, c.want)
		}
	}
}

func TestTagsThatBreakARuleAreRefusedBeforeTheBodyIsRead(t *testing.T) {
	for _, headers := range [][]string{{"x-gateway-tags", "Team"}, {"x-gateway-tags", "team=a", "x-gateway-tags", "team=b"}} {
		var b books
		r := say(t, New(fakeConfig(&b)).newExchange(), chatHeaders(headers...))
		status, code := statusAndCode(t, r)
		body := string(r.GetImmediateResponse().GetBody())
		if status != 400 || code != "invalid_tags" || !strings.Contains(body, "X-Gateway-Tags") || !strings.Contains(body, `"param":"x-gateway-tags"`) {
			t.Errorf("%v is refused by %d %s", headers, status, body)
		}
	}
}
