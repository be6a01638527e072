package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// manyModels is a file with so many models, spread over so many backends. Each backend is
// provider A but the one that is named B's.
func manyModels(models, backends, ofB int) string {
	var text strings.Builder
	text.WriteString("backends:\n")
	for i := range backends {
		at := "${A}"
		if i == ofB {
			at = "${B}"
		}
		fmt.Fprintf(&text, "- {name: b%d, kind: local, base_url: \"%s/v%d\"}\n", i, at, i)
	}
	text.WriteString("models:\n")
	for i := range models {
		fmt.Fprintf(&text, "- {name: gen-id=%d, backends: [b%d, b%d]}\n", i, i%backends, (i+1)%backends)
	}
	return text.String()
}

func TestAThousandModelsOnAHundredBackendsChangeWithinASecond(t *testing.T) {
	t.Parallel()
	g := configure(t, manyModels(1000, 100, -1))
	if got := g.status("gen-id=999"); got != http.StatusOK {
		t.Fatalf("the last model is answered with %d", got)
	}
	g.write(t, manyModels(1001, 101, 7))
	g.waitStatus(t, "gen-id=1000", http.StatusOK, changesWithin)
	if got := g.status("gen-id=7"); got != http.StatusOK || len(g.b.Books().Of("gen-id=7")) != 1 {
		t.Errorf("the model whose backend moved is answered with %d", got)
	}
	g.write(t, manyModels(10, 10, -1))
	g.waitStatus(t, "gen-id=999", http.StatusNotFound, changesWithin)
	if got := g.status("gen-id=9"); got != http.StatusOK {
		t.Errorf("a model that is left is answered with %d", got)
	}
	if h := g.waitHealth(t, func(h health) bool { return h.Status == "ok" }); h.Config.Fault != "" {
		t.Errorf("health %+v", h)
	}
}

// TestAClientThatHangsUpIsBilledForWhatWasProduced has a provider that sends a token a
// chunk, and never its usage, to a model whose tokenizer is known.
func TestAClientThatHangsUpIsBilledForWhatWasProduced(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	event := func(word string) string {
		return `data: {"choices":[{"index":0,"delta":{"content":"` + word + `"},"finish_reason":null}]}` + "\n\n«wait 5ms»"
	}
	words := []string{" time", " year", " good", " work", " hand", " part"} // each a token, of the same length
	var text strings.Builder
	for i := range 600 {
		text.WriteString(event(words[i%len(words)]))
	}
	size := len(event(words[0])) - len("«wait 5ms»")
	fake.Play("gpt-4o", scenario(t, "200\ncontent-type: text/event-stream\n\n"+text.String()+"\n"))
	c := chaos{p: p}
	if err := c.request(apis()[0], "gpt-4o", true, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	call := fake.Books().Of("gpt-4o")[0]
	produced := float64(call.Written / size)
	billed, _ := rows[0]["completion_tokens"].(float64)
	if off := max(billed-produced, produced-billed); off > max(3, produced/50) || produced < 50 || !call.Left {
		t.Errorf("%g tokens were produced, %g are billed", produced, billed)
	}
	// 3 a message, 1 of the role, 1 of "Hello", 3 to prime the answer.
	if r := rows[0]; r["prompt_tokens"] != 8.0 || r["usage_source"] != "counted" || r["outcome"] != "client_closed" || r["cost_nanousd"] == nil {
		t.Errorf("row %v", r)
	}
}
