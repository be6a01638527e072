package test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
)

// passing passes some paths to the first provider.
const passing = `
backends: [{name: a, kind: local, base_url: "${A}/other/v1"}, {name: b, kind: local, base_url: "${B}/v1"}]
default_backend: b
passthrough:
- {path: /v1/moderations, backend: a}
- {path: /v1/audio/transcriptions, backend: a}
- {path: /v1/images/generations, backend: a}
- {path: /v1/free, backend: a}
models:
- {name: image-1, backends: [a], price: {input: 2, output: 8}}
- {name: /v1/free, backends: [a], price: {input: 0, output: 0}}
`

const passedJSON = "200\ncontent-type: application/json\ncontent-length: auto\n\n"

// passed is a request of a passed path, what the provider answers, and the row.
type passed struct {
	method, path, kind, body string // kind is the Content-Type
	seen                     string // the target that the provider sees; "" for the path below its base
	answer                   string
	cost                     string // the header X-Cost-USD; "" for none
	row                      map[string]any
}

// The usages of each API, in JSON and in events.
func passedRequests() map[string]passed {
	const js = "application/json"
	events := func(all ...string) string {
		return "200\ncontent-type: text/event-stream\n\ndata: " + strings.Join(all, "\n\ndata: ") + "\n\n\n" // the last one is not part of the body
	}
	return map[string]passed{
		"no usage": {"POST", "/v1/moderations", js, `{"model":"moderation-1","input":"Hello"}`, "", passedJSON + `{"results":[{"flagged":false}]}`, "unknown",
			map[string]any{"model": "moderation-1", "prompt_tokens": 0.0, "completion_tokens": 0.0, "cost_nanousd": nil, "usage_source": "none", "outcome": "ok", "prompt": nil, "answer": nil}},
		"no usage and no model": {"POST", "/v1/moderations", js, `{"input":"Hello"}`, "", passedJSON + `{"results":[]}`, "unknown",
			map[string]any{"model": "/v1/moderations", "usage_source": "none", "cost_nanousd": nil}},
		"a path that is free": {"GET", "/v1/free", "", "", "", passedJSON + `{"data":[]}`, "0", map[string]any{"model": "/v1/free", "usage_source": "none", "cost_nanousd": 0.0}},
		"a chat's usage": {"POST", "/v1/images/generations", js, `{"model":"image-1"}`, "", passedJSON + `{"data":[],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}`, "0.00028",
			map[string]any{"model": "image-1", "prompt_tokens": 100.0, "completion_tokens": 10.0, "usage_source": "provider", "cost_nanousd": 280000.0}},
		"a response's usage": {"POST", "/v1/images/generations", js, `{"model":"image-2"}`, "", passedJSON + `{"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":20},"output_tokens":10,"total_tokens":110}}`, "unknown",
			map[string]any{"model": "image-2", "prompt_tokens": 100.0, "cached_tokens": 20.0, "completion_tokens": 10.0, "usage_source": "provider", "cost_nanousd": nil}},
		"a message's usage": {"POST", "/v1/images/generations", js, `{"model":"image-3"}`, "", passedJSON + `{"usage":{"input_tokens":100,"cache_read_input_tokens":20,"output_tokens":10}}`, "unknown",
			map[string]any{"model": "image-3", "prompt_tokens": 120.0, "cached_tokens": 20.0, "completion_tokens": 10.0, "usage_source": "provider"}},
		"events of a response": {"POST", "/v1/images/generations", js, `{"model":"image-4","stream":true}`, "",
			events(`{"type":"image_generation.partial_image"}`, `{"type":"response.completed","response":{"usage":{"input_tokens":100,"output_tokens":10,"total_tokens":110}}}`), "",
			map[string]any{"model": "image-4", "prompt_tokens": 100.0, "completion_tokens": 10.0, "usage_source": "provider", "outcome": "ok"}},
		"events of a message": {"POST", "/v1/images/generations", js, `{"model":"image-5"}`, "",
			events(`{"type":"message_start","message":{"usage":{"input_tokens":100,"cache_creation_input_tokens":7,"output_tokens":1}}}`, `{"type":"message_delta","usage":{"output_tokens":10}}`, `{"type":"message_stop"}`), "",
			map[string]any{"model": "image-5", "prompt_tokens": 107.0, "cache_write_tokens": 7.0, "completion_tokens": 10.0, "usage_source": "provider"}},
		"a file": {"POST", "/v1/audio/transcriptions", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n\x00\xff\xfe{\r\n--b--\r\n", "",
			passedJSON + `{"text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":3,"total_tokens":17}}`, "unknown",
			map[string]any{"model": "/v1/audio/transcriptions", "prompt_tokens": 14.0, "completion_tokens": 3.0, "usage_source": "provider"}},
		"a query": {"GET", "/v1/audio/transcriptions?limit=2&order=desc&key=sk-1", "", "", "GET /other/v1/audio/transcriptions?limit=2&order=desc", passedJSON + `{"data":[]}`, "unknown",
			map[string]any{"model": "/v1/audio/transcriptions", "endpoint": "/v1/audio/transcriptions", "usage_source": "none"}},
		"a sound": {"DELETE", "/v1/images/generations", "", "", "", "200\ncontent-type: audio/mpeg\ncontent-length: auto\n\n\x00\x01{\"usage\":{\"input_tokens\":1}", "unknown",
			map[string]any{"model": "/v1/images/generations", "usage_source": "none", "cost_nanousd": nil}},
		"an error": {"DELETE", "/v1/moderations", "", "", "", "404\ncontent-type: application/json\ncontent-length: auto\n\n{\"error\":{\"message\":\"no\",\"code\":\"gone\"}}", "0",
			map[string]any{"model": "/v1/moderations", "outcome": "provider_error", "error_code": "gone", "cost_nanousd": 0.0, "status": 404.0}},
	}
}

// bytes is the request as it is sent.
func (r passed) bytes() []byte {
	lines := []string{r.method + " " + r.path + " HTTP/1.1", "Host: localhost", "Connection: close"}
	if r.kind != "" {
		lines = append(lines, "Content-Type: "+r.kind, fmt.Sprintf("Content-Length: %d", len(r.body)))
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + r.body)
}

func TestNamedPathsPassAndAreBilledByWhatTheirAnswersTell(t *testing.T) {
	t.Parallel()
	for what, r := range passedRequests() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r.check(t, configure(t, passing))
		})
	}
}

