package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ai-gateway/test/fakeprovider"
)

func TestABackendHasTheHeadersOfItsOwnAndNoOther(t *testing.T) {
	t.Parallel()
	const secret, trace = "gate-secret-0123456789", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	g := configure(t, `
backends:
- name: a
  base_url: "${A}/v1"
  headers:
  - {name: x-gate-token, secret: {env: GATE}}
  - {name: x-team, value: "100% search"}
- name: b
  base_url: "${B}/v1"
  headers:
  - {name: x-team, value: other}
models:
- {name: m, backends: [a, b]}
`, "GATE="+secret)
	echo := strings.Replace(answered, `"choices":[]`, `"choices":[],"echo":"`+secret+`"`, 1)
	g.a.Play("m", fakeprovider.Scenario{Repeat: true, Replies: []fakeprovider.Reply{reply(t, "503\ncontent-length: auto\n\n")}})
	g.b.Play("m", fakeprovider.Scenario{Repeat: true, Replies: []fakeprovider.Reply{reply(t, echo)}})
	waitUntil(t, "the first backend to be called, which Envoy may still prepare", func() bool {
		answer, err := post(g.address, chatPath, chatBody("m", false), "X-Team: mine", "X-Gate-Token: mine", "traceparent: "+trace, "tracestate: a=b")
		if err != nil || answer.status != http.StatusOK || strings.Contains(answer.body, secret) {
			t.Fatalf("the client sees %v, %v", answer, err)
		}
		return len(g.a.Books().Calls) > 0
	})
	var got []string
	for _, calls := range [][]string{{"a"}, {"b"}} {
		of := g.a.Books().Calls
		if calls[0] == "b" {
			of = g.b.Books().Calls
		}
		for _, c := range of[len(of)-1:] {
			got = append(got, fmt.Sprintf("%s: %q %q %q %q", calls[0], c.Get("x-team"), c.Get("x-gate-token"), c.Get("traceparent"), c.Get("tracestate")))
		}
	}
	want := fmt.Sprintf(`[a: "100%% search" %q %q "a=b" b: "other" "" %q "a=b"]`, secret, trace, trace)
	if fmt.Sprint(got) != want {
		t.Errorf("the providers saw\n%v, want\n%s", got, want)
	}
	if strings.Contains(g.logs.String(), secret) {
		t.Error("the log shows a header's secret")
	}
}

func TestABackendIsAskedForOneModelAfterAnother(t *testing.T) {
	t.Parallel()
	g := configure(t, `
backends:
- {name: a, base_url: "${A}/v1"}
- {name: b, base_url: "${B}/v1"}
models:
- {name: m, backends: [{name: a, model: large}, {name: a, model: small-and-long}, {name: b, model: else}, {name: a, model: last}]}
`)
	for _, model := range []string{"large", "small-and-long"} {
		g.a.Play(model, scenario(t, busy))
	}
	g.b.Play("else", scenario(t, busy))
	g.a.Play("last", scenario(t, answered))
	if answer, err := post(g.address, chatPath, chatBody("m", false)); err != nil || answer.status != http.StatusOK {
		t.Errorf("the client sees %v, %v", answer, err)
	}
	var got []string
	for _, c := range append(g.a.Books().Calls, g.b.Books().Calls...) {
		got = append(got, c.Model)
	}
	if want := "[large small-and-long last else]"; fmt.Sprint(got) != want {
		t.Errorf("the models asked for are %v, want %s", got, want)
	}
	rows, err := g.waitRows(1)
	if err != nil || rows[0]["upstream_model"] != "last" || rows[0]["attempts"] != 4.0 {
		t.Errorf("rows %v, %v", rows, err)
	}
}
