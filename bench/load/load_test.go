package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"ai-gateway/bench/chat"
)

// run carries a plan out against the fake provider.
func run(t *testing.T, p Plan) []Report {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- chat.Provider().Run(ctx, l) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	p.Address = l.Addr().String()
	return reports(t, p)
}

func reports(t *testing.T, p Plan) []Report {
	t.Helper()
	var out bytes.Buffer
	if err := Run(t.Context(), p, &out); err != nil {
		t.Fatal(err)
	}
	var all []Report
	for d := json.NewDecoder(&out); d.More(); {
		var r Report
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 3 || all[0].Mark != Began || all[1].Mark != Ended || all[2].Mark != Done {
		t.Fatalf("the reports are %+v", all)
	}
	return all
}

func TestALoopAsksUntilItsTimeIsOver(t *testing.T) {
	for _, chunks := range []int{0, 20} {
		all := run(t, Plan{Ask: chat.Ask{Chunks: chunks}, Connections: 4, WarmUp: 20 * time.Millisecond, For: 100 * time.Millisecond})
		ended, done := all[1], all[2]
		if done.Errors > 0 || ended.Requests == 0 || done.Requests < ended.Requests || done.Latency.P50 <= 0 || done.FirstChunk.P50 <= 0 {
			t.Errorf("%d chunks: %+v", chunks, all)
		}
	}
}

func TestPacedStreamsAllRunWhileTheyAreMeasured(t *testing.T) {
	const streams = 20
	all := run(t, Plan{Ask: chat.Ask{Chunks: 150, Pace: 10 * time.Millisecond}, Connections: streams, Once: true,
		Ramp: 50 * time.Millisecond, WarmUp: 500 * time.Millisecond, For: 200 * time.Millisecond})
	if all[2].Errors > 0 || all[2].Requests != streams || all[1].Requests != 0 || all[1].Chunks == 0 {
		t.Errorf("%+v", all)
	}
}

func TestAStreamThatEndsWhileItIsMeasuredIsAnError(t *testing.T) {
	all := run(t, Plan{Ask: chat.Ask{Chunks: 2}, Connections: 1, Once: true, WarmUp: 20 * time.Millisecond, For: 20 * time.Millisecond})
	if all[2].Errors == 0 {
		t.Errorf("%+v", all[2])
	}
}

func TestOnlyAnAnswerThatIsRightPasses(t *testing.T) {
	ask := chat.Ask{Chunks: 2}
	whole := strings.Repeat(string(chat.Chunk()), 2) + string(chat.Tail())
	chunked := func(body, end string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n%s", len(body), body, end)
	}
	for want, text := range map[string]string{
		"":                     chunked(whole, "0\r\n\r\n"),
		"the answer begins":    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
		"neither a length":     "HTTP/1.1 200 OK\r\n\r\n",
		"bytes, want":          chunked(whole[1:], "0\r\n\r\n"),
		"the stream ends with": chunked(whole[:len(whole)-1]+"x", "0\r\n\r\n"),
		"EOF":                  chunked(whole, ""),
		`parsing "zz"`:         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
		`parsing "x"`:          "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
	} {
		err := newAnswer(strings.NewReader(text), &generator{Plan: Plan{Ask: ask}, size: ask.Size()}).read()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("want an error of %q, got %v", want, err)
		}
	}
}