func (r passed) check(t *testing.T, c configured) {
	t.Helper()
	path, _, _ := strings.Cut(r.path, "?")
	below := strings.TrimPrefix(path, "/v1")
	model, _ := r.row["model"].(string)
	if strings.HasPrefix(model, "/v1/") { // the body names none
		model = r.method + " /other/v1" + below
	}
	c.a.Play(model, scenario(t, r.answer))
	got, err := exchange(c.address, callWithin, []fakeprovider.Piece{{Bytes: r.bytes()}})
	_, body, _ := strings.Cut(r.answer, "\n\n")
	if err != nil || got.body != strings.TrimSuffix(body, "\n") || got.get("x-cost-usd") != r.cost {
		t.Errorf("the client gets %s, %v", got, err)
	}
	calls := c.a.Books().Of(model)
	want := r.method + " /other/v1" + below
	if r.seen != "" {
		want = r.seen
	}
	if len(calls) != 1 || calls[0].Method+" "+calls[0].Target != want || calls[0].Body != r.body {
		t.Errorf("the provider sees %v", calls)
	}
	rows, err := c.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]any{}
	for column := range r.row {
		held[column] = rows[0][column]
	}
	if diff := cmp.Diff(r.row, held); diff != "" || rows[0]["endpoint"] != path {
		t.Errorf("the row differs (- expected, + written):\n%s\nwhole: %v", diff, rows[0])
	}
}

