package test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	eventsWithoutUsage = "200\ncontent-type: text/event-stream\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	extraForbidden     = "422\ncontent-type: application/json\ncontent-length: auto\nserver: uvicorn\n\n" +
		`{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}`
)

const asksOrNot = `
backends:
- {name: asked, base_url: "${A}/v1"}
- {name: silent, base_url: "${B}/other/v1", ask_for_usage: false}
models:
- {name: learns, backends: [asked]}
- {name: learns-too, backends: [{name: asked, model: learned}]}
- {name: never, backends: [silent]}
- {name: falls-back, backends: [{name: silent, model: first}, {name: asked, model: the-second}]}
- {name: falls-forth, backends: [{name: asked, model: third}, {name: silent, model: the-fourth}]}
`

func TestABackendThatRefusesToBeAskedForUsageStreamsFromTheSecondRequestOn(t *testing.T) {
	c := configure(t, asksOrNot)
	const asks = `"stream_options":{"include_usage":true}`
	for _, step := range []struct {
		model          string
		a, b           string // what the providers answer, under the names that they know
		replyA, replyB string
		status         int
		askedA, askedB bool
	}{
		{model: "falls-forth", a: "third", replyA: busy, askedA: true, b: "the-fourth", replyB: eventsWithoutUsage, status: 200},
		{model: "falls-back", b: "first", replyB: busy, a: "the-second", replyA: eventsWithoutUsage, askedA: true, status: 200},
		{model: "never", b: "never", replyB: eventsWithoutUsage, status: 200},
		{model: "learns", a: "learns", replyA: extraForbidden, askedA: true, status: 422},
		{model: "learns-too", a: "learned", replyA: eventsWithoutUsage, status: 200},
	} {
		for provider, reply := range map[string]string{step.a: step.replyA, step.b: step.replyB} {
			if provider != "" {
				c.a.Play(provider, scenario(t, reply))
				c.b.Play(provider, scenario(t, reply))
			}
		}
		a, err := post(c.address, chatPath, chatBody(step.model, true))
		if err != nil || a.status != step.status || strings.Contains(a.String(), "server: asked") {
			t.Errorf("%s: %v\n%s", step.model, err, a)
		}
		for _, call := range c.a.Books().Of(step.a) {
			if got := strings.Contains(call.Body, asks); got != step.askedA {
				t.Errorf("%s: a was asked: %v\n%s", step.model, got, call.Body)
			}
		}
		for _, call := range c.b.Books().Of(step.b) {
			if got := strings.Contains(call.Body, asks); got != step.askedB {
				t.Errorf("%s: b was asked: %v\n%s", step.model, got, call.Body)
			}
		}
	}
	if n := strings.Count(c.logs.String(), "refuses to be asked"); n != 1 {
		t.Errorf("that was logged %d times", n)
	}
	if status, _ := call(t, 1, http.MethodGet, "http://"+c.address+"/health", ""); status != http.StatusOK {
		t.Errorf("health is %d", status)
	}
}
