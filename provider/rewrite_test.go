package provider_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

func TestAskingForUsageChangesNothingElse(t *testing.T) {
	rows := []struct{ body, want string }{
		{`{"model":"m"}`, `{"stream_options":{"include_usage":true},"model":"m"}`},
		{" { \"model\" :\n\"m\" } ", " {\"stream_options\":{\"include_usage\":true}, \"model\" :\n\"m\" } "},
		{`{"model":"m","stream_options": null ,"x":1}`, `{"model":"m","stream_options": {"include_usage":true} ,"x":1}`},
		{`{"model":"m","stream_options":{ }}`, `{"model":"m","stream_options":{"include_usage":true }}`},
		{`{"model":"m","stream_options":{"a":{"include_usage":false}}}`, `{"model":"m","stream_options":{"include_usage":true,"a":{"include_usage":false}}}`},
		{`{"model":"m","stream_options":{"a":1, "include_usage" : false }}`, `{"model":"m","stream_options":{"a":1, "include_usage" : true }}`},
		{`{"model":"m","stream_options":{"include_usage":null}}`, `{"model":"m","stream_options":{"include_usage":true}}`},
		{`{"model":"m","stream_options":{"include_usage":true}}`, `{"model":"m","stream_options":{"include_usage":true}}`},
		{`{"stream\u005foptions":{"include\u005fusage":false},"model":"m"}`, `{"stream\u005foptions":{"include\u005fusage":true},"model":"m"}`},
		{`{"messages":[{"stream_options":null}],"model":"m"}`, `{"stream_options":{"include_usage":true},"messages":[{"stream_options":null}],"model":"m"}`},
	}
	for _, row := range rows {
		body := []byte(row.body)
		got := rewrite(t, body, "m", true)
		if string(got.Body) != row.want || string(body) != row.body || string(got.Body[got.ModelAt.From:got.ModelAt.To]) != `"m"` {
			t.Errorf("%s\n got %s\nwant %s", row.body, got.Body, row.want)
		}
		if back := unasked(got); back != row.body {
			t.Errorf("%s\nwith what asks taken out again is %s", row.body, back)
		}
	}
}

// unasked is a body without what asks for the usage.
func unasked(r gateway.Rewritten) string {
	return string(r.Body[:r.AskedAt.From]) + r.AskedWas + string(r.Body[r.AskedAt.To:])
}

func rewrite(t *testing.T, body []byte, as gateway.Model, askUsage bool) gateway.Rewritten {
	t.Helper()
	r, err := provider.OpenAI{}.ReadRequest(gateway.ChatCompletions, body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return provider.OpenAI{}.Rewrite(body, r, as, askUsage)
}

func TestAModelIsRenamedWhereverItStands(t *testing.T) {
	for _, row := range []struct {
		body     string
		as       gateway.Model
		askUsage bool
		want     string
	}{
		{`{"model":"m","x":1}`, "longer/name", false, `{"model":"longer/name","x":1}`},
		{`{"x":{"model":"m"}, "model" : "m" }`, "n", false, `{"x":{"model":"m"}, "model" : "n" }`},
		{`{"mod\u0065l":"\u006d"}`, `a"b\c`, false, `{"mod\u0065l":"a\"b\\c"}`},
		{`{"model":"\u006d"}`, "m", false, `{"model":"\u006d"}`},
		{`{"model":"m"}`, "name", true, `{"stream_options":{"include_usage":true},"model":"name"}`},
		{`{"model":"m","stream_options":null}`, "name", true, `{"model":"name","stream_options":{"include_usage":true}}`},
		{`{"stream_options":{"include_usage":false},"model":"m"}`, "name", true, `{"stream_options":{"include_usage":true},"model":"name"}`},
	} {
		r := rewrite(t, []byte(row.body), row.as, row.askUsage)
		got, at := r.Body, r.ModelAt
		var name gateway.Model
		err := json.Unmarshal(got[at.From:at.To], &name)
		if string(got) != row.want || err != nil || name != row.as {
			t.Errorf("%s\n got %s, the model at %v, %v\nwant %s", row.body, got, at, err, row.want)
		}
	}
}

func FuzzAskUsageKeepsTheRestByteForByte(f *testing.F) {
	for _, seed := range []string{`{"model":"m"}`, `{"model":"m","stream_options":{"include_usage":false,"x":[1]}}`, `{"model":"m","stream_options":{}}`,
		`{ "stream\u005foptions" : null,"model":"m"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := provider.OpenAI{}
		before, err := d.ReadRequest(gateway.ChatCompletions, body)
		if err != nil {
			return
		}
		original := bytes.Clone(body)
		question := d.Rewrite(body, before, before.Model, true)
		asked, at := question.Body, question.ModelAt
		if unasked(question) != string(body) {
			t.Fatalf("%q became %q and then %q", body, asked, unasked(question))
		}
		if !bytes.Equal(body, original) {
			t.Fatalf("%q was modified", original)
		}
		other := d.Rewrite(body, before, before.Model+`"`, true)
		renamed, renamedAt := other.Body, other.ModelAt
		if was := d.Rewrite(body, before, before.Model+`"`, false); unasked(other) != string(was.Body) {
			t.Fatalf("%q became %q and then %q", body, renamed, unasked(other))
		}
		after, err := d.ReadRequest(gateway.ChatCompletions, renamed)
		if len(before.Model) < 256 && (err != nil || after.Model != before.Model+`"` || after.ModelAt != renamedAt) {
			t.Fatalf("%q became %q: %+v, %v", body, renamed, after, err)
		}
		after, err = d.ReadRequest(gateway.ChatCompletions, asked)
		before.UsageWanted, before.ModelAt = true, at
		if err != nil || after != before {
			t.Fatalf("%q became %q: %+v, %v", body, asked, after, err)
		}
		if diff := cmp.Diff(withUsage(t, body), withUsage(t, asked)); diff != "" {
			t.Fatalf("%q became %q: %s", body, asked, diff)
		}
		if !isOneEdit(body, asked) {
			t.Fatalf("%q became %q", body, asked)
		}
	})
}

// withUsage returns a body's members, the usage asked for.
func withUsage(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		t.Fatalf("decoding %q: %v", body, err)
	}
	options, _ := members["stream_options"].(map[string]any)
	if options == nil {
		options = map[string]any{}
	}
	options["include_usage"] = true
	members["stream_options"] = options
	return members
}

// isOneEdit reports whether b is a with one short run of bytes replaced.
func isOneEdit(a, b []byte) bool {
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	replaced := strings.TrimSpace(string(a[head : len(a)-tail]))
	return len(replaced) <= len("false") && len(b)-head-tail <= len(`"stream_options":{"include_usage":true},`)
}