func TestWhatIsNotNamedIsNotPassed(t *testing.T) {
	t.Parallel()
	c := configure(t, passing)
	ask := func(method, path, kind, body string) answer {
		got, err := exchange(c.address, callWithin, []fakeprovider.Piece{{Bytes: passed{method: method, path: path, kind: kind, body: body}.bytes()}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, path := range []string{"/v1/moderation", "/v1/moderations/x", "/v1/files"} {
			got := ask(method, path, "", "")
			named := strings.Contains(got.body, "/v1/chat/completions") && strings.Contains(got.body, "It passes /v1/moderations, /v1/audio/transcriptions")
			if got.status != http.StatusNotFound || !named && method != "HEAD" {
				t.Errorf("%s %s is answered with %s", method, path, got)
			}
		}
	}
	for _, method := range []string{"HEAD", "PUT", "PATCH", "OPTIONS"} {
		if got := ask(method, "/v1/moderations", "", ""); got.status != http.StatusMethodNotAllowed || got.get("allow") != "GET, POST, DELETE" {
			t.Errorf("%s is answered with %s", method, got)
		}
	}
	if got := ask("POST", "/v1/moderations", "application/json", `{"model":"a","model":"b"}`); got.status != http.StatusBadRequest || !strings.Contains(got.body, `"ambiguous_parameter"`) {
		t.Errorf("a body with two models is answered with %s", got)
	}
	if len(c.a.Books().Calls)+len(c.b.Books().Calls) > 0 {
		t.Errorf("the providers were called: %v %v", c.a.Books().Calls, c.b.Books().Calls)
	}
}

func TestAPassedStreamIsBilledIfServeIsKilledInItsMiddle(t *testing.T) {
	t.Parallel()
	c := configure(t, passing)
	c.a.Play("image-1", scenario(t, "200\ncontent-type: text/event-stream\n\ndata: {\"type\":\"partial\"}\n\n«wait 1500ms»data: {\"type\":\"done\",\"usage\":{\"input_tokens\":100,\"output_tokens\":10,\"total_tokens\":110}}\n\n"))
	c.a.Play("image-2", scenario(t, "200\ncontent-type: text/event-stream\n\ndata: {\"type\":\"partial\"}\n\n«wait 1500ms»data: {\"type\":\"done\"}\n\n"))
	models := []string{"image-1", "image-2"}
	if err := atOnce(3, func(i int) error {
		if i == len(models) {
			time.Sleep(700 * time.Millisecond)
			return c.signal("serve", syscall.SIGKILL)
		}
		_, err := post(c.address, "/v1/images/generations", fmt.Sprintf(`{"model":%q,"stream":true}`, models[i]))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := c.waitRows(len(models))
	if err != nil {
		t.Fatal(err)
	}
	if r := where(rows, "model", "image-1")[0]; r["usage_source"] != "envoy" || r["prompt_tokens"] != 100.0 || r["completion_tokens"] != 10.0 || r["cost_nanousd"] != 280000.0 || r["endpoint"] != "/v1/images/generations" {
		t.Errorf("row %v", r)
	}
	if r := where(rows, "model", "image-2")[0]; r["usage_source"] != "none" || r["prompt_tokens"] != 0.0 || r["cost_nanousd"] != nil || r["outcome"] != "ok" {
		t.Errorf("row %v", r)
	}
}

func TestAPathTakesKeysAndLimits(t *testing.T) {
	t.Parallel()
	c := configure(t, passing+"limits: {rules: [{by: key, requests: 1, per: day}]}\n")
	c.a.Play("image-1", scenario(t, passedJSON+`{"data":[]}`))
	key := c.keys(t, "create", "--label", "painter", "--models", "image-1").bearer()
	c.waitAnswer(t, http.StatusUnauthorized, "GET", "/v1/models", "")
	if got, err := c.call("POST", "/v1/images/generations", `{"model":"image-1"}`); err != nil || got.status != http.StatusUnauthorized {
		t.Errorf("without a key the answer is %s, %v", got, err)
	}
	for _, call := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/v1/images/generations", `{"model":"image-2"}`, http.StatusForbidden}, {"GET", "/v1/moderations", "", http.StatusForbidden},
		{"POST", "/v1/images/generations", `{"model":"image-1"}`, http.StatusOK}, {"POST", "/v1/images/generations", `{"model":"image-1"}`, http.StatusTooManyRequests},
	} {
		got, err := c.call(call.method, call.path, call.body, key)
		if err != nil || got.status != call.want {
			t.Errorf("%s %s %s is answered with %s, %v", call.method, call.path, call.body, got, err)
		}
	}
}
