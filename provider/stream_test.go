package provider_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// Pieces of streams, each one event.
const (
	role    = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}` + "\n\n"
	hello   = `data: {"choices":[{"index":0,"delta":{"content":"Hello 😀"},"finish_reason":null}]}` + "\n\n"
	second  = `data: {"choices":[{"index":1,"delta":{"content":"12345678"},"finish_reason":null}]}` + "\n\n"
	stop    = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	stop1   = `data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}` + "\n\n"
	figures = `{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}`
	usage   = `data: {"choices":[],"usage":` + figures + `}` + "\n\n"
	azure   = `data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}` + "\n\n"
	done    = "data: [DONE]\n\n"
)

var fromProvider = gateway.Answer{Usage: gateway.Usage{Prompt: 9, Cached: 2, Completion: 3, Reasoning: 1}, Source: gateway.FromProvider, Text: "Hello 😀"}

// carried is what became of a stream.
type carried struct {
	out    string
	answer gateway.Answer
	done   bool
	same   bool // every piece was forwarded as it was
}

func (c carried) figures() carried {
	c.answer = figuresOf(c.answer)
	return c
}

// carry feeds a stream piece by piece, as the splits cut it.
func carry(stream string, dropUsage bool, splits ...int) carried {
	s := provider.OpenAI{Preview: 20}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, dropUsage)
	got := carried{same: true}
	from := 0
	next := func(piece string, last bool) {
		p := []byte(piece)
		out, same := s.Next(p, last)
		if same {
			out = p
		}
		got.out += string(out)
		got.same = got.same && same
		clear(p) // the piece belongs to the caller again
	}
	for _, to := range splits {
		next(stream[from:to], false)
		from = to
	}
	next(stream[from:], true)
	got.answer, got.done = s.Answer(false), s.Done()
	return got
}

// everyByte splits a stream behind each byte.
func everyByte(stream string) []int {
	splits := make([]int, len(stream))
	for i := range splits {
		splits[i] = i + 1
	}
	return splits
}

func TestAStreamIsReadInEveryStyle(t *testing.T) {
	cumulative := func(n int, rest string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":0,%s}],"usage":{"prompt_tokens":9,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}`, rest, n) + "\n\n"
	}
	guess := func(n int64, text string) gateway.Answer { return estimate(n, text) }
	rows := []struct {
		name, stream string
		want         gateway.Answer
		done         bool
	}{
		{"own chunk", role + hello + stop + usage + done, fromProvider, true},
		{"in the finishing chunk", hello + cumulative(3, `"finish_reason":"stop"`) + done, fromProvider, true},
		{"cumulative", cumulative(1, `"delta":{"content":"Hello "}`) + cumulative(2, `"delta":{"content":"😀"}`) + cumulative(3, `"finish_reason":"stop"`), fromProvider, true},
		{"without done", hello + stop, guess(2, "Hello 😀"), true},
		{"broken off", role + hello, guess(2, "Hello 😀"), false},
		{"unfinished event", hello + stop + strings.TrimSpace(usage), fromProvider, true},
		{"without a line end after done", hello + "data: [DONE]", guess(2, "Hello 😀"), true},
		{"two choices", hello + second + stop + stop1, guess(5, "Hello 😀"), true},
		{"one of two finished", hello + second + stop, guess(5, "Hello 😀"), false},
		{"empty finish reason", `data: {"choices":[{"delta":{"content":"a"},"finish_reason":""}]}` + "\n\n", guess(1, "a"), false},
		{"absurd index", hello + stop + `data: {"choices":[{"index":99999,"finish_reason":"stop"}]}` + "\n\n", guess(2, "Hello 😀"), false},
		{"implausible usage", hello + usage + strings.Replace(usage, "3", "-3", 1), fromProvider, false},
		{"completions", `data: {"choices":[{"text":"abc","index":0,"finish_reason":"stop"}]}` + "\n\n", guess(1, "abc"), true},
		{"reasoning and tools", `data: {"choices":[{"delta":{"reasoning_content":"1234","tool_calls":[{"index":0,"id":"call_123","function":{"name":"five5","arguments":"{\"a\""}}]}}]}` + "\n\n", guess(7, ""), false},
		{"error", "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n", gateway.Answer{Source: gateway.Estimated, ErrorCode: "overloaded"}, false},
		{"byte order mark", "\xEF\xBB\xBF" + hello, guess(2, "Hello 😀"), false},
		{"several data lines", ": ping\nid: 1\ndata: {\"choices\":[\ndata:{\"delta\":\ndata: {\"content\":\"Hello 😀\"}}]}\nretry: 1\n\n", guess(2, "Hello 😀"), false},
		{"other fields", "data-x: {\"choices\":[{\"delta\":{\"content\":\"no\"}}]}\ndatum: 1\ndata\n\n" + hello, guess(2, "Hello 😀"), false},
		{"nonsense", "data: {\"choices\":[{\n\ndata: 7\n\ndata: {}x\n\n\x00\xff\n\n" + hello, guess(2, "Hello 😀"), false},
	}
	for _, row := range rows {
		for _, lineEnd := range []string{"\n", "\r\n", "\r"} {
			stream := strings.ReplaceAll(row.stream, "\n", lineEnd)
			want := carried{out: stream, answer: row.want, done: row.done, same: true}
			if got := carry(stream, false).figures(); got != want {
				t.Errorf("%s, %q, whole:\n got %+v\nwant %+v", row.name, lineEnd, got, want)
			}
			if got := carry(stream, false, everyByte(stream)...).figures(); got != want {
				t.Errorf("%s, %q, byte by byte:\n got %+v\nwant %+v", row.name, lineEnd, got, want)
			}
		}
	}
}

