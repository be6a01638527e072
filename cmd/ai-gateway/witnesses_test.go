package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

// heard is what a witness makes of an answer.
type heard struct {
	Usage   gateway.Usage // zero if it believes none
	Tier    string
	Failed  bool
	Missing bool
	Ended   bool // the stream announced its end

	Response string // the id of the response that was made or fetched
	State    gateway.ResponseState
}

// told is an answer that both witnesses read, and what they are to make of it.
type told struct {
	name     string
	endpoint gateway.Endpoint // 0 is a chat
	body     string
	want     heard
}

func usage(u gateway.Usage) heard { return heard{Usage: u} }

// answered is a chat's answer with more members.
func answered(members string) string {
	return `{"id":"chatcmpl-7","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a \"usage\": {\\"},"finish_reason":"stop"}],` + members + `}`
}

const (
	delta = `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}` + "\n\n"
	stop  = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done  = "data: [DONE]\n\n"
)

// event is an event of a stream.
func event(data string) string { return "data: " + data + "\n\n" }

// tellings are answers as providers give them, the odd ones among them.
var tellings = []told{
	{"OpenAI", 0, answered(`"usage":{"prompt_tokens":2117,"completion_tokens":419,"total_tokens":2536,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":3},"completion_tokens_details":{"reasoning_tokens":320,"audio_tokens":5,"accepted_prediction_tokens":7}},"service_tier":"default"`),
		heard{Usage: gateway.Usage{Prompt: 2117, Cached: 1024, Completion: 419, Reasoning: 320}, Tier: "default"}},
	{"cache writes of OpenRouter", 0, answered(`"usage":{"prompt_tokens":9080,"completion_tokens":10,"total_tokens":9090,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":9077}}`),
		usage(gateway.Usage{Prompt: 9080, CacheWrite: 9077, Completion: 10})},
	{"cache writes of Anthropic and LiteLLM", 0, answered(`"usage":{"prompt_tokens":9080,"completion_tokens":10,"total_tokens":9090,"cache_creation_input_tokens":77,"cache_read_input_tokens":9001,"prompt_tokens_details":{"cached_tokens":9001,"cache_creation_tokens":77}}`),
		usage(gateway.Usage{Prompt: 9080, Cached: 9001, CacheWrite: 77, Completion: 10})},
	{"cache writes of Model Studio", 0, answered(`"usage":{"prompt_tokens":2019,"completion_tokens":300,"total_tokens":2319,"prompt_tokens_details":{"cached_tokens":17,"cache_creation_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":2000},"cache_type":"ephemeral"}}`),
		usage(gateway.Usage{Prompt: 2019, Cached: 17, CacheWrite: 2000, Completion: 300})},
	{"a cache beside the prompt", 0, answered(`"usage":{"prompt_tokens":19,"completion_tokens":300,"total_tokens":5342,"cache_read_input_tokens":5000,"cache_creation_input_tokens":23}`),
		usage(gateway.Usage{Prompt: 5042, Cached: 5000, CacheWrite: 23, Completion: 300})},
	{"DeepSeek", 0, answered(`"usage":{"prompt_tokens":1753,"completion_tokens":211,"total_tokens":1964,"prompt_cache_hit_tokens":1664,"prompt_cache_miss_tokens":89}`),
		usage(gateway.Usage{Prompt: 1753, Cached: 1664, Completion: 211})},
	{"Moonshot", 0, answered(`"usage":{"prompt_tokens":1753,"completion_tokens":211,"total_tokens":1964,"cached_tokens":1536}`),
		usage(gateway.Usage{Prompt: 1753, Cached: 1536, Completion: 211})},
	{"Mistral", 0, answered(`"usage":{"prompt_tokens":1753,"completion_tokens":211,"total_tokens":1964,"num_cached_tokens":1536}`),
		usage(gateway.Usage{Prompt: 1753, Cached: 1536, Completion: 211})},
	{"a name that is kept filled with zero", 0, answered(`"usage":{"prompt_tokens":1753,"completion_tokens":211,"prompt_tokens_details":{"cached_tokens":1536},"prompt_cache_hit_tokens":0}`),
		usage(gateway.Usage{Prompt: 1753, Cached: 1536, Completion: 211})},
	{"Perplexity", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":477,"total_tokens":508,"reasoning_tokens":193,"citation_tokens":9000,"num_search_queries":7}`),
		usage(gateway.Usage{Prompt: 31, Completion: 477, Reasoning: 193})},
	{"Gemini", 0, answered(`"usage":{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}`),
		usage(gateway.Usage{Prompt: 20, Completion: 603, Reasoning: 405})},
	{"Gemini that only reasoned", 0, answered(`"usage":{"prompt_tokens":20,"total_tokens":623}`),
		usage(gateway.Usage{Prompt: 20, Completion: 603})},
	{"xAI", 0, answered(`"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94},"num_sources_used":0}`),
		usage(gateway.Usage{Prompt: 32, Completion: 103, Reasoning: 94})},
	{"xAI with a total that has it", 0, answered(`"usage":{"prompt_tokens":32,"completion_tokens":99,"total_tokens":131,"completion_tokens_details":{"reasoning_tokens":94}}`),
		usage(gateway.Usage{Prompt: 32, Completion: 99, Reasoning: 94})},
	{"a total that is too small", 0, answered(`"usage":{"prompt_tokens":32,"completion_tokens":99,"total_tokens":5}`), usage(gateway.Usage{Prompt: 32, Completion: 99})},
	{"other spellings", 0, answered(`"usage":{"prompt_tokens":31.0,"completion_tokens":"1.7e1","total_tokens":"48","prompt_tokens_details":{"cached_tokens":"8.0"},"completion_tokens_details":{"reasoning_tokens":0.0}}`),
		usage(gateway.Usage{Prompt: 31, Cached: 8, Completion: 17})},
	{"bad details", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17,"total_tokens":-1,"prompt_tokens_details":{"cached_tokens":1.5,"cache_write_tokens":[4]},"completion_tokens_details":{"reasoning_tokens":{"a":3}},"reasoning_tokens":"many"}`),
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"details larger than their whole", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17,"total_tokens":48,"prompt_tokens_details":{"cached_tokens":77},"completion_tokens_details":{"reasoning_tokens":18}}`),
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"details that are null", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17,"prompt_tokens_details":null,"completion_tokens_details":{}}`), usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"counts that are none", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":1e99}`), heard{}},
	{"a usage without tokens", 0, answered(`"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`), heard{}},
	{"a nested usage", 0, answered(`"echo":{"usage":{"prompt_tokens":9999,"completion_tokens":8888}}`), heard{}},
	{"a nested usage behind the true one", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17},"echo":[{"usage":{"prompt_tokens":9999,"completion_tokens":8888}}]`),
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a usage in a message", 0, `{"choices":[{"message":{"content":"a","usage":{"prompt_tokens":9999,"completion_tokens":8888}}}]}`, heard{}},
	{"a usage in a usage", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17,"usage":{"prompt_tokens":9999,"completion_tokens":8888}}`),
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a usage in a choice", 0, `{"choices":[{"message":{"content":"a"},"usage":{"prompt_tokens":31,"completion_tokens":17}}]}`, usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a usage as a text", 0, answered(`"note":"{\"usage\":{\"prompt_tokens\":9999,\"completion_tokens\":8888}}"`), heard{}},
	{"logarithms of nothing", 0, `{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-Infinity},{"logprob":NaN}]}}],"usage":{"prompt_tokens":31,"completion_tokens":17}}`,
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a byte order mark", 0, "\xEF\xBB\xBF \n" + answered(`"usage":{"prompt_tokens":31,"completion_tokens":17}`), usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"blanks everywhere", 0, " {\n\"choices\" : [ { } ] ,\r\n\t\"usage\" : { \"prompt_tokens\" : 31 ,\n\"completion_tokens\" :\t17 } }\n", usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a long text before it", 0, `{"choices":[{"message":{"content":"` + strings.Repeat(`\\\"}{`, 9000) + `"}}],"usage":{"prompt_tokens":31,"note":"` + strings.Repeat("}", 20_000) + `","completion_tokens":17}}`,
		usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"cut off in it", 0, strings.TrimSuffix(answered(`"usage":{"prompt_tokens":31,"completion_tokens":17}`), "}}"), heard{}},

	{"flex", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17},"service_tier":"Flex"`), heard{Usage: gateway.Usage{Prompt: 31, Completion: 17}, Tier: "flex"}},
	{"a service tier that is null", 0, answered(`"service_tier":null`), heard{}},
	{"a service tier that is an object", 0, answered(`"service_tier":{"name":"flex"}`), heard{}},
	{"a service tier with signs", 0, answered(`"service_tier":"on demand\u0021 and longer than anybody's name of one is"`), heard{Tier: "on?demand?u0021?and?longer?than?"}},
	{"a service tier of Anthropic", 0, answered(`"usage":{"prompt_tokens":31,"completion_tokens":17,"service_tier":"priority"}`), heard{Usage: gateway.Usage{Prompt: 31, Completion: 17}, Tier: "priority"}},
	{"two service tiers", 0, `{"service_tier":"scale",` + answered(`"usage":{"service_tier":"priority"}`)[1:], heard{Tier: "scale"}},

	{"embeddings", gateway.Embeddings, `{"object":"list","data":[{"index":0,"embedding":[0.25,-1e-9]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, usage(gateway.Usage{Prompt: 8})},
	{"embeddings of Voyage", gateway.Embeddings, `{"object":"list","data":[{"embedding":"AAAA"}],"usage":{"total_tokens":11}}`, usage(gateway.Usage{Prompt: 11})},
	{"embeddings with a prompt of zero", gateway.Embeddings, `{"data":[{}],"usage":{"prompt_tokens":0,"total_tokens":11}}`, usage(gateway.Usage{Prompt: 11})},
	{"embeddings of Mistral", gateway.Embeddings, `{"data":[{}],"usage":{"prompt_tokens":11,"total_tokens":11,"completion_tokens":0}}`, usage(gateway.Usage{Prompt: 11})},
	{"a total alone", 0, answered(`"usage":{"total_tokens":11}`), heard{}},

	{"an error", 0, `{"error":{"message":"Rate limit exceeded","code":429}}`, heard{Failed: true, Missing: true}},
	{"an error as a text", 0, `{"error":"overloaded"}`, heard{Failed: true, Missing: true}},
	{"an error without an envelope", 0, `{"object":"error","message":"no","type":"BadRequestError","code":400}`, heard{Failed: true, Missing: true}},
	{"errors that are none", 0, answered(`"error":null`) + " ", heard{}},
	{"an empty error", 0, answered(`"error":{}`), heard{}},
	{"a list of errors", 0, answered(`"error":[]`), heard{}},
	{"an error of a choice", 0, `{"choices":[{"message":{"content":"a"},"finish_reason":"error","error":{"code":502,"message":"provider"}}]}`, heard{Failed: true}},
	{"an error in a text", 0, `{"choices":[{"message":{"content":"a","error":{"code":1}}}]}`, heard{}},
	{"an error beside a usage", 0, `{"error":{"code":"x"},"usage":{"prompt_tokens":31,"completion_tokens":17}}`, heard{Usage: gateway.Usage{Prompt: 31, Completion: 17}, Failed: true}},
	{"no choices", 0, `{"choices":[]}`, heard{Missing: true}},
	{"choices that are none", 0, `{"choices":[null,7,[{}]]}`, heard{Missing: true}},
	{"an empty object", 0, `{}`, heard{Missing: true}},
	{"nothing", 0, ``, heard{Missing: true}},
	{"a page", 0, "<!DOCTYPE html>\n<html><body>{\"choices\":[{}]}\n\ndata: x</body></html>", heard{Missing: true}},
	{"a list", 0, `[{"choices":[{}]}]`, heard{Missing: true}},

	{"a stream of OpenAI", 0, delta + stop + event(`{"choices":[],"usage":{"prompt_tokens":2117,"completion_tokens":419,"total_tokens":2536}}`) + done,
		heard{Usage: gateway.Usage{Prompt: 2117, Completion: 419}, Ended: true}},
	{"a stream of Groq", 0, delta + event(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.037,"prompt_tokens":2117,"completion_tokens":419,"total_tokens":2536}}}`) + done,
		heard{Usage: gateway.Usage{Prompt: 2117, Completion: 419}, Ended: true}},
	{"an error of Groq", 0, delta + event(`{"choices":[],"x_groq":{"error":"over capacity"}}`), heard{Failed: true}},
	{"a stream of Moonshot", 0, delta + event(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32,"cached_tokens":11}}]}`) + done,
		heard{Usage: gateway.Usage{Prompt: 19, Cached: 11, Completion: 13}, Ended: true}},
	{"later figures without details", 0, delta + event(`{"usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":3}}}`) +
		event(`{"usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":null,"completion_tokens_details":{}}}`) + done,
		heard{Usage: gateway.Usage{Prompt: 100, Cached: 64, Completion: 7, Reasoning: 3}, Ended: true}},
	{"later details of zero", 0, delta + event(`{"usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":3}}}`) +
		event(`{"usage":{"prompt_tokens":100,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`),
		usage(gateway.Usage{Prompt: 100, Completion: 9})},
	{"a later total of nothing", 0, delta + event(`{"usage":{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}}`) + event(`{"usage":{"prompt_tokens":20,"completion_tokens":198}}`),
		usage(gateway.Usage{Prompt: 20, Completion: 603, Reasoning: 405})},
	{"a later usage that is none", 0, delta + event(`{"usage":{"prompt_tokens":100,"completion_tokens":7}}`) + event(`{"usage":{"prompt_tokens":100}}`) + event(`{"usage":{"prompt_tokens":-1,"completion_tokens":"b"}}`),
		usage(gateway.Usage{Prompt: 100, Completion: 7})},
	{"data after the end", 0, delta + event(`{"usage":{"prompt_tokens":100,"completion_tokens":7}}`) + done + event(`{"error":{"code":1},"usage":{"prompt_tokens":9999,"completion_tokens":8888}}`),
		heard{Usage: gateway.Usage{Prompt: 100, Completion: 7}, Ended: true}},
	{"service tiers that change", 0, event(`{"choices":[{"delta":{}}],"service_tier":"auto"}`) + event(`{"choices":[{"delta":{}}],"service_tier":"auto"}`) +
		event(`{"choices":[{"delta":{}}],"service_tier":"priority"}`) + event(`{"choices":[{"delta":{}}],"service_tier":null}`), heard{Tier: "priority"}},
	{"an error alone", 0, "event: error\n" + event(`{"error":{"message":"no","type":"overloaded_error","code":null}}`), heard{Failed: true, Missing: true}},
	{"an error after a text", 0, delta + event(`{"error":{"message":"no"}}`) + done, heard{Failed: true, Ended: true}},
	{"an error of Anthropic", 0, delta + "event: error\n" + event(`{"type":"error","error":{"type":"overloaded_error"}}`), heard{Failed: true}},
	{"the end alone", 0, ": ping\n\n" + done, heard{Missing: true, Ended: true}},
	{"comments alone", 0, ": ping\n\n: ping\n\n", heard{Missing: true}},
	{"several lines of data", 0, ": ping\nid: 1\ndata: {\"choices\":[{}],\ndata:\ndata:\"usage\":{\"prompt_tokens\":\ndata: 31,\"completion_tokens\":17}}\nretry: 1\n\n" + done,
		heard{Usage: gateway.Usage{Prompt: 31, Completion: 17}, Ended: true}},
	{"no blank line at the end", 0, delta + `data: {"usage":{"prompt_tokens":31,"completion_tokens":17}}`, usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"a byte order mark before a stream", 0, "\xEF\xBB\xBF" + delta + event(`{"usage":{"prompt_tokens":31,"completion_tokens":17}}`), usage(gateway.Usage{Prompt: 31, Completion: 17})},
	{"long events", 0, event(`{"choices":[{"delta":{"content":"`+strings.Repeat(`"`[:0]+`\"x`, 9000)+`"}}],"usage":{"prompt_tokens":31,"completion_tokens":17}}`) +
		": " + strings.Repeat("x", 30_000) + "\n\n" + event(strings.Repeat("[", 20_000)) + event(`{"usage":{"prompt_tokens":31,"completion_tokens":18}}`) + done,
		heard{Usage: gateway.Usage{Prompt: 31, Completion: 18}, Ended: true}},
}

func TestBothWitnessesReadTheSameInEveryAnswer(t *testing.T) {
	script := newScript(t)
	for _, c := range append(typedTellings(), tellings...) {
		t.Run(c.name, func(t *testing.T) {
			ends := []string{"\n"}
			if isStream(c.body) {
				ends = []string{"\n", "\r\n", "\r"}
			}
			for _, end := range ends {
				body := strings.ReplaceAll(c.body, "\n", end)
				for _, size := range []int{len(body), 1 + len(body)/2, 1 + len(body)/4099} {
					if diff := cmp.Diff(c.want, readByGateway(c.endpoint, body, size)); diff != "" {
						t.Errorf("the gateway, %q, %d bytes at a time (- wanted, + read):\n%s", end, size, diff)
					}
					if diff := cmp.Diff(c.want, script.read(t, c.endpoint, body, size)); diff != "" {
						t.Errorf("the script, %q, %d bytes at a time (- wanted, + read):\n%s", end, size, diff)
					}
				}
			}
		})
	}
}

// isStream reports whether an answer is a stream of events.
func isStream(body string) bool {
	body = strings.TrimSpace(strings.TrimPrefix(body, "\xEF\xBB\xBF"))
	return body != "" && !strings.ContainsAny(body[:1], "{[<")
}

// readByGateway reads an answer as the gateway does, a stream in pieces of a size.
func readByGateway(e gateway.Endpoint, body string, size int) heard {
	if e == 0 {
		e = gateway.ChatCompletions
	}
	intent := &gateway.Intent{Endpoint: e, Model: "m", Steps: []gateway.Step{{Backend: "b", UpstreamModel: "m"}}}
	if !isStream(body) {
		return heardOf(provider.OpenAI{}.NewAnswer(intent, gateway.PromptText{}, 200, []byte(body)).Answer(false))
	}
	s := provider.OpenAI{}.NewStream(intent, gateway.PromptText{}, false)
	for at := 0; at < len(body); at += size {
		s.Next([]byte(body[at:min(at+size, len(body))]), false)
	}
	s.Next(nil, true)
	heard := heardOf(s.Answer(false))
	heard.Ended = strings.Contains(body, "data: [DONE]") || endsTyped(e, body)
	return heard
}

func heardOf(a gateway.Answer) heard {
	h := heard{Tier: a.ServiceTier, Failed: a.Failed, Missing: a.Missing, Response: a.Response.ID, State: a.Response.State}
	if a.Source == gateway.FromProvider {
		h.Usage = a.Usage
	}
	if a.Response.Source == gateway.FromProvider {
		h.Usage = a.Response.Usage
	}
	if a.Response.ServiceTier != "" {
		h.Tier = a.Response.ServiceTier
	}
	return h
}

// script is what reads answers in Envoy.
type script struct{ state *lua.LState }

// newScript loads what reads answers in Envoy into a Lua of our own.
func newScript(t testing.TB) script {
	t.Helper()
	source, err := os.ReadFile("../../xds/answer.lua")
	if err != nil {
		t.Fatal(err)
	}
	state := lua.NewState()
	t.Cleanup(state.Close)
	state.SetGlobal("tonumber", state.NewFunction(toNumber))
	if err := state.DoString(string(source) + "\nfunction begun(path, method) return answer(path, method) end function add(r, piece) read(r, piece) end function over(r) finish(r) return noted(r, true) end"); err != nil {
		t.Fatal(err)
	}
	return script{state}
}

// toNumber is Lua's tonumber as LuaJIT in Envoy has it. The one here reads no exponent without a point.
func toNumber(l *lua.LState) int {
	if n, err := strconv.ParseFloat(l.CheckString(1), 64); err == nil {
		l.Push(lua.LNumber(n))
		return 1
	}
	l.Push(lua.LNil)
	return 1
}

func (s script) call(t testing.TB, name string, results int, args ...lua.LValue) lua.LValue {
	t.Helper()
	if err := s.state.CallByParam(lua.P{Fn: s.state.GetGlobal(name), NRet: results, Protect: true}, args...); err != nil {
		t.Fatal(err)
	}
	if results == 0 {
		return nil
	}
	defer s.state.Pop(1)
	return s.state.Get(-1)
}

// read reads an answer in pieces of a size.
func (s script) read(t testing.TB, e gateway.Endpoint, body string, size int) heard {
	t.Helper()
	if e == 0 {
		e = gateway.ChatCompletions
	}
	r := s.call(t, "begun", 1, lua.LString(e.For("resp_1")), lua.LString(e.Method()))
	for at := 0; at < len(body); at += size {
		s.call(t, "add", 0, r, lua.LString(body[at:min(at+size, len(body))]))
	}
	seen := gateway.ReadSeen(s.call(t, "over", 1, r).String())
	h := heard{Tier: seen.ServiceTier, Failed: seen.Failed, Missing: seen.Missing, Ended: seen.Complete, Response: seen.Response, State: seen.ResponseState}
	if seen.Figures != nil && (!e.IsFree() || seen.ResponseState.HasEnded()) {
		if f, believed := seen.Figures.Of(e); believed {
			h.Usage = f.Usage()
		}
	}
	return h
}

// FuzzBothWitnessesAgree has both read answers that are made of what providers send, at odd
// places, in odd spellings and in odd pieces.
func FuzzBothWitnessesAgree(f *testing.F) {
	f.Add([]byte("a usage in every place, and nothing in its place"))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23})
	f.Add([]byte("102C!C00")) // an event with two types
	script := newScript(f)
	f.Fuzz(func(t *testing.T, data []byte) { compareWitnesses(t, script, data) })
}

// The dice reach more places at random than a fuzzer does in a short time.
func TestBothWitnessesAgreeOnRandomAnswers(t *testing.T) {
	script := newScript(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		data := make([]byte, 20+random.IntN(300))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		compareWitnesses(t, script, data)
	}
}

// compareWitnesses has both read the answer that the dice make.
func compareWitnesses(t *testing.T, script script, data []byte) {
	d := dice{data}
	e := []gateway.Endpoint{gateway.ChatCompletions, gateway.Responses, gateway.Messages, gateway.CountTokens, gateway.FetchResponse, gateway.ResponseInput, gateway.Passed}[d.roll(7)]
	body := d.body()
	size := 1 + d.roll(len(body)+1)
	got, want := script.read(t, e, body, size), readByGateway(e, body, size)
	want.Ended = got.Ended
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %q, %d bytes at a time (- the gateway, + the script):\n%s", e, body, size, diff)
	}
}

// dice makes an answer out of a fuzzer's bytes.
type dice struct{ data []byte }

func (d *dice) roll(sides int) int {
	if len(d.data) == 0 {
		return 0
	}
	n := int(d.data[0])
	d.data = d.data[1:]
	return n % sides
}

func (d *dice) pick(of ...string) string { return of[d.roll(len(of))] }

// body is one JSON answer, or a stream of some. Text comes before figures, as what follows them
// is counted.
func (d *dice) body() string {
	if d.roll(2) == 0 {
		return d.object()
	}
	var b strings.Builder
	for range d.roll(4) {
		b.WriteString(d.pick("", ": ping\n\n", "event: error\n", "id: 7\r\n", "\n", "datum: 1\n"))
		b.WriteString(d.pick("data: ", "data:", "data: \n data: "[:6]) + d.object() + d.pick("\n\n", "\r\n\r\n", "\r\r", "\n\r\n"))
	}
	return "data: {}\n\n" + b.String() + d.pick("", "data: [DONE]\n\n", "data: [DONE]")
}

func (d *dice) object() string {
	var members []string
	for range d.roll(6) {
		members = append(members, d.member())
	}
	return "{" + d.pick("", " ", "\n"[:0]) + strings.Join(members, d.pick(",", " , ")) + "}"
}

func (d *dice) member() string {
	name := d.pick("usage", "choices", "x_groq", "service_tier", "error", "echo", "object", "type", "data", "note",
		"response", "message", "item", "content_block", "delta", "output", "content", "status", "input_tokens", "start")
	switch name {
	case "usage":
		return `"usage":` + d.usage()
	case "choices":
		return `"choices":` + d.pick("[]", "null", "[{}]", `[{"usage":`+d.usage()+`}]`, `[{"delta":{"usage":`+d.usage()+`}}]`,
			`[{"finish_reason":"error"}]`, `[{"error":{"code":7}}]`, `[[{"usage":`+d.usage()+`}]]`)
	case "x_groq":
		return `"x_groq":` + d.pick("null", `{"usage":`+d.usage()+`}`, `{"error":"x"}`, `[{"usage":`+d.usage()+`}]`, `{"a":{"usage":`+d.usage()+`}}`)
	case "service_tier":
		return `"service_tier":` + d.pick(`"flex"`, `"default"`, "null", `""`, "7", "true", `{"a":1}`, `["flex"]`, `"a b\"c"`)
	case "error":
		return `"error":` + d.pick("null", "{}", "[]", `"x"`, `""`, "false", "true", "0", `{"code":429}`, `{"a":{"b":1}}`, `[1]`)
	case "echo":
		return `"echo":` + d.pick(`{"usage":`+d.usage()+`}`, `[{"usage":`+d.usage()+`}]`, `{"error":{"code":1}}`)
	case "object", "type":
		return `"` + name + `":` + d.pick(`"error"`, `"list"`, "null", `{"error":1}`, `"response.output_text.delta"`, `"content_block_delta"`,
			`"response.failed"`, `"message"`, `"response.created"`)
	case "response", "message", "start":
		return `"` + name + `":` + d.pick("null", "[]", `{"usage":`+d.usage()+`}`, `{"usage":null,"error":null}`, `{"error":{"code":"x"}}`,
			`{"service_tier":"flex","output":[{}]}`, `{"output":[],"usage":`+d.usage()+`,"service_tier":"a"}`, `[{"usage":`+d.usage()+`}]`)
	case "item", "content_block", "delta", "output", "content":
		return `"` + name + `":` + d.pick("null", `"text"`, "{}", "[]", "[{}]", `{"usage":`+d.usage()+`}`, `[{"usage":`+d.usage()+`}]`, "7")
	case "status", "input_tokens":
		return `"` + name + `":` + d.pick(`"queued"`, `"completed"`, `"failed"`, "7", "null", "{}")
	case "data":
		return `"data":` + d.pick(`[]`, `[{}]`, `[1]`, `null`, `{}`)
	}
	return `"note":` + d.pick(`"\"usage\":{"`, `"\\"`, `"}]"`, `"usage"`, `"error"`, "-1.5e3")
}

func (d *dice) usage() string {
	var members []string
	for range d.roll(7) {
		members = append(members, d.usageMember())
	}
	return d.pick("{", "{ ", "{\"a\":[],") + strings.Join(append(members, `"z":0`), ",") + "}"
}

func (d *dice) usageMember() string {
	counts := []string{"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens", "completion_tokens", "cached_tokens",
		"prompt_cache_hit_tokens", "cache_creation_input_tokens", "cache_write_tokens", "reasoning_tokens", "input_tokens", "output_tokens",
		"input_tokens", "output_tokens", "cache_read_input_tokens"}
	switch n := d.roll(len(counts) + 8); {
	case n < len(counts):
		return fmt.Sprintf("%q:%s", counts[n], d.count())
	case n == len(counts):
		return `"cache_creation":` + d.pick("null", "[]", "{}", fmt.Sprintf(`{"ephemeral_5m_input_tokens":%s,"ephemeral_1h_input_tokens":%s}`, d.count(), d.count()))
	case n == len(counts)+1:
		return `"server_tool_use":` + d.pick("null", "[]", "{}", fmt.Sprintf(`{"web_search_requests":%s,"web_fetch_requests":%s}`, d.count(), d.count()), `{"a":{"b":1},"c":2}`)
	case n == len(counts)+2:
		return `"iterations":` + d.pick("null", "[]", "{}", "[null,7,[{}],"+d.usage()+"]", "["+d.usage()+","+d.usage()+"]")
	case n == len(counts)+3:
		return `"speed":` + d.pick(`"fast"`, `"standard"`, "null", "{}")
	case n == len(counts)+4:
		return `"service_tier":` + d.pick(`"flex"`, "null")
	}
	return fmt.Sprintf(`%q:%s`, d.pick("prompt_tokens_details", "completion_tokens_details", "output_tokens_details"),
		d.pick("null", "{}", "[]", fmt.Sprintf(`{%q:%s,"x":{"cached_tokens":3}}`, d.pick("cached_tokens", "reasoning_tokens", "cache_write_tokens", "thinking_tokens"), d.count())))
}

func (d *dice) count() string {
	return d.pick("0", "1", "7", "20", "31", "64", "100", "603", "100000000", "100000001", "-1", "-0", "31.0", "3.1e1", `"31"`, `"0"`, "1.5", "null",
		"true", `"x"`, `"1."`, `"01"`, `" 1"`, `"0x1"`, "1e99", "[]", "{}", `"31.00"`, "310e-1")
}

// A chunk holds up to 64 KiB. While the script reads it, the worker of Envoy that reads it serves
// nobody.
func TestTheScriptReadsRunsOfBackslashesAsFastAsOtherTexts(t *testing.T) {
	const chunk = 64 << 10
	s := newScript(t)
	r := s.call(t, "begun", 1, lua.LString("/chat/completions"))
	s.call(t, "add", 0, r, lua.LString(`{"x":"`))
	began := time.Now()
	for range 4 {
		s.call(t, "add", 0, r, lua.LString(strings.Repeat(`\`, chunk)+"aa"))
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("reading %d KiB takes %s", 4*chunk>>10, took)
	}
	s.call(t, "add", 0, r, lua.LString(`","usage":{"prompt_tokens":7,"completion_tokens":5}}`))
	if got := lua.LVAsString(s.call(t, "over", 1, r)); !strings.HasPrefix(got, "7 - 5 ") {
		t.Errorf("behind them is %q", got)
	}
}
