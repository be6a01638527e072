package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

const streamOf = "200\ncontent-type: text/event-stream\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n%sdata: [DONE]\n\n"

func TestABackendWhoseAnswerDoesNotBeginInTimeIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	g := configure(t, `
backends:
- {name: a, base_url: "${A}/v1"}
- {name: b, base_url: "${B}/v1"}
models:
- {name: hurried, backends: [a, b], first_byte_timeout: 500ms}
- {name: slow to end, backends: [a, b], first_byte_timeout: 500ms}
- {name: patient, backends: [a, b]}
- {name: alone, backends: [a], first_byte_timeout: 300ms}
`, "AI_GATEWAY_RETRY_ATTEMPTS=1")
	g.a.Play("hurried", scenario(t, "«never»"))
	g.b.Play("hurried", scenario(t, answered))
	g.a.Play("slow to end", scenario(t, fmt.Sprintf(streamOf, "«wait 1s»")))
	g.a.Play("patient", scenario(t, "«wait 1s»\n"+answered))
	g.a.Play("alone", fakeprovider.Scenario{Repeat: true, Replies: []fakeprovider.Reply{reply(t, "«never»")}})
	begun := time.Now()
	if a, err := post(g.address, chatPath, chatBody("hurried", false)); err != nil || a.status != http.StatusOK || time.Since(begun) > 20*time.Second {
		t.Errorf("after %s the client sees %v, %v", time.Since(begun), a, err)
	}
	// A client's own bound is not obeyed.
	for model, stream := range map[string]bool{"slow to end": true, "patient": false} {
		a, err := post(g.address, chatPath, chatBody(model, stream), "x-envoy-upstream-rq-per-try-timeout-ms: 50")
		if err != nil || a.status != http.StatusOK || stream && !strings.Contains(a.body, "[DONE]") {
			t.Errorf("%s: the client sees %v, %v", model, a, err)
		}
	}
	if a, err := post(g.address, chatPath, chatBody("alone", false)); err != nil || a.status != http.StatusGatewayTimeout || !strings.Contains(a.body, `"code":"upstream_timeout"`) {
		t.Errorf("without another backend the client sees %v, %v", a, err)
	}
	if calls := g.a.Books().Of("alone"); len(calls) != 2 {
		t.Errorf("the only backend was called %d times", len(calls))
	}
}

func TestAStreamMayBeSilentForAsLongAsTheSettingSays(t *testing.T) {
	t.Parallel()
	g := configure(t, "backends:\n- {name: a, base_url: \"${A}/v1\"}\ndefault_backend: a\nlimits: {silence: 4s}\n")
	g.a.Play("thinks", scenario(t, fmt.Sprintf(streamOf, "«wait 2s»")))
	g.a.Play("thinks first", scenario(t, "«wait 2s»\n"+fmt.Sprintf(streamOf, "")))
	g.a.Play("hangs", scenario(t, fmt.Sprintf(streamOf, "«wait 30s»")))
	err := atOnce(3, func(i int) error {
		model := []string{"thinks", "thinks first", "hangs"}[i]
		begun := time.Now()
		a, err := post(g.address, chatPath, chatBody(model, true))
		took := time.Since(begun)
		if model == "hangs" {
			if a.err == nil || took < 3*time.Second || took > 25*time.Second {
				return fmt.Errorf("a stream that hangs ends after %s with %v, %w", took, a, err)
			}
			return nil
		}
		if err != nil || a.err != nil || !strings.Contains(a.body, "[DONE]") {
			return fmt.Errorf("%s: the client sees %v, %w", model, a, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
