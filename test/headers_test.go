package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
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
	g.a.Play("m", scenario(t, "503\ncontent-length: auto\n\n"))
	g.b.Play("m", scenario(t, strings.Replace(answered, `"choices":[]`, `"choices":[],"echo":"`+secret+`"`, 1)))
	answer, err := post(g.address, chatPath, chatBody("m", false), "X-Team: mine", "X-Gate-Token: mine", "traceparent: "+trace, "tracestate: a=b")
	if err != nil || answer.status != http.StatusOK || strings.Contains(answer.body, secret) {
		t.Errorf("the client sees %v, %v", answer, err)
	}
	var got []string
	for _, calls := range [][]string{{"a"}, {"b"}} {
		of := g.a.Books().Calls
		if calls[0] == "b" {
			of = g.b.Books().Calls
		}
		for _, c := range of {
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
