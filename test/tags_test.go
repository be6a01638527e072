package test

import (
	"strings"
	"testing"
)

func TestTagsAreInTheRowAndReachNoProvider(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, append(upstreamOf(base), "OPENAI_API_KEY="+ownProviderKey)...)
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), "X-Gateway-Tags: team=a, feature=b")
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), "X-Gateway-Tags: team=a", "X-Gateway-Tags: feature=b")
	if a := p.waitAnswer(t, 400, "POST", chatPath, chatBody("gen-chunks=1", false), "X-Gateway-Tags: Team A"); !strings.Contains(a.body, "pairs such as team=a, feature=b") {
		t.Errorf("a bad header is refused by %s", a.body)
	}
	rows, err := p.waitRows(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["tags"] != `{"feature":"b","team":"a"}` {
			t.Errorf("row %v", r)
		}
	}
	for _, c := range fake.Books().Calls {
		if got := c.Get("x-gateway-tags"); got != "" {
			t.Errorf("the provider saw the tags %q", got)
		}
	}
}