func TestOnlyTheUsageChunkIsTakenOut(t *testing.T) {
	lines := "id: 7\ndata: {\"choices\":[],\ndata:\n: ping\ndata: \"usage\":" + figures + "}\n\n"
	rows := []struct{ name, before, dropped, after string }{
		{"own chunk", role + hello + stop, usage, done},
		{"no done", hello + stop, usage, ""},
		{"unfinished", hello + stop, strings.TrimSpace(usage), ""},
		{"one line end short", hello + stop, strings.TrimSuffix(usage, "\n"), ""},
		{"comments and more around it", hello + stop + ": ping\n\n\n\n", usage, ": ping\n\n" + done},
		{"several lines", hello + stop, lines, done},
		{"two choices", hello + second + stop + stop1, usage, done},
		{"after done", hello + stop + done, usage, ""},
		{"spaces before it", hello + stop, strings.Replace(usage, "{", "   {", 1), done},
		{"implausible", hello + stop, strings.Replace(usage, "9", "-9", 1), done},
		{"none", hello + stop, "", done},
		{"before the finish", hello + usage + stop, "", done},
		{"one of two finished", hello + second + stop + usage, "", stop1 + done},
		{"before any choice", azure + usage, "", hello + done},
		{"no usage in it", azure + hello + stop + azure, "", done},
		{"null usage", hello + stop, "", `data: {"choices":[],"usage":null}` + "\n\n" + done},
		{"with choices", hello + stop, "", `data: {"choices":[{"index":0,"delta":{}}],"usage":` + figures + "}\n\n" + done},
		{"broken off in it", hello + stop, "", usage[:len(usage)-5]},
		{"no JSON", hello + stop, "", "data: {\"choices\":[],\"usage\":{}\n\ndata: x\n\n" + done},
	}
	for _, row := range rows {
		for _, lineEnd := range []string{"\n", "\r\n", "\r"} {
			end := func(s string) string { return strings.ReplaceAll(s, "\n", lineEnd) }
			stream, want := end(row.before+row.dropped+row.after), end(row.before+row.after)
			whole := carry(stream, true)
			if whole.out != want {
				t.Errorf("%s, %q, whole:\n got %q\nwant %q", row.name, lineEnd, whole.out, want)
			}
			for i := range stream {
				assertSame(t, row.name, whole, carry(stream, true, i))
			}
			assertSame(t, row.name, whole, carry(stream, true, everyByte(stream)...))
		}
	}
}

// assertSame fails unless a stream came out the same for another split.
func assertSame(t *testing.T, name string, want, got carried) {
	t.Helper()
	want.same = got.same // which pieces are touched depends on the split
	if got != want {
		t.Errorf("%s: the split matters:\n got %+v\nwant %+v", name, got, want)
	}
}

func TestOnlyWhatMayBeTheUsageChunkIsHeldBack(t *testing.T) {
	steps := []struct {
		piece, out string
		same       bool
	}{
		{role[:20], role[:20], true},
		{role[20:] + hello[:30], role[20:] + hello[:30], true},
		{hello[30:], hello[30:], true},
		{stop + "da", stop, false},
		{"ta:", "", false},
		{" [END", "data: [END", false},
		{"]\n\n", "]\n\n", true},
		{"", "", true},
		{": pi", "", false},
		{"ng\n\n", ": ping\n\n", false},
		{second[:40], "", false},
		{second[40:], second, false},
		{`data: {"choices":[],"us`, `data: {"choices":[],"us`, true},
		{`age":{}}` + "\n\n" + stop1 + usage[:9], `age":{}}` + "\n\n" + stop1, false},
		{usage[9:] + done, done, false},
		{usage[:50], "", false},
	}
	s := provider.OpenAI{}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, true)
	for i, step := range steps {
		out, same := s.Next([]byte(step.piece), false)
		if same {
			out = []byte(step.piece)
		}
		if string(out) != step.out || same != step.same {
			t.Errorf("step %d, %q: got %q, same %v", i, step.piece, out, same)
		}
	}
	if out, same := s.Next(nil, true); same || string(out) != usage[:50] {
		t.Errorf("at the end: %q, same %v", out, same)
	}
}

