package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
)

const (
	handedOut = time.Duration(-1)
)

// refusals are a provider's answers that a repetition may mend, and how long it is waited with
// that, at least; Envoy adds up to half as much. How long exactly the script asks for, a test of the
// script holds: here it would hang on how busy the machine is.
func refusals() map[string]struct {
	status int
	header string
	body   string
	wait   time.Duration
} {
	type refusal = struct {
		status int
		header string
		body   string
		wait   time.Duration
	}
	in := func(d time.Duration, form string) string { return time.Now().UTC().Add(d).Format(form) }
	const odd, ahead = "date: Thu, 29 Feb 2024 23:59:58 GMT\n", "Fri, 01 Mar 2024 00:00:00 GMT"
	return map[string]refusal{
		"nothing said":          {status: 429},
		"seconds":               {status: 429, header: "retry-after: 2", wait: 2 * time.Second},
		"of 503":                {status: 503, header: "retry-after: 1", wait: time.Second},
		"a fraction":            {status: 429, header: "retry-after: 1.5", wait: 1500 * time.Millisecond},
		"no time":               {status: 429, header: "retry-after: 0"},
		"a date":                {status: 429, header: "retry-after: " + in(3*time.Second, http.TimeFormat), wait: time.Second},
		"a date of RFC 850":     {status: 429, header: "retry-after: " + in(3*time.Second, "Monday, 02-Jan-06 15:04:05 GMT"), wait: time.Second},
		"a date of asctime":     {status: 429, header: "retry-after: " + in(3*time.Second, time.ANSIC), wait: time.Second},
		"a date gone by":        {status: 429, header: "retry-after: Sun, 06 Nov 1994 08:49:37 GMT"},
		"by its own clock":      {status: 429, header: odd + "retry-after: " + ahead, wait: 2 * time.Second},
		"milliseconds":          {status: 429, header: "retry-after-ms: 250", wait: 250 * time.Millisecond},
		"milliseconds go first": {status: 429, header: "retry-after: 3600\nretry-after-ms: 100.5", wait: 100 * time.Millisecond},
		"a word":                {status: 429, header: "retry-after: soon"},
		"below zero":            {status: 429, header: "retry-after: -5"},
		"in words":              {status: 429, header: "retry-after: Sun, 99 Abc 2094 08:49:37 GMT"},
		"should be":             {status: 503, header: "x-should-retry: true"},
		"of another Envoy":      {status: 429, header: "x-envoy-ratelimited: true"},
		"wait of its own":       {status: 503, header: "x-aigw-wait: 9"},
		"quota in the text":     {status: 429, body: `{"error":{"message":"no \"code\":\"insufficient_quota\"","code":"busy"}}`},
		"quota of 500":          {status: 500, body: `{"error":{"code":"insufficient_quota"}}`},
		"not JSON":              {status: 429, body: "<html>busy</html>"},

		"not for an hour":           {429, "retry-after: 3600", "", handedOut},
		"not for ten seconds":       {503, "retry-after: 10.5", "", handedOut},
		"not for very long":         {429, "retry-after: 99999999999999999999999", "", handedOut},
		"not for ms":                {429, "retry-after-ms: 3600000", "", handedOut},
		"not before a date":         {429, "retry-after: " + in(time.Hour, http.TimeFormat), "", handedOut},
		"should not be":             {429, "x-should-retry: false", "", handedOut},
		"should not be, though 500": {500, "retry-after: 1\nx-should-retry: false", "", handedOut},
		"out of quota by code":      {429, "", `{"error":{"message":"x","type":"requests","code":"insufficient_quota"}}`, handedOut},
		"out of quota by type":      {429, "retry-after: 1", `{"error":{"message":"x","type":"insufficient_quota","code":null}}`, handedOut},
	}
}

func TestAProviderSaysWhetherAndWhenItIsCalledAgain(t *testing.T) {
	t.Parallel()
	all := refusals()
	text := "backends:\n- {name: a, base_url: \"${A}/v1\"}\n- {name: b, base_url: \"${B}/v1\"}\ndefault_backend: a\nmodels:\n"
	var names []string
	for name := range all {
		names = append(names, name)
		text += fmt.Sprintf("- {name: %q, backends: [a, b]}\n", "both "+name)
	}
	slices.Sort(names)
	g := configure(t, text)
	for name, r := range all {
		body := r.body
		if body == "" {
			body = `{"error":{"message":"busy","code":"rate_limit_exceeded"}}`
		}
		refused := reply(t, strings.ReplaceAll(fmt.Sprintf("%d\n%s\ncontent-type: application/json\ncontent-length: auto\n\n%s", r.status, r.header, body), "\n\ncontent-type", "\ncontent-type"))
		g.a.Play("one "+name, fakeprovider.Scenario{Replies: []fakeprovider.Reply{refused, reply(t, answered)}})
		g.a.Play("both "+name, fakeprovider.Scenario{Replies: []fakeprovider.Reply{refused}})
		g.b.Play("both "+name, scenario(t, answered))
	}
	if err := atOnce(2*len(names), func(i int) error {
		name := names[i/2]
		if i%2 == 0 {
			return checkSame(g, "one "+name, all[name].status, all[name].wait)
		}
		return checkNext(g, "both "+name)
	}); err != nil {
		t.Error(err)
	}
}

