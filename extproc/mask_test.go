package extproc

import (
	"bytes"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

const ownKey = "sk-proj-Ab/Cd+0123456789=_xyz"

func TestAKeyIsHiddenHoweverItIsWritten(t *testing.T) {
	stars := func(n int) string { return strings.Repeat("*", n) }
	for in, want := range map[string]string{
		"Incorrect API key provided: " + ownKey + ".":        "Incorrect API key provided: " + stars(len(ownKey)) + ".",
		`"Bearer ` + ownKey + `"`:                            `"Bearer ` + stars(len(ownKey)) + `"`,
		ownKey + ownKey:                                      stars(2 * len(ownKey)),
		`sk-proj-Ab\/Cd+0123456789=_xyz!`:                    stars(len(ownKey)+1) + "!",
		`sk-proj-Ab/Cd\u002B0123456789\u003d_xyz!`:           stars(len(ownKey)+10) + "!",
		"?key=sk-proj-Ab%2FCd%2b0123456789%3D_xyz&a=b":       "?key=" + stars(len(ownKey)+6) + "&a=b",
		"the key sk-proj-Ab/Cd+012… is wrong":                "the key " + stars(17) + "… is wrong",
		"keys of projects begin with sk-proj-, as sk-proj-A": "keys of projects begin with sk-proj-, as sk-proj-A",
		"sk-proj-Ab/C sk-sk-proj-" + ownKey[8:]:              "sk-proj-Ab/C sk-" + stars(len(ownKey)),
		"nothing":                                            "nothing",
		"":                                                   "",
	} {
		if got := newMasker(ownKey).hideIn(in); got != want {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestSeveralKeysAreHidden(t *testing.T) {
	m := newMasker("azure-0123456789", "", "short", "+/=0123456789")
	if got := m.hideIn(`a azure-0123456789 short \u002b\/%3d0123456789 b`); got != "a **************** short "+strings.Repeat("*", 21)+" b" {
		t.Errorf("got %q", got)
	}
}

func TestAPieceWithoutAKeyIsNotCopied(t *testing.T) {
	piece := []byte("data: {} sk-")
	if out, changed := newMasker(ownKey).hide(piece); changed || &out[0] != &piece[0] {
		t.Errorf("changed %v: %q", changed, out)
	}
}

// FuzzNoSplitShowsAKey cuts a text with a key in it into pieces. Only the beginning that all
// keys of a maker have, and a few characters more, may be seen.
func FuzzNoSplitShowsAKey(f *testing.F) {
	f.Add("Incorrect API key: "+ownKey+" is none", "aaaaaaab", uint64(1))
	f.Add(`{"e":"sk-proj-Ab\/Cd\u002B0123456789=_xyz"}`, ownKey, uint64(3))
	f.Add("aaaaaaaaaaaaaaab", "aaaaaaab", uint64(0x5555555555555555))
	f.Fuzz(func(t *testing.T, text, key string, cuts uint64) {
		if len(key) < shortestKey || strings.ContainsAny(key, `*%\`) || !printable([]byte(key)) || strings.Contains(key, " ") {
			return
		}
		text += key
		m := newMasker(key)
		var out []byte
		for from := 0; from < len(text); {
			to := from + 1
			for to < len(text) && cuts>>(to%64)&1 == 0 {
				to++
			}
			piece := []byte(text[from:to])
			hidden, _ := m.hide(piece)
			if !bytes.Equal(piece, []byte(text[from:to])) || len(hidden) != len(piece) {
				t.Fatal("a piece was changed in place or in length")
			}
			out = append(out, hidden...)
			from = to
		}
		if i := strings.Index(string(out), key[:m[0].identifying]); i >= 0 && m[0].identifying < len(key) {
			t.Errorf("%q in pieces shows %q: %q", text, key, out)
		}
	})
}

// secretive plans requests for a backend with a key of its own.
func secretive(b *books) Config {
	config := fakeConfig(b)
	plan := config.Rules().Plan
	config.Rules().Plan = func(a gateway.API, m gateway.Model) (gateway.Plan, bool) {
		p, ok := plan(a, m)
		p.Secrets = []gateway.Secret{ownKey}
		return p, ok
	}
	d := wordDialect()
	d.readAnswer = func(_ gateway.PromptText, _ int, body []byte) gateway.Answer {
		return gateway.Answer{Source: gateway.FromProvider, Text: string(body)}
	}
	config.Rules().Dialect = d
	return config
}

func TestAnAnswerShowsTheBackendsKeyNeitherToTheClientNorInTheLog(t *testing.T) {
	const clientKey = "sk-client-0123456789"
	const said = "wrong: " + ownKey + ", " + clientKey
	var b books
	x := New(secretive(&b)).newExchange()
	say(t, x, chatHeaders("authorization", "Bearer "+clientKey))
	say(t, x, requestBodyOf("gpt", true))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "application/json"))
	r := say(t, x, responseBodyOf(said, true))
	x.end()
	want := "wrong: " + strings.Repeat("*", len(ownKey)) + ", "
	if got := string(r.GetResponseBody().GetResponse().GetBodyMutation().GetBody()); got != want+clientKey {
		t.Errorf("the client sees %q", got)
	}
	if got := b.only(t).Answer.Text; got != want+strings.Repeat("*", len(clientKey)) {
		t.Errorf("the log has %q", got)
	}
}

func TestAStreamShowsNoKeyThatItsPiecesCut(t *testing.T) {
	x := New(secretive(&books{})).newExchange()
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("gpt stream", true))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
	var got string
	for _, piece := range []string{"data: " + ownKey[:20], ownKey[20:25], ownKey[25:] + "!"} {
		out := piece
		if m := say(t, x, responseBodyOf(piece, false)).GetResponseBody().GetResponse().GetBodyMutation(); m != nil {
			out = string(m.GetBody())
		}
		got += out
	}
	if want := "data: " + strings.Repeat("*", len(ownKey)) + "!"; got != want {
		t.Errorf("the client sees %q, want %q", got, want)
	}
}
