package test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// Answers of which Envoy alone sees the end, and what its script shall have read: all of
// the usage or nothing, never a part.
var seenByEnvoy = map[string]struct {
	pieces string // what comes after serve has died
	source string
	tokens float64 // of the prompt
}{
	"plain":             {`data: {"usage":{"prompt_tokens":77,"completion_tokens":33}}` + "\n\n", "envoy", 77},
	"lines":             {"data: {\"usage\": {\n«wait 20ms»data: \"prompt_tokens\": 77,\n«wait 20ms»data: \"completion_tokens\": 33}}\n\n", "envoy", 77},
	"cut":               {`data: {"us«wait 20ms»age":«wait 20ms» {"prompt_tok«wait 20ms»ens":77,"completion_tokens":33}}` + "\n\n", "envoy", 77},
	"another after it":  {`data: {"usage":{"prompt_tokens":77,"completion_tokens":33}}` + "\n\n" + `data: {"meta":{"usage":{"region":"eu"}}}` + "\n\n", "envoy", 77},
	"null after it":     {`data: {"usage":{"prompt_tokens":77,"completion_tokens":33}}` + "\n\n" + `data: {"usage":null}` + "\n\n", "envoy", 77},
	"a brace in a text": {`data: {"usage":{"prompt_tokens":77,"note":"}","completion_tokens":33}}` + "\n\n", "envoy", 77},
	"a usage elsewhere": {`data: {"echo":{"usage":{"prompt_tokens":9999,"completion_tokens":8888}}}` + "\n\n", "estimated", 2},
	"no numbers":        {`data: {"usage":{"prompt_tokens":` + strings.Repeat("A", 60_000) + `}}` + "\n\n", "estimated", 2},
	"many open":         {strings.Repeat(`data: `+strings.Repeat(`"usage":{`, 7000)+"\n\n«wait 20ms»", 20), "estimated", 2},
}

func TestEnvoyReadsTheUsageThatServeDidNotLiveToSee(t *testing.T) {
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	var names []string
	for name, c := range seenByEnvoy {
		reply, err := fakeprovider.ParseReply("200\ncontent-type: text/event-stream\n\n" +
			`data: {"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n«wait 1500ms»" + c.pieces + "data: [DONE]\n\n")
		if err != nil {
			t.Fatal(err)
		}
		fake.Play(name, fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply}})
		names = append(names, name)
	}
	if err := atOnce(len(names)+1, func(i int) error {
		if i == len(names) {
			time.Sleep(700 * time.Millisecond)
			return p.signal("serve", syscall.SIGKILL)
		}
		_, err := post(p.address, chatPath, chatBody(names[i], true))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(len(names))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range seenByEnvoy {
		of := where(rows, "model", name)
		if len(of) != 1 || of[0]["usage_source"] != want.source || of[0]["prompt_tokens"] != want.tokens || of[0]["witness"] != "envoy" {
			t.Errorf("%s: %v", name, of)
		}
	}
}