func TestStreamsInTheStylesOfProvidersAreRead(t *testing.T) {
	rows := []struct {
		file string
		want gateway.Answer
	}{
		{"openai.txt", gateway.Answer{Usage: gateway.Usage{Prompt: 19, Completion: 10}, Source: gateway.FromProvider, Text: "Hello! How can I ass…"}},
		{"azure.txt", gateway.Answer{Usage: gateway.Usage{Prompt: 8, Completion: 2}, Source: gateway.FromProvider, Text: "Hi."}},
		{"llamacpp.txt", estimate(2, "Hey there")},
	}
	for _, row := range rows {
		stream, err := os.ReadFile(filepath.Join("testdata", row.file))
		if err != nil {
			t.Fatal(err)
		}
		whole := carry(string(stream), true)
		if figuresOf(whole.answer) != row.want || !whole.answer.Complete || !whole.done {
			t.Errorf("%s: %+v", row.file, whole.answer)
		}
		if strings.Contains(whole.out, `"usage":{`) {
			t.Errorf("%s: the usage chunk reached the client", row.file)
		}
		assertSame(t, row.file, whole, carry(string(stream), true, everyByte(string(stream))...))
	}
}

func TestAnEventOverTenMegabytesPassesUncounted(t *testing.T) {
	const limit = 10 << 20
	padded := func(event string, size int) string {
		return strings.Replace(event, "{", `{"obfuscation":"`+strings.Repeat("x", size-len(event))+`",`, 1)
	}
	huge := padded(usage, limit+100)
	most := padded(usage, limit-100)
	comment := strings.TrimSuffix(usage, "\n") + ": " + strings.Repeat("x", limit) + "\n\n"
	for _, row := range []struct{ event, out string }{{huge, huge}, {comment, comment}, {most, ""}} {
		stream := hello + stop + row.event + done
		for _, splits := range [][]int{nil, everyMegabyte(stream), {len(stream) - len(done) - 1, len(stream) - len(done)}} {
			got := carry(stream, true, splits...)
			if got.out != hello+stop+row.out+done || !got.done || (got.answer.Source == gateway.FromProvider) != (row.out == "") {
				t.Errorf("an event of %d bytes, %d splits: %d bytes came out, %+v", len(row.event), len(splits), len(got.out), got.answer)
			}
		}
	}
}

func TestAnEndlessEventTakesLittleMemory(t *testing.T) {
	s := provider.OpenAI{}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, true)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	s.Next([]byte(hello+stop+"data: {"), false)
	for range 64 {
		s.Next(piece, false)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(s)
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(piece)
	if live := int64(before.HeapAlloc) - int64(after.HeapAlloc); live > 1<<20 {
		t.Errorf("the stream holds %d bytes", live)
	}
}

func everyMegabyte(stream string) (splits []int) {
	for i := 1 << 20; i < len(stream); i += 1 << 20 {
		splits = append(splits, i)
	}
	return splits
}

func FuzzAnySplitOfAStreamIsReadAlike(f *testing.F) {
	for _, seed := range []string{role + hello + stop + usage + done, azure + hello + second + stop + stop1 + ": x\n\n" + usage, "\xEF\xBB\xBF" + hello + "data\n\n"} {
		f.Add([]byte(seed), []byte{7, 1, 0, 90}, true)
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")), []byte{1}, true)
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r")), []byte{200, 3}, false)
	}
	f.Fuzz(func(t *testing.T, stream, lengths []byte, dropUsage bool) {
		whole := carry(string(stream), dropUsage)
		split := carry(string(stream), dropUsage, cuts(len(stream), lengths)...)
		assertSame(t, "fuzz", whole, split)
		if !dropUsage && (!whole.same || !split.same || whole.out != string(stream)) {
			t.Fatalf("%q was touched", stream)
		}
		if !isSubsequence([]byte(whole.out), stream) || !utf8.ValidString(whole.answer.Text) || !plausible(whole.answer.Usage) {
			t.Fatalf("%q: %+v", stream, whole)
		}
	})
}

// cuts turns the lengths of pieces, over and over, into splits.
func cuts(size int, lengths []byte) (splits []int) {
	if !bytes.ContainsFunc(lengths, func(r rune) bool { return r != 0 }) {
		return nil
	}
	for i, at := 0, 0; ; i++ {
		at += int(lengths[i%len(lengths)])
		if at > size {
			return splits
		}
		splits = append(splits, at)
	}
}