// checkSame checks that a model's only backend is called again after a time, or not at all.
func checkSame(g configured, model string, refused int, wait time.Duration) error {
	answer, err := post(g.address, chatPath, chatBody(model, false))
	if err != nil {
		return fmt.Errorf("%s: %w", model, err)
	}
	calls := g.a.Books().Of(model)
	if wait == handedOut {
		if len(calls) != 1 || answer.status != refused {
			return fmt.Errorf("%s: after %d calls the client sees %s", model, len(calls), answer)
		}
		return nil
	}
	if len(calls) != 2 || answer.status != http.StatusOK {
		return fmt.Errorf("%s: after %d calls the client sees %s", model, len(calls), answer)
	}
	if between := calls[1].At.Sub(calls[0].At); between < wait {
		return fmt.Errorf("%s: was called again after %s, want %s at the least", model, between, wait)
	}
	return nil
}

// checkNext checks that a model's other backend answers at once.
func checkNext(g configured, model string) error {
	answer, err := post(g.address, chatPath, chatBody(model, false))
	if err != nil || answer.status != http.StatusOK {
		return fmt.Errorf("%s: the client sees %v, %w", model, answer, err)
	}
	a, b := g.a.Books().Of(model), g.b.Books().Of(model)
	if len(a) != 1 || len(b) != 1 {
		return fmt.Errorf("%s: %d calls of the first, %d of the next", model, len(a), len(b))
	}
	return nil
}

func TestTheLastBackendIsNotHammered(t *testing.T) {
	t.Parallel()
	g := configure(t, "backends:\n- {name: a, base_url: \"${A}/v1\"}\n- {name: b, base_url: \"${B}/v1\"}\nmodels:\n- {name: m, backends: [a, b]}\n", "AI_GATEWAY_RETRY_DELAY_MS=1000")
	g.a.Play("m", scenario(t, busy))
	g.b.Play("m", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, busy), reply(t, answered)}})
	if answer, err := post(g.address, chatPath, chatBody("m", false)); err != nil || answer.status != http.StatusOK {
		t.Fatalf("the client sees %v, %v", answer, err)
	}
	calls := g.b.Books().Of("m")
	if pause := calls[1].At.Sub(calls[0].At); pause < time.Second || pause > 3*time.Second {
		t.Errorf("the last backend was called again after %s, want a second and a half at most", pause)
	}
}

func TestNoProviderHasItsAnswerRepeatedOrTheGatewayHoldItsRefusal(t *testing.T) {
	t.Parallel()
	g := configure(t, "backends:\n- {name: a, base_url: \"${A}/v1\"}\ndefault_backend: a\n", "AI_GATEWAY_RETRY_ATTEMPTS=1")
	g.a.Play("greedy", scenario(t, strings.Replace(answered, "\n", "\nx-aigw-retry: next\n", 1)))
	for name, head := range map[string]string{"large": "content-length: auto\n", "endless": ""} {
		refused := reply(t, "429\n"+head+"\n"+strings.Repeat(`{"error":{"code":"busy"}} `, 100_000))
		g.a.Play(name, fakeprovider.Scenario{Replies: []fakeprovider.Reply{refused, refused}})
	}
	type seen struct{ calls, status, bytes int }
	got := map[string]seen{}
	for _, model := range []string{"greedy", "large", "endless"} {
		answer, err := post(g.address, chatPath, chatBody(model, false))
		if err != nil {
			t.Error(err)
		}
		got[model] = seen{len(g.a.Books().Of(model)), answer.status, len(answer.body)}
		if answer.get("x-aigw-retry") != "" {
			t.Errorf("the client sees %v", answer.header)
		}
	}
	want := map[string]seen{"greedy": {1, 200, 64}, "large": {2, 429, 2_600_000}, "endless": {2, 429, 2_600_000}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Error(diff)
	}
}
