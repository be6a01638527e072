// Package sdktest_test holds the gateway to what users of the official OpenAI and Anthropic SDKs
// see: with the same calls, an SDK that is pointed at the gateway shows what it
// shows pointed at the provider itself, and the provider gets the same calls.
package sdktest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
)

const (
	scriptWithin = 60 * time.Second
	// hungUpWithin is how soon a provider has to notice that a client left.
	hungUpWithin = 2 * time.Second
	tools        = "../../.tools"
)

// testCase is what the comparison has to know of one of testdata/cases.json; the
// rest is for the scripts.
type testCase struct {
	Shows   string // a text in what the SDK shows, so that two equal nothings do not pass
	PauseMS int    `json:"pause_ms"` // what the provider asks the SDK to wait before it tries again
	Params  struct{ Model string }
}

// sdk is a script that makes the calls, in the language of an SDK.
type sdk struct {
	installed string // a path that exists once the SDK is installed
	command   []string
	env       []string
}

// view is what the two ends of one run saw.
type view struct {
	shown  []shown
	leftAt map[string]time.Time // by model: when the caller left a stream
	calls  []fakeprovider.Call
}

// shown is what the SDK showed of one case.
type shown struct {
	Model string
	Shown json.RawMessage
}

func TestTheOfficialSDKsShowTheSameThroughTheGateway(t *testing.T) {
	cases, input := readCases(t)
	binary := buildGateway(t)
	for name, s := range sdks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.requireInstalled(t)
			provider := startProvider(t)
			gateway := startGateway(t, binary, provider.url, "AI_GATEWAY_ANTHROPIC_UPSTREAM="+provider.url)
			direct := provider.watch(t, s, provider.url, input)
			through := provider.watch(t, s, gateway, input)
			compare(t, cases, direct, through)
		})
	}
}

func sdks(t *testing.T) map[string]sdk {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	packages, err := filepath.Abs(filepath.Join(tools, "python"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]sdk{
		"Python": {filepath.Join(packages, "anthropic"), []string{python, "-B", "python/show.py"}, []string{"PYTHONPATH=" + packages}},
		"Node":   {"node/node_modules/@anthropic-ai/sdk", []string{"node", "node/show.js"}, nil},
	}
}

func (s sdk) requireInstalled(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(s.installed); err != nil {
		t.Fatalf("the SDK is not installed (%v): run `make test-setup`", err)
	}
}

func readCases(t *testing.T) (cases []testCase, input []byte) {
	t.Helper()
	input, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(input, &cases); err != nil {
		t.Fatalf("reading testdata/cases.json: %v", err)
	}
	return cases, input
}

// run lets the SDK make all calls at a base URL.
func (s sdk) run(t *testing.T, baseURL string, input []byte) view {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.command[0], append(s.command[1:], baseURL)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NO_PROXY=*"}, s.env...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %q at %s: %v\n%s", s.command, baseURL, err, &stderr)
	}
	return readView(t, output)
}

func readView(t *testing.T, output []byte) view {
	t.Helper()
	var document struct {
		Shown  []shown
		LeftAt map[string]float64 `json:"left_at"` // Unix milliseconds
	}
	if err := json.Unmarshal(output, &document); err != nil {
		t.Fatalf("reading what the SDK showed: %v\n%s", err, output)
	}
	v := view{shown: document.Shown, leftAt: map[string]time.Time{}}
	for model, at := range document.LeftAt {
		v.leftAt[model] = time.UnixMilli(int64(at))
	}
	return v
}

func compare(t *testing.T, cases []testCase, direct, through view) {
	t.Helper()
	if len(direct.shown) != len(cases) || len(through.shown) != len(cases) {
		t.Fatalf("of %d cases %d were shown without, %d with the gateway", len(cases), len(direct.shown), len(through.shown))
	}
	for i, c := range cases {
		t.Run(c.Params.Model, func(t *testing.T) {
			c.check(t, direct, direct.shown[i])
			c.check(t, through, through.shown[i])
			if diff := cmp.Diff(direct.shown[i].text(t), through.shown[i].text(t)); diff != "" {
				t.Errorf("shown without (-) and with (+) the gateway:\n%s", diff)
			}
			if diff := cmp.Diff(direct.received(c), through.received(c)); diff != "" {
				t.Errorf("the provider's calls without (-) and with (+) the gateway:\n%s", diff)
			}
		})
	}
}

// check holds one run, with or without the gateway, to what its case is about.
func (c testCase) check(t *testing.T, v view, s shown) {
	t.Helper()
	var value any
	if err := json.Unmarshal(s.Shown, &value); err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(value); s.Model != c.Params.Model || !strings.Contains(all, c.Shows) {
		t.Errorf("what model %q showed is without %q: %s", s.Model, c.Shows, all)
	}
	calls := v.of(c)
	for i := 1; i < len(calls); i++ {
		if pause := calls[i].At.Sub(calls[i-1].At); pause < time.Duration(c.PauseMS)*time.Millisecond {
			t.Errorf("the SDK tried again after %s, the provider asked for %d ms", pause, c.PauseMS)
		}
	}
	if at, left := v.leftAt[c.Params.Model]; left {
		checkHangUp(t, at, calls)
	}
}

func checkHangUp(t *testing.T, leftAt time.Time, calls []fakeprovider.Call) {
	t.Helper()
	if len(calls) != 1 || !calls[0].Left {
		t.Fatalf("the provider saw no hang-up: %+v", calls)
	}
	if took := calls[0].EndedAt.Sub(leftAt); took > hungUpWithin {
		t.Errorf("the provider saw the hang-up %s after it, later than %s", took, hungUpWithin)
	}
}

// text is what was shown, a line a field, with numbers and escapes as the SDK wrote them.
func (s shown) text(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, s.Shown, "", " "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (v view) of(c testCase) []fakeprovider.Call {
	return fakeprovider.Books{Calls: v.calls}.Of(c.Params.Model)
}

// received is what the provider got of a case, without what may differ.
func (v view) received(c testCase) []string {
	var calls []string
	for _, call := range v.of(c) {
		if call.Get("user-agent") == "ai-gateway" { // which asks by itself what a background response used
			continue
		}
		lines := []string{call.Method + " " + call.Target}
		for _, f := range call.Header {
			if name := strings.ToLower(f.Name); !mayDiffer(name) {
				lines = append(lines, name+": "+f.Value)
			}
		}
		slices.Sort(lines[1:])
		calls = append(calls, strings.Join(append(lines, withoutAskedUsage(call.Body)), "\n"))
	}
	return calls
}

// mayDiffer tells a request header that means nothing to a provider: one of a single
// hop, the encodings that an answer may have, of which the gateway allows none, or
// what Node's fetch tells as if it were a browser.
func mayDiffer(name string) bool {
	return slices.Contains([]string{"host", "connection", "content-length", "accept-encoding", "sec-fetch-mode", "x-ai-gateway-hops"}, name)
}

// withoutAskedUsage is a body without the gateway's wish for the usage at a stream's
// end, or the client's.
func withoutAskedUsage(body string) string {
	body = strings.Replace(body, `"include_usage":false`, `"include_usage":true`, 1)
	const asked = `"stream_options":{"include_usage":true}`
	return strings.Replace(strings.Replace(body, asked+",", "", 1), ","+asked, "", 1)
}