func isSubsequence(part, whole []byte) bool {
	for _, b := range part {
		i := bytes.IndexByte(whole, b)
		if i < 0 {
			return false
		}
		whole = whole[i+1:]
	}
	return true
}

// sample is an event of which the fuzz test below knows what it means.
type sample struct {
	text           string
	seen, finished int // a bit a choice
	usage          bool
}

func samples() []sample {
	return []sample{
		{text: hello, seen: 1}, {text: second, seen: 2}, {text: stop, seen: 1, finished: 1}, {text: stop1, seen: 2, finished: 2},
		{text: usage, usage: true}, {text: "data: {\ndata:\"usage\":{},\"choices\":[]}\n\n", usage: true}, {text: azure}, {text: done},
		{text: "\n"}, {text: ": ping\n\n"}, {text: "data: {\"choices\":[],\n\n"}, {text: "data\n\n"}, {text: "event: x\n\n"},
	}
}

func FuzzAStreamIsItselfWithoutItsUsageChunks(f *testing.F) {
	f.Add([]byte{0, 2, 4, 7}, []byte{1}, byte(0))
	f.Add([]byte{8, 6, 0, 1, 2, 3, 9, 5, 12, 4, 11, 10, 7}, []byte{40, 1, 3}, byte(5))
	f.Fuzz(func(t *testing.T, picks, lengths []byte, style byte) {
		lineEnd := [...]string{"\n", "\r\n", "\r"}[style%3]
		var stream, want string
		seen, finished := 0, 0
		for _, pick := range picks {
			e := samples()[int(pick)%len(samples())]
			text := strings.ReplaceAll(e.text, "\n", lineEnd)
			stream += text
			if !e.usage || seen == 0 || seen != finished {
				want += text
			}
			seen, finished = seen|e.seen, finished|e.finished
		}
		whole := carry(stream, true)
		if whole.out != want {
			t.Fatalf("%q:\n got %q\nwant %q", stream, whole.out, want)
		}
		assertSame(t, "fuzz", whole, carry(stream, true, cuts(len(stream), lengths)...))
	})
}

func BenchmarkNext(b *testing.B) {
	piece := []byte(`data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n")
	for _, dropUsage := range []bool{false, true} {
		b.Run(fmt.Sprintf("dropUsage=%v", dropUsage), func(b *testing.B) {
			intent := asked(gateway.ChatCompletions)
			var s *provider.Stream
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%1000 == 0 { // a long answer
					s = provider.OpenAI{Preview: 400}.NewStream(intent, gateway.PromptText{}, dropUsage)
				}
				s.Next(piece, false)
			}
		})
	}
}

func TestStreamsTogetherKeepNoMoreThanTheirMemory(t *testing.T) {
	memory := provider.NewMemory(1 << 20)
	var streams []*provider.Stream
	for range 20 {
		s := provider.OpenAI{Memory: memory}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, true)
		streams = append(streams, s)
		for range 10 {
			if out, same := s.Next([]byte(`data: {"x":"`+strings.Repeat("y", 40_000)), false); !same && len(out) != 0 {
				t.Fatal("bytes were changed")
			}
		}
	}
	unread := 0
	for _, s := range streams {
		s.Next([]byte("\"}\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"), true)
		if a := s.Answer(false); a.Source != gateway.FromProvider || a.Usage.Prompt != 3 {
			unread++
		}
		s.Close()
	}
	if unread != 0 {
		t.Errorf("%d streams were not read on after an event that was let go", unread)
	}
	s := provider.OpenAI{Memory: memory}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, false)
	s.Next([]byte(`data: {"x":"`+strings.Repeat("y", 600_000)), false)
	s.Next([]byte("\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"), true)
	if a := s.Answer(false); a.Usage.Prompt != 7 {
		t.Errorf("what was kept was not given back: %+v", a)
	}
}

func TestABodyThatIsHeldBackIsNotLostWhereMemoryEnds(t *testing.T) {
	s := provider.OpenAI{Memory: provider.NewMemory(100_000)}.NewStream(asked(gateway.ChatCompletions), gateway.PromptText{}, true)
	pieces := []string{"data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n", "data: {\"usage\":", strings.Repeat(" ", 90_000),
		strings.Repeat(" ", 90_000), "{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n", "data: [DONE]\n\n"}
	var got strings.Builder
	for i, piece := range pieces {
		out, same := s.Next([]byte(piece), i == len(pieces)-1)
		if same {
			out = []byte(piece)
		}
		got.Write(out)
	}
	if want := strings.Join(pieces, ""); got.String() != want {
		t.Errorf("%d of %d bytes came through", got.Len(), len(want))
	}
}
